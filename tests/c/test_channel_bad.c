/* Channels: bad arguments, bad addresses, peers that are not there and peers that break the protocol. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

/* Arguments. */

static void options_are_checked(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted connected = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < 11; i++) {
        fer_channel_options bad = FER_CHANNEL_OPTIONS_INIT;
        fer_channel *channel = (fer_channel *)(void *)loop;
        fer_status expected = FER_EINVAL;
        switch (i) {
        case 0: bad.struct_size = 0; break;
        case 1: bad.struct_size = sizeof bad - 1; break;
        case 2: bad.struct_size = UINT32_MAX; break;
        case 3: bad.flags = 1u << 20; break;
        case 4: bad.flags = 0x80000000u; break;
        case 5: bad.wire = 2; break;
        case 6: bad.wire = -1; break;
        case 7: bad.max_message = (uint64_t)UINT32_MAX + 1; break;
        case 8: bad.max_handles = FER_MESSAGE_HANDLES_MAX + 1; break;
        case 9: bad.busy_poll_us = FER_BUSY_POLL_MAX_US + 1; break;
        default:
            bad.max_handles = 1;
            bad.wire = FER_WIRE_PLAIN;
            expected = FER_ENOTSUP;
            break;
        }
        assert_int_equal(fer_channel_connect(loop, address_of("none"), &bad, note_connected,
                                             &connected, &channel),
                         expected);
        assert_null(channel);
        assert_string_not_equal(fer_status_detail(), "");
    }
    /* A structure of a later version, which is longer. */
    struct {
        fer_channel_options known;
        uint64_t later[3];
    } longer = {FER_CHANNEL_OPTIONS_INIT, {0, 0, 1}};
    fer_channel *channel = NULL;
    longer.known.struct_size = sizeof longer;
    assert_int_equal(fer_channel_connect(loop, address_of("none"), &longer.known, note_connected,
                                         &connected, &channel),
                     FER_EINVAL);
    longer.later[2] = 0;
    assert_int_equal(fer_channel_connect(loop, address_of("none"), &longer.known, note_connected,
                                         &connected, &channel),
                     FER_OK);
    fer_channel_unref(channel);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_ECANCELED);
    end_loop(loop);
}

static void arguments_of_calls_are_checked(void **state) {
    (void)state;
    duo ends;
    noted done = {0};
    noted finalized = {0};
    fer_channel *channel = NULL;
    duo_open(&ends, NULL, NULL);
    const fer_bytes no_data[2] = {{"x", 1}, {NULL, 1}};
    const fer_bytes too_large[2] = {{"x", SIZE_MAX}, {"x", 1}};
    fer_handle *handles[1] = {NULL};
    assert_int_equal(fer_channel_send(ends.client, NULL, 1, NULL, 0, note_sent, &done), FER_EINVAL);
    assert_int_equal(fer_channel_send(ends.client, no_data, 2, NULL, 0, note_sent, &done),
                     FER_EINVAL);
    assert_int_equal(fer_channel_send(ends.client, too_large, 2, NULL, 0, note_sent, &done),
                     FER_EINVAL);
    assert_int_equal(fer_channel_send(ends.client, no_data, 1, NULL, 1, note_sent, &done),
                     FER_EINVAL);
    assert_int_equal(fer_channel_send(ends.client, no_data, 1, handles, 1, note_sent, &done),
                     FER_EINVAL);
    assert_int_equal(fer_channel_receive(ends.client, NULL, &finalized, note_finalized),
                     FER_EINVAL);
    assert_int_equal(finalized.calls, 1);
    assert_int_equal(fer_channel_connect(ends.loop, address_of("s"), NULL, NULL, NULL, &channel),
                     FER_EINVAL);
    assert_int_equal(
        fer_channel_connect(ends.loop, address_of("s"), NULL, note_connected, &done, NULL),
        FER_EINVAL);
    assert_int_equal(fer_channel_connect(ends.loop, NULL, NULL, note_connected, &done, &channel),
                     FER_EINVAL);
    assert_int_equal(fer_channel_get_info(ends.client, NULL), FER_EINVAL);
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    info.struct_size--;
    assert_int_equal(fer_channel_get_info(ends.client, &info), FER_EINVAL);
    struct {
        fer_channel_info known;
        uint64_t later;
    } longer = {FER_CHANNEL_INFO_INIT, 7};
    longer.known.struct_size = sizeof longer;
    assert_int_equal(fer_channel_get_info(ends.client, &longer.known), FER_OK);
    assert_int_equal(longer.known.struct_size, sizeof longer);
    assert_int_equal(longer.known.version, 1);
    assert_int_equal(longer.later, 7);
    duo_close(&ends);
    assert_int_equal(done.calls, 0);
}

static void addresses_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *address;
        fer_status status;
        int is_text_good;
    } examples[] = {
        {"", FER_EADDRESS, 0},
        {"pipe", FER_EADDRESS, 0},
        {"pipe:", FER_EADDRESS, 0},
        {"/tmp/x", FER_EADDRESS, 0},
        {"nothing:x", FER_EADDRESS, 0},
        {"pipe:@", FER_EADDRESS, 0},
        {"tcp:1.2.3.4", FER_EADDRESS, 0},
        {"tcp:10.1.2.3:1", FER_EPERM, 1},
        {"tcp:[2001:db8::1]:1", FER_EPERM, 1},
        {"fifo:", FER_EADDRESS, 1},
        {"fifo:/a,/a", FER_EADDRESS, 1},
        {"fd:999", FER_EBADF, 1},
    };
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        assert_int_equal(fer_channel_connect(loop, examples[i].address, NULL, note_connected,
                                             &connected, &channel),
                         examples[i].status);
        assert_null(channel);
        assert_string_not_equal(fer_status_detail(), "");
        /* What is wrong only for a client, or with the place, is no matter of the text. */
        assert_int_equal(fer_address_check(examples[i].address),
                         examples[i].is_text_good ? FER_OK : FER_EADDRESS);
    }
    char *large = malloc(6000);
    memset(large, 'x', 6000);
    memcpy(large, "pipe:/", 6);
    large[5999] = '\0';
    assert_int_equal(fer_channel_connect(loop, large, NULL, note_connected, &connected, &channel),
                     FER_ENAMETOOLONG);
    memcpy(large, "pipe:@", 6);
    large[200] = '\0';
    assert_int_equal(fer_channel_connect(loop, large, NULL, note_connected, &connected, &channel),
                     FER_ENAMETOOLONG);
    free(large);
    end_loop(loop);
    assert_int_equal(connected.calls, 0);
}

/* Nobody there. */

static void nobody_listens(void **state) {
    (void)state;
    enum { LIMIT_MS = 40 };
    static const struct {
        const char *name;
        fer_status status;
        int waits;
    } examples[] = {
        {"none", FER_ENOENT, 1},
        {"deserted", FER_ECONNREFUSED, 1},
        /* What can never become a listener is not waited for. */
        {"file", FER_ENOTSOCK, 0},
        {"file/below", FER_ENOTDIR, 0},
    };
    fer_loop *loop = NULL;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.connect_timeout_ms = LIMIT_MS;
    raw_close(raw_listen(harness_path("deserted")));
    fclose(fopen(harness_path("file"), "w"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        noted connected = {0};
        noted closed = {0};
        fer_channel *channel = NULL;
        const int64_t start = now_ms();
        assert_int_equal(fer_channel_connect(loop, address_of(examples[i].name), &options,
                                             note_connected, &connected, &channel),
                         FER_OK);
        assert_int_equal(connected.calls, 0);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.status, examples[i].status);
        assert_non_null(strstr(connected.detail, examples[i].name));
        assert_true(!examples[i].waits || now_ms() - start >= LIMIT_MS);
        /* It is of no more use than to be closed. */
        assert_int_equal(send_text(channel, "x"), FER_ENOTCONN);
        assert_int_equal(fer_channel_close(channel, note_closed, &closed), FER_OK);
        harness_run_until(loop, &closed.calls);
        assert_int_equal(closed.status, examples[i].status);
        fer_channel_unref(channel);
        assert_int_equal(connected.calls, 1);
    }
    end_loop(loop);
    assert_int_equal(unlink(harness_path("deserted")), 0);
    assert_int_equal(unlink(harness_path("file")), 0);
}

static void take_any(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    assert_non_null(server);
    assert_int_equal(status, FER_OK);
    *(fer_channel **)user = channel;
}

static void a_server_may_come_later(void **state) {
    (void)state;
    static const int64_t limits[] = {-1, INT64_MAX, HARNESS_PATIENCE_MS};
    for (int i = 0; i < 3; i++) {
        fer_loop *loop = NULL;
        fer_channel *channel = NULL;
        fer_channel *served = NULL;
        fer_server *server = NULL;
        noted connected = {0};
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        options.connect_timeout_ms = limits[i];
        options.handshake_timeout_ms = limits[i];
        options.close_timeout_ms = limits[i];
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_channel_connect(loop, address_of("s"), &options, note_connected,
                                             &connected, &channel),
                         FER_OK);
        /* Long enough for several tries. */
        for (int turns = 0; turns < 4; turns++)
            assert_int_equal(fer_loop_step(loop, -1), FER_OK);
        assert_int_equal(connected.calls, 0);
        assert_int_equal(
            fer_server_listen(loop, address_of("s"), &options, take_any, &served, NULL, &server),
            FER_OK);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.status, FER_OK);
        noted closed = {0};
        assert_int_equal(fer_channel_close(channel, note_closed, &closed), FER_OK);
        while (served == NULL)
            assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        assert_int_equal(fer_channel_close(served, NULL, NULL), FER_OK);
        harness_run_until(loop, &closed.calls);
        assert_int_equal(closed.status, FER_OK);
        fer_channel_unref(channel);
        fer_channel_unref(served);
        fer_server_unref(server);
        end_loop(loop);
    }
}

/* A listener whose queue is full is waited for as one that is not there yet. */
static void a_full_queue_is_waited_for(void **state) {
    (void)state;
    enum { MOST = 64 };
    fer_loop *loop = NULL;
    fer_channel *channels[MOST];
    noted connected[MOST];
    fer_channel_options options = options_of(FER_WIRE_PLAIN);
    int listener = raw_listen(harness_path("s"));
    int clients[MOST];
    memset(connected, 0, sizeof connected);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(fer_channel_connect(loop, address_of("s"), &options, note_connected,
                                             &connected[i], &channels[i]),
                         FER_OK);
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    int waiting = 0;
    for (int i = 0; i < MOST; i++)
        waiting += connected[i].calls == 0;
    assert_true(waiting > 0);
    /* One that has little time gives up. */
    noted late = {0};
    fer_channel *hasty = NULL;
    options.connect_timeout_ms = 20;
    assert_int_equal(
        fer_channel_connect(loop, address_of("s"), &options, note_connected, &late, &hasty),
        FER_OK);
    harness_run_until(loop, &late.calls);
    assert_int_equal(late.status, FER_ETIMEDOUT);
    fer_channel_unref(hasty);
    for (int i = 0; i < MOST; i++) {
        while ((clients[i] = accept(listener, NULL, NULL)) < 0)
            run_beside(loop, listener, POLLIN);
    }
    for (int i = 0; i < MOST; i++) {
        harness_run_until(loop, &connected[i].calls);
        assert_int_equal(connected[i].status, FER_OK);
        fer_channel_unref(channels[i]);
        raw_close(clients[i]);
    }
    end_loop(loop);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
}

static void what_connects_need_not_hold_the_loop(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel *channels[2];
    noted connected[2] = {{0}, {0}};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.connect_timeout_ms = 20;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fer_channel_connect(loop, address_of("none"), &options, note_connected,
                                             &connected[i], &channels[i]),
                         FER_OK);
    assert_int_equal(fer_channel_hold_loop(channels[0], 0), FER_OK);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_channel_hold_loop(channels[1], 0), FER_OK);
    assert_false(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(connected[0].calls + connected[1].calls, 0);
    assert_int_equal(fer_channel_hold_loop(channels[1], 1), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(connected[1].calls, 1);
    assert_int_equal(connected[1].status, FER_ENOENT);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    end_loop(loop);
}

static void no_descriptors(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    int listener = raw_listen(harness_path("s"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    take_descriptors_away();
    assert_int_equal(
        fer_channel_connect(loop, address_of("s"), NULL, note_connected, &connected, &channel),
        FER_OK);
    harness_run_until(loop, &connected.calls);
    give_descriptors_back();
    assert_int_equal(connected.status, FER_EMFILE);
    fer_channel_unref(channel);
    end_loop(loop);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(options_are_checked),
        HARNESS_TEST(arguments_of_calls_are_checked),
        HARNESS_TEST(addresses_are_checked),
        HARNESS_TEST(nobody_listens),
        HARNESS_TEST(a_server_may_come_later),
        HARNESS_TEST(a_full_queue_is_waited_for),
        HARNESS_TEST(what_connects_need_not_hold_the_loop),
        HARNESS_TEST(no_descriptors),
    };
    return HARNESS_MAIN("channel_bad", tests, NULL, argc, argv);
}
