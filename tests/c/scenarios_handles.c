/* Whole uses of the library, for the tests of failures: messages with handles. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenarios_channel.h"

#define MIB ((size_t)1 << 20)

enum { MESSAGES = 24, MOST = 4 };

/* What is passed: in turn a descriptor that is no handle, and a socket. */
static void open_examples(fer_fd fds[MOST], int owned[4]) {
    assert_int_equal(pipe(owned), 0);
    raw_pair(owned + 2);
    for (int i = 0; i < MOST; i++)
        fds[i] = owned[i % 2 == 0 ? 0 : 2];
}

static void close_examples(const int owned[4]) {
    for (int i = 0; i < 4; i++)
        raw_close(owned[i]);
}

static int32_t kind_of(size_t index) {
    return index % 2 == 0 ? FER_KIND_OTHER : FER_KIND_PIPE;
}

static void check_handles(const fer_message *message, size_t expected) {
    assert_int_equal(message->handle_count, expected);
    for (size_t i = 0; i < expected; i++)
        assert_int_equal(message->handles[i].kind, kind_of(i));
}

/* On a loop: some are sent at once, and some wait. */

typedef struct passing {
    outcome *to;
    fer_loop *loop;
    fer_channel *ends[2];
    noted connected[2];
    noted sent[MESSAGES];
    int accepted[MESSAGES];
    size_t numbers[MESSAGES]; /* of those that were accepted */
    size_t count;
    size_t received;
    noted closed[2];
    int ended;
} passing;

static size_t size_of(size_t i) {
    return i % 8 == 1 ? 400000 : i % 5;
}

static size_t handles_of(size_t i) {
    return i % (MOST + 1);
}

static void take_some(passing *all, fer_channel *channel, const fer_message *message) {
    fer_fd fd = -1;
    fer_handle *handle = NULL;
    if (message->handle_count > 0) {
        assert_int_equal(fer_message_take_fd(channel, message, 0, &fd), FER_OK);
        raw_close((int)fd);
    }
    if (message->handle_count > 1 &&
        !failed(all->to, fer_message_take(channel, message, 1, &handle)))
        fer_handle_unref(handle);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    passing *all = user;
    if (status != FER_OK) {
        all->ended = 1;
        if (status != FER_EOF)
            (void)failed(all->to, status);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(all->received < all->count);
        const size_t number = all->numbers[all->received++];
        assert_int_equal(messages[i].size, size_of(number));
        assert_filled(messages[i].data, messages[i].size, 3);
        check_handles(&messages[i], handles_of(number));
        take_some(all, channel, &messages[i]);
    }
}

static void note_which(fer_channel *channel, fer_status status, void *user) {
    passing *all = user;
    note(&all->connected[channel == all->ends[1]], status);
}

static int join(passing *all) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.max_handles = MOST;
    options.handshake_timeout_ms = 1000;
    options.close_timeout_ms = 1000;
    if (failed(all->to, fer_channel_pair(all->loop, &options, note_which, all, all->ends)))
        return 0;
    for (int i = 0; i < 2; i++) {
        wait_for(all->loop, &all->connected[i].calls, &all->connected[i].calls);
        if (failed(all->to, all->connected[i].status))
            return 0;
    }
    return !failed(all->to, fer_channel_receive(all->ends[1], on_messages, all, NULL));
}

static void pass_all(passing *all, const uint8_t *data, const fer_fd *fds) {
    for (size_t i = 0; i < MESSAGES; i++) {
        const fer_bytes whole = {data, size_of(i)};
        fer_status status = fer_channel_send_fds(all->ends[0], &whole, 1, fds, handles_of(i),
                                                 i % 2 == 1 ? note_sent : NULL, &all->sent[i]);
        all->accepted[i] = status == FER_OK;
        if (!failed(all->to, status))
            all->numbers[all->count++] = i;
    }
}

static void close_end(passing *all, int i) {
    if (failed(all->to, fer_channel_close(all->ends[i], note_closed, &all->closed[i]))) {
        assert_int_equal(fer_channel_close(all->ends[i], NULL, NULL), FER_OK);
        all->closed[i].calls = -1;
    }
}

void use_handles(outcome *to) {
    static passing all;
    uint8_t *data = filled(400000, 3);
    fer_fd fds[MOST];
    int owned[4];
    memset(&all, 0, sizeof all);
    all.to = to;
    open_examples(fds, owned);
    if (!failed(to, fer_loop_new(&all.loop))) {
        if (join(&all)) {
            pass_all(&all, data, fds);
            close_end(&all, 0);
            wait_for(all.loop, &all.ended, &all.ended);
            close_end(&all, 1);
            for (int i = 0; i < 2; i++) {
                wait_for(all.loop, &all.closed[i].calls, &all.closed[i].calls);
                if (all.closed[i].calls > 0)
                    (void)failed(to, all.closed[i].status);
            }
        }
        fer_channel_unref(all.ends[0]);
        fer_channel_unref(all.ends[1]);
        end_loop(all.loop);
    }
    for (size_t i = 0; i < MESSAGES; i++)
        assert_int_equal(all.sent[i].calls, i % 2 == 1 && all.accepted[i]);
    to->complete = to->status == FER_OK && all.received == MESSAGES;
    close_examples(owned);
    free(data);
}

/* Without a loop, with a raw peer. */

static fer_status connect_blocking(int fd, fer_channel **channel) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    char address[32];
    options.max_handles = MOST;
    snprintf(address, sizeof address, "fd:%d", fd);
    return fer_sync_connect(address, &options, HARNESS_PATIENCE_MS, channel);
}

/* Read what is there. */
static size_t drop_some(int fd) {
    static uint8_t buffer[65536];
    ssize_t got = read(fd, buffer, sizeof buffer);
    return got > 0 ? (size_t)got : 0;
}

static void send_blocking(outcome *to, fer_channel *channel, int peer, const fer_fd *fds) {
    const size_t sizes[] = {1, 3 * MIB, 0};
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    uint8_t *data = filled(3 * MIB, 3);
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    size_t expected;
    size_t have = 0;
    /* What is left of the hello. */
    (void)drop_some(peer);
    assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
    expected = (size_t)info.queued;
    for (size_t i = 0; i < 3 && to->status == FER_OK; i++) {
        const fer_bytes whole = {data, sizes[i]};
        fer_status status = fer_sync_send_fds(channel, &whole, 1, fds, i + 2, 0);
        while ((status == FER_ETIMEDOUT || status == FER_EINTR) && now_ms() < end) {
            have += drop_some(peer);
            status = fer_sync_flush(channel, 0);
        }
        expected += (i + 2) * 9 + 8 + sizes[i];
        (void)failed(to, status);
    }
    while (to->status == FER_OK && have < expected && now_ms() < end)
        have += drop_some(peer);
    if (to->status == FER_OK)
        assert_int_equal(have, expected);
    free(data);
}

static void receive_blocking(outcome *to, fer_channel *channel, int peer, const fer_fd *fds) {
    static const uint8_t frames[] = {3, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0,   0,
                                     0, 0, 1, 1, 2, 2, 0, 0, 0, 0, 0, 2, 'o', 'k'};
    const int handles[2] = {(int)fds[0], (int)fds[1]};
    fer_message message;
    fer_fd fd = -1;
    for (int i = 0; i < 3 && to->status == FER_OK; i++) {
        fer_status status;
        raw_send_handles(peer, frames, sizeof frames, handles, 2);
        do {
            status = fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message);
        } while (status == FER_EINTR);
        if (failed(to, status))
            return;
        assert_int_equal(message.size, 2);
        check_handles(&message, 2);
        assert_int_equal(fer_message_take_fd(channel, &message, 1, &fd), FER_OK);
        raw_close((int)fd);
    }
}

void use_blocking_handles(outcome *to) {
    uint8_t hello[HELLO_SIZE];
    fer_channel *channel = NULL;
    fer_status status;
    fer_fd fds[MOST];
    int owned[4];
    int ends[2];
    open_examples(fds, owned);
    memcpy(hello, hello_bytes, sizeof hello);
    hello[HELLO_SIZE - 1] = MOST;
    for (;;) {
        raw_pair(ends);
        raw_send(ends[1], hello, sizeof hello);
        status = connect_blocking(ends[0], &channel);
        if (status == FER_OK)
            break;
        /* It stays the caller's. */
        assert_null(channel);
        raw_close(ends[0]);
        if (status != FER_EINTR)
            break;
        raw_close(ends[1]);
    }
    if (!failed(to, status)) {
        send_blocking(to, channel, ends[1], fds);
        if (to->status == FER_OK)
            receive_blocking(to, channel, ends[1], fds);
        raw_send(ends[1], "\4\0\0\0\0\0\0", 8);
        do {
            status = fer_sync_close(channel, 1000);
        } while (status == FER_EINTR);
        (void)failed(to, status);
        fer_channel_unref(channel);
    }
    raw_close(ends[1]);
    close_examples(owned);
    to->complete = to->status == FER_OK;
}
