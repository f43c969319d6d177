/* Whole uses of the library, for the tests of failures: on loops. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "scenarios.h"

#include <stdlib.h>
#include <string.h>

#include "scenarios_sync.h"

#define MIB ((size_t)1 << 20)

int failed(outcome *to, fer_status status) {
    if (status != FER_OK && to->status == FER_OK)
        to->status = status;
    assert_int_not_equal(status, FER_EUNKNOWN);
    return status != FER_OK;
}

/* Step the loop until one of the flags is set. */
static void wait_for(fer_loop *loop, const int *one, const int *other) {
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    while (!*one && !*other) {
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        if (now_ms() > end)
            fail_msg("neither an end nor a failure came");
    }
}

static int count_of(size_t count, size_t least) {
    return count >= least;
}

/* Posts, and pipes. */

static void use_a_loop(outcome *to) {
    fer_loop *loop = NULL;
    noted posted[3] = {{0}, {0}, {0}};
    int accepted[3];
    if (failed(to, fer_loop_new(&loop))) {
        assert_null(loop);
        return;
    }
    for (int i = 0; i < 3; i++)
        accepted[i] = !failed(to, fer_loop_post(loop, note_posted, &posted[i]));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(posted[i].calls, accepted[i]);
    end_loop(loop);
    to->complete = to->status == FER_OK;
}

typedef struct talk {
    outcome *to;
    fer_loop *loop;
    fer_handle *listener;
    fer_handle *client;
    fer_handle *taken;
    int came; /* a client was taken, or will not be */
    noted connected;
    noted written[4];
    int accepted[4];
    noted shut;
    int shut_accepted;
    noted closed;
    inbox box;
} talk;

static void take(fer_handle *listener, fer_status status, void *user) {
    talk *all = user;
    if (!failed(all->to, status))
        status = fer_pipe_new(all->loop, 0, &all->taken);
    if (status == FER_OK)
        status = fer_stream_accept(listener, all->taken);
    (void)failed(all->to, status);
    all->came = 1;
}

static void connect_pipes(talk *all) {
    fer_bind_options options = FER_BIND_OPTIONS_INIT;
    if (failed(all->to, fer_pipe_new(all->loop, 0, &all->listener)) ||
        failed(all->to, fer_pipe_bind(all->listener, harness_path("p"), FER_ZSTRING, &options)) ||
        failed(all->to, fer_stream_listen(all->listener, 0, take, all, NULL)) ||
        failed(all->to, fer_pipe_new(all->loop, 0, &all->client)) ||
        failed(all->to, fer_pipe_connect(all->client, harness_path("p"), FER_ZSTRING, note_stream,
                                         &all->connected)))
        return;
    wait_for(all->loop, &all->connected.calls, &all->connected.calls);
    if (!failed(all->to, all->connected.status))
        wait_for(all->loop, &all->came, &all->came);
}

/* Four writes: small and large, copied and not. Those that were refused must not arrive. */
static void write_all(talk *all, const uint8_t *data) {
    static const size_t sizes[4] = {10, 2 * MIB, 2 * MIB, 70000};
    uint8_t *expected = malloc(5 * MIB);
    size_t size = 0;
    if (failed(all->to, fer_stream_read_start(all->taken, inbox_read, &all->box, NULL))) {
        free(expected);
        return;
    }
    for (int i = 0; i < 4; i++) {
        const fer_bytes parts[2] = {{data + i, 1}, {data + i + 1, sizes[i] - 1}};
        const int wants = i == 0 || i == 2;
        fer_status status = fer_stream_write(all->client, parts, 2, wants ? note_stream : NULL,
                                             wants ? &all->written[i] : NULL);
        all->accepted[i] = wants && status == FER_OK;
        if (failed(all->to, status))
            continue;
        memcpy(expected + size, data + i, sizes[i]);
        size += sizes[i];
    }
    all->shut_accepted =
        !failed(all->to, fer_stream_shutdown(all->client, note_stream, &all->shut));
    if (all->shut_accepted) {
        /* A reader that fails lets the writer wait for ever. */
        wait_for(all->loop, &all->shut.calls, &all->box.end.calls);
        (void)failed(all->to, all->shut.status);
    }
    /* Without a shutdown the end comes with the close. */
    if (all->shut.calls == 0 || all->shut.status != FER_OK) {
        fer_handle_unref(all->client);
        all->client = NULL;
    }
    wait_for(all->loop, &all->box.end.calls, &all->box.end.calls);
    if (all->box.end.status != FER_EOF)
        (void)failed(all->to, all->box.end.status);
    else if (all->to->status == FER_OK)
        assert_int_equal(all->box.size, size);
    assert_true(all->box.size <= size);
    assert_true(all->box.size == 0 || memcmp(all->box.bytes, expected, all->box.size) == 0);
    free(expected);
}

static void use_pipes(outcome *to) {
    talk all;
    uint8_t *data = filled(2 * MIB + 4, 1);
    memset(&all, 0, sizeof all);
    all.to = to;
    if (!failed(to, fer_loop_new(&all.loop))) {
        connect_pipes(&all);
        if (all.taken != NULL && to->status == FER_OK)
            write_all(&all, data);
        /* A close without memory for its callback is done without one. */
        if (all.taken != NULL &&
            failed(to, fer_handle_close(all.taken, note_handle_closed, &all.closed)))
            assert_int_equal(fer_handle_close(all.taken, NULL, NULL), FER_OK);
        fer_handle_unref(all.listener);
        fer_handle_unref(all.client);
        fer_handle_unref(all.taken);
        end_loop(all.loop);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(all.written[i].calls, all.accepted[i]);
    assert_int_equal(all.shut.calls, all.shut_accepted);
    to->complete = to->status == FER_OK && all.closed.calls == 1;
    inbox_free(&all.box);
    free(data);
}

/* Channels. */

enum { MESSAGES = 220 };

typedef struct chat {
    outcome *to;
    const fer_channel_options *options;
    fer_loop *loop;
    fer_server *server;
    fer_channel *client;
    fer_channel *served;
    int came;
    noted connected;
    noted sent[MESSAGES];
    int accepted[MESSAGES];
    size_t sizes[MESSAGES];
    size_t count; /* of messages that were accepted */
    noted closed[2];
    inbox box;
    int ended;
} chat;

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    chat *all = user;
    inbox_messages(channel, status, messages, count, &all->box);
    all->ended = status != FER_OK;
    if (status != FER_OK && status != FER_EOF)
        (void)failed(all->to, status);
}

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    chat *all = user;
    assert_non_null(server);
    all->came = 1;
    if (failed(all->to, status))
        return;
    all->served = channel;
    (void)failed(all->to, fer_channel_receive(channel, on_messages, all, NULL));
}

static void open_channels(chat *all) {
    if (failed(all->to, fer_server_listen(all->loop, address_of("c"), all->options, on_channel, all,
                                          NULL, &all->server)) ||
        failed(all->to, fer_channel_connect(all->loop, address_of("c"), all->options,
                                            note_connected, &all->connected, &all->client)))
        return;
    wait_for(all->loop, &all->connected.calls, &all->connected.calls);
    if (!failed(all->to, all->connected.status))
        wait_for(all->loop, &all->came, &all->came);
}

/* Sizes that need blocks, bodies that grow, and lists that grow; in one turn and in several. */
static size_t size_of(int i) {
    if (i % 55 == 0)
        return 300000;
    return i % 50 == 3 ? 20000 : (size_t)i % 90 + 1;
}

static void send_messages(chat *all, const uint8_t *data) {
    fer_bytes parts[40];
    for (int i = 0; i < MESSAGES; i++) {
        const size_t size = size_of(i);
        size_t pieces = i % 20 == 11 && size > 40 ? 40 : 1;
        for (size_t at = 0; at < pieces; at++)
            parts[at] = piece(data + i + at, at + 1 < pieces ? 1 : size - at);
        fer_status status = fer_channel_send(all->client, parts, pieces, NULL, 0,
                                             i % 2 ? note_sent : NULL, &all->sent[i]);
        all->accepted[i] = status == FER_OK;
        if (!failed(all->to, status))
            all->sizes[all->count++] = (size_t)i;
        if (i % 100 == 99)
            assert_int_equal(fer_loop_step(all->loop, 0), FER_OK);
    }
}

static void close_end(chat *all, fer_channel *channel, noted *closed) {
    if (failed(all->to, fer_channel_close(channel, note_closed, closed))) {
        assert_int_equal(fer_channel_close(channel, NULL, NULL), FER_OK);
        closed->calls = -1;
    }
}

static void check_messages(const chat *all, const uint8_t *data) {
    size_t at = 0;
    assert_true(all->box.count <= all->count);
    for (size_t i = 0; i < all->box.count; i++) {
        const size_t number = all->sizes[i];
        assert_int_equal(all->box.sizes[i], size_of((int)number));
        assert_memory_equal(all->box.bytes + at, data + number, all->box.sizes[i]);
        at += all->box.sizes[i];
    }
    /* A goodbye means that nothing is missing; the plain wire does not tell it from another end. */
    if (all->options->wire == FER_WIRE_NATIVE && all->box.end.calls == 1 &&
        all->box.end.status == FER_EOF)
        assert_int_equal(all->box.count, all->count);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(all->sent[i].calls, i % 2 && all->accepted[i]);
}

static void use_channels(outcome *to, const fer_channel_options *options) {
    static chat all;
    uint8_t *data = filled(300000 + MESSAGES, 2);
    memset(&all, 0, sizeof all);
    all.to = to;
    all.options = options;
    if (failed(to, fer_loop_new(&all.loop))) {
        free(data);
        return;
    }
    open_channels(&all);
    if (all.served != NULL && to->status == FER_OK) {
        send_messages(&all, data);
        close_end(&all, all.client, &all.closed[0]);
        /* Closing may have failed with what was to be sent. */
        wait_for(all.loop, &all.ended, &all.ended);
        close_end(&all, all.served, &all.closed[1]);
        for (int i = 0; i < 2; i++) {
            wait_for(all.loop, &all.closed[i].calls, &all.closed[i].calls);
            if (all.closed[i].calls > 0)
                (void)failed(to, all.closed[i].status);
        }
    }
    fer_channel_unref(all.client);
    fer_channel_unref(all.served);
    fer_server_unref(all.server);
    end_loop(all.loop);
    check_messages(&all, data);
    to->complete = to->status == FER_OK && count_of(all.box.count, MESSAGES);
    inbox_free(&all.box);
    free(data);
}

static void use_native_channels(outcome *to) {
    fer_channel_options native = options_of(FER_WIRE_NATIVE);
    /* A HELLO that could not be sent is missed by the peer in this time. */
    native.handshake_timeout_ms = 1000;
    use_channels(to, &native);
}

static void use_plain_channels(outcome *to) {
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    use_channels(to, &plain);
}

const scenario scenarios[] = {
    {"a loop", use_a_loop},
    {"pipes", use_pipes},
    {"native channels", use_native_channels},
    {"plain channels", use_plain_channels},
    {"a blocking client", use_a_blocking_client},
    {"a blocking server", use_a_blocking_server},
    {NULL, NULL},
};
