#include "deadline.h"

#include "loop.h"
#include "os.h"

int64_t fer__deadline_after(int64_t ms) {
    int64_t now;
    if (ms < 0)
        return -1;
    now = fer__os_now();
    return ms > INT64_MAX - now ? INT64_MAX : now + ms;
}

void fer__deadline_init(fer__deadline *deadline, void (*expired)(fer__deadline *deadline)) {
    fer__link_init(&deadline->link);
    deadline->at = 0;
    deadline->unheld = 0;
    deadline->expired = expired;
}

static void on_timer(uv_timer_t *timer) {
    fer__deadline_run(timer->data);
}

static void take_out(fer_loop *loop, fer__deadline *deadline) {
    if (fer__link_alone(&deadline->link))
        return;
    fer__link_remove(&deadline->link);
    loop->held_deadlines -= !deadline->unheld;
}

/* The timer runs while there are deadlines; it keeps the loop alive while one of them is to. */
static void arm(fer_loop *loop) {
    int64_t wait;
    if (loop->uv == NULL || loop->handles == 0)
        return;
    wait = fer__deadline_next(loop);
    if (wait < 0) {
        uv_timer_stop(&loop->timer);
        return;
    }
    /* The clock of libuv stands still between turns; what it missed must not shorten the wait. */
    uv_update_time(loop->uv);
    uv_timer_start(&loop->timer, on_timer, (uint64_t)wait, 0);
    if (loop->held_deadlines > 0)
        uv_ref((uv_handle_t *)&loop->timer);
    else
        uv_unref((uv_handle_t *)&loop->timer);
    fer__loop_touch(loop);
}

void fer__deadline_set(fer_loop *loop, fer__deadline *deadline, int64_t ms) {
    fer__link *after;
    take_out(loop, deadline);
    if (ms >= 0) {
        deadline->at = fer__deadline_after(ms);
        /* Most deadlines are the same span from now: the place is near the end. */
        after = loop->deadlines.prev;
        while (after != &loop->deadlines &&
               FER__CONTAINER(after, fer__deadline, link)->at > deadline->at)
            after = after->prev;
        fer__link_insert(&deadline->link, after);
        loop->held_deadlines += !deadline->unheld;
    }
    arm(loop);
}

void fer__deadline_clear(fer_loop *loop, fer__deadline *deadline) {
    if (fer__link_alone(&deadline->link))
        return;
    take_out(loop, deadline);
    arm(loop);
}

void fer__deadline_hold(fer_loop *loop, fer__deadline *deadline, int hold) {
    if (deadline->unheld == !hold)
        return;
    deadline->unheld = !hold;
    if (fer__link_alone(&deadline->link))
        return;
    if (hold)
        loop->held_deadlines++;
    else
        loop->held_deadlines--;
    arm(loop);
}

int64_t fer__deadline_next(const fer_loop *loop) {
    int64_t wait;
    if (fer__link_alone(&loop->deadlines))
        return -1;
    wait = FER__CONTAINER(loop->deadlines.next, fer__deadline, link)->at - fer__os_now();
    return wait < 0 ? 0 : wait;
}

void fer__deadline_run(fer_loop *loop) {
    int64_t now = fer__os_now();
    while (!fer__link_alone(&loop->deadlines)) {
        fer__deadline *first = FER__CONTAINER(loop->deadlines.next, fer__deadline, link);
        if (first->at > now)
            break;
        take_out(loop, first);
        first->expired(first);
    }
    arm(loop);
}
