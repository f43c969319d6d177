#include "handle.h"

#include "mem.h"
#include "status.h"

static fer_handle *from_object(fer__object *object) {
    return FER__CONTAINER(object, fer_handle, object);
}

static void run(fer__object *object) {
    fer_handle *handle = from_object(object);
    if (object->state == FER__CLOSED) {
        fer__object_run_close_requests(object);
        return;
    }
    fer__stream_run(handle);
    if (object->state == FER__CLOSING && handle->io_closed)
        fer__object_finish_close(object);
}

static void on_io_closed(fer__io *io) {
    fer_handle *handle = FER__CONTAINER(io, fer_handle, io);
    handle->io_closed = 1;
    fer__object_due(&handle->object);
}

static void abort_handle(fer__object *object) {
    fer_handle *handle = from_object(object);
    if (object->state != FER__OPEN)
        return;
    object->state = FER__CLOSING;
    if (handle->listener != NULL)
        fer__listener_stop(handle->listener);
    fer__os_unbind_pipe(&handle->bound);
    fer__sendq_drop(&handle->out, &object->loop->pool);
    fer__callback_retire(&handle->in);
    /* Before the io, whose end ends the handle: what is due is canceled first. */
    fer__object_due(object);
    fer__io_close(&handle->io, on_io_closed);
}

static void call_closed(fer__object *object, void (*cb)(void), void *user) {
    ((fer_handle_closed_cb)cb)(from_object(object), user);
}

static void destroy(fer__object *object) {
    fer__free(from_object(object)->listener);
}

static const fer__class handle_class = {run, abort_handle, call_closed, destroy};

static void on_ready(fer__io *io, uint32_t events) {
    fer_handle *handle = FER__CONTAINER(io, fer_handle, io);
    fer__object_hold(&handle->object);
    if (handle->listener != NULL)
        fer__listener_ready(handle->listener);
    else
        fer__stream_ready(handle, events);
    fer__object_release(&handle->object);
}

fer_status fer__handle_new(fer_loop *loop, fer_kind kind, fer_handle **out) {
    fer_handle *handle = fer__zalloc(sizeof *handle);
    if (handle == NULL)
        return fer__fail_plain(FER_ENOMEM);
    fer__object_init(&handle->object, &handle_class, loop);
    fer__io_init(&handle->io, loop, on_ready);
    handle->kind = (uint8_t)kind;
    *out = handle;
    return FER_OK;
}

fer_status fer__handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&handle->object, (void (*)(void))cb, user);
    if (status == FER_OK)
        abort_handle(&handle->object);
    return status;
}

void fer__handle_hold_loop(fer_handle *handle, int hold) {
    handle->object.holds_loop = hold != 0;
    fer__io_hold(&handle->io, hold);
}

void fer__handle_adopt(fer_handle *handle, fer__fd fd, fer__phase phase) {
    handle->io.fd = fd;
    handle->phase = (uint8_t)phase;
}
