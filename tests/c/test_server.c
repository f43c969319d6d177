/* Servers: many clients, slow ones and bad ones, and how a server ends. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

enum { MOST = 200 };

/** What a server was told of. */
typedef struct guests {
    fer_channel *channels[MOST];
    size_t count;
    size_t failures;
    fer_status failure; /* the last */
    noted finalized;
} guests;

static void take(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    guests *all = user;
    assert_non_null(server);
    assert_int_equal(status == FER_OK, channel != NULL);
    assert_int_equal(all->finalized.calls, 0);
    if (status != FER_OK) {
        all->failures++;
        all->failure = status;
        return;
    }
    assert_true(all->count < MOST);
    all->channels[all->count++] = channel;
}

static void guests_finalized(void *user) {
    guests *all = user;
    note(&all->finalized, FER_OK);
}

static void guests_leave(guests *all) {
    for (size_t i = 0; i < all->count; i++)
        fer_channel_unref(all->channels[i]);
    memset(all, 0, sizeof *all);
}

static fer_server *serve(fer_loop *loop, const fer_channel_options *options, guests *all) {
    fer_server *server = NULL;
    assert_int_equal(
        fer_server_listen(loop, address_of("s"), options, take, all, guests_finalized, &server),
        FER_OK);
    return server;
}

static void many_clients_have_a_channel_each(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    static guests all;
    static fer_channel *clients[MOST];
    static noted connected[MOST];
    static inbox boxes[MOST];
    noted closed = {0};
    size_t answered = 0;
    memset(&all, 0, sizeof all);
    memset(connected, 0, sizeof connected);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    assert_ptr_equal(fer_server_loop(server), loop);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(fer_channel_connect(loop, address_of("s"), NULL, note_connected,
                                             &connected[i], &clients[i]),
                         FER_OK);
    run_until_count(loop, &all.count, MOST);
    /* The channels live on without their server. */
    assert_int_equal(fer_server_close(server, note_server_closed, &closed), FER_OK);
    assert_true(fer_server_is_closing(server));
    assert_int_equal(closed.calls, 0);
    assert_int_equal(all.finalized.calls, 1);
    for (int i = 0; i < MOST; i++) {
        harness_run_until(loop, &connected[i].calls);
        assert_int_equal(connected[i].status, FER_OK);
        assert_int_equal(
            fer_channel_receive(clients[i], inbox_messages, &boxes[i], inbox_finalized), FER_OK);
        assert_int_equal(send_bytes(all.channels[i], &i, sizeof i), FER_OK);
    }
    harness_run_until(loop, &closed.calls);
    for (size_t i = 0; i < MOST; i++) {
        int number;
        run_until_count(loop, &boxes[i].count, 1);
        memcpy(&number, boxes[i].bytes, sizeof number);
        answered += boxes[i].size == sizeof number && number >= 0 && number < MOST;
        fer_channel_unref(clients[i]);
    }
    assert_int_equal(answered, MOST);
    assert_int_equal(fer_server_close(server, note_server_closed, &closed), FER_OK);
    while (closed.calls < 2)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    guests_leave(&all);
    fer_server_unref(server);
    end_loop(loop);
    for (size_t i = 0; i < MOST; i++)
        inbox_free(&boxes[i]);
}

static void slow_and_bad_clients_hold_nobody_up(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    int slow[5];
    options.handshake_timeout_ms = 400;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, &options, &all);
    /* Those that say nothing, or a part. */
    for (size_t i = 0; i < 5; i++) {
        slow[i] = raw_connect(harness_path("s"));
        raw_send(slow[i], hello_bytes, i * 7);
    }
    int garbage = raw_connect(harness_path("s"));
    raw_send(garbage, "garbage", 7);
    raw_close(raw_connect(harness_path("s")));
    for (size_t i = 0; i < 10; i++) {
        noted connected = {0};
        fer_channel *client = NULL;
        assert_int_equal(
            fer_channel_connect(loop, address_of("s"), NULL, note_connected, &connected, &client),
            FER_OK);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.status, FER_OK);
        run_until_count(loop, &all.count, i + 1);
        fer_channel_unref(client);
    }
    run_until_count(loop, &all.failures, 7);
    assert_int_equal(all.failure, FER_ETIMEDOUT);
    assert_int_equal(all.count, 10);
    /* They were dropped. */
    for (size_t i = 0; i < 5; i++) {
        uint8_t hello[HELLO_SIZE];
        raw_receive(slow[i], hello, sizeof hello);
        /* Whether lanes are taken depends on the system. */
        hello[HELLO_SIZE - 13] &= 0xfe;
        assert_memory_equal(hello, hello_bytes, sizeof hello);
        assert_int_equal(raw_drain(slow[i]), 0);
        raw_close(slow[i]);
    }
    raw_close(garbage);
    guests_leave(&all);
    fer_server_unref(server);
    end_loop(loop);
}

static void each_failure_has_its_status(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, "\0\0\0\5plain", 9);
    run_until_count(loop, &all.failures, 1);
    assert_int_equal(all.failure, FER_EPROTO);
    raw_close(raw);
    raw_close(raw_connect(harness_path("s")));
    run_until_count(loop, &all.failures, 2);
    assert_int_equal(all.failure, FER_ECONNRESET);
    fer_server_unref(server);
    end_loop(loop);
}

static void closing_drops_those_that_have_not_said_hello(void **state) {
    (void)state;
    for (int way = 0; way < 3; way++) {
        fer_loop *loop = NULL;
        guests all = {{NULL}, 0, 0, FER_OK, {0}};
        noted closed = {0};
        int raw[10];
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        fer_server *server = serve(loop, NULL, &all);
        for (int i = 0; i < 10; i++) {
            raw[i] = raw_connect(harness_path("s"));
            raw_send(raw[i], hello_bytes, (size_t)i);
        }
        /* Some are accepted, the others not yet. */
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        int late = raw_connect(harness_path("s"));
        if (way == 0)
            assert_int_equal(fer_server_close(server, note_server_closed, &closed), FER_OK);
        else if (way == 1)
            assert_int_equal(fer_loop_close_objects(loop), FER_OK);
        fer_server_unref(server);
        /* From now on nobody finds it. */
        assert_int_not_equal(access(harness_path("s"), F_OK), 0);
        assert_int_equal(fer_loop_run(loop), FER_OK);
        assert_int_equal(all.count + all.failures, 0);
        assert_int_equal(all.finalized.calls, 1);
        assert_int_equal(closed.calls, way == 0);
        for (int i = 0; i < 10; i++) {
            assert_true(raw_drain(raw[i]) <= HELLO_SIZE);
            raw_close(raw[i]);
        }
        assert_int_equal(raw_drain(late), 0);
        raw_close(late);
        end_loop(loop);
    }
}

/* Addresses. */

static void expect_address(const fer_server *server, const char *address) {
    char buffer[256];
    size_t size = 0;
    assert_int_equal(fer_server_address(server, NULL, &size), FER_ENOBUFS);
    assert_int_equal(size, strlen(address) + 1);
    size = strlen(address);
    assert_int_equal(fer_server_address(server, buffer, &size), FER_ENOBUFS);
    assert_int_equal(fer_server_address(server, buffer, &size), FER_OK);
    assert_int_equal(size, strlen(address));
    assert_string_equal(buffer, address);
    assert_int_equal(fer_server_address(server, buffer, NULL), FER_EINVAL);
    size = 10;
    assert_int_equal(fer_server_address(server, NULL, &size), FER_EINVAL);
}

static void a_server_is_found_at_its_address(void **state) {
    (void)state;
    char long_path[400];
    char abstract[64];
    const char *addresses[4] = {address_of("s"), "pipe:short", abstract, long_path};
    /* No socket address can hold this path. */
    int used = snprintf(long_path, sizeof long_path, "pipe:%s/", harness_directory());
    memset(long_path + used, 'n', 200);
    long_path[used + 200] = '\0';
    snprintf(abstract, sizeof abstract, "pipe:@fer-test-%ld", (long)getpid());
    assert_int_equal(setenv("XDG_RUNTIME_DIR", harness_directory(), 1), 0);
#ifdef __linux__
    const int count = 4;
#else
    const int count = 2;
#endif
    for (int i = 0; i < count; i++) {
        fer_loop *loop = NULL;
        guests all = {{NULL}, 0, 0, FER_OK, {0}};
        fer_server *server = NULL;
        fer_server *second = (fer_server *)(void *)&all;
        fer_channel *client = NULL;
        noted connected = {0};
        noted finalized = {0};
        struct stat info;
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_server_listen(loop, addresses[i], NULL, take, &all, NULL, &server),
                         FER_OK);
        expect_address(server, addresses[i]);
        if (addresses[i] != abstract) {
            const char *path = i == 1 ? harness_path("ferrule/short") : addresses[i] + 5;
            assert_int_equal(stat(path, &info), 0);
            assert_true(S_ISSOCK(info.st_mode));
            assert_int_equal(info.st_mode & 07777, 0600);
        }
        assert_int_equal(
            fer_server_listen(loop, addresses[i], NULL, take, &finalized, note_finalized, &second),
            FER_EADDRINUSE);
        assert_null(second);
        assert_int_equal(finalized.calls, 1);
        assert_int_equal(
            fer_channel_connect(loop, addresses[i], NULL, note_connected, &connected, &client),
            FER_OK);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.status, FER_OK);
        fer_channel_unref(client);
        fer_server_unref(server);
        /* The place is free at once. */
        assert_int_equal(fer_server_listen(loop, addresses[i], NULL, take, &all, NULL, &server),
                         FER_OK);
        fer_server_unref(server);
        end_loop(loop);
        guests_leave(&all);
    }
    assert_int_equal(rmdir(harness_path("ferrule")), 0);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static void a_stale_socket_is_replaced(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    raw_close(raw_listen(harness_path("s")));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    run_until_count(loop, &all.count, 1);
    raw_close(raw);
    guests_leave(&all);
    fer_server_unref(server);
    end_loop(loop);
}

static void what_cannot_be_served_is_refused(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    noted finalized = {0};
    fer_channel_options bad = FER_CHANNEL_OPTIONS_INIT;
    bad.flags = 1u << 20;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fclose(fopen(harness_path("file"), "w"));
    const struct {
        const char *address;
        const fer_channel_options *options;
        fer_server_channel_cb cb;
        fer_server **server;
        fer_status status;
    } examples[] = {
        {NULL, NULL, take, &server, FER_EINVAL},
        {address_of("x"), NULL, NULL, &server, FER_EINVAL},
        {address_of("x"), NULL, take, NULL, FER_EINVAL},
        {address_of("x"), &bad, take, &server, FER_EINVAL},
        {"nonsense", NULL, take, &server, FER_EADDRESS},
        {"tcp:10.1.2.3:0", NULL, take, &server, FER_EPERM},
        {"pipe:/nowhere/at/all", NULL, take, &server, FER_ENOENT},
        {address_of("file"), NULL, take, &server, FER_EADDRINUSE},
        {address_of("file/x"), NULL, take, &server, FER_ENOTDIR},
    };
    const int count = (int)(sizeof examples / sizeof examples[0]);
    for (int i = 0; i < count; i++) {
        assert_int_equal(fer_server_listen(loop, examples[i].address, examples[i].options,
                                           examples[i].cb, &finalized, note_finalized,
                                           examples[i].server),
                         examples[i].status);
        assert_null(server);
        assert_int_equal(finalized.calls, i + 1);
        assert_string_not_equal(fer_status_detail(), "");
    }
    end_loop(loop);
    assert_int_equal(unlink(harness_path("file")), 0);
    guests_leave(&all);
}

static void without_descriptors_a_server_waits(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    take_descriptors_away();
    run_until_count(loop, &all.failures, 1);
    assert_int_equal(all.failure, FER_EMFILE);
    give_descriptors_back();
    run_until_count(loop, &all.count, 1);
    raw_close(raw);
    guests_leave(&all);
    fer_server_unref(server);
    end_loop(loop);
}

static void a_server_may_leave_the_loop_to_itself(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_server_hold_loop(server, 0), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    /* It serves all the same. */
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    run_until_count(loop, &all.count, 1);
    assert_int_equal(fer_channel_hold_loop(all.channels[0], 0), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_server_hold_loop(server, 1), FER_OK);
    assert_true(fer_loop_is_alive(loop));
    raw_close(raw);
    guests_leave(&all);
    fer_server_unref(server);
    end_loop(loop);
}

static void count_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                           size_t count, void *user) {
    assert_non_null(channel);
    assert_true(status == FER_OK ? messages[0].size == 1 : count == 0);
    *(size_t *)user += count;
}

static void an_idle_connection_costs_little(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    guests all = {{NULL}, 0, 0, FER_OK, {0}};
    size_t messages = 0;
    int raw[MOST];
    size_t before = 0;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_server *server = serve(loop, NULL, &all);
    for (size_t i = 0; i < MOST; i++) {
        raw[i] = raw_connect(harness_path("s"));
        raw_send(raw[i], hello_bytes, HELLO_SIZE);
        run_until_count(loop, &all.count, i + 1);
        assert_int_equal(fer_channel_receive(all.channels[i], count_messages, &messages, NULL),
                         FER_OK);
        raw_send(raw[i], "\2\0\0\0\0\0\0\1m", 9);
        run_until_count(loop, &messages, i + 1);
        if (i == 0)
            before = harness_memory_now().bytes;
    }
    assert_true((harness_memory_now().bytes - before) / (MOST - 1) < 1024);
    guests_leave(&all);
    fer_server_unref(server);
    for (size_t i = 0; i < MOST; i++)
        raw_close(raw[i]);
    end_loop(loop);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(many_clients_have_a_channel_each),
        HARNESS_TEST(slow_and_bad_clients_hold_nobody_up),
        HARNESS_TEST(each_failure_has_its_status),
        HARNESS_TEST(closing_drops_those_that_have_not_said_hello),
        HARNESS_TEST(a_server_is_found_at_its_address),
        HARNESS_TEST(a_stale_socket_is_replaced),
        HARNESS_TEST(what_cannot_be_served_is_refused),
        HARNESS_TEST(without_descriptors_a_server_waits),
        HARNESS_TEST(a_server_may_leave_the_loop_to_itself),
        HARNESS_TEST(an_idle_connection_costs_little),
    };
    return HARNESS_MAIN("server", tests, NULL, argc, argv);
}
