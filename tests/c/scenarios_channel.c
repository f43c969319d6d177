/* Whole uses of the library, for the tests of failures: channels on loops, on each transport. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "scenarios_channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES = 220 };

typedef struct chat {
    outcome *to;
    fer_channel_options options;
    fer_loop *loop;
    fer_server *server;
    fer_channel *client;
    fer_channel *served;
    int came;
    noted connected[2];
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

/* Ways to two channels that are connected. */

/* On FIFOs a client whose descriptors cannot be watched may be gone before the server has seen it. */
static void wait_for_server(chat *all) {
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    while (!all->came && !fer_channel_is_closing(all->client)) {
        assert_int_equal(fer_loop_step(all->loop, 100), FER_OK);
        assert_true(now_ms() < end);
    }
    if (!all->came)
        (void)failed(all->to, FER_ECLOSED);
}

static void open_at(chat *all, const char *address) {
    char where[512];
    size_t size = sizeof where;
    if (failed(all->to, fer_server_listen(all->loop, address, &all->options, on_channel, all, NULL,
                                          &all->server)))
        return;
    assert_int_equal(fer_server_address(all->server, where, &size), FER_OK);
    if (failed(all->to, fer_channel_connect(all->loop, where, &all->options, note_connected,
                                            &all->connected[0], &all->client)))
        return;
    wait_for(all->loop, &all->connected[0].calls, &all->connected[0].calls);
    if (!failed(all->to, all->connected[0].status))
        wait_for_server(all);
}

static void open_pipe(chat *all) {
    open_at(all, address_of("c"));
}

static void open_fifos(chat *all) {
    char address[256];
    snprintf(address, sizeof address, "fifo:%s,%s", harness_path("in"), harness_path("out"));
    open_at(all, address);
}

static void open_own_fifos(chat *all) {
    open_at(all, "fifo:");
}

static void open_tcp(chat *all) {
    open_at(all, "tcp:127.0.0.1:0");
}

static void open_with_secret(chat *all) {
    all->options.secret = "known to both";
    all->options.secret_size = strlen(all->options.secret);
    open_tcp(all);
}

/* Both ends are there, and connecting. */
static void open_ends(chat *all) {
    for (int i = 0; i < 2; i++) {
        wait_for(all->loop, &all->connected[i].calls, &all->connected[i].calls);
        if (failed(all->to, all->connected[i].status))
            return;
    }
    (void)failed(all->to, fer_channel_receive(all->served, on_messages, all, NULL));
}

static void open_descriptors(chat *all) {
    fer_channel **ends[2] = {&all->client, &all->served};
    int fds[2];
    raw_pair(fds);
    for (int i = 0; i < 2; i++) {
        char address[32];
        snprintf(address, sizeof address, "fd:%d", fds[i]);
        if (failed(all->to, fer_channel_connect(all->loop, address, &all->options, note_connected,
                                                &all->connected[i], ends[i])))
            raw_close(fds[i]);
    }
    if (all->client != NULL && all->served != NULL)
        open_ends(all);
}

/* As a child and its parent have them. */
static void open_parent(chat *all) {
    char address[32];
    int fds[2];
    raw_pair(fds);
    snprintf(address, sizeof address, "fd:%d", fds[0]);
    assert_int_equal(setenv(FER_PARENT_VARIABLE, address, 1), 0);
    (void)failed(all->to, fer_channel_parent(all->loop, &all->options, note_connected,
                                             &all->connected[0], &all->client));
    assert_null(getenv(FER_PARENT_VARIABLE));
    snprintf(address, sizeof address, "fd:%d", fds[1]);
    if (failed(all->to, fer_channel_connect(all->loop, address, &all->options, note_connected,
                                            &all->connected[1], &all->served)))
        raw_close(fds[1]);
    if (all->client != NULL && all->served != NULL)
        open_ends(all);
}

static void note_which(fer_channel *channel, fer_status status, void *user) {
    chat *all = user;
    note(&all->connected[channel == all->served], status);
}

static void open_pair(chat *all) {
    fer_channel *ends[2];
    if (failed(all->to, fer_channel_pair(all->loop, &all->options, note_which, all, ends)))
        return;
    all->client = ends[0];
    all->served = ends[1];
    open_ends(all);
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
    if (all->options.wire == FER_WIRE_NATIVE && all->box.end.calls == 1 &&
        all->box.end.status == FER_EOF)
        assert_int_equal(all->box.count, all->count);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(all->sent[i].calls, i % 2 && all->accepted[i]);
}

static void use_channels(outcome *to, fer_wire wire, void (*open)(chat *all)) {
    static chat all;
    uint8_t *data = filled(300000 + MESSAGES, 2);
    memset(&all, 0, sizeof all);
    all.to = to;
    all.options = options_of(wire);
    /* What could not be sent is missed by the peer in this time. */
    all.options.connect_timeout_ms = 1000;
    all.options.handshake_timeout_ms = 1000;
    all.options.close_timeout_ms = 1000;
    if (failed(to, fer_loop_new(&all.loop))) {
        free(data);
        return;
    }
    open(&all);
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
    to->complete = to->status == FER_OK && all.box.count == MESSAGES;
    inbox_free(&all.box);
    free(data);
}

void use_native_channels(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_pipe);
}

void use_plain_channels(outcome *to) {
    use_channels(to, FER_WIRE_PLAIN, open_pipe);
}

void use_native_channels_on_fifos(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_fifos);
}

void use_plain_channels_on_fifos(outcome *to) {
    use_channels(to, FER_WIRE_PLAIN, open_fifos);
}

/* As a rendezvous does it: the FIFOs, and the directory in which they are, must go away. */
void use_own_fifos(outcome *to) {
    char before[256] = "";
    const char *present = getenv("XDG_RUNTIME_DIR");
    if (present != NULL)
        snprintf(before, sizeof before, "%s", present);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", harness_directory(), 1), 0);
    use_channels(to, FER_WIRE_PLAIN, open_own_fifos);
    if (present != NULL)
        assert_int_equal(setenv("XDG_RUNTIME_DIR", before, 1), 0);
    else
        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    /* The runtime directory itself stays. */
    if (rmdir(harness_path("ferrule")) != 0)
        assert_true(errno == ENOENT && to->status != FER_OK);
}

void use_native_channels_on_tcp(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_tcp);
}

void use_plain_channels_on_tcp(outcome *to) {
    use_channels(to, FER_WIRE_PLAIN, open_tcp);
}

void use_a_secret(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_with_secret);
}

void use_descriptors(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_descriptors);
}

void use_a_parent(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_parent);
}

void use_a_pair(outcome *to) {
    use_channels(to, FER_WIRE_NATIVE, open_pair);
}
