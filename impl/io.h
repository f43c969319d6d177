/**
 * A descriptor that a loop watches.
 *
 * On an own or borrowed loop libuv's uv_poll_t does the watching; on a blocking loop the waiting
 * call looks at loop->ios, and loop->watch has the same, if there is one. Reading and writing is done by
 * the owner, with the functions of os.h.
 */
#ifndef FER_IMPL_IO_H
#define FER_IMPL_IO_H

#include "list.h"
#include "loop.h"
#include "os.h"

typedef struct fer__io fer__io;

/** `events` holds FER__WAIT_READ, FER__WAIT_WRITE and FER__WAIT_GONE. */
typedef void (*fer__io_cb)(fer__io *io, uint32_t events);
typedef void (*fer__io_closed_cb)(fer__io *io);

struct fer__io {
    union {
        uv_poll_t poll;
        fer__link link; /**< in loop->ios of a blocking loop */
    };
    fer_loop *loop;
    union {
        fer__io_cb ready;
        fer__io_closed_cb closed; /**< from fer__io_close() on */
    };
    fer__fd fd;
    unsigned attached : 1;  /**< `poll` is initialised */
    unsigned keep_mode : 1; /**< the blocking mode of the descriptor is the user's */
    unsigned unheld : 1;    /**< waiting does not keep the loop alive */
    unsigned wanted : 4;    /**< what the owner waits for */
    unsigned armed : 4;     /**< what libuv, or the watch of a blocking loop, waits for */
};

/** Without a descriptor yet: io->fd is FER__NO_FD until the owner sets it. */
void fer__io_init(fer__io *io, fer_loop *loop, fer__io_cb ready);

/** Wait for `events` (0: nothing). May fail when the descriptor cannot be watched. */
fer_status fer__io_want(fer__io *io, uint32_t events);

/** On a blocking loop: put what is waited for into loop->watch, or take it out. */
fer_status fer__io_show(fer__io *io, uint32_t events);

/** Whether waiting keeps the loop alive. */
void fer__io_hold(fer__io *io, int hold);

/** Close the descriptor at once; `closed` is called later, or now on a blocking loop. */
void fer__io_close(fer__io *io, fer__io_closed_cb closed);

#endif
