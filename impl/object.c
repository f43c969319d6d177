#include "object.h"

#include "loop.h"
#include "mem.h"
#include "status.h"

/** A close callback that waits. */
typedef struct fer__close_request {
    struct fer__close_request *next; /**< the last one's is the first */
    void (*cb)(void);
    void *user;
} fer__close_request;

_Static_assert(sizeof(fer__close_request) <= sizeof(fer__node), "a close request is a node");

void fer__object_init(fer__object *object, const fer__class *class, fer_loop *loop) {
    object->class = class;
    object->loop = loop;
    fer__loop_ref(loop);
    atomic_init(&object->owners, 1);
    atomic_init(&object->holds, 2);
    object->state = FER__OPEN;
    object->holds_loop = 1;
    fer__link_append(&loop->objects, &object->all);
    fer__link_init(&object->ready);
    fer__link_init(&object->reap);
    object->on_closed = NULL;
    object->data = NULL;
    object->data_finalizer = NULL;
}

void fer__object_ref(fer__object *object) {
    atomic_fetch_add_explicit(&object->owners, 1, memory_order_relaxed);
}

void fer__object_hold(fer__object *object) {
    atomic_fetch_add_explicit(&object->holds, 1, memory_order_relaxed);
}

void fer__object_release(fer__object *object) {
    fer_loop *loop = object->loop;
    if (atomic_fetch_sub_explicit(&object->holds, 1, memory_order_acq_rel) != 1)
        return;
    fer__object_set_data(object, NULL, NULL);
    object->class->destroy(object);
    fer__free(object);
    fer__loop_unref(loop);
}

void fer__object_unref(fer__object *object) {
    fer_loop *loop = object->loop;
    if (atomic_fetch_sub_explicit(&object->owners, 1, memory_order_acq_rel) != 1)
        return;
    /* In the child of a fork the descriptors and the epoll set are the parent's as well. */
    if (fer__loop_is_forked(loop))
        return;
    if (loop->kind == FER__LOOP_BLOCKING || fer__loop_check(loop) == FER_OK) {
        /* One that is closing already goes on to flush. */
        if (object->state == FER__OPEN ||
            (object->state == FER__CLOSING && loop->kind == FER__LOOP_BLOCKING))
            object->class->abort(object);
        while (loop->kind == FER__LOOP_BLOCKING && !fer__link_alone(&loop->ready))
            fer__loop_run_ready(loop);
        fer__object_release(object);
        return;
    }
    uv_mutex_lock(&loop->lock);
    if (!atomic_load(&loop->closed)) {
        /* The list takes over the hold that the owners had. */
        fer__link_append(&loop->reap, &object->reap);
        uv_async_send(&loop->async);
        uv_mutex_unlock(&loop->lock);
        return;
    }
    uv_mutex_unlock(&loop->lock);
    fer__object_release(object);
}

void fer__object_due(fer__object *object) {
    if (!fer__link_alone(&object->ready))
        return;
    fer__object_hold(object);
    fer__link_append(&object->loop->ready, &object->ready);
    fer__loop_touch(object->loop);
}

fer_status fer__object_add_close_request(fer__object *object, void (*cb)(void), void *user) {
    fer__close_request *request;
    if (cb == NULL)
        return FER_OK;
    if (atomic_load(&object->loop->closed))
        return fer__fail(FER_ECLOSED, "the loop that would call back is closed");
    request = fer__pool_node(&object->loop->pool);
    if (request == NULL)
        return fer__fail_plain(FER_ENOMEM);
    request->cb = cb;
    request->user = user;
    request->next = request;
    if (object->on_closed != NULL) {
        request->next = object->on_closed->next;
        object->on_closed->next = request;
    }
    object->on_closed = request;
    if (object->state == FER__CLOSED)
        fer__object_due(object);
    return FER_OK;
}

void fer__object_run_close_requests(fer__object *object) {
    fer__close_request *last = object->on_closed;
    object->on_closed = NULL;
    while (last != NULL) {
        fer__close_request *request = last->next;
        void (*cb)(void) = request->cb;
        void *user = request->user;
        last->next = request->next;
        if (request == last)
            last = NULL;
        fer__pool_give_node(&object->loop->pool, request);
        object->class->closed(object, cb, user);
    }
}

void fer__object_finish_close(fer__object *object) {
    fer_loop *loop = object->loop;
    fer__object_hold(object);
    object->state = FER__CLOSED;
    fer__link_remove(&object->all);
    fer__object_run_close_requests(object);
    fer__object_release(object);
    fer__loop_object_gone(loop);
    /* Last: it may be what keeps the loop's memory. */
    fer__object_release(object);
}

void fer__object_set_data(fer__object *object, void *data, fer_finalizer finalizer) {
    void *old = object->data;
    fer_finalizer old_finalizer = object->data_finalizer;
    object->data = data;
    object->data_finalizer = finalizer;
    if (old_finalizer != NULL)
        old_finalizer(old);
}
