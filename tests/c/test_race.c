/* Other threads at the moments that are worst: while a loop closes, while objects do, while calls run. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { THREADS = 3 };

/* Posting to a loop that closes. */

typedef struct poster {
    fer_loop *loop;
    pthread_t thread;
    size_t accepted;
    size_t called; /* by the loop's thread */
    size_t canceled;
    fer_status end;
    atomic_int started;
} poster;

static void on_post(fer_loop *loop, fer_status status, void *user) {
    poster *one = user;
    assert_ptr_equal(loop, one->loop);
    assert_true(status == FER_OK || status == FER_ECANCELED);
    one->called++;
    one->canceled += status == FER_ECANCELED;
}

static void *post_until_closed(void *user) {
    poster *one = user;
    while ((one->end = fer_loop_post(one->loop, on_post, one)) == FER_OK) {
        one->accepted++;
        atomic_store(&one->started, 1);
        if (one->accepted % 64 == 0)
            sched_yield();
    }
    fer_loop_unref(one->loop);
    return NULL;
}

static void *wake_until_closed(void *user) {
    poster *one = user;
    for (;;) {
        fer_status status = one->accepted++ % 2 ? fer_loop_wake(one->loop) : FER_OK;
        if (status != FER_OK) {
            one->end = status;
            break;
        }
        sched_yield();
    }
    fer_loop_unref(one->loop);
    return NULL;
}

static void every_post_that_was_accepted_is_called_once(void **state) {
    (void)state;
    for (int round = 0; round < 60; round++) {
        fer_loop *loop = NULL;
        poster posters[THREADS + 1];
        memset(posters, 0, sizeof posters);
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        for (int i = 0; i <= THREADS; i++) {
            posters[i].loop = fer_loop_ref(loop);
            assert_int_equal(pthread_create(&posters[i].thread, NULL,
                                            i < THREADS ? post_until_closed : wake_until_closed,
                                            &posters[i]),
                             0);
        }
        for (int i = 0; i < THREADS; i++) {
            while (!atomic_load(&posters[i].started))
                assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        }
        for (int i = 0; i < round % 7; i++)
            assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        assert_int_equal(fer_loop_close(loop), FER_OK);
        /* The threads may be the last to hold it. */
        fer_loop_unref(loop);
        for (int i = 0; i <= THREADS; i++) {
            assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
            assert_int_equal(posters[i].end, FER_ECLOSED);
            if (i < THREADS)
                assert_int_equal(posters[i].called, posters[i].accepted);
        }
    }
}

/* Dropping references to what is being closed. */

enum { PIPES = 300 };

typedef struct dropper {
    pthread_t thread;
    atomic_uintptr_t handles[PIPES];
} dropper;

static void *drop_all(void *user) {
    dropper *one = user;
    for (size_t i = 0; i < PIPES; i++) {
        uintptr_t handle;
        while ((handle = atomic_load(&one->handles[i])) == 0)
            sched_yield();
        fer_handle_unref((fer_handle *)handle);
    }
    return NULL;
}

static void drops_race_with_closes(void **state) {
    (void)state;
    static dropper droppers[THREADS];
    static noted finalized[PIPES];
    static noted closed[PIPES];
    fer_loop *loop = NULL;
    memset(finalized, 0, sizeof finalized);
    memset(closed, 0, sizeof closed);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < THREADS; i++) {
        for (size_t j = 0; j < PIPES; j++)
            atomic_init(&droppers[i].handles[j], 0);
        assert_int_equal(pthread_create(&droppers[i].thread, NULL, drop_all, &droppers[i]), 0);
    }
    for (size_t i = 0; i < PIPES; i++) {
        fer_handle *pipe = NULL;
        assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
        assert_int_equal(fer_handle_set_data(pipe, &finalized[i], note_finalized), FER_OK);
        for (int t = 0; t < THREADS; t++)
            fer_handle_ref(pipe);
        for (int t = 0; t < THREADS; t++)
            atomic_store(&droppers[t].handles[i], (uintptr_t)pipe);
        /* Some are closed here, some by the drop; some are dropped here last. */
        if (i % 2 == 0)
            assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed[i]), FER_OK);
        if (i % 3 == 0)
            assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        fer_handle_unref(pipe);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(droppers[i].thread, NULL), 0);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
    for (size_t i = 0; i < PIPES; i++) {
        assert_int_equal(finalized[i].calls, 1);
        assert_int_equal(closed[i].calls, i % 2 == 0);
    }
}

/* Several threads with one blocking channel. */

typedef struct user_of_channel {
    fer_channel *channel;
    pthread_t thread;
    size_t sent;
    size_t received;
    fer_status end;
} user_of_channel;

static int goes_on(fer_status status) {
    return status == FER_OK || status == FER_EBUSY || status == FER_ETIMEDOUT ||
           status == FER_EAGAIN;
}

static void *use_channel(void *user) {
    user_of_channel *one = user;
    const fer_bytes bytes = {"message", 7};
    fer_message message;
    do {
        /* Who waited without a limit could not be ended. */
        one->end = fer_sync_send(one->channel, &bytes, 1, 5);
        one->sent += one->end == FER_OK || one->end == FER_ETIMEDOUT;
        if (goes_on(one->end)) {
            one->end = fer_sync_receive(one->channel, 0, &message);
            one->received += one->end == FER_OK;
        }
        if (one->end != FER_OK)
            sched_yield();
    } while (goes_on(one->end));
    return NULL;
}

static void threads_share_a_blocking_channel(void **state) {
    (void)state;
    enum { MESSAGES = 1000 };
    fer_channel *channels[2];
    user_of_channel users[THREADS];
    fer_message message;
    size_t sent = 0;
    size_t received = 0;
    const fer_bytes bytes = {"message", 7};
    memset(users, 0, sizeof users);
    sync_pair(channels, NULL);
    for (int i = 0; i < THREADS; i++) {
        users[i].channel = channels[0];
        assert_int_equal(pthread_create(&users[i].thread, NULL, use_channel, &users[i]), 0);
    }
    size_t got = 0;
    for (; got < MESSAGES; got++) {
        assert_int_equal(fer_sync_receive(channels[1], HARNESS_PATIENCE_MS, &message), FER_OK);
        assert_int_equal(message.size, 7);
        assert_memory_equal(message.data, "message", 7);
        assert_int_equal(fer_sync_send(channels[1], &bytes, 1, HARNESS_PATIENCE_MS), FER_OK);
    }
    /* It can be ended only between their calls; then all of them hear of it. */
    while (fer_channel_abort(channels[0]) == FER_EBUSY)
        sched_yield();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(users[i].thread, NULL), 0);
        assert_int_equal(users[i].end, FER_ECLOSED);
        sent += users[i].sent;
        received += users[i].received;
    }
    fer_status status;
    while ((status = fer_sync_receive(channels[1], HARNESS_PATIENCE_MS, &message)) == FER_OK)
        got++;
    assert_int_equal(status, FER_ECONNRESET);
    /* One may have waited to be written. */
    assert_in_range(got, sent - 1, sent);
    assert_true(received <= MESSAGES);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_post_that_was_accepted_is_called_once),
        HARNESS_TEST(drops_race_with_closes),
        HARNESS_TEST(threads_share_a_blocking_channel),
    };
    return HARNESS_MAIN("race", tests, NULL, argc, argv);
}
