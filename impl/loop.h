/**
 * Loops.
 */
#ifndef FER_IMPL_LOOP_H
#define FER_IMPL_LOOP_H

#include <stdatomic.h>

#include "busy.h"
#include "ferrule/loop.h"
#include "ferrule/uv.h"
#include "intake.h"
#include "list.h"
#include "pool.h"
#include "uvcompat.h"

typedef enum fer__loop_kind {
    FER__LOOP_OWN,      /**< made by fer_loop_new() */
    FER__LOOP_BORROWED, /**< made by fer_loop_attach() */
    FER__LOOP_BLOCKING  /**< under a blocking channel or server; has no libuv loop */
} fer__loop_kind;

/** What a loop looks for before it sleeps: look.h. */
typedef struct fer__look {
    fer_channel *channel; /**< that asked last, and waits for the answer; NULL: none */
    int active;           /**< `looking` runs */
    fer__busy answers;    /**< what is known of how soon they come */
} fer__look;

struct fer_loop {
    atomic_uint refs;
    uint8_t kind;     /**< a fer__loop_kind */
    uint8_t running;  /**< inside uv_run, or inside a step of a blocking loop */
    uint8_t stepping; /**< inside a step: who called it decides about waiting */
    uint8_t leaving;  /**< fer_loop_detach() was called */
    uint8_t notified;
    uint8_t unpolled; /**< libuv has not yet told the kernel of all descriptors that it watches */
    atomic_int closed;
    atomic_int stopping;
    fer_status failure; /**< what fer_loop_fail() was given */
    uint64_t mark;      /**< of the process that made it */
    uv_thread_t thread;

    uv_loop_t *uv; /**< NULL for a blocking loop */
    uv_loop_t own;
    uv_async_t async;     /**< wakes the loop from other threads */
    uv_prepare_t prepare; /**< ends a turn: runs what is due */
    uv_idle_t idle;       /**< active while something is due, so that the loop does not wait */
    uv_idle_t looking;    /**< active while it looks, so that it does not wait */
    uv_timer_t timer;     /**< for the deadlines */
    uv_timer_t step;      /**< bounds a fer_loop_step() */
    unsigned handles;     /**< how many of these six are not closed yet */

    fer__look look;
    uint64_t turn;     /**< counts the turns */
    fer__link objects; /**< what is not closed */
    fer__link ready;   /**< objects that have callbacks due */
    fer__link ios;     /**< blocking loop: descriptors that are waited for */
    fer__watch watch;  /**< blocking loop: open once somebody has asked for it, with `ios` in it */
    fer__link deadlines;
    size_t held_deadlines; /**< how many of them keep the loop alive */

    uv_mutex_t lock;  /**< guards the next two */
    fer__link posted; /**< fer__posted */
    fer__link reap;   /**< objects whose last reference went in another thread */

    fer__pool pool;
    fer__batch batch; /**< the messages of one read */

    fer_notify_cb notify;
    void *notify_user;
    fer_finalizer notify_finalizer;
    fer_detached_cb detached;
    void *detached_user;
};

fer_status fer__loop_new(fer_loop **out);
fer_status fer__loop_new_blocking(fer_loop **out);
fer_status fer__loop_attach(uv_loop_t *uv, fer_loop **out);
fer_status fer__loop_detach(fer_loop *loop, fer_detached_cb cb, void *user);
void fer__loop_ref(fer_loop *loop);
void fer__loop_unref(fer_loop *loop);
fer_status fer__loop_run(fer_loop *loop);
fer_status fer__loop_step(fer_loop *loop, int64_t timeout_ms);
void fer__loop_stop(fer_loop *loop);
void fer__loop_fail(fer_loop *loop, fer_status status);
void fer__loop_wake(fer_loop *loop);
fer_status fer__loop_post(fer_loop *loop, fer_posted_cb cb, void *user);
int fer__loop_is_alive(const fer_loop *loop);
int64_t fer__loop_timeout(const fer_loop *loop);
void fer__loop_set_notify(fer_loop *loop, fer_notify_cb cb, void *user, fer_finalizer finalizer);
void fer__loop_close_objects(fer_loop *loop);
fer_status fer__loop_close(fer_loop *loop);

/** Whether this process is not the one that made the loop. */
static inline int fer__loop_is_forked(const fer_loop *loop) {
    return !fer__os_is_process(loop->mark);
}

/** FER_EFORK or FER_ETHREAD, for a caller who may not use the loop. */
fer_status fer__loop_refuse(const fer_loop *loop);

/** Whether the caller may use the loop: FER_EFORK, FER_ETHREAD or FER_OK. Every call begins with it. */
static inline fer_status fer__loop_check(const fer_loop *loop) {
    if (!fer__loop_is_forked(loop) &&
        (loop->kind == FER__LOOP_BLOCKING || fer__thread_is(loop->thread)))
        return FER_OK;
    return fer__loop_refuse(loop);
}

/** Work was left for the loop: have it not wait, and tell the host when it does not run. */
void fer__loop_touch(fer_loop *loop);

/** Run the callbacks that are due. */
void fer__loop_run_ready(fer_loop *loop);

/** One object fewer is open: a loop that is leaving may go on. */
void fer__loop_object_gone(fer_loop *loop);

#endif
