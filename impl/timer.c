#include "timer.h"

#include "loop.h"
#include "mem.h"
#include "status.h"

static fer_timer *from_object(fer__object *object) {
    return FER__CONTAINER(object, fer_timer, object);
}

static void on_deadline(fer__deadline *deadline) {
    fer_timer *timer = FER__CONTAINER(deadline, fer_timer, deadline);
    timer->due = 1;
    fer__object_due(&timer->object);
}

void fer__timer_start(fer_timer *timer, int64_t delay_ms) {
    timer->due = 0;
    fer__deadline_set(timer->object.loop, &timer->deadline, delay_ms);
}

void fer__timer_stop(fer_timer *timer) {
    timer->due = 0;
    fer__deadline_clear(timer->object.loop, &timer->deadline);
}

int fer__timer_is_active(const fer_timer *timer) {
    return timer->due || !fer__link_alone(&timer->deadline.link);
}

static void call(fer_timer *timer) {
    fer_timer_cb cb = (fer_timer_cb)timer->on_time.cb;
    fer__frame frame;
    timer->due = 0;
    if (timer->repeat_ms > 0)
        fer__deadline_set(timer->object.loop, &timer->deadline, timer->repeat_ms);
    fer__callback_enter(&timer->on_time, &frame);
    cb(timer, timer->on_time.user);
    fer__callback_leave(&timer->on_time, &frame);
}

static void run(fer__object *object) {
    fer_timer *timer = from_object(object);
    if (object->state == FER__CLOSED)
        fer__object_run_close_requests(object);
    else if (object->state == FER__CLOSING)
        fer__object_finish_close(object);
    else if (timer->due)
        call(timer);
}

static void abort_timer(fer__object *object) {
    fer_timer *timer = from_object(object);
    if (object->state != FER__OPEN)
        return;
    object->state = FER__CLOSING;
    fer__timer_stop(timer);
    fer__callback_retire(&timer->on_time);
    fer__object_due(object);
}

static void call_closed(fer__object *object, void (*cb)(void), void *user) {
    ((fer_timer_closed_cb)cb)(from_object(object), user);
}

static void destroy(fer__object *object) {
    (void)object;
}

static const fer__class timer_class = {run, abort_timer, call_closed, destroy};

fer_status fer__timer_new(fer_loop *loop, fer_timer **out) {
    fer_timer *timer = fer__zalloc(sizeof *timer);
    if (timer == NULL)
        return fer__fail_plain(FER_ENOMEM);
    fer__object_init(&timer->object, &timer_class, loop);
    fer__deadline_init(&timer->deadline, on_deadline);
    *out = timer;
    return FER_OK;
}

void fer__timer_hold_loop(fer_timer *timer, int hold) {
    timer->object.holds_loop = hold != 0;
    fer__deadline_hold(timer->object.loop, &timer->deadline, hold);
}

fer_status fer__timer_close(fer_timer *timer, fer_timer_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&timer->object, (void (*)(void))cb, user);
    if (status == FER_OK)
        abort_timer(&timer->object);
    return status;
}
