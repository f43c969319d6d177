/* Whole uses of the library, for the tests of failures: the blocking face, with raw peers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "scenarios_sync.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* As much as there is, into a buffer with enough room. */
static size_t read_some(int fd, uint8_t *to, size_t size) {
    ssize_t got = recv(fd, to, size, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

/* More than the kernel takes: sent with the time running out, and flushed while the peer reads. */
static void send_large(outcome *to, fer_channel *channel, int peer) {
    const size_t size = 3 * MIB;
    uint8_t *data = filled(size, 1);
    uint8_t *got = malloc(size + 4);
    size_t have = 0;
    const fer_bytes bytes = {data, size};
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    fer_status status = fer_sync_send(channel, &bytes, 1, 0);
    memset(data, 0, size);
    while ((status == FER_ETIMEDOUT || status == FER_EINTR) && now_ms() < end) {
        have += read_some(peer, got + have, size + 4 - have);
        status = fer_sync_flush(channel, 0);
    }
    if (!failed(to, status)) {
        while (have < size + 4 && now_ms() < end)
            have += read_some(peer, got + have, size + 4 - have);
        assert_int_equal(have, size + 4);
        assert_filled(got + 4, size, 1);
    }
    free(got);
    free(data);
}

static fer_status receive(fer_channel *channel, fer_message *message) {
    fer_status status;
    do {
        status = fer_sync_receive(channel, HARNESS_PATIENCE_MS, message);
    } while (status == FER_EINTR);
    return status;
}

/* Messages that need a list that grows, and a body that grows. */
static void receive_all(outcome *to, fer_channel *channel, int peer) {
    enum { SMALL = 200, LARGE = 200000 };
    uint8_t *data = filled(LARGE, 2);
    fer_message message;
    for (int i = 0; i < SMALL; i++)
        raw_send(peer, "\0\0\0\1m", 5);
    for (int i = 0; i < SMALL; i++) {
        if (failed(to, receive(channel, &message))) {
            free(data);
            return;
        }
        assert_int_equal(message.size, 1);
    }
    /* The pieces go one by one, each when the one before has been read. */
    raw_send(peer, "\0\3\15\100", 4);
    for (size_t at = 0; at < LARGE; at += 50000) {
        raw_send(peer, data + at, 50000);
        fer_status status = at + 50000 < LARGE ? fer_sync_receive(channel, 0, &message)
                                               : receive(channel, &message);
        if (status != FER_ETIMEDOUT && status != FER_EINTR && failed(to, status))
            break;
    }
    if (to->status == FER_OK) {
        assert_int_equal(message.size, LARGE);
        assert_memory_equal(message.data, data, LARGE);
    }
    free(data);
}

static fer_status close_it(fer_channel *channel) {
    fer_status status;
    do {
        status = fer_sync_close(channel, HARNESS_PATIENCE_MS);
    } while (status == FER_EINTR);
    return status;
}

void use_a_blocking_client(outcome *to) {
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    fer_channel *channel = NULL;
    fer_status status;
    int listener = raw_listen(harness_path("b"));
    do {
        status = fer_sync_connect(address_of("b"), &plain, HARNESS_PATIENCE_MS, &channel);
    } while (status == FER_EINTR);
    if (failed(to, status)) {
        assert_null(channel);
    } else {
        int peer = raw_accept(listener);
        send_large(to, channel, peer);
        if (to->status == FER_OK)
            receive_all(to, channel, peer);
        raw_send(peer, "\0\0\0", 4);
        (void)failed(to, close_it(channel));
        fer_channel_unref(channel);
        to->complete = to->status == FER_OK;
        raw_close(peer);
    }
    raw_close(listener);
    assert_int_equal(unlink(harness_path("b")), 0);
}

void use_a_blocking_server(outcome *to) {
    enum { CLIENTS = 20 };
    fer_server *server = NULL;
    fer_message message;
    int peers[CLIENTS];
    if (failed(to, fer_sync_listen(address_of("b"), NULL, &server))) {
        assert_null(server);
        return;
    }
    /* More that say nothing than the library keeps on its stack, and one that does. */
    for (int i = 0; i < CLIENTS; i++)
        peers[i] = raw_connect(harness_path("b"));
    raw_send(peers[CLIENTS - 1], hello_bytes, HELLO_SIZE);
    raw_send(peers[CLIENTS - 1], "\2\0\0\0\0\0\0\1m\4\0\0\0\0\0\0\0", 17);
    fer_channel *channel = NULL;
    fer_status status;
    do {
        status = fer_sync_accept(server, 300, &channel);
    } while (status == FER_EINTR);
    if (failed(to, status)) {
        assert_null(channel);
    } else {
        if (!failed(to, receive(channel, &message)))
            assert_int_equal(message.size, 1);
        (void)failed(to, close_it(channel));
        fer_channel_unref(channel);
    }
    for (int i = 0; i < CLIENTS; i++)
        raw_close(peers[i]);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_server_unref(server);
    to->complete = to->status == FER_OK;
}
