/**
 * A listening descriptor: accepts one connection ahead, so that its owner is told only of real ones.
 */
#ifndef FER_IMPL_LISTENER_H
#define FER_IMPL_LISTENER_H

#include "deadline.h"
#include "io.h"

typedef struct fer__listener fer__listener;

/** A connection waits (FER_OK), or accepting is in trouble. May stop the listener. */
typedef void (*fer__listener_cb)(fer__listener *listener, fer_status status);

struct fer__listener {
    fer__io *io;
    fer__listener_cb cb;
    fer__deadline retry; /**< set after trouble, such as too many descriptors */
    fer__fd waiting;     /**< the connection that was accepted ahead */
    int stopped;
    uint8_t batch;    /**< how many connections are asked for in a turn */
    uint8_t full;     /**< turns one after the other in which there were as many */
    uint8_t patience; /**< how many of these it takes to ask for more */
    uint64_t turn;    /**< of the loop, the last time that it was full */
};

/** Start to accept on `io`, whose descriptor listens. */
fer_status fer__listener_start(fer__listener *listener, fer__io *io, fer__listener_cb cb);

/** The descriptor is readable. The owner keeps the memory of the listener during this. */
void fer__listener_ready(fer__listener *listener);

/** Take the connection that waits, or the next one: FER_EAGAIN when there is none. */
fer_status fer__listener_take(fer__listener *listener, fer__fd *fd);

/** Stop; a connection that waits is closed. The owner closes the io. */
void fer__listener_stop(fer__listener *listener);

#endif
