/* Loops of their own: running, stopping, posting, closing. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static void a_loop_closes(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_non_null(loop);
    assert_false(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    assert_ptr_equal(fer_loop_ref(loop), loop);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    assert_false(fer_loop_is_alive(loop));
    fer_loop_unref(loop);
    assert_int_equal(fer_loop_run(loop), FER_ECLOSED);
    fer_loop_unref(loop);
    fer_loop_unref(NULL);
    assert_null(fer_loop_ref(NULL));
    assert_int_equal(fer_loop_new(NULL), FER_EINVAL);
    assert_false(fer_loop_is_alive(NULL));
}

/* Posting. */

enum { THREADS = 4, POSTS = 2000 };

typedef struct poster {
    fer_loop *loop;
    pthread_t thread;
    fer_status status;
    int ran; /* of its posts */
    int in_order;
    size_t *total; /* of all */
} poster;

typedef struct parcel {
    poster *from;
    int number;
} parcel;

static void on_parcel(fer_loop *loop, fer_status status, void *user) {
    parcel *one = user;
    assert_ptr_equal(loop, one->from->loop);
    assert_int_equal(status, FER_OK);
    if (one->number != one->from->ran++)
        one->from->in_order = 0;
    ++*one->from->total;
    free(one);
}

static void *post_many(void *user) {
    poster *from = user;
    for (int i = 0; i < POSTS && from->status == FER_OK; i++) {
        parcel *made = malloc(sizeof *made);
        made->from = from;
        made->number = i;
        from->status = fer_loop_post(from->loop, on_parcel, made);
    }
    return NULL;
}

static void threads_post_in_order(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    poster posters[THREADS];
    size_t total = 0;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < THREADS; i++) {
        const poster fresh = {loop, 0, FER_OK, 0, 1, &total};
        posters[i] = fresh;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    run_until_count(loop, &total, (size_t)THREADS * POSTS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
        assert_int_equal(posters[i].status, FER_OK);
        assert_int_equal(posters[i].ran, POSTS);
        assert_true(posters[i].in_order);
    }
    end_loop(loop);
}

static void a_post_of_the_own_thread_waits_for_the_loop(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted posted = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
    assert_int_equal(posted.calls, 0);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(posted.calls, 1);
    assert_int_equal(posted.status, FER_OK);
    assert_false(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_post(loop, NULL, NULL), FER_EINVAL);
    end_loop(loop);
    assert_int_equal(posted.calls, 1);
}

typedef struct chain {
    int left;
    int runs;
} chain;

static void post_again(fer_loop *loop, fer_status status, void *user) {
    chain *links = user;
    assert_int_equal(status, FER_OK);
    links->runs++;
    if (--links->left > 0)
        assert_int_equal(fer_loop_post(loop, post_again, links), FER_OK);
}

static void run_goes_on_while_posts_make_posts(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    chain links = {100, 0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_post(loop, post_again, &links), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(links.runs, 100);
    end_loop(loop);
}

static void post_to_closed(fer_loop *loop, fer_status status, void *user) {
    note(user, status);
    assert_int_equal(fer_loop_post(loop, note_posted, user), FER_ECLOSED);
}

static void posts_that_did_not_run_are_canceled(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted first = {0};
    noted second = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_post(loop, post_to_closed, &first), FER_OK);
    assert_int_equal(fer_loop_post(loop, note_posted, &second), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.status, FER_ECANCELED);
    assert_int_equal(second.calls, 1);
    assert_int_equal(second.status, FER_ECANCELED);
    assert_true(first.when < second.when);
    fer_loop_unref(loop);
}

/* Closing. */

static void a_loop_with_something_open_stays(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    noted posted = {0};
    noted closed = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_EBUSY);
    /* It was not closed, so nothing was canceled. */
    assert_int_equal(posted.calls, 0);
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    assert_int_equal(posted.calls, 1);
    assert_int_equal(posted.status, FER_OK);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed), FER_OK);
    assert_int_equal(closed.calls, 0);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(closed.calls, 1);
    fer_handle_unref(pipe);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
}

typedef struct inner {
    fer_status run;
    fer_status step;
    fer_status close;
    fer_status adopt;
    int calls;
} inner;

static void call_from_inside(fer_loop *loop, fer_status status, void *user) {
    inner *got = user;
    assert_int_equal(status, FER_OK);
    got->run = fer_loop_run(loop);
    got->step = fer_loop_step(loop, 0);
    got->close = fer_loop_close(loop);
    got->adopt = fer_loop_adopt(loop);
    got->calls++;
}

static void a_running_loop_is_busy(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    for (int by_step = 0; by_step < 2; by_step++) {
        inner got = {FER_OK, FER_OK, FER_OK, FER_OK, 0};
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_loop_post(loop, call_from_inside, &got), FER_OK);
        assert_int_equal(by_step ? fer_loop_step(loop, -1) : fer_loop_run(loop), FER_OK);
        assert_int_equal(got.calls, 1);
        assert_int_equal(got.run, FER_EBUSY);
        assert_int_equal(got.step, FER_EBUSY);
        assert_int_equal(got.close, FER_EBUSY);
        assert_int_equal(got.adopt, FER_EBUSY);
        end_loop(loop);
    }
}

/* Waiting. */

static void a_step_lasts_as_long_as_it_may(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int64_t wait = 1; wait <= 40; wait *= 2) {
        const int64_t start = now_ms();
        assert_int_equal(fer_loop_step(loop, wait), FER_OK);
        assert_true(now_ms() - start >= wait);
    }
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    end_loop(loop);
}

static void *wake(void *user) {
    fer_status *status = user;
    *status = fer_loop_wake(*(fer_loop **)(void *)(status + 2));
    return NULL;
}

static void wake_ends_a_wait(void **state) {
    (void)state;
    struct {
        fer_status status[2];
        fer_loop *loop;
    } woken = {{FER_EUNKNOWN, FER_OK}, NULL};
    pthread_t thread;
    assert_int_equal(fer_loop_new(&woken.loop), FER_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake, woken.status), 0);
        assert_int_equal(fer_loop_step(woken.loop, -1), FER_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(woken.status[0], FER_OK);
        /* Nothing of it is left: the next step waits its time. */
        int64_t start = now_ms();
        assert_int_equal(fer_loop_step(woken.loop, 2), FER_OK);
        assert_true(now_ms() - start >= 2);
    }
    end_loop(woken.loop);
}

/* Stopping. */

static fer_handle *listening_pipe(fer_loop *loop, noted *connection) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("l"), FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(pipe, 0, note_connection, connection, NULL), FER_OK);
    return pipe;
}

static void *stop_loop(void *user) {
    fer_loop *loop = user;
    return fer_loop_stop(loop) == FER_OK ? NULL : loop;
}

static void another_thread_stops_a_run(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted connection = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = listening_pipe(loop, &connection);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *failed = NULL;
        assert_int_equal(pthread_create(&thread, NULL, stop_loop, loop), 0);
        assert_int_equal(fer_loop_run(loop), FER_OK);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
    }
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(connection.calls, 0);
}

static void a_stop_before_a_run_ends_the_next(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted connection = {0};
    noted posted = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = listening_pipe(loop, &connection);
    assert_int_equal(fer_loop_stop(loop), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_loop_stop(loop), FER_OK);
    assert_int_equal(fer_loop_step(loop, -1), FER_OK);
    /* It counts once. */
    assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
    harness_run_until(loop, &posted.calls);
    fer_handle_unref(pipe);
    end_loop(loop);
}

static void stop_from_inside(fer_loop *loop, fer_status status, void *user) {
    note(user, status);
    assert_int_equal(fer_loop_stop(loop), FER_OK);
}

static void a_callback_stops_the_run(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted connection = {0};
    noted stopped = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = listening_pipe(loop, &connection);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(fer_loop_post(loop, stop_from_inside, &stopped), FER_OK);
        assert_int_equal(fer_loop_run(loop), FER_OK);
        assert_int_equal(stopped.calls, i);
    }
    fer_handle_unref(pipe);
    end_loop(loop);
}

static void fail_from_inside(fer_loop *loop, fer_status status, void *user) {
    note(user, status);
    assert_int_equal(fer_loop_fail(loop, FER_ECALLBACK), FER_OK);
    /* The first is kept. */
    assert_int_equal(fer_loop_fail(loop, FER_EIO), FER_OK);
    assert_int_equal(fer_loop_fail(loop, FER_OK), FER_EINVAL);
    assert_int_equal(fer_loop_fail(loop, (fer_status)1), FER_EINVAL);
}

static void a_failed_callback_ends_the_run_with_its_status(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted connection = {0};
    noted failed = {0};
    noted posted = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = listening_pipe(loop, &connection);
    for (int by_step = 0; by_step < 2; by_step++) {
        assert_int_equal(fer_loop_post(loop, fail_from_inside, &failed), FER_OK);
        assert_int_equal(by_step ? fer_loop_step(loop, -1) : fer_loop_run(loop), FER_ECALLBACK);
        assert_int_equal(failed.calls, by_step + 1);
        /* It is told once. */
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    }
    assert_int_equal(fer_loop_fail(loop, FER_ECALLBACK), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_ECALLBACK);
    assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
    harness_run_until(loop, &posted.calls);
    fer_handle_unref(pipe);
    end_loop(loop);
}

/* A wait without limit must not be cut short by a failure that was told already. */
static void fail_in_close(fer_handle *handle, void *user) {
    note(user, FER_OK);
    assert_int_equal(fer_loop_fail(fer_handle_loop(handle), FER_ECALLBACK), FER_OK);
}

static void nothing_is_left_of_a_failure(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    noted closed = {0};
    fer_status status = FER_OK;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_close(pipe, fail_in_close, &closed), FER_OK);
    while (status == FER_OK)
        status = fer_loop_step(loop, 0);
    assert_int_equal(status, FER_ECALLBACK);
    assert_int_equal(closed.calls, 1);
    int64_t start = now_ms();
    assert_int_equal(fer_loop_step(loop, 20), FER_OK);
    assert_true(now_ms() - start >= 20);
    fer_handle_unref(pipe);
    /* And one that was not told does not hold up the close. */
    assert_int_equal(fer_loop_fail(loop, FER_ECALLBACK), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
}

/* Other threads. */

static void *run_adopted(void *user) {
    fer_loop *loop = user;
    if (fer_loop_step(loop, 0) != FER_ETHREAD || fer_loop_adopt(loop) != FER_OK ||
        fer_loop_run(loop) != FER_OK)
        return loop;
    return NULL;
}

static void another_thread_adopts_a_loop(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    noted posted = {0};
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_adopted, loop), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(posted.calls, 1);
    assert_int_equal(fer_loop_step(loop, 0), FER_ETHREAD);
    assert_false(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_adopt(loop), FER_OK);
    end_loop(loop);
}

static void *unref_handle(void *user) {
    fer_handle_unref(user);
    return NULL;
}

static void a_handle_dropped_by_another_thread_is_closed(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    noted finalized = {0};
    pthread_t thread;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_set_data(pipe, &finalized, note_finalized), FER_OK);
    assert_int_equal(pthread_create(&thread, NULL, unref_handle, pipe), 0);
    harness_run_until(loop, &finalized.calls);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* The one that is dropped when the loop does not run any more is closed with it. */
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(pthread_create(&thread, NULL, unref_handle, pipe), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(fer_loop_is_alive(loop));
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
    assert_int_equal(finalized.calls, 1);
}

static void a_closed_handle_may_be_dropped_by_another_thread(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    noted finalized = {0};
    pthread_t thread;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_set_data(pipe, &finalized, note_finalized), FER_OK);
    end_loop(loop);
    assert_int_equal(finalized.calls, 0);
    assert_int_equal(pthread_create(&thread, NULL, unref_handle, pipe), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(finalized.calls, 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_loop_closes),
        HARNESS_TEST(threads_post_in_order),
        HARNESS_TEST(a_post_of_the_own_thread_waits_for_the_loop),
        HARNESS_TEST(run_goes_on_while_posts_make_posts),
        HARNESS_TEST(posts_that_did_not_run_are_canceled),
        HARNESS_TEST(a_loop_with_something_open_stays),
        HARNESS_TEST(a_running_loop_is_busy),
        HARNESS_TEST(a_step_lasts_as_long_as_it_may),
        HARNESS_TEST(wake_ends_a_wait),
        HARNESS_TEST(another_thread_stops_a_run),
        HARNESS_TEST(a_stop_before_a_run_ends_the_next),
        HARNESS_TEST(a_callback_stops_the_run),
        HARNESS_TEST(a_failed_callback_ends_the_run_with_its_status),
        HARNESS_TEST(nothing_is_left_of_a_failure),
        HARNESS_TEST(another_thread_adopts_a_loop),
        HARNESS_TEST(a_handle_dropped_by_another_thread_is_closed),
        HARNESS_TEST(a_closed_handle_may_be_dropped_by_another_thread),
    };
    return HARNESS_MAIN("loop", tests, NULL, argc, argv);
}
