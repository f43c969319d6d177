/**
 * Channels.
 *
 * Life: connecting, hello (native wire), open; then closing, closed. channel_open.c leads to open,
 * channel_send.c and channel_receive.c are what it is for, channel_close.c ends it.
 */
#ifndef FER_IMPL_CHANNEL_H
#define FER_IMPL_CHANNEL_H

#include "address.h"
#include "callback.h"
#include "deadline.h"
#include "ferrule/channel.h"
#include "intake.h"
#include "io.h"
#include "object.h"
#include "sendq.h"
#include "status.h"

typedef enum fer__channel_phase {
    FER__CHANNEL_CONNECTING, /**< no listener yet */
    FER__CHANNEL_HELLO,      /**< the peer has not said hello */
    FER__CHANNEL_OPEN,
    FER__CHANNEL_FAILED /**< it never opened */
} fer__channel_phase;

/** What is needed until a channel is open. */
typedef struct fer__opening {
    fer_channel_connected_cb opened; /**< told once that it is open, or will never be */
    void *user;
    fer_channel *channel;
    fer__link link; /**< in server->half_open of an accepted channel */
    char *name;     /**< of the pipe to connect to */
    size_t name_size;
    int64_t give_up;  /**< when to stop trying to connect, by fer__os_now(); negative: never */
    int64_t retry_ms; /**< wait before the next try */
    int64_t handshake_timeout_ms;
    uint8_t hello[FER__NATIVE_HEADER + FER__HELLO_SIZE];
    size_t hello_have;
    size_t hello_rest; /**< bytes of a longer HELLO that are to be read and ignored */
    fer_status result;
    int done;           /**< `result` holds */
    fer__detail detail; /**< what was wrong */
} fer__opening;

/** What only a blocking channel has. */
typedef struct fer__blocking {
    atomic_flag busy;   /**< a thread is inside a call */
    size_t next;        /**< of loop->batch: the next message to hand out */
    int64_t timeout_ms; /**< that the socket has for receiving; -2 when not known */
} fer__blocking;

struct fer_channel {
    fer__object object;
    fer__io io;
    fer__deadline deadline;
    fer__opening *opening;   /**< NULL once open */
    fer__blocking *blocking; /**< NULL on a loop */

    uint8_t phase;        /**< a fer__channel_phase */
    uint8_t wire;         /**< a fer_wire */
    uint8_t blocked;      /**< the kernel takes no more: wait until it does */
    uint8_t above;        /**< the queue has been above the high-water mark */
    uint8_t drained;      /**< the drain callback is due */
    uint8_t paused;       /**< the receiver does not want any for now */
    uint8_t said_goodbye; /**< ours is queued or sent */
    uint8_t torn;         /**< the descriptor is closed */
    uint8_t io_closed;    /**< the io is closed: the channel can be, too */
    uint8_t ended;        /**< nothing more can be received: `end` says why */
    uint16_t version;     /**< of the native wire */

    fer_status end;    /**< how receiving ended */
    fer_status broken; /**< why sending failed, once it has */
    fer_status close_status;
    uint64_t turn; /**< the loop's turn of the last immediate write */

    fer__sendq out;
    fer__intake in;
    fer__limits limits;
    fer__limits peer;
    uint64_t high_water;
    uint64_t hard_cap;
    int64_t close_timeout_ms;
    fer__callback receiver;
    fer__callback drain;
};

/* channel.c */

/** Check options, and fill in the defaults. */
fer_status fer__channel_options_check(fer_channel_options *options);

fer_status fer__channel_new(fer_loop *loop, const fer_channel_options *options, fer_channel **out);

/** Watch the descriptor for what the channel is about. */
fer_status fer__channel_watch(fer_channel *channel);

/** Whether `status` OK was reached: open and not closing. */
int fer__channel_is_open(const fer_channel *channel);

void fer__channel_get_info(const fer_channel *channel, fer_channel_info *info);
void fer__channel_hold_loop(fer_channel *channel, int hold);

/* channel_open.c */

fer_status fer__channel_connect(fer_loop *loop, const char *address,
                                const fer_channel_options *options, fer_channel_connected_cb opened,
                                void *user, fer_channel **out);

/** Begin on a descriptor that was accepted; the channel owns it, also when this fails. */
fer_status fer__channel_accept(fer_loop *loop, const fer_channel_options *options, fer__fd fd,
                               fer_channel_connected_cb opened, void *user, fer_channel **out);

/** The descriptor is readable while the peer has not said hello. */
void fer__channel_read_hello(fer_channel *channel);

/** Opening came to an end; who waits for it is told at the end of the turn. */
void fer__channel_opened(fer_channel *channel, fer_status status);
int fer__channel_run_opened(fer_channel *channel); /**< whether it was told */
void fer__opening_free(fer__opening *opening);

/** The name of the pipe that an address means, into `name` of FER__PIPE_NAME_MAX bytes. */
fer_status fer__channel_pipe_name(const char *address, char *name, size_t *size);

enum { FER__PIPE_NAME_MAX = 4096 };

/* channel_send.c */

fer_status fer__channel_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                             fer_sent_cb cb, void *user);

/** Write what waits. Failing is noted in the channel. */
void fer__channel_flush(fer_channel *channel);

/** Queue the goodbye, once. */
void fer__channel_say_goodbye(fer_channel *channel);

/** Sending has failed: what waits is dropped. */
void fer__channel_break(fer_channel *channel, fer_status status);
void fer__channel_run_sent(fer_channel *channel);

/* channel_receive.c */

fer_status fer__channel_receive(fer_channel *channel, fer_messages_cb cb, void *user,
                                fer_finalizer finalizer);
fer_status fer__channel_set_paused(fer_channel *channel, int paused);

/**
 * Read once. The messages are in loop->batch until fer__channel_batch_done().
 *
 * FER_OK: perhaps there is more; FER_EAGAIN: not now; otherwise how the channel ended.
 */
fer_status fer__channel_read(fer_channel *channel, int may_block);
void fer__channel_batch_done(fer_channel *channel);

/** The descriptor is readable. */
void fer__channel_read_ready(fer_channel *channel);
void fer__channel_run_receiver(fer_channel *channel);

/* channel_close.c */

fer_status fer__channel_close(fer_channel *channel, fer_channel_closed_cb cb, void *user);
void fer__channel_abort(fer_channel *channel);

/** Close the descriptor; the close callbacks come after all others. */
void fer__channel_tear_down(fer_channel *channel, fer_status status);

/** Whether a close that waits has all that it waits for; then tear down. */
void fer__channel_check_closed(fer_channel *channel);
void fer__channel_run_closed(fer_channel *channel);

#endif
