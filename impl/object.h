/**
 * What handles, channels and servers have in common: owners, state, the close callbacks.
 *
 * An object lives until it is closed and nobody holds it. `owners` counts what the user holds;
 * `holds` counts the reasons why the memory must stay: one for having owners, one for being open,
 * one for each callback under way.
 */
#ifndef FER_IMPL_OBJECT_H
#define FER_IMPL_OBJECT_H

#include <stdatomic.h>

#include "ferrule/types.h"
#include "list.h"

typedef struct fer__object fer__object;

typedef enum fer__state { FER__OPEN, FER__CLOSING, FER__CLOSED } fer__state;

/** What differs between the classes of objects. */
typedef struct fer__class {
    /** Run the callbacks that became due; the object was put on the ready list before. */
    void (*run)(fer__object *object);
    /** Start to close, without flushing; only for an object that is not closed. */
    void (*abort)(fer__object *object);
    /** Call a close callback. */
    void (*closed)(fer__object *object, void (*cb)(void), void *user);
    /** Free what the object holds; not the object itself. */
    void (*destroy)(fer__object *object);
} fer__class;

struct fer__object {
    const fer__class *class;
    fer_loop *loop; /**< holds a reference */
    atomic_uint owners;
    atomic_uint holds;
    uint8_t state;      /**< a fer__state */
    uint8_t holds_loop; /**< whether waiting keeps the loop alive */
    fer__link all;      /**< in loop->objects while not closed */
    fer__link ready;    /**< in loop->ready while callbacks are due */
    fer__link reap;     /**< in loop->reap after another thread dropped the last reference */
    struct fer__close_request *on_closed; /**< the last close callback that waits, in a ring */
    void *data;
    fer_finalizer data_finalizer;
};

/** Set up a new object with one owner, open, on `loop`. */
void fer__object_init(fer__object *object, const fer__class *class, fer_loop *loop);

void fer__object_ref(fer__object *object);

/** The work of the functions fer_*_unref. */
void fer__object_unref(fer__object *object);

/** Keep the memory during a callback. */
void fer__object_hold(fer__object *object);
void fer__object_release(fer__object *object);

/** Have class->run called at the end of the loop's turn. */
void fer__object_due(fer__object *object);

/**
 * Note a close callback. Called for an object in any state; one that is closed already has the callback
 * run at the end of the turn. `cb` NULL does nothing.
 */
fer_status fer__object_add_close_request(fer__object *object, void (*cb)(void), void *user);

/** The object is closed: run the close callbacks, leave the loop. Called once. */
void fer__object_finish_close(fer__object *object);

/** Run the close callbacks that wait. */
void fer__object_run_close_requests(fer__object *object);

/** The work of the functions fer_*_set_data. */
void fer__object_set_data(fer__object *object, void *data, fer_finalizer finalizer);

#endif
