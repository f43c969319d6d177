/* Handles that cannot be passed, or not taken: limits, other threads, the wrong time. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

enum { FEW = 5 };

/** What came over a pipe; handles are left waiting. */
typedef struct catch {
    size_t bytes;
    noted end;
    noted finalized;
}
catch;

static void on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                     fer_kind pending, void *user) {
    catch *to = user;
    (void)data;
    assert_int_equal(pending, fer_pipe_pending_kind(pipe));
    if (status != FER_OK)
        note(&to->end, status);
    else
        to->bytes += size;
}

static void on_finalized(void *user) {
    note_finalized(&((catch *)user)->finalized);
}

static fer_handle *bound_udp(fer_loop *loop) {
    fer_handle *udp = NULL;
    assert_int_equal(fer_udp_new(loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    return udp;
}

/** Leave room for so many descriptors; gives the limits as they were. */
static struct rlimit leave_room(size_t room) {
    struct rlimit limit;
    struct rlimit tight;
    size_t free_numbers = 0;
    int number = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    while (free_numbers < room || fcntl(number, F_GETFD) != -1) {
        if (fcntl(number, F_GETFD) == -1)
            free_numbers++;
        number++;
    }
    tight = limit;
    tight.rlim_cur = (rlim_t)number;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    return limit;
}

/* The kernel puts some of them into this process; then nobody gets any. */

static void receive_with_room_for(size_t room) {
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    catch caught = {0};
    int handles[FEW];
    int fds[2];
    raw_pair(fds);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, FER_PIPE_IPC, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
    assert_int_equal(fer_pipe_read_start2(pipe, on_read2, &caught, on_finalized), FER_OK);
    for (int i = 0; i < FEW; i++)
        handles[i] = fds[1];
    raw_send_handles(fds[1], "first", 5, handles, 1);
    run_until_count(loop, &caught.bytes, 5);
    assert_int_equal(fer_pipe_pending_count(pipe), 1);
    const size_t before = harness_count_descriptors();
    raw_send_handles(fds[1], "second", 6, handles, FEW);
    struct rlimit limit = leave_room(room);
    while (caught.end.calls == 0 && caught.bytes == 5)
        assert_int_equal(fer_loop_step(loop, -1), FER_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (room >= FEW) {
        assert_int_equal(caught.bytes, 11);
        assert_int_equal(fer_pipe_pending_count(pipe), 1 + FEW);
        assert_int_equal(harness_count_descriptors(), before + FEW);
    } else {
        assert_int_equal(caught.end.status, FER_EMFILE);
        assert_int_equal(caught.bytes, 5);
        /* None of the second write's is here, nor open; that of the first is as it was. */
        assert_int_equal(fer_pipe_pending_count(pipe), 1);
        assert_int_equal(harness_count_descriptors(), before);
    }
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(caught.finalized.calls, 1);
    raw_close(fds[1]);
}

static void nothing_is_half_delivered(void **state) {
    (void)state;
    for (size_t room = 0; room <= FEW; room++)
        receive_with_room_for(room);
}

/* Loops and threads. */

static void a_handle_of_another_loop_is_passed_and_taken(void **state) {
    fer_loop *here = NULL;
    fer_loop *there = NULL;
    fer_handle *a = NULL;
    fer_handle *b = NULL;
    fer_handle *taken = NULL;
    catch caught = {0};
    const fer_bytes part = piece("h", 1);
    (void)state;
    assert_int_equal(fer_loop_new(&here), FER_OK);
    assert_int_equal(fer_loop_new(&there), FER_OK);
    assert_int_equal(fer_pipe_pair(here, FER_PIPE_IPC, &a, &b), FER_OK);
    fer_handle *udp = bound_udp(there);
    assert_int_equal(fer_pipe_read_start2(b, on_read2, &caught, on_finalized), FER_OK);
    assert_int_equal(fer_pipe_pass(a, &part, 1, udp, NULL, NULL), FER_OK);
    run_until_count(here, &caught.bytes, 1);
    assert_int_equal(fer_udp_new(there, 0, &taken), FER_OK);
    assert_int_equal(fer_stream_accept(b, taken), FER_OK);
    assert_ptr_equal(fer_handle_loop(taken), there);
    fer_handle_unref(a);
    fer_handle_unref(b);
    fer_handle_unref(udp);
    fer_handle_unref(taken);
    end_loop(here);
    end_loop(there);
}

/** A loop of another thread, and on it a bound socket and a new one. */
typedef struct elsewhere {
    pthread_barrier_t meet;
    fer_handle *bound;
    fer_handle *fresh;
    int failed;
} elsewhere;

static void *live_elsewhere(void *user) {
    elsewhere *other = user;
    fer_loop *loop = NULL;
    /* No assertions: this is no thread of a test. */
    other->failed = fer_loop_new(&loop) != FER_OK ||
                    fer_udp_new(loop, 0, &other->bound) != FER_OK ||
                    fer_udp_bind(other->bound, "127.0.0.1", 0, 0) != FER_OK ||
                    fer_udp_new(loop, 0, &other->fresh) != FER_OK;
    pthread_barrier_wait(&other->meet);
    pthread_barrier_wait(&other->meet);
    fer_handle_unref(other->bound);
    fer_handle_unref(other->fresh);
    if (fer_loop_run(loop) != FER_OK || fer_loop_close(loop) != FER_OK)
        other->failed = 1;
    fer_loop_unref(loop);
    return NULL;
}

static void a_handle_of_another_thread_is_refused(void **state) {
    fer_loop *loop = NULL;
    fer_handle *a = NULL;
    fer_handle *b = NULL;
    catch caught = {0};
    noted never = {0};
    elsewhere other = {.failed = 0};
    pthread_t thread;
    const fer_bytes part = piece("h", 1);
    (void)state;
    assert_int_equal(pthread_barrier_init(&other.meet, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, live_elsewhere, &other), 0);
    pthread_barrier_wait(&other.meet);
    assert_false(other.failed);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_pair(loop, FER_PIPE_IPC, &a, &b), FER_OK);
    fer_handle *udp = bound_udp(loop);
    assert_int_equal(fer_pipe_read_start2(b, on_read2, &caught, on_finalized), FER_OK);
    assert_int_equal(fer_pipe_pass(a, &part, 1, other.bound, note_stream, &never), FER_ETHREAD);
    assert_int_equal(fer_pipe_pass(a, &part, 1, udp, NULL, NULL), FER_OK);
    run_until_count(loop, &caught.bytes, 1);
    assert_int_equal(fer_stream_accept(b, other.fresh), FER_ETHREAD);
    assert_int_equal(fer_pipe_pending_count(b), 1);
    pthread_barrier_wait(&other.meet);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&other.meet), 0);
    assert_false(other.failed);
    fer_handle_unref(a);
    fer_handle_unref(b);
    fer_handle_unref(udp);
    end_loop(loop);
    assert_int_equal(never.calls, 0);
}

/* The wrong time. */

static void after_the_end_nothing_is_passed(void **state) {
    fer_loop *loop = NULL;
    fer_handle *a = NULL;
    fer_handle *b = NULL;
    noted never = {0};
    const fer_bytes part = piece("h", 1);
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *udp = bound_udp(loop);
    assert_int_equal(fer_pipe_pair(loop, FER_PIPE_IPC, &a, &b), FER_OK);
    assert_int_equal(fer_stream_shutdown(a, NULL, NULL), FER_OK);
    assert_int_equal(fer_pipe_pass(a, &part, 1, udp, note_stream, &never), FER_EPIPE);
    assert_int_equal(fer_pipe_pass_fd(a, &part, 1, 0, note_stream, &never), FER_EPIPE);
    assert_int_equal(fer_handle_close(a, NULL, NULL), FER_OK);
    assert_int_equal(fer_pipe_pass(a, &part, 1, udp, note_stream, &never), FER_ECLOSED);
    assert_int_equal(fer_pipe_pass_fd(a, &part, 1, 0, note_stream, &never), FER_ECLOSED);
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    assert_int_equal(fer_pipe_pass(b, &part, 1, udp, note_stream, &never), FER_EPIPE);
    fer_handle_unref(a);
    fer_handle_unref(b);
    fer_handle_unref(udp);
    end_loop(loop);
    assert_int_equal(never.calls, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(nothing_is_half_delivered),
        HARNESS_TEST(a_handle_of_another_loop_is_passed_and_taken),
        HARNESS_TEST(a_handle_of_another_thread_is_refused),
        HARNESS_TEST(after_the_end_nothing_is_passed),
    };
    return HARNESS_MAIN("passing_bad", tests, NULL, argc, argv);
}
