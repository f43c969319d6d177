/**
 * Timers, on the clock of the loop.
 */
#ifndef FERRULE_TIMER_H
#define FERRULE_TIMER_H

#include <stdint.h>

#include "export.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** A timer: calls back after a while, once or again and again. */
typedef struct fer_timer fer_timer;

/** The time is up. One that repeats runs again already; fer_timer_stop() and all else may be called. */
typedef void (*fer_timer_cb)(fer_timer *timer, void *user);

/** The end of fer_timer_close(). Nothing of the timer calls back after it. */
typedef void (*fer_timer_closed_cb)(fer_timer *timer, void *user);

/**
 * Make a timer. It does not run yet.
 *
 * @param loop        the loop to put it on.
 * @param[out] timer  receives the timer; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Timer`; uv_timer_init.
 */
FER_API fer_status fer_timer_new(fer_loop *loop, fer_timer **timer);

/**
 * Start a timer, or start it anew.
 *
 * @param timer      the timer.
 * @param delay_ms   milliseconds until the first call, from 0.
 * @param repeat_ms  milliseconds between the calls after it; 0: only one call. A call that comes late does not
 *                   have others follow faster.
 * @param cb         registered; replaces the present one.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be NULL.
 * Ownership: `user` is the library's until `finalizer` is called: when the callback is replaced, or the
 *            timer closed.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Timer.start`; uv_timer_start.
 */
FER_API fer_status fer_timer_start(fer_timer *timer, int64_t delay_ms, int64_t repeat_ms,
                                   fer_timer_cb cb, void *user, fer_finalizer finalizer);

/**
 * Stop a timer. Its callback stays registered, for fer_timer_again().
 *
 * @param timer  the timer; stopping twice changes nothing.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback. It is not called any more after this.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Timer.stop`; uv_timer_stop.
 */
FER_API fer_status fer_timer_stop(fer_timer *timer);

/**
 * Start a timer that repeats anew, with its time between calls as the delay.
 *
 * @param timer  a timer that was started before.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for one that was never started; FER_ECLOSED; FER_ETHREAD; FER_EFORK. One that
 *         does not repeat is not started.
 * Seed: pyuv `Timer.again`; uv_timer_again.
 */
FER_API fer_status fer_timer_again(fer_timer *timer);

/**
 * Change the time between calls, from the next call on.
 *
 * @param timer      the timer.
 * @param repeat_ms  milliseconds; 0: no more calls after the next.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Timer.repeat`; uv_timer_set_repeat.
 */
FER_API fer_status fer_timer_set_repeat(fer_timer *timer, int64_t repeat_ms);

/**
 * The time between calls.
 *
 * @param timer  the timer.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return milliseconds; 0 for one that does not repeat, and for NULL.
 * Seed: pyuv `Timer.repeat`; uv_timer_get_repeat.
 */
FER_API int64_t fer_timer_repeat(const fer_timer *timer);

/**
 * Whether the timer runs.
 *
 * @param timer  the timer.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 0 for NULL.
 * Seed: pyuv `Handle.active`; uv_is_active.
 */
FER_API int fer_timer_is_active(const fer_timer *timer);

/**
 * Choose whether the timer, while it runs, keeps fer_loop_run() from returning.
 *
 * @param timer  the timer.
 * @param hold   1 (what a new timer has) or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Handle.ref`; uv_ref and uv_unref.
 */
FER_API fer_status fer_timer_hold_loop(fer_timer *timer, int hold);

/**
 * Stop a timer for good.
 *
 * @param timer  the timer; closing again is allowed.
 * @param cb     one-shot; may be NULL. Also called for a timer that is closed already.
 * @param user   passed to `cb`.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM (nothing was done); FER_ECLOSED when the loop is closed and cannot
 *         call `cb`; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Handle.close`; uv_close.
 */
FER_API fer_status fer_timer_close(fer_timer *timer, fer_timer_closed_cb cb, void *user);

/**
 * Whether fer_timer_close() was called.
 *
 * @param timer  the timer.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 1 for NULL.
 * Seed: pyuv `Handle.closed`; uv_is_closing.
 */
FER_API int fer_timer_is_closing(const fer_timer *timer);

/**
 * Take one more reference.
 *
 * @param timer  a timer, or NULL, which is ignored.
 * Ownership: the caller owns one more reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return `timer`.
 * Seed: none.
 */
FER_API fer_timer *fer_timer_ref(fer_timer *timer);

/**
 * Drop a reference. When it was the last of an open timer, the loop closes the timer.
 *
 * @param timer  a timer, or NULL, which is ignored.
 * Ownership: takes the caller's reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_timer_unref(fer_timer *timer);

/**
 * The loop that a timer is on.
 *
 * @param timer  the timer.
 * Ownership: no reference is given; the timer holds one.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the loop; NULL for NULL.
 * Seed: pyuv `Handle.loop`; uv_handle_get_loop.
 */
FER_API fer_loop *fer_timer_loop(const fer_timer *timer);

FER_END_DECLS

#endif
