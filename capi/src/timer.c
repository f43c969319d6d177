#include "impl/timer.h"

#include "check.h"

static fer_status check_any(const fer_timer *timer) {
    if (timer == NULL)
        return fer__fail(FER_EINVAL, "the timer is NULL");
    return fer__loop_check(timer->object.loop);
}

static fer_status check(const fer_timer *timer) {
    FER__TRY(check_any(timer));
    return fer__check_open(&timer->object);
}

fer_status fer_timer_new(fer_loop *loop, fer_timer **timer) {
    FER__TRY(FER__REQUIRE(timer != NULL, "timer"));
    *timer = NULL;
    FER__TRY(fer__check_loop(loop));
    return fer__timer_new(loop, timer);
}

fer_status fer_timer_start(fer_timer *timer, int64_t delay_ms, int64_t repeat_ms, fer_timer_cb cb,
                           void *user, fer_finalizer finalizer) {
    FER__TRY_REGISTER(check(timer), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(delay_ms >= 0, "delay_ms"), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(repeat_ms >= 0, "repeat_ms"), user, finalizer);
    fer__callback_set(&timer->on_time, (void (*)(void))cb, user, finalizer);
    /* The finalizer of the one before may have closed it. */
    FER__TRY(fer__check_open(&timer->object));
    timer->repeat_ms = repeat_ms;
    fer__timer_start(timer, delay_ms);
    return FER_OK;
}

fer_status fer_timer_stop(fer_timer *timer) {
    FER__TRY(check(timer));
    fer__timer_stop(timer);
    return FER_OK;
}

fer_status fer_timer_again(fer_timer *timer) {
    FER__TRY(check(timer));
    if (timer->on_time.cb == NULL)
        return fer__fail(FER_EINVAL, "the timer was never started");
    if (timer->repeat_ms > 0)
        fer__timer_start(timer, timer->repeat_ms);
    return FER_OK;
}

fer_status fer_timer_set_repeat(fer_timer *timer, int64_t repeat_ms) {
    FER__TRY(check(timer));
    FER__TRY(FER__REQUIRE(repeat_ms >= 0, "repeat_ms"));
    timer->repeat_ms = repeat_ms;
    return FER_OK;
}

int64_t fer_timer_repeat(const fer_timer *timer) {
    return timer == NULL ? 0 : timer->repeat_ms;
}

int fer_timer_is_active(const fer_timer *timer) {
    return timer != NULL && fer__timer_is_active(timer);
}

fer_status fer_timer_hold_loop(fer_timer *timer, int hold) {
    FER__TRY(check(timer));
    fer__timer_hold_loop(timer, hold);
    return FER_OK;
}

fer_status fer_timer_close(fer_timer *timer, fer_timer_closed_cb cb, void *user) {
    FER__TRY(check_any(timer));
    return fer__timer_close(timer, cb, user);
}

int fer_timer_is_closing(const fer_timer *timer) {
    return timer == NULL || timer->object.state != FER__OPEN;
}

fer_timer *fer_timer_ref(fer_timer *timer) {
    if (timer != NULL)
        fer__object_ref(&timer->object);
    return timer;
}

void fer_timer_unref(fer_timer *timer) {
    if (timer != NULL)
        fer__object_unref(&timer->object);
}

fer_loop *fer_timer_loop(const fer_timer *timer) {
    return timer == NULL ? NULL : timer->object.loop;
}
