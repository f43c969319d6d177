/* Whole uses of the library, for the tests of failures: the blocking face, with raw peers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "scenarios_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* As much as there is, into a buffer with enough room. */
static size_t read_some(int fd, uint8_t *to, size_t size) {
    ssize_t got = read(fd, to, size);
    return got > 0 ? (size_t)got : 0;
}

/* As raw_send(), also on a FIFO. */
static void put(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        assert_true(written >= 0 || errno == EAGAIN);
        if (written < 0)
            raw_wait(fd, POLLOUT);
        else
            at += written;
        size -= written < 0 ? 0 : (size_t)written;
    }
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
        put(peer, "\0\0\0\1m", 5);
    for (int i = 0; i < SMALL; i++) {
        if (failed(to, receive(channel, &message))) {
            free(data);
            return;
        }
        assert_int_equal(message.size, 1);
    }
    /* In pieces, as there is room for them. */
    put(peer, "\0\3\15\100", 4);
    for (size_t at = 0; at < LARGE && to->status == FER_OK;) {
        ssize_t written = write(peer, data + at, LARGE - at < 50000 ? LARGE - at : 50000);
        at += written > 0 ? (size_t)written : 0;
        fer_status status =
            at < LARGE ? fer_sync_receive(channel, 0, &message) : receive(channel, &message);
        if (status != FER_ETIMEDOUT && status != FER_EINTR)
            (void)failed(to, status);
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

/* Sends to the one, and receives from the other. */
static void talk_to(outcome *to, fer_channel *channel, int reader, int writer) {
    send_large(to, channel, reader);
    if (to->status == FER_OK)
        receive_all(to, channel, writer);
    put(writer, "\0\0\0", 4);
    (void)failed(to, close_it(channel));
    fer_channel_unref(channel);
    to->complete = to->status == FER_OK;
}

static fer_status connect_to(const char *address, fer_channel **channel) {
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    fer_status status;
    do {
        status = fer_sync_connect(address, &plain, HARNESS_PATIENCE_MS, channel);
    } while (status == FER_EINTR);
    return status;
}

void use_a_blocking_client(outcome *to) {
    fer_channel *channel = NULL;
    int listener = raw_listen(harness_path("b"));
    if (failed(to, connect_to(address_of("b"), &channel))) {
        assert_null(channel);
    } else {
        int peer = raw_accept(listener);
        talk_to(to, channel, peer, peer);
        raw_close(peer);
    }
    raw_close(listener);
    assert_int_equal(unlink(harness_path("b")), 0);
}

void use_a_blocking_client_on_fifos(outcome *to) {
    char address[256];
    fer_channel *channel = NULL;
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    assert_int_equal(mkfifo(harness_path("out"), 0600), 0);
    snprintf(address, sizeof address, "fifo:%s,%s", harness_path("in"), harness_path("out"));
    int reader = open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    if (failed(to, connect_to(address, &channel))) {
        assert_null(channel);
    } else {
        int writer = open(harness_path("in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(writer >= 0);
        talk_to(to, channel, reader, writer);
        raw_close(writer);
    }
    raw_close(reader);
    assert_int_equal(unlink(harness_path("in")), 0);
    assert_int_equal(unlink(harness_path("out")), 0);
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
    int fd = -1;
    fer_status status = fer_sync_server_fileno(server, &fd);
    if (status != FER_ENOTSUP)
        (void)failed(to, status);
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
