/* Pipes: connecting, reading and writing. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"

static fer_loop *loop;

static void write_text(fer_handle *pipe, const char *text) {
    const fer_bytes bytes = {text, strlen(text)};
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, NULL, NULL), FER_OK);
}

/* Connecting. */

typedef struct host {
    fer_handle *taken;
    int came;
} host;

static void take(fer_handle *listener, fer_status status, void *user) {
    host *at = user;
    assert_int_equal(status, FER_OK);
    assert_int_equal(fer_pipe_new(fer_handle_loop(listener), 0, &at->taken), FER_OK);
    assert_int_equal(fer_stream_accept(listener, at->taken), FER_OK);
    at->came++;
}

static fer_handle *listen_at(const char *path, fer_connection_cb cb, void *user) {
    fer_handle *listener = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &listener), FER_OK);
    assert_int_equal(fer_pipe_bind(listener, path, FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(listener, 0, cb, user, NULL), FER_OK);
    return listener;
}

static fer_handle *connect_to(const char *path, noted *connected) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_connect(pipe, path, FER_ZSTRING, note_stream, connected), FER_OK);
    assert_int_equal(connected->calls, 0);
    return pipe;
}

static void a_pipe_connects_and_carries_bytes_both_ways(void **state) {
    (void)state;
    host at = {NULL, 0};
    noted connected = {0};
    inbox boxes[2] = {{0}, {0}};
    const char *path = harness_path("p");
    fer_fd fd = -1;
    char name[256];
    size_t size = sizeof name;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *listener = listen_at(path, take, &at);
    fer_handle *client = connect_to(path, &connected);
    assert_false(fer_stream_is_writable(client));
    harness_run_until(loop, &connected.calls);
    harness_run_until(loop, &at.came);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_OK);
    assert_int_equal(at.came, 1);

    assert_int_equal(fer_handle_kind(client), FER_KIND_PIPE);
    assert_ptr_equal(fer_handle_loop(client), loop);
    assert_int_equal(fer_handle_fileno(client, &fd), FER_OK);
    assert_true(fcntl((int)fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fer_stream_is_readable(client) && fer_stream_is_writable(client));
    assert_int_equal(fer_pipe_getpeername(client, name, &size), FER_OK);
    assert_string_equal(name, path);
    assert_int_equal(size, strlen(path));
    size = sizeof name;
    assert_int_equal(fer_pipe_getsockname(client, name, &size), FER_OK);
    assert_int_equal(size, 0);
    assert_string_equal(name, "");
    size = strlen(path);
    assert_int_equal(fer_pipe_getsockname(at.taken, name, &size), FER_ENOBUFS);
    assert_int_equal(size, strlen(path) + 1);
    assert_int_equal(fer_pipe_getsockname(at.taken, name, &size), FER_OK);
    assert_string_equal(name, path);

    assert_int_equal(fer_stream_read_start(client, inbox_read, &boxes[0], inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_read_start(at.taken, inbox_read, &boxes[1], inbox_finalized),
                     FER_OK);
    write_text(client, "ping");
    write_text(at.taken, "pong!");
    run_until_count(loop, &boxes[0].size, 5);
    run_until_count(loop, &boxes[1].size, 4);
    assert_memory_equal(boxes[0].bytes, "pong!", 5);
    assert_memory_equal(boxes[1].bytes, "ping", 4);
    fer_handle_unref(client);
    fer_handle_unref(at.taken);
    fer_handle_unref(listener);
    end_loop(loop);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(boxes[i].finalized.calls, 1);
        inbox_free(&boxes[i]);
    }
}

static void a_connection_waits_until_it_is_accepted(void **state) {
    (void)state;
    noted connection = {0};
    noted connected[3] = {{0}, {0}, {0}};
    fer_handle *clients[3];
    fer_handle *taken = NULL;
    fer_loop *other = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_new(&other), FER_OK);
    fer_handle *listener = listen_at(harness_path("p"), note_connection, &connection);
    for (int i = 0; i < 3; i++)
        clients[i] = connect_to(harness_path("p"), &connected[i]);
    for (int i = 0; i < 3; i++)
        harness_run_until(loop, &connected[i].calls);
    harness_run_until(loop, &connection.calls);
    for (int i = 0; i < 3; i++) {
        /* The first two on another loop of this thread. */
        assert_int_equal(fer_pipe_new(i < 2 ? other : loop, 0, &taken), FER_OK);
        assert_int_equal(fer_stream_accept(listener, taken), FER_OK);
        assert_int_equal(fer_stream_accept(listener, taken), FER_EISCONN);
        write_text(clients[i], "x");
        inbox box = {0};
        assert_int_equal(fer_stream_read_start(taken, inbox_read, &box, inbox_finalized), FER_OK);
        run_until_count(fer_handle_loop(taken), &box.size, 1);
        fer_handle_unref(taken);
        inbox_free(&box);
    }
    assert_int_equal(fer_pipe_new(loop, 0, &taken), FER_OK);
    assert_int_equal(fer_stream_accept(listener, taken), FER_EAGAIN);
    /* The listener goes on. */
    int calls = connection.calls;
    int raw = raw_connect(harness_path("p"));
    while (connection.calls == calls)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    assert_int_equal(fer_stream_accept(listener, taken), FER_OK);
    raw_close(raw);
    for (int i = 0; i < 3; i++)
        fer_handle_unref(clients[i]);
    fer_handle_unref(taken);
    fer_handle_unref(listener);
    end_loop(loop);
    end_loop(other);
}

static void a_failed_connect_says_why_and_can_be_repeated(void **state) {
    (void)state;
    host at = {NULL, 0};
    noted connected = {0};
    fer_handle *pipe = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    /* Nothing, a deserted socket, and a file of another sort. */
    raw_close(raw_listen(harness_path("deserted")));
    FILE *file = fopen(harness_path("file"), "w");
    assert_non_null(file);
    fclose(file);
    static const struct {
        const char *name;
        fer_status status;
    } examples[] = {
        {"none", FER_ENOENT},
        {"deserted", FER_ECONNREFUSED},
        {"file", FER_ENOTSOCK},
        {"file/below", FER_ENOTDIR},
    };
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        connected.calls = 0;
        assert_int_equal(fer_pipe_connect(pipe, harness_path(examples[i].name), FER_ZSTRING,
                                          note_stream, &connected),
                         FER_OK);
        assert_int_equal(connected.calls, 0);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.calls, 1);
        assert_int_equal(connected.status, examples[i].status);
    }
    fer_handle *listener = listen_at(harness_path("p"), take, &at);
    connected.calls = 0;
    assert_int_equal(
        fer_pipe_connect(pipe, harness_path("p"), FER_ZSTRING, note_stream, &connected), FER_OK);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    fer_handle_unref(pipe);
    fer_handle_unref(listener);
    end_loop(loop);
    fer_handle_unref(at.taken);
    assert_int_equal(remove(harness_path("deserted")), 0);
    assert_int_equal(remove(harness_path("file")), 0);
}

/* Writing. */

enum { MANY = 1000 };
#define MANY_SIZE ((size_t)3001)

typedef struct order {
    int next; /* completion that is due */
    noted last;
} order;

typedef struct write_note {
    order *all;
    int number;
} write_note;

static void note_in_order(fer_handle *stream, fer_status status, void *user) {
    write_note *one = user;
    assert_non_null(stream);
    assert_int_equal(status, FER_OK);
    assert_int_equal(one->number, one->all->next);
    one->all->next++;
    note(&one->all->last, status);
}

static void a_thousand_writes_without_waiting(void **state) {
    (void)state;
    static write_note notes[MANY];
    order all = {0, {0}};
    fer_handle *pipes[2];
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    pipe_pair(loop, pipes);
    uint8_t *data = filled(MANY * MANY_SIZE, 1);
    for (size_t i = 0; i < MANY; i++) {
        const fer_bytes parts[2] = {{data + i * MANY_SIZE, 1},
                                    {data + i * MANY_SIZE + 1, MANY_SIZE - 1}};
        notes[i].all = &all;
        notes[i].number = (int)i;
        assert_int_equal(fer_stream_write(pipes[0], parts, 2, note_in_order, &notes[i]), FER_OK);
        assert_int_equal(all.next, 0);
    }
    assert_true(fer_stream_write_queue_size(pipes[0]) > 0);
    assert_int_equal(fer_stream_read_start(pipes[1], inbox_read, &box, inbox_finalized), FER_OK);
    run_until_count(loop, &box.size, MANY * MANY_SIZE);
    while (all.next < MANY)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    assert_filled(box.bytes, box.size, 1);
    assert_int_equal(fer_stream_write_queue_size(pipes[0]), 0);
    fer_handle_unref(pipes[0]);
    fer_handle_unref(pipes[1]);
    end_loop(loop);
    assert_int_equal(all.next, MANY);
    inbox_free(&box);
    free(data);
}

static void bytes_without_a_callback_are_copied(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    enum { SIZE = 1 << 20, ROUNDS = 5 };
    static uint8_t got[SIZE];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    uint8_t *data = malloc(SIZE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const fer_bytes bytes = {data, SIZE};
        fill(data, SIZE, i);
        assert_int_equal(fer_stream_write(pipe, &bytes, 1, NULL, NULL), FER_OK);
        memset(data, 0xee, SIZE);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        raw_receive_beside(loop, raw, got, SIZE);
        assert_filled(got, SIZE, i);
    }
    free(data);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
}

static void bytes_with_a_callback_are_not_copied(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted written = {0};
    enum { SIZE = 8 << 20 };
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    uint8_t *data = filled(SIZE, 1);
    uint8_t *got = malloc(SIZE);
    const fer_bytes bytes = {data, SIZE};
    const size_t before = harness_memory_now().bytes;
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written), FER_OK);
    assert_true(harness_memory_now().bytes - before < 4096);
    /* The peer has read a part; the rest is taken from where it was. */
    raw_receive_beside(loop, raw, got, SIZE / 2);
    assert_int_equal(written.calls, 0);
    assert_true(fer_stream_write_queue_size(pipe) > 0);
    fill(data + SIZE - 4, 4, 2);
    raw_receive_beside(loop, raw, got + SIZE / 2, SIZE / 2);
    harness_run_until(loop, &written.calls);
    assert_int_equal(written.status, FER_OK);
    assert_memory_equal(got, data, SIZE);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
    free(got);
    free(data);
}

static void writes_of_nothing_and_of_many_pieces(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted nothing = {0};
    noted empty = {0};
    noted many = {0};
    enum { PIECES = 1500 };
    static fer_bytes pieces[PIECES];
    uint8_t got[PIECES];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    uint8_t *data = filled(PIECES, 3);
    const fer_bytes none = {NULL, 0};
    assert_int_equal(fer_stream_write(pipe, NULL, 0, note_stream, &nothing), FER_OK);
    assert_int_equal(fer_stream_write(pipe, &none, 1, note_stream, &empty), FER_OK);
    assert_int_equal(nothing.calls + empty.calls, 0);
    harness_run_until(loop, &empty.calls);
    assert_int_equal(nothing.calls, 1);
    assert_true(nothing.when < empty.when);
    for (int i = 0; i < PIECES; i++)
        pieces[i] = piece(data + i, 1);
    assert_int_equal(fer_stream_write(pipe, pieces, PIECES, note_stream, &many), FER_OK);
    raw_receive_beside(loop, raw, got, PIECES);
    assert_filled(got, PIECES, 3);
    harness_run_until(loop, &many.calls);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
    free(data);
}

static void try_write_takes_what_the_kernel_takes(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    enum { SIZE = 8 << 20 };
    size_t written = 1;
    size_t total = 0;
    char first;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    uint8_t *data = filled(SIZE, 4);
    fer_status status = FER_OK;
    while (status == FER_OK) {
        const fer_bytes bytes = {data + total, SIZE - total};
        status = fer_stream_try_write(pipe, &bytes, 1, &written);
        assert_true(status != FER_OK || written > 0);
        total += written;
        assert_true(total < SIZE);
    }
    assert_int_equal(status, FER_EAGAIN);
    assert_int_equal(written, 0);
    assert_int_equal(fer_stream_write_queue_size(pipe), 0);
    uint8_t *got = malloc(total);
    raw_receive(raw, got, total);
    assert_filled(got, total, 4);
    free(got);
    free(data);
    /* Not ahead of what waits. */
    const size_t large = 2 << 20;
    data = filled(large, 5);
    const fer_bytes waits = {data, large};
    const fer_bytes ahead = {"!", 1};
    assert_int_equal(fer_stream_write(pipe, &waits, 1, NULL, NULL), FER_OK);
    raw_receive(raw, &first, 1);
    assert_int_equal(fer_stream_try_write(pipe, &ahead, 1, &written), FER_EAGAIN);
    /* Empty pieces do not hide those behind them. */
    static fer_bytes pieces[200];
    pieces[199] = ahead;
    got = malloc(large);
    raw_receive_beside(loop, raw, got, large - 1);
    assert_int_equal(fer_stream_try_write(pipe, pieces, 200, &written), FER_OK);
    assert_int_equal(written, 1);
    for (int i = 0; i < 200; i++)
        pieces[i] = ahead;
    assert_int_equal(fer_stream_try_write(pipe, pieces, 200, &written), FER_OK);
    assert_in_range(written, 1, 200);
    free(got);
    free(data);
    raw_close(raw);
    status = fer_stream_try_write(pipe, &ahead, 1, &written);
    assert_true(status == FER_EPIPE || status == FER_ECONNRESET);
    assert_false(fer_stream_is_writable(pipe));
    fer_handle_unref(pipe);
    end_loop(loop);
}

/* Reading. */

static void stop_after_some(fer_handle *stream, fer_status status, const void *data, size_t size,
                            void *user) {
    inbox *box = user;
    inbox_read(stream, status, data, size, box);
    if (status == FER_OK) {
        assert_int_equal(fer_stream_read_stop(stream), FER_OK);
        /* The finalizer waits for the end of this call. */
        assert_int_equal(box->finalized.calls, 0);
    }
}

static void nothing_is_lost_while_reading_stops(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    enum { SIZE = 2 << 20 };
    size_t sent = 0;
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    uint8_t *data = filled(SIZE, 6);
    int rounds = 0;
    while (box.size < SIZE) {
        ssize_t now = sent < SIZE ? send(raw, data + sent, SIZE - sent, MSG_DONTWAIT) : 0;
        sent += now > 0 ? (size_t)now : 0;
        const int before = box.batches;
        box.finalized.calls = 0;
        assert_int_equal(fer_stream_read_start(pipe, stop_after_some, &box, inbox_finalized),
                         FER_OK);
        while (box.batches == before)
            assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        assert_int_equal(box.batches, before + 1);
        assert_int_equal(box.finalized.calls, 1);
        rounds++;
    }
    assert_true(rounds > 1);
    assert_filled(box.bytes, SIZE, 6);
    assert_int_equal(fer_stream_read_stop(pipe), FER_OK);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
    inbox_free(&box);
    free(data);
}

static void the_blocking_mode_of_a_descriptor_stays(void **state) {
    (void)state;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2];
        fer_handle *pipe = NULL;
        inbox box = {0};
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        raw_pair(fds);
        int copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        assert_int_equal(fcntl(copy, F_SETFL, nonblocking ? O_NONBLOCK : 0), 0);
        assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
        assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
        assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_EISCONN);
        assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
        raw_send(fds[1], "x", 1);
        run_until_count(loop, &box.size, 1);
        write_text(pipe, "y");
        assert_int_equal((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0, nonblocking);
        fer_handle_unref(pipe);
        end_loop(loop);
        assert_int_equal((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0, nonblocking);
        raw_close(copy);
        raw_close(fds[1]);
        inbox_free(&box);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_pipe_connects_and_carries_bytes_both_ways),
        HARNESS_TEST(a_connection_waits_until_it_is_accepted),
        HARNESS_TEST(a_failed_connect_says_why_and_can_be_repeated),
        HARNESS_TEST(a_thousand_writes_without_waiting),
        HARNESS_TEST(bytes_without_a_callback_are_copied),
        HARNESS_TEST(bytes_with_a_callback_are_not_copied),
        HARNESS_TEST(writes_of_nothing_and_of_many_pieces),
        HARNESS_TEST(try_write_takes_what_the_kernel_takes),
        HARNESS_TEST(nothing_is_lost_while_reading_stops),
        HARNESS_TEST(the_blocking_mode_of_a_descriptor_stays),
    };
    return HARNESS_MAIN("pipe", tests, NULL, argc, argv);
}
