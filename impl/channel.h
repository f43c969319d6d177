/**
 * Channels.
 *
 * Life: connecting, hello (native wire), open; then closing, closed. channel_open.c, channel_connect.c and
 * channel_hello.c lead to open, channel_send.c and channel_receive.c are what it is for, channel_close.c
 * ends it.
 */
#ifndef FER_IMPL_CHANNEL_H
#define FER_IMPL_CHANNEL_H

#include "auth.h"
#include "callback.h"
#include "deadline.h"
#include "ferrule/info.h"
#include "intake.h"
#include "io.h"
#include "object.h"
#include "place.h"
#include "sendq.h"
#include "status.h"

typedef enum fer__channel_phase {
    FER__CHANNEL_CONNECTING, /**< no listener yet */
    FER__CHANNEL_HELLO,      /**< the peer has not said hello */
    FER__CHANNEL_OPEN,
    FER__CHANNEL_FAILED /**< it never opened */
} fer__channel_phase;

/** Whether a client that said hello, and proved what it had to, may come in. */
typedef fer_status (*fer__admit_cb)(fer_channel *channel, void *user);

enum { FER__FIRST_RETRY_MS = 1 /**< wait between the first two tries to connect */ };

/** What is needed until a channel is open. */
typedef struct fer__opening {
    fer_channel_connected_cb opened; /**< told once that it is open, or will never be */
    void *user;
    fer_channel *channel;
    fer__link link;   /**< in server->half_open of an accepted channel */
    fer__place place; /**< where to connect to */
    int waits;        /**< for a client, at a server on a FIFO: as long as it takes */
    int64_t give_up;  /**< when to stop trying to connect, by fer__os_now(); negative: never */
    int64_t retry_ms; /**< wait before the next try */
    int64_t handshake_timeout_ms;
    uint8_t hello[FER__NATIVE_HEADER + FER__HELLO_SIZE];
    size_t hello_have;
    size_t hello_rest;   /**< bytes of a longer HELLO that are to be read */
    fer__secret *secret; /**< NULL without one */
    fer__auth *auth;     /**< NULL without a secret */
    size_t nonce_have;   /**< of the peer's random bytes */
    uint8_t proof[FER__NATIVE_HEADER + FER__PROOF_SIZE];
    size_t proof_have;
    fer__admit_cb admit; /**< NULL: all may. Gets `user`, too */
    uint8_t is_server;
    uint8_t any_user; /**< whose the server is does not matter */
    uint8_t reached;  /**< on FIFOs: there was a server */
    fer_status result;
    int done;           /**< `result` holds */
    fer__detail detail; /**< what was wrong */
} fer__opening;

/** What only a channel on FIFOs has: the one that it writes. */
typedef struct fer__fifo {
    fer__io io;
    fer_channel *channel;
    uint8_t heard; /**< something came: from now on the end of the peer shows when reading */
    uint8_t has_early;
    uint8_t early; /**< the first byte, which came when this side looked whether there is a peer */
} fer__fifo;

/** What only a blocking channel has. */
typedef struct fer__blocking {
    atomic_flag busy;   /**< a thread is inside a call */
    size_t next;        /**< of loop->batch: the next message to hand out */
    int64_t timeout_ms; /**< that the socket has for receiving; -2 when not known */
    int64_t heard_ms;   /**< when something came, by fer__os_now(), if silence is limited */
} fer__blocking;

struct fer_channel {
    fer__object object;
    fer__io io;
    fer__deadline deadline;
    fer__opening *opening;   /**< NULL once open */
    fer__blocking *blocking; /**< NULL on a loop */
    fer__fifo *fifo;         /**< NULL except on FIFOs */

    uint8_t phase;        /**< a fer__channel_phase */
    uint8_t wire;         /**< a fer_wire */
    uint8_t line;         /**< a fer__line */
    uint8_t resetting;    /**< the io of a failed try to connect is being closed */
    uint8_t admitted;     /**< by a server that has a limit, and was not told yet that it is open */
    uint8_t corked;       /**< what is sent gathers */
    uint8_t inline_only;  /**< no lanes */
    uint8_t lane_tried;   /**< a lane was made, or could not be */
    uint8_t busy;         /**< much was sent in the last turn in which something was */
    uint8_t blocked;      /**< the kernel takes no more: wait until it does */
    uint8_t above;        /**< the queue has been above the high-water mark */
    uint8_t drained;      /**< the drain callback is due */
    uint8_t paused;       /**< the receiver does not want any for now */
    uint8_t said_goodbye; /**< ours is queued or sent */
    uint8_t torn;         /**< the descriptor is closed */
    uint8_t ios_open;     /**< ios that are not closed: at 0 the channel can be, too */
    uint8_t ended;        /**< nothing more can be received: `end` says why */
    uint8_t called;       /**< this side connected, and the peer may not have accepted yet */
    uint8_t heard;        /**< little came, and nothing was sent since */
    uint8_t asked;        /**< something was sent then, and nothing came since */
    uint16_t version;     /**< of the native wire */

    fer_status end;    /**< how receiving ended */
    fer_status broken; /**< why sending failed, once it has */
    fer_status close_status;
    uint32_t small; /**< bytes in a message that is copied to wait, and that both sides take */
    uint32_t busy_poll_ns; /**< how long to look for answers; 0: never */
    uint32_t asked_at;     /**< `messages_out` when it asked last, its lower bits */
    uint64_t turn;         /**< the loop's turn of the last immediate write */

    fer__sendq out;
    fer__intake in;
    fer__limits limits;
    fer__limits peer;
    uint64_t high_water;
    uint64_t hard_cap;
    int64_t close_timeout_ms;
    int64_t frame_timeout_ms; /**< negative: none */
    uint64_t unsent;          /**< bytes that were queued when the descriptor was closed */
    uint64_t messages_out;    /**< messages that were accepted; `in` counts those that came */
    uint64_t bytes_out;
    uint64_t turn_bytes; /**< what that was when this turn's first message was sent */
    uint64_t handles_out;
    uint64_t high_water_hits;
    fer__callback receiver;
    fer__callback drain;
    void (*gone)(fer_channel *channel, void *user); /**< told once that it is closed; may be NULL */
    void *gone_user;
    fer__link at_server; /**< in server->channels while it is open */
};

/* channel.c */

/** Check options, and fill in the defaults. */
fer_status fer__channel_options_check(fer_channel_options *options);

fer_status fer__channel_new(fer_loop *loop, const fer_channel_options *options, fer_channel **out);

/** Undo fer__channel_new() on a channel that nobody has seen yet. */
void fer__channel_abandon(fer_channel *channel);

/** Make room for the second descriptor of a channel on FIFOs. */
fer_status fer__channel_add_fifo(fer_channel *channel);

/** Watch the descriptors for what the channel is about. */
fer_status fer__channel_watch(fer_channel *channel);

/** The callback of channel->io. */
void fer__channel_ready(fer__io *io, uint32_t events);

/** Whether `status` OK was reached: open and not closing. */
int fer__channel_is_open(const fer_channel *channel);

void fer__channel_get_stats(const fer_channel *channel, fer_channel_stats *stats);
void fer__channel_get_info(const fer_channel *channel, fer_channel_info *info);
void fer__channel_hold_loop(fer_channel *channel, fer_channel_hold hold);

/** The descriptor that it writes to. */
fer__fd fer__channel_out(const fer_channel *channel);

/* channel_open.c */

fer_status fer__channel_connect(fer_loop *loop, const char *address,
                                const fer_channel_options *options, fer_channel_connected_cb opened,
                                void *user, fer_channel **out);

/** Wait, at a server, for a client on FIFOs. The place is the channel's then, unless this fails. */
fer_status fer__channel_await(fer_loop *loop, fer__place *place, const fer_channel_options *options,
                              fer_channel_connected_cb opened, void *user, fer_channel **out);

/**
 * Begin on a descriptor that is connected; the channel owns it, also when this fails. With `admit` (or NULL),
 * this side says nothing that would open the channel for the client before that is asked.
 */
fer_status fer__channel_accept(fer_loop *loop, const fer_channel_options *options, fer__line line,
                               fer__fd fd, fer__admit_cb admit, fer_channel_connected_cb opened,
                               void *user, fer_channel **out);

fer_status fer__channel_pair(fer_loop *loop, const fer_channel_options *options,
                             fer_channel_connected_cb opened, void *user, fer_channel *out[2]);

/** Opening came to an end; who waits for it is told at the end of the turn. */
void fer__channel_opened(fer_channel *channel, fer_status status);
int fer__channel_run_opened(fer_channel *channel); /**< whether it was told */
void fer__opening_free(fer__opening *opening);

/* channel_connect.c */

/** Try to reach the place, now and later. */
void fer__channel_try_connect(fer_channel *channel);

/** The time is up, for a channel that is not open yet: try once more if the way is tried; what comes of it ends that. */
void fer__channel_give_up_connecting(fer_channel *channel);

/** The descriptor is writable while the connection is under way. */
void fer__channel_connect_ready(fer_channel *channel);

/* channel_hello.c */

/** The descriptor is connected: on the native wire say hello and wait for the peer's. */
void fer__channel_connected(fer_channel *channel);

/** The descriptor is readable while the peer has not said hello. */
void fer__channel_read_hello(fer_channel *channel);

/* channel_send.c */

/** `fds` ride with the message; they stay the caller's. */
fer_status fer__channel_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                             const fer__fd *fds, size_t fd_count, fer_sent_cb cb, void *user);

/** As fer_channel_send_many(). */
fer_status fer__channel_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                                  size_t *accepted);
void fer__channel_cork(fer_channel *channel);
void fer__channel_uncork(fer_channel *channel);

/** Write what waits. Failing is noted in the channel. */
void fer__channel_flush(fer_channel *channel);

/** As fer_channel_flush(). */
fer_status fer__channel_flush_then(fer_channel *channel, fer_sent_cb cb, void *user);

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

/** Go on with what was read before and could not be delivered yet. */
void fer__channel_run_rest(fer_channel *channel);

/** Read bytes, as far as they come at once or, with `may_block`, wait for the first. */
fer_status fer__channel_recv(fer_channel *channel, const struct iovec *iov, size_t count,
                             int may_block, size_t *got, uint32_t *flags);

/** The peer was silent in the middle of a message for too long. */
void fer__channel_give_up_frame(fer_channel *channel);

/** Close the handles of the message of this number in the present batch that nobody took. */
void fer__message_drop_handles(fer_channel *channel, size_t number);

/** Take a handle that a message of the present batch brought. */
fer_status fer__message_take(fer_channel *channel, const fer_message *message, size_t index,
                             fer__fd *fd, int32_t *kind);

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
