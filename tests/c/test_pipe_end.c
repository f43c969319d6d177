/* Pipes: how they end. Closing anywhere and at any time, shutdown, peers that die, references. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

enum { LARGE = 4 << 20 };

static fer_loop *loop;
static uint8_t large[LARGE];

/* The order of the end. */

static void what_is_due_is_canceled_before_the_close(void **state) {
    (void)state;
    enum { WRITES = 20 };
    fer_handle *pipe = NULL;
    noted written[WRITES];
    noted shut = {0};
    noted closed[2] = {{0}, {0}};
    inbox box = {0};
    memset(written, 0, sizeof written);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    const fer_bytes bytes = {large, LARGE};
    const fer_bytes little = {large, 16};
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(pipe, &little, 1, note_stream, &written[0]), FER_OK);
    for (int i = 1; i < WRITES; i++)
        assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written[i]), FER_OK);
    assert_int_equal(fer_stream_shutdown(pipe, note_stream, &shut), FER_OK);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed[0]), FER_OK);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed[1]), FER_OK);
    assert_int_equal(box.finalized.calls, 1);
    assert_int_equal(written[0].calls + shut.calls + closed[0].calls + closed[1].calls, 0);
    fer_handle_unref(pipe);
    end_loop(loop);
    /* The kernel had the first. */
    assert_int_equal(written[0].status, FER_OK);
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(written[i].calls, 1);
        assert_int_equal(written[i].status, i == 0 ? FER_OK : FER_ECANCELED);
        assert_true(i == 0 || written[i].when > written[i - 1].when);
    }
    assert_int_equal(shut.calls, 1);
    assert_int_equal(shut.status, FER_ECANCELED);
    assert_true(shut.when > written[WRITES - 1].when);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(closed[i].calls, 1);
        assert_true(closed[i].when > shut.when);
    }
    assert_true(closed[1].when > closed[0].when);
    assert_int_equal(box.end.calls, 0);
    raw_close(raw);
    inbox_free(&box);
}

static void a_connect_is_canceled(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted connected = {0};
    noted closed = {0};
    int raw = raw_listen(harness_path("p"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(
        fer_pipe_connect(pipe, harness_path("p"), FER_ZSTRING, note_stream, &connected), FER_OK);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed), FER_OK);
    assert_int_equal(connected.calls, 0);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_ECANCELED);
    assert_int_equal(closed.calls, 1);
    assert_true(closed.when > connected.when);
    raw_close(raw);
    assert_int_equal(unlink(harness_path("p")), 0);
}

/* Closing inside each callback: the callback in which it is done, and the close callback. */

typedef struct suicide {
    noted done;
    noted closed;
    noted again;
    noted finalized;
} suicide;

static void close_again(fer_handle *handle, void *user) {
    suicide *one = user;
    note(&one->closed, FER_OK);
    assert_true(fer_handle_is_closing(handle));
    assert_int_equal(fer_handle_close(handle, note_handle_closed, &one->again), FER_OK);
    assert_int_equal(one->again.calls, 0);
}

static void end_here(fer_handle *handle, suicide *one, fer_status status) {
    note(&one->done, status);
    assert_int_equal(fer_handle_close(handle, close_again, one), FER_OK);
    fer_handle_unref(handle);
    assert_int_equal(one->closed.calls + one->finalized.calls, 0);
}

static void end_in_stream(fer_handle *handle, fer_status status, void *user) {
    end_here(handle, user, status);
}

static void end_in_read(fer_handle *handle, fer_status status, const void *data, size_t size,
                        void *user) {
    end_here(handle, user, status);
    /* The bytes are there until the call returns. */
    if (status == FER_OK)
        assert_memory_equal(data, "bytes", size);
}

static void suicide_finalized(void *user) {
    suicide *one = user;
    note(&one->finalized, FER_OK);
}

static void expect_suicide(suicide *one, fer_status status, int finalized) {
    while (one->again.calls == 0)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    assert_int_equal(one->done.calls, 1);
    assert_int_equal(one->done.status, status);
    assert_int_equal(one->closed.calls, 1);
    assert_int_equal(one->again.calls, 1);
    assert_int_equal(one->finalized.calls, finalized);
    assert_true(one->closed.when > one->done.when && one->again.when > one->closed.when);
    assert_true(!finalized || one->finalized.when < one->closed.when);
    memset(one, 0, sizeof *one);
}

static void close_inside_the_callbacks_of_a_connection(void **state) {
    (void)state;
    static suicide one;
    fer_handle *pipe = NULL;
    const fer_bytes bytes = {"bytes", 5};
    assert_int_equal(fer_loop_new(&loop), FER_OK);

    int raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_read_start(pipe, end_in_read, &one, suicide_finalized), FER_OK);
    raw_send(raw, "bytes", 5);
    expect_suicide(&one, FER_OK, 1);
    raw_close(raw);

    raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_read_start(pipe, end_in_read, &one, suicide_finalized), FER_OK);
    raw_close(raw);
    expect_suicide(&one, FER_EOF, 1);

    raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, end_in_stream, &one), FER_OK);
    expect_suicide(&one, FER_OK, 0);
    raw_close(raw);

    raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_shutdown(pipe, end_in_stream, &one), FER_OK);
    expect_suicide(&one, FER_OK, 0);
    raw_close(raw);
    end_loop(loop);
}

static void close_in_finalizer(void *user) {
    assert_int_equal(fer_handle_close(user, NULL, NULL), FER_OK);
    fer_handle_unref(user);
}

static void close_inside_the_callbacks_of_opening(void **state) {
    (void)state;
    static suicide one;
    fer_handle *pipe = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);

    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_connect(pipe, "/nowhere", FER_ZSTRING, end_in_stream, &one), FER_OK);
    expect_suicide(&one, FER_ENOENT, 0);

    /* A listener with three that wait. */
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("p"), FER_ZSTRING, NULL), FER_OK);
    int raw[3];
    for (int i = 0; i < 3; i++)
        raw[i] = raw_connect(harness_path("p"));
    assert_int_equal(fer_stream_listen(pipe, 0, end_in_stream, &one, suicide_finalized), FER_OK);
    expect_suicide(&one, FER_OK, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(raw_drain(raw[i]), 0);
        raw_close(raw[i]);
    }

    int other = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, pipe, close_in_finalizer), FER_OK);
    assert_int_equal(fer_stream_read_stop(pipe), FER_OK);
    raw_close(other);
    end_loop(loop);
}

typedef struct pair_end {
    fer_handle *pipes[2];
    noted first;
} pair_end;

static void close_both(fer_handle *stream, fer_status status, void *user) {
    pair_end *both = user;
    assert_non_null(stream);
    note(&both->first, status);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fer_handle_close(both->pipes[i], NULL, NULL), FER_OK);
        fer_handle_unref(both->pipes[i]);
    }
}

/* The other pipe has callbacks due in the same turn. */
static void a_callback_closes_another_pipe(void **state) {
    (void)state;
    pair_end both;
    noted second = {0};
    const fer_bytes bytes = {"bytes", 5};
    memset(&both, 0, sizeof both);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    pipe_pair(loop, both.pipes);
    assert_int_equal(fer_stream_write(both.pipes[0], &bytes, 1, close_both, &both), FER_OK);
    assert_int_equal(fer_stream_write(both.pipes[1], &bytes, 1, note_stream, &second), FER_OK);
    end_loop(loop);
    assert_int_equal(both.first.calls, 1);
    assert_int_equal(second.calls, 1);
}

/* Shutdown, and peers that are gone. */

static void shutdown_ends_one_direction(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted shut = {0};
    noted written = {0};
    inbox box = {0};
    size_t count = 0;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    const fer_bytes bytes = {large, LARGE};
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written), FER_OK);
    assert_int_equal(fer_stream_shutdown(pipe, note_stream, &shut), FER_OK);
    assert_int_equal(fer_stream_shutdown(pipe, note_stream, &shut), FER_EALREADY);
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written), FER_EPIPE);
    assert_int_equal(fer_stream_try_write(pipe, &bytes, 1, &count), FER_EPIPE);
    assert_false(fer_stream_is_writable(pipe));
    assert_true(fer_stream_is_readable(pipe));
    assert_int_equal(raw_drain_beside(loop, raw), LARGE);
    harness_run_until(loop, &shut.calls);
    assert_int_equal(shut.status, FER_OK);
    assert_int_equal(written.calls, 1);
    assert_true(written.when < shut.when);
    /* The other direction goes on. */
    raw_send(raw, "late", 4);
    run_until_count(loop, &box.size, 4);
    raw_close(raw);
    harness_run_until(loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_EOF);
    assert_int_equal(box.finalized.calls, 1);
    assert_false(fer_stream_is_readable(pipe));
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, NULL), FER_EOF);
    fer_handle_unref(pipe);
    end_loop(loop);
    inbox_free(&box);
}

static void writing_to_a_peer_that_is_gone_fails(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted waiting[2] = {{0}, {0}};
    noted shut = {0};
    noted refused = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    const fer_bytes bytes = {large, LARGE};
    int raw = pipe_and_raw(loop, &pipe);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &waiting[i]), FER_OK);
    raw_close(raw);
    harness_run_until(loop, &waiting[1].calls);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waiting[i].calls, 1);
        assert_true(waiting[i].status == FER_EPIPE || waiting[i].status == FER_ECONNRESET);
    }
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &refused), waiting[0].status);
    assert_false(fer_stream_is_writable(pipe));
    /* A shutdown has an end, too. */
    assert_int_equal(fer_stream_shutdown(pipe, note_stream, &shut), FER_OK);
    harness_run_until(loop, &shut.calls);
    assert_int_equal(shut.status, waiting[0].status);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(shut.calls, 1);
    assert_int_equal(refused.calls, 0);
}

/* A shutdown waits behind writes that fail. */
static void a_shutdown_behind_a_failed_write_fails(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted written = {0};
    noted shut = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    const fer_bytes bytes = {large, LARGE};
    int raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written), FER_OK);
    assert_int_equal(fer_stream_shutdown(pipe, note_stream, &shut), FER_OK);
    raw_close(raw);
    harness_run_until(loop, &shut.calls);
    assert_int_equal(written.calls, 1);
    assert_int_not_equal(written.status, FER_OK);
    assert_int_equal(shut.status, written.status);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(shut.calls, 1);
}

/* As the real thing: another process, which is killed while it writes. */
static int write_for_ever(int argc, char **argv) {
    char bytes[4096];
    (void)argc;
    (void)argv;
    memset(bytes, 'x', sizeof bytes);
    if (fcntl(3, F_SETFL, 0) != 0)
        return 2;
    while (send(3, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
    }
    return 1;
}

static void a_killed_writer_ends_the_stream(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    harness_child child;
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    harness_spawn(&child, "write_for_ever", raw, NULL);
    raw_close(raw);
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    run_until_count(loop, &box.size, 100000);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    harness_run_until(loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_EOF);
    assert_int_equal(harness_wait(&child), -SIGKILL);
    for (size_t i = 0; i < box.size; i++)
        assert_int_equal(box.bytes[i], 'x');
    fer_handle_unref(pipe);
    end_loop(loop);
    inbox_free(&box);
}

/* References. */

static void the_last_reference_closes(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted written = {0};
    noted finalized = {0};
    noted replaced = {0};
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    const fer_bytes bytes = {large, LARGE};
    assert_int_equal(fer_handle_set_data(pipe, &replaced, note_finalized), FER_OK);
    assert_ptr_equal(fer_handle_data(pipe), &replaced);
    assert_int_equal(fer_handle_set_data(pipe, &finalized, note_finalized), FER_OK);
    assert_int_equal(replaced.calls, 1);
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(pipe, &bytes, 1, note_stream, &written), FER_OK);
    assert_ptr_equal(fer_handle_ref(pipe), pipe);
    fer_handle_unref(pipe);
    assert_false(fer_handle_is_closing(pipe));
    fer_handle_unref(pipe);
    assert_int_equal(box.finalized.calls, 1);
    assert_int_equal(written.calls, 0);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(written.calls, 1);
    assert_int_equal(written.status, FER_ECANCELED);
    assert_int_equal(finalized.calls, 1);
    assert_true(finalized.when > written.when);
    (void)raw_drain(raw);
    raw_close(raw);
    end_loop(loop);
}

static void what_does_not_hold_the_loop_does_not_hold_it(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    inbox box = {0};
    noted closed = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    assert_true(fer_handle_holds_loop(pipe));
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_handle_hold_loop(pipe, 0), FER_OK);
    assert_false(fer_handle_holds_loop(pipe));
    assert_false(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_handle_hold_loop(pipe, 1), FER_OK);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_handle_hold_loop(pipe, 0), FER_OK);
    /* The end of a close is waited for in any case. */
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(closed.calls, 1);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(what_is_due_is_canceled_before_the_close),
        HARNESS_TEST(a_connect_is_canceled),
        HARNESS_TEST(close_inside_the_callbacks_of_a_connection),
        HARNESS_TEST(close_inside_the_callbacks_of_opening),
        HARNESS_TEST(a_callback_closes_another_pipe),
        HARNESS_TEST(shutdown_ends_one_direction),
        HARNESS_TEST(writing_to_a_peer_that_is_gone_fails),
        HARNESS_TEST(a_shutdown_behind_a_failed_write_fails),
        HARNESS_TEST(a_killed_writer_ends_the_stream),
        HARNESS_TEST(the_last_reference_closes),
        HARNESS_TEST(what_does_not_hold_the_loop_does_not_hold_it),
    };
    const harness_helper helpers[] = {{"write_for_ever", write_for_ever}, {NULL, NULL}};
    return HARNESS_MAIN("pipe_end", tests, helpers, argc, argv);
}
