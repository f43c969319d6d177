/* Timers. */
#include <stdlib.h>

#include "fixture.h"

typedef struct ticker {
    int calls;
    int stop_at; /* 0: never */
    int close_at;
    int again_at;
    noted closed;
    noted finalized;
} ticker;

static void note_timer_closed(fer_timer *timer, void *user) {
    (void)timer;
    note(user, FER_OK);
}

static void on_time(fer_timer *timer, void *user) {
    ticker *to = user;
    to->calls++;
    if (to->calls == to->stop_at)
        assert_int_equal(fer_timer_stop(timer), FER_OK);
    if (to->calls == to->close_at)
        assert_int_equal(fer_timer_close(timer, note_timer_closed, &to->closed), FER_OK);
    if (to->calls == to->again_at)
        assert_int_equal(fer_timer_start(timer, 0, 0, on_time, to, NULL), FER_OK);
}

static fer_loop *open_loop(fer_timer **timer) {
    fer_loop *loop = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_timer_new(loop, timer), FER_OK);
    assert_ptr_equal(fer_timer_loop(*timer), loop);
    assert_int_equal(fer_timer_is_active(*timer), 0);
    return loop;
}

static void it_calls_once_and_not_early(void **state) {
    (void)state;
    fer_timer *timer = NULL;
    fer_loop *loop = open_loop(&timer);
    ticker to = {0};
    const int64_t before = now_ms();
    assert_int_equal(fer_timer_start(timer, 20, 0, on_time, &to, NULL), FER_OK);
    assert_int_equal(fer_timer_is_active(timer), 1);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(to.calls, 1);
    assert_true(now_ms() - before >= 20);
    assert_int_equal(fer_timer_is_active(timer), 0);
    fer_timer_unref(timer);
    end_loop(loop);
}

static void it_repeats_until_it_is_stopped(void **state) {
    (void)state;
    fer_timer *timer = NULL;
    fer_loop *loop = open_loop(&timer);
    ticker to = {0};
    to.stop_at = 5;
    assert_int_equal(fer_timer_start(timer, 0, 1, on_time, &to, NULL), FER_OK);
    assert_int_equal(fer_timer_repeat(timer), 1);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(to.calls, 5);
    to.stop_at = 7;
    assert_int_equal(fer_timer_again(timer), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(to.calls, 7);
    assert_int_equal(fer_timer_set_repeat(timer, 0), FER_OK);
    assert_int_equal(fer_timer_again(timer), FER_OK);
    assert_int_equal(fer_timer_is_active(timer), 0);
    fer_timer_unref(timer);
    end_loop(loop);
}

static void it_may_be_started_and_closed_inside(void **state) {
    (void)state;
    fer_timer *timer = NULL;
    fer_loop *loop = open_loop(&timer);
    ticker to = {0};
    to.again_at = 1;
    to.close_at = 2;
    assert_int_equal(fer_timer_start(timer, 1, 0, on_time, &to, NULL), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(to.calls, 2);
    assert_int_equal(to.closed.calls, 1);
    assert_int_equal(fer_timer_is_closing(timer), 1);
    assert_int_equal(fer_timer_stop(timer), FER_ECLOSED);
    fer_timer_unref(timer);
    end_loop(loop);
}

/** The first timer that is due stops or closes the second, which is due in the same turn. */
typedef struct couple {
    fer_timer *other;
    int closes;
    int calls;
} couple;

static void on_first(fer_timer *timer, void *user) {
    couple *both = user;
    (void)timer;
    both->calls++;
    if (both->closes)
        assert_int_equal(fer_timer_close(both->other, NULL, NULL), FER_OK);
    else
        assert_int_equal(fer_timer_stop(both->other), FER_OK);
}

static void nothing_comes_after_stop_and_close(void **state) {
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        fer_timer *timer = NULL;
        couple both = {NULL, closes, 0};
        ticker to = {0};
        fer_loop *loop = open_loop(&timer);
        assert_int_equal(fer_timer_new(loop, &both.other), FER_OK);
        assert_int_equal(fer_timer_start(timer, 0, 0, on_first, &both, NULL), FER_OK);
        assert_int_equal(fer_timer_start(both.other, 0, 1, on_time, &to, NULL), FER_OK);
        assert_int_equal(fer_loop_run(loop), FER_OK);
        assert_int_equal(both.calls, 1);
        assert_int_equal(to.calls, 0);
        fer_timer_unref(timer);
        fer_timer_unref(both.other);
        end_loop(loop);
    }
}

static void it_need_not_hold_the_loop(void **state) {
    (void)state;
    fer_timer *timer = NULL;
    fer_loop *loop = open_loop(&timer);
    ticker to = {0};
    assert_int_equal(fer_timer_start(timer, 60000, 0, on_time, &to, NULL), FER_OK);
    assert_int_equal(fer_timer_hold_loop(timer, 0), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(to.calls, 0);
    fer_timer_unref(timer);
    end_loop(loop);
}

static void arguments_are_checked(void **state) {
    (void)state;
    fer_timer *timer = NULL;
    fer_loop *loop = open_loop(&timer);
    noted finalized = {0};
    fer_timer_unref(timer);
    assert_int_equal(fer_timer_new(loop, NULL), FER_EINVAL);
    assert_int_equal(fer_timer_new(NULL, &timer), FER_EINVAL);
    assert_null(timer);
    assert_int_equal(fer_timer_new(loop, &timer), FER_OK);
    assert_int_equal(fer_timer_start(timer, -1, 0, on_time, &finalized, note_finalized),
                     FER_EINVAL);
    assert_int_equal(fer_timer_start(timer, 0, -1, on_time, &finalized, note_finalized),
                     FER_EINVAL);
    assert_int_equal(fer_timer_start(timer, 0, 0, NULL, &finalized, note_finalized), FER_EINVAL);
    assert_int_equal(fer_timer_start(NULL, 0, 0, on_time, &finalized, note_finalized), FER_EINVAL);
    assert_int_equal(finalized.calls, 4);
    assert_int_equal(fer_timer_again(timer), FER_EINVAL);
    assert_int_equal(fer_timer_set_repeat(timer, -1), FER_EINVAL);
    assert_int_equal(fer_timer_stop(NULL), FER_EINVAL);
    assert_int_equal(fer_timer_again(NULL), FER_EINVAL);
    assert_int_equal(fer_timer_close(NULL, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_timer_hold_loop(NULL, 1), FER_EINVAL);
    assert_int_equal(fer_timer_repeat(NULL), 0);
    assert_int_equal(fer_timer_is_active(NULL), 0);
    assert_int_equal(fer_timer_is_closing(NULL), 1);
    assert_null(fer_timer_loop(NULL));
    fer_timer_unref(fer_timer_ref(timer));
    assert_int_equal(fer_timer_start(timer, 0, 0, on_time, &finalized, note_finalized), FER_OK);
    assert_int_equal(fer_timer_close(timer, NULL, NULL), FER_OK);
    assert_int_equal(finalized.calls, 5);
    fer_timer_unref(timer);
    end_loop(loop);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(it_calls_once_and_not_early),
        HARNESS_TEST(it_repeats_until_it_is_stopped),
        HARNESS_TEST(it_may_be_started_and_closed_inside),
        HARNESS_TEST(nothing_comes_after_stop_and_close),
        HARNESS_TEST(it_need_not_hold_the_loop),
        HARNESS_TEST(arguments_are_checked),
    };
    return HARNESS_MAIN("timer", tests, NULL, argc, argv);
}
