/**
 * Timers.
 */
#ifndef FER_IMPL_TIMER_H
#define FER_IMPL_TIMER_H

#include "callback.h"
#include "deadline.h"
#include "ferrule/timer.h"
#include "object.h"

struct fer_timer {
    fer__object object;
    fer__deadline deadline;
    fer__callback on_time;
    int64_t repeat_ms;
    int due; /**< the time is up, and the callback was not called yet */
};

fer_status fer__timer_new(fer_loop *loop, fer_timer **out);
void fer__timer_start(fer_timer *timer, int64_t delay_ms);
void fer__timer_stop(fer_timer *timer);
int fer__timer_is_active(const fer_timer *timer);
void fer__timer_hold_loop(fer_timer *timer, int hold);
fer_status fer__timer_close(fer_timer *timer, fer_timer_closed_cb cb, void *user);

#endif
