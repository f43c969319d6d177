/* The blocking face: messages, ends, limits. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "fixture.h"

#define MIB ((size_t)1 << 20)

static fer_status send_it(fer_channel *channel, const char *text) {
    const fer_bytes bytes = {text, strlen(text)};
    return fer_sync_send(channel, &bytes, 1, HARNESS_PATIENCE_MS);
}

static void expect_message(fer_channel *channel, const char *text) {
    fer_message message = {NULL, 0, NULL, 0};
    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
    assert_int_equal(message.size, strlen(text));
    assert_memory_equal(message.data, text, message.size);
    assert_null(message.handles);
    assert_int_equal(message.handle_count, 0);
}

static void expect_status(fer_channel *channel, fer_status status) {
    fer_message message;
    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), status);
}

/* Messages. */

static const size_t sizes[] = {0,     1,       2,       4,      4095,   4096,     4097,     65527,
                               65528, 65529,   65536,   262135, 262136, 262137,   262144,   MIB - 1,
                               MIB,   MIB + 1, 5 * MIB, 1,      0,      20 * MIB, 64 * MIB, 3};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

typedef struct sender {
    fer_channel *channel;
    fer_status status;
} sender;

static void *send_all(void *user) {
    sender *one = user;
    for (unsigned i = 0; i < SIZES && one->status == FER_OK; i++) {
        uint8_t *data = malloc(sizes[i] + 1);
        fill(data, sizes[i], i);
        const fer_bytes parts[3] = {{data, sizes[i] / 2}, {NULL, 0}, {data + sizes[i] / 2, 0}};
        fer_bytes whole[3] = {parts[0], parts[1], parts[2]};
        whole[2].size = sizes[i] - sizes[i] / 2;
        one->status = fer_sync_send(one->channel, whole, 3, -1);
        free(data);
    }
    return NULL;
}

static void every_size_comes_whole(void **state) {
    (void)state;
    fer_channel *channels[2];
    sync_pair(channels, NULL);
    for (int from = 0; from < 2; from++) {
        sender one = {channels[from], FER_OK};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_all, &one), 0);
        for (unsigned i = 0; i < SIZES; i++) {
            fer_message message;
            assert_int_equal(fer_sync_receive(channels[1 - from], i % 2 ? -1 : INT64_MAX, &message),
                             FER_OK);
            assert_int_equal(message.size, sizes[i]);
            assert_filled(message.data, message.size, i);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(one.status, FER_OK);
    }
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

static void many_small_messages_in_a_row(void **state) {
    (void)state;
    enum { MESSAGES = 500 };
    fer_channel *channels[2];
    sync_pair(channels, NULL);
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < MESSAGES; i++) {
            uint8_t data[64];
            const fer_bytes bytes = {data, i % 65};
            fill(data, sizeof data, i);
            assert_int_equal(fer_sync_send(channels[0], &bytes, 1, -1), FER_OK);
        }
        for (unsigned i = 0; i < MESSAGES; i++) {
            fer_message message;
            assert_int_equal(fer_sync_receive(channels[1], i % 3 ? 0 : 1000, &message), FER_OK);
            assert_int_equal(message.size, i % 65);
            uint8_t expected[64];
            fill(expected, sizeof expected, i);
            assert_memory_equal(message.data != NULL ? message.data : "", expected, message.size);
        }
    }
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

static void the_plain_wire_is_as_written(void **state) {
    (void)state;
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    fer_channel *channel = NULL;
    uint8_t bytes[32];
    int raw = sync_and_raw(&channel, &plain);
    assert_int_equal(send_it(channel, ""), FER_EINVAL);
    assert_int_equal(send_it(channel, "text"), FER_OK);
    raw_receive(raw, bytes, 8);
    assert_memory_equal(bytes, "\0\0\0\4text", 8);
    raw_send(raw, "\0\0\0\6answer\0\0\0\1!\0\0\0\0", 19);
    expect_message(channel, "answer");
    expect_message(channel, "!");
    expect_status(channel, FER_EOF);
    expect_status(channel, FER_EOF);
    assert_int_equal(fer_sync_close(channel, HARNESS_PATIENCE_MS), FER_OK);
    raw_receive(raw, bytes, 4);
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    assert_int_equal(raw_drain(raw), 0);
    fer_channel_unref(channel);
    raw_close(raw);
}

/* Ends. */

static void what_came_before_the_end_is_handed_out(void **state) {
    (void)state;
    static const struct {
        const char *digits;
        fer_status status;
    } examples[] = {
        {"0400000000000000", FER_EOF},    {"", FER_ECONNRESET},
        {"0200", FER_ECONNRESET},         {"020000000000000561", FER_ECONNRESET},
        {"0500000000000000", FER_EPROTO}, {"02000000ffffffff", FER_EMSGSIZE},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        for (int together = 0; together < 2; together++) {
            size_t size = 0;
            uint8_t *bytes = harness_bytes(examples[i].digits, &size);
            fer_channel *channel = NULL;
            int raw = sync_and_raw(&channel, NULL);
            raw_send(raw, "\2\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\3two", 22);
            if (!together) {
                expect_message(channel, "one");
                expect_message(channel, "two");
            }
            raw_send(raw, bytes, size);
            raw_close(raw);
            if (together) {
                expect_message(channel, "one");
                expect_message(channel, "two");
            }
            expect_status(channel, examples[i].status);
            expect_status(channel, examples[i].status);
            assert_int_not_equal(send_it(channel, "x"), FER_OK);
            /* The close says the same, except after a goodbye. */
            const fer_status expected = examples[i].status == FER_EOF ? FER_OK : examples[i].status;
            assert_int_equal(fer_sync_close(channel, HARNESS_PATIENCE_MS), expected);
            assert_int_equal(fer_sync_close(channel, HARNESS_PATIENCE_MS), FER_OK);
            fer_channel_unref(channel);
            free(bytes);
        }
    }
}

static void *close_channel(void *user) {
    sender *one = user;
    one->status = fer_sync_close(one->channel, HARNESS_PATIENCE_MS);
    return NULL;
}

static void a_close_is_answered(void **state) {
    (void)state;
    for (int unread = 0; unread < 2; unread++) {
        fer_channel *channels[2];
        pthread_t thread;
        sync_pair(channels, NULL);
        sender one = {channels[0], FER_EUNKNOWN};
        assert_int_equal(send_it(channels[0], "last"), FER_OK);
        if (unread)
            assert_int_equal(send_it(channels[1], "nobody reads this"), FER_OK);
        assert_int_equal(pthread_create(&thread, NULL, close_channel, &one), 0);
        expect_message(channels[1], "last");
        expect_status(channels[1], FER_EOF);
        assert_int_equal(send_it(channels[1], "late"), FER_EPIPE);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(one.status, FER_OK);
        assert_true(fer_channel_is_closing(channels[0]));
        assert_int_equal(send_it(channels[0], "x"), FER_ECLOSED);
        assert_int_equal(fer_sync_close(channels[1], HARNESS_PATIENCE_MS), FER_OK);
        fer_channel_unref(channels[0]);
        fer_channel_unref(channels[1]);
    }
}

static void a_close_has_two_limits(void **state) {
    (void)state;
    for (int which = 0; which < 2; which++) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        fer_channel *channel = NULL;
        options.close_timeout_ms = which == 0 ? 30 : HARNESS_PATIENCE_MS;
        int raw = sync_and_raw(&channel, &options);
        const int64_t start = now_ms();
        assert_int_equal(fer_sync_close(channel, which == 0 ? -1 : 30), FER_ETIMEDOUT);
        assert_true(now_ms() - start >= 30);
        assert_int_equal(fer_sync_close(channel, -1), FER_OK);
        assert_int_equal(raw_drain(raw), 8);
        raw_close(raw);
        fer_channel_unref(channel);
    }
}

static void a_peer_that_is_gone_is_not_written_to(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    int raw = sync_and_raw(&channel, NULL);
    raw_close(raw);
    fer_status status = send_it(channel, "x");
    assert_true(status == FER_EPIPE || status == FER_ECONNRESET);
    assert_int_equal(send_it(channel, "x"), status);
    assert_int_equal(fer_sync_flush(channel, 0), status);
    expect_status(channel, FER_ECONNRESET);
    fer_channel_unref(channel);
}

/* Killed by a signal that nobody can catch. */

static int send_then_hang(int argc, char **argv) {
    fer_channel *channel = NULL;
    char line[16];
    (void)argc;
    if (fer_sync_connect(argv[1], NULL, HARNESS_PATIENCE_MS, &channel) != FER_OK ||
        send_it(channel, "alive") != FER_OK)
        return 1;
    int fd = -1;
    if (fer_sync_fileno(channel, &fd) != FER_OK || write(fd, "\2\0\0\0\0\0\0\7ha", 10) != 10)
        return 2;
    harness_say("ready");
    (void)harness_hear(line, sizeof line);
    return 3;
}

static void a_killed_peer_is_a_reset(void **state) {
    (void)state;
    harness_child child;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    fer_message message;
    char line[16];
    assert_int_equal(fer_sync_listen(address_of("k"), NULL, &server), FER_OK);
    const char *arguments[] = {address_of("k"), NULL};
    harness_spawn(&child, "send_then_hang", -1, arguments);
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_OK);
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, "ready");
    expect_message(channel, "alive");
    assert_int_equal(fer_sync_receive(channel, 0, &message), FER_ETIMEDOUT);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    expect_status(channel, FER_ECONNRESET);
    assert_int_equal(harness_wait(&child), -SIGKILL);
    fer_channel_unref(channel);
    fer_server_unref(server);
}

/* Limits and arguments. */

static void limits_hold(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    fer_channel *channels[2];
    static const char data[101];
    options.max_message = 100;
    sync_pair(channels, &options);
    const fer_bytes whole = {data, 100};
    const fer_bytes over = {data, 101};
    assert_int_equal(fer_sync_send(channels[0], &over, 1, -1), FER_EMSGSIZE);
    assert_int_equal(fer_sync_send(channels[0], &whole, 1, -1), FER_OK);
    assert_int_equal(fer_channel_get_info(channels[0], &info), FER_OK);
    assert_int_equal(info.peer_max_message, 100);
    assert_int_equal(info.queued, 0);
    assert_int_equal(fer_sync_send(channels[0], NULL, 1, -1), FER_EINVAL);
    assert_int_equal(fer_sync_send(channels[0], NULL, 0, -1), FER_OK);
    assert_int_equal(fer_sync_receive(channels[1], -1, NULL), FER_EINVAL);
    assert_int_equal(fer_sync_fileno(channels[1], NULL), FER_EINVAL);
    fer_message message;
    assert_int_equal(fer_sync_receive(channels[1], -1, &message), FER_OK);
    assert_int_equal(message.size, 100);
    expect_message(channels[1], "");
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);

    fer_channel *channel = (fer_channel *)(void *)&options;
    fer_server *server = (fer_server *)(void *)&options;
    options.flags = 1u << 20;
    assert_int_equal(fer_sync_connect(address_of("x"), &options, 0, &channel), FER_EINVAL);
    assert_null(channel);
    assert_int_equal(fer_sync_listen(address_of("x"), &options, &server), FER_EINVAL);
    assert_null(server);
    assert_int_equal(fer_sync_connect(NULL, NULL, 0, &channel), FER_EINVAL);
    assert_int_equal(fer_sync_connect(address_of("x"), NULL, 0, NULL), FER_EINVAL);
    assert_int_equal(fer_sync_connect("nonsense", NULL, 0, &channel), FER_EADDRESS);
    assert_int_equal(fer_sync_listen(NULL, NULL, &server), FER_EINVAL);
    assert_int_equal(fer_sync_listen(address_of("x"), NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_sync_listen("nonsense", NULL, &server), FER_EADDRESS);
    assert_int_equal(fer_sync_listen("pipe:/nowhere/at/all", NULL, &server), FER_ENOENT);
    assert_int_equal(fer_sync_accept(NULL, 0, &channel), FER_EINVAL);
}

static void the_descriptor_can_be_waited_for(void **state) {
    (void)state;
    fer_channel *channels[2];
    fer_message message;
    int fd = -1;
    fd_set set;
    sync_pair(channels, NULL);
    assert_int_equal(fer_sync_fileno(channels[1], &fd), FER_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fer_sync_receive(channels[1], 0, &message), FER_ETIMEDOUT);
        assert_int_equal(send_it(channels[0], "news"), FER_OK);
        assert_int_equal(send_it(channels[0], "more"), FER_OK);
        FD_ZERO(&set);
        FD_SET(fd, &set);
        struct timeval limit = {HARNESS_PATIENCE_MS / 1000, 0};
        assert_int_equal(select(fd + 1, &set, NULL, NULL, &limit), 1);
        assert_int_equal(fer_sync_receive(channels[1], 0, &message), FER_OK);
        assert_int_equal(fer_sync_receive(channels[1], 0, &message), FER_OK);
        assert_memory_equal(message.data, "more", 4);
    }
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

static void what_is_dropped_is_freed(void **state) {
    (void)state;
    fer_channel *channels[2];
    noted finalized = {0};
    fer_message message;
    sync_pair(channels, NULL);
    assert_int_equal(fer_channel_set_data(channels[0], &finalized, note_finalized), FER_OK);
    /* With a message that was handed out, and more behind it. */
    assert_int_equal(send_it(channels[1], "one"), FER_OK);
    assert_int_equal(send_it(channels[1], "two"), FER_OK);
    assert_int_equal(fer_sync_receive(channels[0], -1, &message), FER_OK);
    fer_channel_unref(channels[0]);
    assert_int_equal(finalized.calls, 1);
    expect_status(channels[1], FER_ECONNRESET);
    fer_channel_unref(channels[1]);
}

static size_t open_descriptors(void) {
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A handle came with a message that one read brought along, and nobody received. */
static void what_nobody_received_goes_at_the_end(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.max_handles = 1;
    for (int aborts = 0; aborts < 2; aborts++) {
        fer_channel *channels[2];
        fer_message message;
        const fer_fd fd = STDERR_FILENO;
        sync_pair(channels, &options);
        assert_int_equal(fer_sync_send_fds(channels[0], NULL, 0, NULL, 0, -1), FER_OK);
        assert_int_equal(fer_sync_send_fds(channels[0], NULL, 0, &fd, 1, -1), FER_OK);
        assert_int_equal(fer_sync_receive(channels[1], -1, &message), FER_OK);
        assert_int_equal(message.handle_count, 0);
        const size_t before = open_descriptors();
        if (aborts)
            assert_int_equal(fer_channel_abort(channels[1]), FER_OK);
        else
            assert_int_equal(fer_sync_close(channels[1], 0), FER_ETIMEDOUT);
        /* The socket, and the handle. */
        assert_true(open_descriptors() + 2 <= before);
        fer_channel_unref(channels[0]);
        fer_channel_unref(channels[1]);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_size_comes_whole),
        HARNESS_TEST(many_small_messages_in_a_row),
        HARNESS_TEST(the_plain_wire_is_as_written),
        HARNESS_TEST(what_came_before_the_end_is_handed_out),
        HARNESS_TEST(a_close_is_answered),
        HARNESS_TEST(a_close_has_two_limits),
        HARNESS_TEST(a_peer_that_is_gone_is_not_written_to),
        HARNESS_TEST(a_killed_peer_is_a_reset),
        HARNESS_TEST(limits_hold),
        HARNESS_TEST(the_descriptor_can_be_waited_for),
        HARNESS_TEST(what_is_dropped_is_freed),
        HARNESS_TEST(what_nobody_received_goes_at_the_end),
    };
    const harness_helper helpers[] = {{"send_then_hang", send_then_hang}, {NULL, NULL}};
    return HARNESS_MAIN("sync", tests, helpers, argc, argv);
}
