#include "handle.h"

#include "mem.h"
#include "status.h"

/* An idle connection is to cost less than 500 bytes with what malloc(3) and libuv add: see README.md of
 * the benchmark. */
_Static_assert(sizeof(void *) != 8 || sizeof(fer_handle) - sizeof(uv_poll_t) <= 312,
               "a handle is slim");

static fer_handle *from_object(fer__object *object) {
    return FER__CONTAINER(object, fer_handle, object);
}

static void run(fer__object *object) {
    fer_handle *handle = from_object(object);
    if (object->state == FER__CLOSED) {
        fer__object_run_close_requests(object);
        return;
    }
    if (handle->udp != NULL)
        fer__udp_run(handle);
    else
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
    if (handle->bound != NULL)
        fer__os_unbind_pipe(handle->bound);
    fer__pipe_end_attempt(handle);
    fer__ipc_drop(handle);
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
    fer_handle *handle = from_object(object);
    fer__free(handle->listener);
    fer__free(handle->bound);
    fer__free(handle->ipc);
    fer__free(handle->udp);
    fer__name_unref(handle->name);
}

static const fer__class handle_class = {run, abort_handle, call_closed, destroy};

static void on_ready(fer__io *io, uint32_t events) {
    fer_handle *handle = FER__CONTAINER(io, fer_handle, io);
    fer__object_hold(&handle->object);
    if (handle->listener != NULL)
        fer__listener_ready(handle->listener);
    else if (handle->udp != NULL)
        fer__udp_ready(handle, events);
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

fer_status fer__inet_new(fer_loop *loop, fer_kind kind, uint32_t flags, fer_handle **out) {
    fer__fd fd = FER__NO_FD;
    fer_status status = FER_OK;
    fer__inet any;
    if (flags != 0)
        status = fer__os_inet_parse(flags == FER_INET_IPV6 ? "::" : "0.0.0.0", 0, &any);
    if (status == FER_OK && flags != 0)
        status = fer__os_socket_inet(&any, kind == FER_KIND_UDP, &fd);
    if (status == FER_OK)
        status = fer__handle_new(loop, kind, out);
    if (status == FER_OK)
        (*out)->io.fd = fd;
    else if (fd != FER__NO_FD)
        fer__os_close(fd);
    return status;
}

fer_status fer__handle_new_of(fer_loop *loop, fer_kind kind, fer_handle **out) {
    if (kind == FER_KIND_UDP)
        return fer__udp_new(loop, 0, out);
    if (kind == FER_KIND_PIPE)
        return fer__pipe_new(loop, 0, out);
    return fer__handle_new(loop, kind, out);
}

fer_status fer__handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&handle->object, (void (*)(void))cb, user);
    if (status == FER_OK)
        abort_handle(&handle->object);
    return status;
}

void fer__handle_hold_loop(fer_handle *handle, int hold) {
    handle->object.holds_loop = hold != 0;
    if (handle->attempt != NULL)
        fer__deadline_hold(handle->object.loop, &handle->attempt->retry, hold);
    fer__io_hold(&handle->io, hold);
}

void fer__handle_adopt(fer_handle *handle, fer__fd fd, fer__phase phase) {
    handle->io.fd = fd;
    handle->phase = (uint8_t)phase;
}

void fer__handle_adopt_known(fer_handle *handle, fer__fd fd, fer__progress progress) {
    int connected = progress == FER__SOCKET_CONNECTED;
    if (handle->udp != NULL)
        handle->udp->connected = connected;
    fer__handle_adopt(handle, fd,
                      connected && handle->udp == NULL ? FER__PHASE_CONNECTED : FER__PHASE_BOUND);
}

void fer__handle_adopt_socket(fer_handle *handle, fer__fd fd) {
    fer__handle_adopt_known(handle, fd, fer__os_progress(fd));
}

fer_status fer__handle_open(fer_handle *handle, fer__fd fd) {
    fer__progress progress;
    fer_kind kind = fer__os_identify(fd, &progress);
    if (!fer__handle_is_blank(handle))
        return fer__fail_plain(FER_EISCONN);
    if (kind == FER_KIND_NONE)
        return fer__fail_plain(FER_EBADF);
    if (kind != (fer_kind)handle->kind)
        return fer__os_is_socket(fd)
                   ? fer__fail(FER_EPROTOTYPE, "the descriptor is another type of socket")
                   : fer__fail_plain(FER_ENOTSOCK);
    handle->io.keep_mode = 1;
    fer__handle_adopt_known(handle, fd, progress);
    return FER_OK;
}

fer_status fer__handle_detach(fer_handle *handle, fer__fd *fd) {
    if (handle->io.fd == FER__NO_FD)
        return fer__fail(FER_EBADF, "the handle is not open yet");
    if (handle->phase == FER__PHASE_CONNECTING)
        return fer__fail(FER_EBUSY, "the handle is connecting");
    if (handle->out.queued > 0 || (handle->udp != NULL && handle->udp->count > 0))
        return fer__fail(FER_EBUSY, "something waits to be written");
    if (handle->listener != NULL && handle->listener->waiting != FER__NO_FD)
        return fer__fail(FER_EBUSY, "a connection waits to be accepted");
    if (handle->ipc != NULL && handle->ipc->count > 0)
        return fer__fail(FER_EBUSY, "a received handle waits to be accepted");
    *fd = handle->io.fd;
    handle->io.fd = FER__NO_FD;
    /* The socket goes on, and so does its name. */
    if (handle->bound != NULL)
        handle->bound->keep = 1;
    abort_handle(&handle->object);
    return FER_OK;
}
