#include "io.h"

#include "status.h"

enum { EVENTS = 15 }; /* the bits of `wanted` and `armed` */

void fer__io_init(fer__io *io, fer_loop *loop, fer__io_cb ready) {
    io->loop = loop;
    io->ready = ready;
    io->fd = FER__NO_FD;
    io->attached = 0;
    io->keep_mode = 0;
    io->wanted = 0;
    io->armed = 0;
    io->unheld = 0;
    fer__link_init(&io->link);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    fer__io *io = FER__CONTAINER(poll, fer__io, poll);
    uint32_t ready = 0;
    if (status < 0) {
        /* libuv has stopped watching. What is wrong, the next read or write tells. */
        io->armed = 0;
        ready = io->wanted;
    } else {
        ready |= (events & UV_READABLE) != 0 ? FER__WAIT_READ : 0u;
        ready |= (events & UV_WRITABLE) != 0 ? FER__WAIT_WRITE : 0u;
        ready |= (events & UV_DISCONNECT) != 0 ? FER__WAIT_GONE : 0u;
    }
    if (ready != 0)
        io->ready(io, ready);
}

static fer_status attach(fer__io *io) {
    int nonblocking = io->keep_mode ? fer__os_get_nonblocking(io->fd) : 1;
    int r = uv_poll_init(io->loop->uv, &io->poll, io->fd);
    if (r == UV_EEXIST)
        return fer__fail(FER_EBUSY, "something else on the loop watches the descriptor");
    if (r != 0)
        return fer__fail(fer__status_from_errno(-r), "the descriptor cannot be watched");
    io->attached = 1;
    if (io->unheld)
        uv_unref((uv_handle_t *)&io->poll);
    /* libuv makes it non-blocking; the library does not rely on that. */
    if (nonblocking == 0)
        return fer__os_set_nonblocking(io->fd, 0);
    return FER_OK;
}

fer_status fer__io_show(fer__io *io, uint32_t events) {
    fer_status status;
    if (io->loop->watch.fd == FER__NO_FD || io->armed == events)
        return FER_OK;
    status = fer__os_watch_set(&io->loop->watch, io->fd, io->armed, events);
    if (status != FER_OK)
        return fer__fail(status, "the descriptor cannot be watched");
    io->armed = events & EVENTS;
    return FER_OK;
}

static fer_status want_blocking(fer__io *io, uint32_t events) {
    fer_status status = fer__io_show(io, events);
    if (status != FER_OK && events != 0)
        return status;
    io->wanted = events & EVENTS;
    fer__link_remove(&io->link);
    if (events != 0)
        fer__link_append(&io->loop->ios, &io->link);
    return FER_OK;
}

fer_status fer__io_want(fer__io *io, uint32_t events) {
    int flags = 0;
    int r;
    /* A finalizer may have closed what it belongs to. */
    if (io->fd == FER__NO_FD)
        return FER_OK;
    if (io->loop->uv == NULL)
        return want_blocking(io, events);
    io->wanted = events & EVENTS;
    if (io->armed == events)
        return FER_OK;
    if (!io->attached) {
        fer_status status = attach(io);
        if (status != FER_OK)
            return status;
    }
    if (events == 0) {
        io->armed = 0;
        uv_poll_stop(&io->poll);
        return FER_OK;
    }
    flags |= (events & FER__WAIT_READ) != 0 ? UV_READABLE : 0;
    flags |= (events & FER__WAIT_WRITE) != 0 ? UV_WRITABLE : 0;
    flags |= (events & FER__WAIT_GONE) != 0 ? UV_DISCONNECT : 0;
    r = uv_poll_start(&io->poll, flags, on_poll);
    if (r != 0)
        return fer__fail_plain(fer__status_from_errno(-r));
    io->armed = events & EVENTS;
    io->loop->unpolled = 1;
    fer__loop_touch(io->loop);
    return FER_OK;
}

void fer__io_hold(fer__io *io, int hold) {
    io->unheld = !hold;
    if (!io->attached)
        return;
    if (hold)
        uv_ref((uv_handle_t *)&io->poll);
    else
        uv_unref((uv_handle_t *)&io->poll);
}

static void on_closed(uv_handle_t *handle) {
    fer__io *io = FER__CONTAINER(handle, fer__io, poll);
    io->closed(io);
}

void fer__io_close(fer__io *io, fer__io_closed_cb closed) {
    io->wanted = 0;
    if (io->loop->uv == NULL) {
        (void)fer__io_show(io, 0);
        fer__link_remove(&io->link);
    }
    if (!io->attached) {
        fer__os_close(io->fd);
        io->fd = FER__NO_FD;
        closed(io);
        return;
    }
    io->closed = closed;
    uv_close((uv_handle_t *)&io->poll, on_closed);
    fer__os_close(io->fd);
    io->fd = FER__NO_FD;
    fer__loop_touch(io->loop);
}
