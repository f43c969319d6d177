/**
 * Registered callbacks: kept with their finalizer, which runs once, after the last call.
 */
#ifndef FER_IMPL_CALLBACK_H
#define FER_IMPL_CALLBACK_H

#include "ferrule/types.h"

/** A call under way: what it uses is finalized only when it has returned. */
typedef struct fer__frame {
    void *user;
    fer_finalizer finalizer;
} fer__frame;

typedef struct fer__callback {
    void (*cb)(void); /**< NULL when none is registered */
    void *user;
    fer_finalizer finalizer;
    fer__frame *frame; /**< of the call under way */
} fer__callback;

/** Register, in place of what is registered, which is finalized as by fer__callback_retire(). */
void fer__callback_set(fer__callback *callback, void (*cb)(void), void *user,
                       fer_finalizer finalizer);

/** Unregister, and finalize: now, or when the call under way has returned. */
void fer__callback_retire(fer__callback *callback);

/** Around a call. The memory of `callback` must stay until the end. */
void fer__callback_enter(fer__callback *callback, fer__frame *frame);
void fer__callback_leave(fer__callback *callback, fer__frame *frame);

/** A registration failed: finalize what was to be registered, and return `status`. */
fer_status fer__callback_refuse(fer_status status, void *user, fer_finalizer finalizer);

#endif
