/* Channels over FIFOs: what stands in their place, who else is there, and how they end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

/* Whether connecting comes to `expected`. */
static void expect_connected(fer_loop *loop, const char *address,
                             const fer_channel_options *options, fer_status expected) {
    fer_channel *channel = NULL;
    noted connected = {0};
    assert_int_equal(
        fer_channel_connect(loop, address, options, note_connected, &connected, &channel), FER_OK);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, expected);
    assert_int_equal(connected.detail[0] != '\0', expected != FER_OK);
    fer_channel_unref(channel);
}

/* Both sides connect to FIFOs that are there; in the order in which the first then waits for the other. */
static void two_clients_meet_on_fifos(void **state) {
    (void)state;
    char addresses[2][256];
    fer_loop *loop = NULL;
    fer_channel *channels[2];
    noted connected[2] = {{0}, {0}};
    noted closed[2] = {{0}, {0}};
    assert_int_equal(mkfifo(harness_path("a"), 0600), 0);
    assert_int_equal(mkfifo(harness_path("b"), 0600), 0);
    snprintf(addresses[0], sizeof addresses[0], "fifo:%s,%s", harness_path("a"), harness_path("b"));
    snprintf(addresses[1], sizeof addresses[1], "fifo:%s,%s", harness_path("b"), harness_path("a"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fer_channel_connect(loop, addresses[i], NULL, note_connected,
                                             &connected[i], &channels[i]),
                         FER_OK);
        for (int n = 0; i == 0 && n < 5; n++)
            assert_int_equal(fer_loop_step(loop, 1), FER_OK);
        assert_int_equal(connected[0].calls, 0);
    }
    for (int i = 0; i < 2; i++) {
        harness_run_until(loop, &connected[i].calls);
        assert_int_equal(connected[i].status, FER_OK);
    }
    /* A third would read what is not for it. */
    fer_channel *third = NULL;
    noted refused = {0};
    assert_int_equal(
        fer_channel_connect(loop, addresses[0], NULL, note_connected, &refused, &third), FER_OK);
    harness_run_until(loop, &refused.calls);
    assert_int_equal(refused.status, FER_EADDRINUSE);
    fer_channel_unref(third);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fer_channel_close(channels[i], note_closed, &closed[i]), FER_OK);
    for (int i = 0; i < 2; i++) {
        harness_run_until(loop, &closed[i].calls);
        assert_int_equal(closed[i].status, FER_OK);
        fer_channel_unref(channels[i]);
    }
    end_loop(loop);
    assert_int_equal(unlink(harness_path("a")), 0);
    assert_int_equal(unlink(harness_path("b")), 0);
}

/* What stands in the place of a FIFO. */
static void what_is_no_fifo_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *name;
        fer_status status;
    } examples[] = {{"file", FER_EPROTOTYPE},    {"directory", FER_EPROTOTYPE},
                    {"link", FER_ELOOP},         {"missing", FER_ENOENT},
                    {"alone", FER_ECONNREFUSED}, {"nowhere/fifo", FER_ENOENT},
                    {"file/fifo", FER_ENOTDIR}};
    fer_loop *loop = NULL;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.connect_timeout_ms = 30;
    fclose(fopen(harness_path("file"), "w"));
    assert_int_equal(mkdir(harness_path("directory"), 0700), 0);
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    assert_int_equal(mkfifo(harness_path("alone"), 0600), 0);
    assert_int_equal(symlink("in", harness_path("link")), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0] * 2; i++) {
        char address[256];
        const char *name = examples[i / 2].name;
        fer_channel *channel = NULL;
        noted connected = {0};
        if (i % 2 == 0)
            snprintf(address, sizeof address, "fifo:%s,%s", harness_path("in"), harness_path(name));
        else
            snprintf(address, sizeof address, "fifo:%s,%s", harness_path(name), harness_path("in"));
        assert_int_equal(
            fer_channel_connect(loop, address, &options, note_connected, &connected, &channel),
            FER_OK);
        harness_run_until(loop, &connected.calls);
        /* A directory cannot be opened for writing at all. */
        if (connected.status != FER_EISDIR)
            assert_int_equal(connected.status, examples[i / 2].status);
        assert_string_not_equal(connected.detail, "");
        fer_channel_unref(channel);
    }
    end_loop(loop);
    assert_int_equal(unlink(harness_path("file")), 0);
    assert_int_equal(unlink(harness_path("in")), 0);
    assert_int_equal(unlink(harness_path("alone")), 0);
    assert_int_equal(unlink(harness_path("link")), 0);
    assert_int_equal(rmdir(harness_path("directory")), 0);
}

/* A server removes what it made, and only that. */
static void what_was_there_stays(void **state) {
    (void)state;
    struct stat info;
    duo ends;
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    duo_open_at(&ends, fifos("in", "out"), NULL, NULL);
    assert_int_equal(lstat(harness_path("out"), &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0600);
    duo_close(&ends);
    assert_int_equal(lstat(harness_path("in"), &info), 0);
    assert_int_equal(lstat(harness_path("out"), &info), -1);
    /* One that was replaced is not the server's any more. */
    duo_open_at(&ends, fifos("in", "out"), NULL, NULL);
    assert_int_equal(unlink(harness_path("out")), 0);
    fclose(fopen(harness_path("out"), "w"));
    duo_close(&ends);
    assert_int_equal(lstat(harness_path("out"), &info), 0);
    remove_fifos();
}

/* Who else is there. */

static void expect_alive(const duo *ends) {
    inbox box = {0};
    assert_int_equal(fer_channel_receive(ends->served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(send_text(ends->client, "still here"), FER_OK);
    run_until_count(ends->loop, &box.count, 1);
    assert_memory_equal(box.bytes, "still here", 10);
    /* Its finalizer must find the box. */
    assert_int_equal(fer_channel_abort(ends->served), FER_OK);
    harness_run_until(ends->loop, &box.finalized.calls);
    inbox_free(&box);
}

static void a_second_client_is_told(void **state) {
    (void)state;
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        duo ends;
        fer_channel *blocking = NULL;
        duo_open_at(&ends, "fifo:", &options, &options);
        expect_connected(ends.loop, ends.address, &options, FER_EADDRINUSE);
        assert_int_equal(fer_sync_connect(ends.address, &options, -1, &blocking), FER_EADDRINUSE);
        assert_null(blocking);
        expect_alive(&ends);
        duo_close(&ends);
    }
}

/* One that was not made by this library takes no lock. It must not see a peer that comes and goes. */
static void a_reader_that_waits_is_not_disturbed(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel_options options = options_of(FER_WIRE_PLAIN);
    options.connect_timeout_ms = 30;
    make_fifos();
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int reader = open(harness_path("in"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    expect_connected(loop, fifos("in", "out"), &options, FER_ECONNREFUSED);
    struct pollfd seen = {reader, POLLIN, 0};
    assert_int_equal(poll(&seen, 1, 0), 0);
    raw_close(reader);
    end_loop(loop);
    remove_fifos();
}

/* Another user. */

enum { NOBODY = 65534, SOMEBODY = 65533 };

/* As that user: say what comes of connecting and of listening. */
static int stranger(int argc, char **argv) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channel = NULL;
    fer_server *server = NULL;
    if (argc < 2 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 2;
    options.connect_timeout_ms = 30;
    harness_say(fer_status_name(fer_sync_connect(argv[1], &options, -1, &channel)));
    harness_say(fer_status_name(fer_sync_listen(argv[1], &options, &server)));
    if (server != NULL)
        (void)fer_server_close(server, NULL, NULL);
    fer_server_unref(server);
    fer_channel_unref(channel);
    return 0;
}

static void expect_of_stranger(const char *address, const char *connecting, const char *listening) {
    const char *const arguments[] = {address, NULL};
    harness_child child;
    char line[64];
    harness_spawn(&child, "stranger", -1, arguments);
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, connecting);
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, listening);
    assert_int_equal(harness_wait(&child), 0);
}

static void what_another_user_made_is_refused(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(harness_directory(), 0711), 0);
    make_fifos();
    assert_int_equal(chmod(harness_path("in"), 0666), 0);
    assert_int_equal(chmod(harness_path("out"), 0666), 0);
    /* Those of root are as good as the user's own. */
    expect_of_stranger(fifos("in", "out"), "FER_ECONNREFUSED", "FER_OK");
    assert_int_equal(chown(harness_path("in"), SOMEBODY, SOMEBODY), 0);
    expect_of_stranger(fifos("in", "out"), "FER_EPERM", "FER_EPERM");
    expect_of_stranger(fifos("out", "in"), "FER_ECONNREFUSED", "FER_EPERM");
    int reader = open(harness_path("in"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    expect_of_stranger(fifos("out", "in"), "FER_EPERM", "FER_EPERM");
    raw_close(reader);
    /* What a user may not open at all. */
    assert_int_equal(chown(harness_path("in"), 0, 0), 0);
    assert_int_equal(chmod(harness_path("in"), 0600), 0);
    expect_of_stranger(fifos("in", "out"), "FER_EACCES", "FER_OK");
    remove_fifos();
}

/* SIGPIPE: its default action would end this program. */

/* Plain channels whose peer has opened both FIFOs and reads no more. */

static void expect_broken(fer_channel *channel, int on_loop) {
    const fer_bytes whole = {"x", 1};
    fer_status status = on_loop ? send_text(channel, "x") : fer_sync_send(channel, &whole, 1, -1);
    assert_int_equal(status, FER_EPIPE);
}

static int is_pending(void) {
    sigset_t pending;
    assert_int_equal(sigpending(&pending), 0);
    return sigismember(&pending, SIGPIPE) == 1;
}

static void break_a_channel(int on_loop, int blocked, int waits) {
    static const struct timespec at_once = {0, 0};
    const fer_channel_options options = options_of(FER_WIRE_PLAIN);
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    sigset_t only;
    sigset_t before;
    int reader = open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    if (on_loop) {
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_channel_connect(loop, fifos("in", "out"), &options, note_connected,
                                             &connected, &channel),
                         FER_OK);
        harness_run_until(loop, &connected.calls);
    } else {
        assert_int_equal(fer_sync_connect(fifos("in", "out"), &options, -1, &channel), FER_OK);
    }
    raw_close(reader);
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    assert_int_equal(sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &only, &before), 0);
    if (waits)
        assert_int_equal(raise(SIGPIPE), 0);
    assert_int_equal(is_pending(), waits);
    expect_broken(channel, on_loop);
    assert_int_equal(is_pending(), waits);
    if (waits)
        assert_int_equal(sigtimedwait(&only, NULL, &at_once), SIGPIPE);
    assert_int_equal(is_pending(), 0);
    /* The mask is as it was. */
    sigset_t after;
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, &after), 0);
    assert_int_equal(sigismember(&after, SIGPIPE), blocked);
    fer_channel_unref(channel);
    if (on_loop)
        end_loop(loop);
}

static void no_signal_comes_of_a_reader_that_died(void **state) {
    (void)state;
    make_fifos();
    for (int on_loop = 0; on_loop < 2; on_loop++) {
        break_a_channel(on_loop, 0, 0);
        break_a_channel(on_loop, 1, 0);
        break_a_channel(on_loop, 1, 1);
    }
    remove_fifos();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(two_clients_meet_on_fifos),
        HARNESS_TEST(what_is_no_fifo_is_refused),
        HARNESS_TEST(what_was_there_stays),
        HARNESS_TEST(a_second_client_is_told),
        HARNESS_TEST(a_reader_that_waits_is_not_disturbed),
        HARNESS_TEST(what_another_user_made_is_refused),
        HARNESS_TEST(no_signal_comes_of_a_reader_that_died),
    };
    const harness_helper helpers[] = {{"stranger", stranger}, {NULL, NULL}};
    return HARNESS_MAIN("channel_fifo", tests, helpers, argc, argv);
}
