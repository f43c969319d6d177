/* Notes of callbacks, bytes to send, and channels for the tests. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const uint8_t hello_bytes[HELLO_SIZE] = {1,   0,   0,   0,    0, 0, 0, 28, 'F', 'E', 'R', 'R',
                                         'U', 'L', 'E', '\n', 0, 1, 0, 1,  0,   0,   0,   0,
                                         0,   0,   0,   0,    4, 0, 0, 0,  0,   0,   0,   0};

/* Notes. */

static int callbacks;

void note(noted *to, fer_status status) {
    to->calls++;
    to->status = status;
    to->when = ++callbacks;
    snprintf(to->detail, sizeof to->detail, "%s", fer_status_detail());
}

void note_connected(fer_channel *channel, fer_status status, void *user) {
    assert_non_null(channel);
    note(user, status);
}

void note_sent(fer_channel *channel, fer_status status, void *user) {
    assert_non_null(channel);
    note(user, status);
}

void note_closed(fer_channel *channel, fer_status status, void *user) {
    assert_non_null(channel);
    note(user, status);
}

void note_drain(fer_channel *channel, void *user) {
    assert_non_null(channel);
    note(user, FER_OK);
}

void note_stream(fer_handle *stream, fer_status status, void *user) {
    assert_non_null(stream);
    note(user, status);
}

void note_connection(fer_handle *listener, fer_status status, void *user) {
    assert_non_null(listener);
    note(user, status);
}

void note_handle_closed(fer_handle *handle, void *user) {
    assert_non_null(handle);
    note(user, FER_OK);
}

void note_server_closed(fer_server *server, void *user) {
    assert_non_null(server);
    note(user, FER_OK);
}

void note_posted(fer_loop *loop, fer_status status, void *user) {
    assert_non_null(loop);
    note(user, status);
}

void note_finalized(void *user) {
    note(user, FER_OK);
}

/* What was received. */

static void inbox_add(inbox *box, const void *data, size_t size) {
    if (box->size + size > box->room) {
        box->room = 2 * (box->size + size);
        box->bytes = realloc(box->bytes, box->room);
        assert_non_null(box->bytes);
    }
    if (size > 0)
        memcpy(box->bytes + box->size, data, size);
    box->size += size;
    if (box->count == box->sizes_room) {
        box->sizes_room = box->count == 0 ? 64 : 2 * box->count;
        box->sizes = realloc(box->sizes, box->sizes_room * sizeof *box->sizes);
        assert_non_null(box->sizes);
    }
    box->sizes[box->count++] = size;
}

static void check_delivery(const inbox *box, fer_status status, size_t count) {
    assert_int_equal(box->end.calls, 0);
    assert_int_equal(box->finalized.calls, 0);
    assert_int_equal(count > 0, status == FER_OK);
}

void inbox_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                    size_t count, void *user) {
    inbox *box = user;
    assert_non_null(channel);
    check_delivery(box, status, count);
    if (status != FER_OK) {
        note(&box->end, status);
        return;
    }
    box->batches++;
    for (size_t i = 0; i < count; i++) {
        assert_null(messages[i].handles);
        assert_int_equal(messages[i].handle_count, 0);
        inbox_add(box, messages[i].data, messages[i].size);
    }
}

void inbox_read(fer_handle *stream, fer_status status, const void *data, size_t size, void *user) {
    inbox *box = user;
    assert_non_null(stream);
    check_delivery(box, status, size);
    if (status != FER_OK) {
        note(&box->end, status);
        return;
    }
    box->batches++;
    inbox_add(box, data, size);
}

void inbox_finalized(void *user) {
    inbox *box = user;
    note(&box->finalized, FER_OK);
}

void inbox_free(inbox *box) {
    free(box->bytes);
    free(box->sizes);
    memset(box, 0, sizeof *box);
}

/* Bytes. */

/* A linear congruence: no two places of a message look alike for long. */
void fill(void *data, size_t size, unsigned seed) {
    uint8_t *bytes = data;
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(x >> 24);
    }
}

uint8_t *filled(size_t size, unsigned seed) {
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    fill(data, size, seed);
    return data;
}

void assert_filled(const void *data, size_t size, unsigned seed) {
    uint8_t *expected = filled(size, seed);
    if (size > 0 && memcmp(data, expected, size) != 0)
        fail_msg("%lu bytes are not those that were sent", (unsigned long)size);
    free(expected);
}

fer_bytes piece(const void *data, size_t size) {
    const fer_bytes bytes = {data, size};
    return bytes;
}

fer_status send_bytes(fer_channel *channel, const void *data, size_t size) {
    const fer_bytes bytes = {data, size};
    return fer_channel_send(channel, &bytes, 1, NULL, 0, NULL, NULL);
}

fer_status send_text(fer_channel *channel, const char *text) {
    return send_bytes(channel, text, strlen(text));
}

/* Limits. */

static struct rlimit descriptor_limit;

void take_descriptors_away(void) {
    int lowest = dup(STDERR_FILENO);
    assert_true(lowest >= 0);
    raw_close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptor_limit), 0);
    struct rlimit none = descriptor_limit;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

void give_descriptors_back(void) {
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptor_limit), 0);
}

/* Loops. */

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void run_until_count(fer_loop *loop, const size_t *count, size_t least) {
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    while (*count < least) {
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        if (now_ms() > end)
            fail_msg("%lu came of the %lu that were waited for", (unsigned long)*count,
                     (unsigned long)least);
    }
}

void run_beside(fer_loop *loop, int fd, short events) {
    struct pollfd polls[2] = {{fd, events, 0}, {-1, POLLIN, 0}};
    int64_t timeout = 0;
    assert_int_equal(fer_loop_fd(loop, &polls[1].fd), FER_OK);
    assert_int_equal(fer_loop_timeout(loop, &timeout), FER_OK);
    if (timeout < 0 || timeout > HARNESS_PATIENCE_MS)
        timeout = HARNESS_PATIENCE_MS;
    int ready = poll(polls, 2, (int)timeout);
    assert_true(ready >= 0);
    if (ready == 0 && timeout == HARNESS_PATIENCE_MS)
        fail_msg("neither the descriptor nor the loop was ready in time");
    if (polls[0].revents == 0)
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
}

void raw_receive_beside(fer_loop *loop, int fd, void *data, size_t size) {
    char *at = data;
    while (size > 0) {
        ssize_t got = raw_try_receive(fd, at, size);
        if (got == 0)
            fail_msg("the stream ended with %lu bytes missing", (unsigned long)size);
        if (got < 0) {
            run_beside(loop, fd, POLLIN);
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
}

void raw_send_beside(fer_loop *loop, int fd, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            run_beside(loop, fd, POLLOUT);
            continue;
        }
        at += sent;
        size -= (size_t)sent;
    }
}

size_t raw_drain_beside(fer_loop *loop, int fd) {
    static char rest[65536];
    size_t total = 0;
    for (;;) {
        ssize_t got = raw_try_receive(fd, rest, sizeof rest);
        if (got == 0)
            return total;
        if (got < 0)
            run_beside(loop, fd, POLLIN);
        else
            total += (size_t)got;
    }
}

void end_loop(fer_loop *loop) {
    assert_int_equal(fer_loop_close_objects(loop), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
}

/* Pipes. */

static fer_handle *open_pipe(fer_loop *loop, int fd) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fd), FER_OK);
    return pipe;
}

void pipe_pair(fer_loop *loop, fer_handle *pipes[2]) {
    int fds[2];
    raw_pair(fds);
    pipes[0] = open_pipe(loop, fds[0]);
    pipes[1] = open_pipe(loop, fds[1]);
}

int pipe_and_raw(fer_loop *loop, fer_handle **pipe) {
    int fds[2];
    raw_pair(fds);
    *pipe = open_pipe(loop, fds[0]);
    return fds[1];
}

/* Channels. */

const char *address_of(const char *name) {
    static char addresses[4][512];
    static unsigned next;
    char *address = addresses[next++ % 4];
    int used = snprintf(address, sizeof addresses[0], "pipe:%s", harness_path(name));
    assert_in_range(used, 1, sizeof addresses[0] - 1);
    return address;
}

fer_channel_options options_of(fer_wire wire) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.wire = (int32_t)wire;
    return options;
}

static void take_served(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    duo *pair = user;
    assert_ptr_equal(server, pair->server);
    assert_int_equal(status, FER_OK);
    assert_null(pair->served);
    pair->served = channel;
}

void duo_open(duo *pair, const fer_channel_options *client, const fer_channel_options *served) {
    duo_open_at(pair, address_of(FIXTURE_SOCKET), client, served);
}

void duo_open_at(duo *pair, const char *address, const fer_channel_options *client,
                 const fer_channel_options *served) {
    noted connected = {0};
    size_t size = sizeof pair->address;
    memset(pair, 0, sizeof *pair);
    assert_int_equal(fer_loop_new(&pair->loop), FER_OK);
    assert_int_equal(
        fer_server_listen(pair->loop, address, served, take_served, pair, NULL, &pair->server),
        FER_OK);
    assert_int_equal(fer_server_address(pair->server, pair->address, &size), FER_OK);
    assert_int_equal(fer_channel_connect(pair->loop, pair->address, client, note_connected,
                                         &connected, &pair->client),
                     FER_OK);
    assert_int_equal(connected.calls, 0);
    while (pair->served == NULL || connected.calls == 0)
        assert_int_equal(fer_loop_step(pair->loop, HARNESS_PATIENCE_MS), FER_OK);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_OK);
}

void duo_close(duo *pair) {
    fer_channel_unref(pair->client);
    fer_channel_unref(pair->served);
    fer_server_unref(pair->server);
    end_loop(pair->loop);
    memset(pair, 0, sizeof *pair);
}

void solo_meet(solo *half, const fer_channel_options *options, uint8_t *hello,
               const uint8_t *answer) {
    noted connected = {0};
    int listener = raw_listen(harness_path(FIXTURE_SOCKET));
    assert_int_equal(fer_loop_new(&half->loop), FER_OK);
    assert_int_equal(fer_channel_connect(half->loop, address_of(FIXTURE_SOCKET), options,
                                         note_connected, &connected, &half->channel),
                     FER_OK);
    assert_int_equal(connected.calls, 0);
    half->peer = raw_accept(listener);
    raw_close(listener);
    assert_int_equal(remove(harness_path(FIXTURE_SOCKET)), 0);
    if (options == NULL || options->wire == FER_WIRE_NATIVE) {
        raw_receive(half->peer, hello, HELLO_SIZE);
        raw_send(half->peer, answer, HELLO_SIZE);
    }
    harness_run_until(half->loop, &connected.calls);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_OK);
}

void solo_open(solo *half, const fer_channel_options *options) {
    uint8_t hello[HELLO_SIZE];
    solo_meet(half, options, hello, hello_bytes);
}

void solo_close(solo *half) {
    fer_channel_unref(half->channel);
    end_loop(half->loop);
}

/* FIFOs. */

const char *fifos(const char *in, const char *out) {
    static char addresses[4][512];
    static unsigned next;
    char *address = addresses[next++ % 4];
    snprintf(address, sizeof addresses[0], "fifo:%s,%s", harness_path(in), harness_path(out));
    return address;
}

void make_fifos(void) {
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    assert_int_equal(mkfifo(harness_path("out"), 0600), 0);
}

void remove_fifos(void) {
    assert_int_equal(unlink(harness_path("in")), 0);
    assert_int_equal(unlink(harness_path("out")), 0);
}
