#include "callback.h"

#include <stddef.h>

void fer__callback_set(fer__callback *callback, void (*cb)(void), void *user,
                       fer_finalizer finalizer) {
    fer__frame *frame = callback->frame;
    void *old_user = callback->user;
    fer_finalizer old_finalizer = callback->finalizer;
    callback->cb = cb;
    callback->user = user;
    callback->finalizer = finalizer;
    if (old_finalizer == NULL)
        return;
    /* Only the first that is replaced during a call is the one that the call uses. */
    if (frame != NULL && frame->finalizer == NULL && frame->user == old_user) {
        frame->finalizer = old_finalizer;
        return;
    }
    old_finalizer(old_user);
}

void fer__callback_retire(fer__callback *callback) {
    fer__callback_set(callback, NULL, NULL, NULL);
}

void fer__callback_enter(fer__callback *callback, fer__frame *frame) {
    frame->user = callback->user;
    frame->finalizer = NULL;
    callback->frame = frame;
}

void fer__callback_leave(fer__callback *callback, fer__frame *frame) {
    callback->frame = NULL;
    if (frame->finalizer != NULL)
        frame->finalizer(frame->user);
}

fer_status fer__callback_refuse(fer_status status, void *user, fer_finalizer finalizer) {
    if (finalizer != NULL)
        finalizer(user);
    return status;
}
