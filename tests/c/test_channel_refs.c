/* Descriptors under way: more than a user may have, and a channel that is sent over itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

enum { STRANGER = 65534, MAY_HAVE = 100 };

/* A pair on a loop, both ends open. */
static fer_status open_pair(fer_loop *loop, fer_channel *channels[2]) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    noted connected = {0};
    options.max_handles = 4;
    fer_status status = fer_channel_pair(loop, &options, note_connected, &connected, channels);
    while (status == FER_OK && connected.calls < 2)
        status = fer_loop_step(loop, 1000);
    return status == FER_OK ? connected.status : status;
}

static void count_all(fer_channel *channel, fer_status status, const fer_message *messages,
                      size_t count, void *user) {
    size_t *counts = user;
    (void)channel;
    for (size_t i = 0; status == FER_OK && i < count; i++) {
        counts[0]++;
        counts[1] += messages[i].handle_count;
    }
}

/* One who is not privileged may have as many descriptors under way as open. */
static int send_too_many(int argc, char **argv) {
    const struct rlimit few = {MAY_HAVE, MAY_HAVE};
    const fer_fd fds[4] = {0, 1, 0, 1};
    fer_channel *channels[2];
    fer_loop *loop = NULL;
    size_t counts[2] = {0, 0};
    size_t sent = 0;
    fer_status status = FER_OK;
    (void)argc;
    (void)argv;
    if (setgroups(0, NULL) != 0 || setgid(STRANGER) != 0 || setuid(STRANGER) != 0 ||
        setrlimit(RLIMIT_NOFILE, &few) != 0)
        return 1;
    if (fer_loop_new(&loop) != FER_OK || open_pair(loop, channels) != FER_OK)
        return 2;
    while (status == FER_OK && sent < MAY_HAVE) {
        status = fer_channel_send_fds(channels[0], &(fer_bytes){"four", 4}, 1, fds, 4, NULL, NULL);
        sent += status == FER_OK;
    }
    if (status != FER_ETOOMANYREFS)
        return 3;
    /* The channel goes on: without handles at once, with them when others have arrived. */
    if (send_text(channels[0], "none") != FER_OK)
        return 4;
    if (fer_channel_receive(channels[1], count_all, counts, NULL) != FER_OK)
        return 5;
    while (counts[0] < sent + 1)
        (void)fer_loop_step(loop, 1000);
    if (counts[1] != 4 * sent)
        return 6;
    if (fer_channel_send_fds(channels[0], &(fer_bytes){"four", 4}, 1, fds, 4, NULL, NULL) != FER_OK)
        return 7;
    while (counts[0] < sent + 2)
        (void)fer_loop_step(loop, 1000);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    if (fer_loop_run(loop) != FER_OK || fer_loop_close(loop) != FER_OK)
        return 8;
    fer_loop_unref(loop);
    return counts[1] == 4 * sent + 4 ? 0 : 9;
}

static const harness_helper helpers[] = {{"too-many", send_too_many}, {NULL, NULL}};

static void too_many_under_way_are_refused(void **state) {
    (void)state;
    harness_child child;
    if (geteuid() != 0) {
        print_message("skipped: only root can be somebody else for a while\n");
        skip();
    }
    harness_spawn(&child, "too-many", -1, NULL);
    assert_int_equal(harness_wait(&child), 0);
}

/* What the kernel keeps of it goes away with it: the descriptors of the process are counted. */
static void a_channel_may_be_sent_over_itself(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel *channels[2];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int round = 0; round < 50; round++) {
        size_t counts[2] = {0, 0};
        fer_fd ends[2] = {-1, -1};
        assert_int_equal(open_pair(loop, channels), FER_OK);
        /* The two sockets are the newest of the process. */
        for (int fd = 3; fd < 200; fd++) {
            int type = 0;
            socklen_t size = sizeof type;
            if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM)
                ends[ends[0] >= 0] = fd;
        }
        assert_true(ends[1] >= 0);
        assert_int_equal(
            fer_channel_send_fds(channels[0], &(fer_bytes){"me", 2}, 1, ends, 2, NULL, NULL),
            FER_OK);
        if (round % 2) {
            assert_int_equal(fer_channel_receive(channels[1], count_all, counts, NULL), FER_OK);
            run_until_count(loop, &counts[0], 1);
            assert_int_equal(counts[1], 2);
        }
        fer_channel_unref(channels[0]);
        fer_channel_unref(channels[1]);
        assert_int_equal(fer_loop_run(loop), FER_OK);
    }
    end_loop(loop);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(too_many_under_way_are_refused),
        HARNESS_TEST(a_channel_may_be_sent_over_itself),
    };
    return HARNESS_MAIN("channel_refs", tests, helpers, argc, argv);
}
