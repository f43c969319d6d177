#include "listener.h"

#include "status.h"

enum {
    ACCEPT_BATCH = 64,   /* most connections in one turn, so that others get theirs */
    MOST_PATIENCE = 64,  /* see ask_for_more() */
    RETRY_AFTER_MS = 100 /* after running out of descriptors or memory */
};

static void on_retry(fer__deadline *deadline) {
    fer__listener *listener = FER__CONTAINER(deadline, fer__listener, retry);
    fer_status status = fer__io_want(listener->io, FER__WAIT_READ);
    if (status != FER_OK)
        listener->cb(listener, status);
}

fer_status fer__listener_start(fer__listener *listener, fer__io *io, fer__listener_cb cb) {
    listener->io = io;
    listener->cb = cb;
    listener->waiting = FER__NO_FD;
    listener->stopped = 0;
    listener->batch = 1;
    listener->full = 0;
    listener->patience = 1;
    listener->turn = io->loop->turn;
    fer__deadline_init(&listener->retry, on_retry);
    return fer__io_want(io, FER__WAIT_READ);
}

/* To ask once more than there are connections is the dearest call of all: the system makes a socket first.
 * So no more are asked for than came the last time, unless there was no end of them for some turns. */
static void ask_for_more(fer__listener *listener) {
    uint64_t turn = listener->io->loop->turn;
    if (turn - listener->turn != 1)
        listener->full = 0;
    listener->turn = turn;
    if (++listener->full <= listener->patience || listener->batch >= ACCEPT_BATCH)
        return;
    listener->batch = (uint8_t)(2 * listener->batch);
    listener->full = 0;
}

/* There were no more. If asking for more was in vain, that is tried less often from now on. */
static void ask_for_fewer(fer__listener *listener, int came) {
    if (came > listener->batch / 2)
        listener->patience = 1;
    else if (listener->patience < MOST_PATIENCE)
        listener->patience = (uint8_t)(2 * listener->patience);
    listener->batch = came > 0 ? (uint8_t)came : 1;
    listener->full = 0;
}

void fer__listener_ready(fer__listener *listener) {
    int i;
    for (i = 0; i < listener->batch && !listener->stopped; i++) {
        fer_status status = FER_OK;
        if (listener->waiting == FER__NO_FD)
            status = fer__os_accept(listener->io->fd, &listener->waiting);
        if (status == FER_EAGAIN) {
            ask_for_fewer(listener, i);
            return;
        }
        if (status == FER_ECONNABORTED)
            continue;
        if (status != FER_OK) {
            /* The connection stays in the kernel's queue, where it would be reported for ever. */
            fer__io_want(listener->io, 0);
            fer__deadline_set(listener->io->loop, &listener->retry, RETRY_AFTER_MS);
            listener->cb(listener, status);
            return;
        }
        listener->cb(listener, FER_OK);
        if (!listener->stopped && listener->waiting != FER__NO_FD) {
            fer__io_want(listener->io, 0);
            return;
        }
    }
    if (!listener->stopped)
        ask_for_more(listener);
}

fer_status fer__listener_take(fer__listener *listener, fer__fd *fd) {
    if (listener->waiting == FER__NO_FD)
        return fer__os_accept(listener->io->fd, fd);
    if (!listener->stopped && fer__link_alone(&listener->retry.link)) {
        fer_status status = fer__io_want(listener->io, FER__WAIT_READ);
        if (status != FER_OK)
            return status;
    }
    *fd = listener->waiting;
    listener->waiting = FER__NO_FD;
    return FER_OK;
}

void fer__listener_stop(fer__listener *listener) {
    listener->stopped = 1;
    fer__deadline_clear(listener->io->loop, &listener->retry);
    fer__os_close(listener->waiting);
    listener->waiting = FER__NO_FD;
}
