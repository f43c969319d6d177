/**
 * Channels: messages that arrive whole or not at all.
 *
 * Addresses: `pipe:/path`, `pipe:@abstract` (Linux), `pipe:name` (a private short path in the
 * user's runtime directory), `fifo:IN,OUT` (the FIFO that this side reads, the one that it writes),
 * `tcp:HOST:PORT` (a literal address or `localhost`; of the loopback, unless FER_CHANNEL_ANY_HOST says
 * otherwise) and `fd:N` (a connected stream socket that was inherited; the channel takes it over). Both
 * wires work on each of them. Handles travel with messages on the native wire over Unix domain sockets:
 * on `pipe:`, and on `fd:` of such a socket.
 *
 * A channel is closed with fer_channel_close() (flush, goodbye, wait for the peer's) or
 * fer_channel_abort(). Close is not free: see ferrule/handle.h.
 */
#ifndef FERRULE_CHANNEL_H
#define FERRULE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "message.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** When a channel keeps fer_loop_run() from returning. One that is closing does in any case. */
typedef enum fer_channel_hold {
    FER_CHANNEL_HOLD_NEVER = 0,   /**< whatever it waits for */
    FER_CHANNEL_HOLD_WAITING = 1, /**< while it waits for anything; what a new channel has */
    FER_CHANNEL_HOLD_SENDING = 2  /**< while something that was sent waits for the kernel */
} fer_channel_hold;

/** How messages look on the transport: docs/wire-format.md. */
typedef enum fer_wire {
    FER_WIRE_NATIVE = 0, /**< typed frames with a handshake, goodbye and handles */
    FER_WIRE_PLAIN = 1   /**< a 32-bit length, then the payload: as aea has it */
} fer_wire;

/** Flags of fer_channel_options. */
enum {
    FER_CHANNEL_ANY_HOST = 1, /**< `tcp:` addresses may be others than those of the loopback */
    FER_CHANNEL_INLINE = 2,   /**< no shared memory: all bytes go through the transport */
    FER_CHANNEL_ANY_USER = 4  /**< a client on TCP does not ask whose the server is */
};

/** The longest `busy_poll_us` of fer_channel_options. */
enum { FER_BUSY_POLL_MAX_US = 1000 };

/** How a channel behaves. 0 in a field means the default. Times in milliseconds, negative: none. */
typedef struct fer_channel_options {
    uint32_t struct_size;         /**< sizeof(fer_channel_options) */
    uint32_t flags;               /**< FER_CHANNEL_* */
    int32_t wire;                 /**< a fer_wire */
    uint32_t max_handles;         /**< handles accepted with a message, up to 64; default none */
    uint64_t max_message;         /**< bytes in a message, taken or sent, up to 4 GiB - 1;
                                       default 64 MiB */
    uint64_t high_water;          /**< queued bytes above which to wait for drain; default 1 MiB. A
                                       handle that waits counts as 8 KiB, here and below */
    uint64_t hard_cap;            /**< queued bytes above which to refuse; default 64 MiB */
    int64_t connect_timeout_ms;   /**< until there is a listener; default 10 s */
    int64_t handshake_timeout_ms; /**< until the peer has said hello; default 5 s */
    int64_t close_timeout_ms;     /**< until the peer has said goodbye; default 5 s */
    int64_t frame_timeout_ms;     /**< silence in the middle of a message; default: no limit */
    const void *secret;           /**< known to both sides and nobody else; NULL: none */
    size_t secret_size;           /**< its bytes */
    int64_t busy_poll_us;         /**< how long, in microseconds, to look for an answer before
                                       going to sleep, where answers come that soon; up to
                                       FER_BUSY_POLL_MAX_US; default 50; negative: never */
} fer_channel_options;

/* clang-format off */
#define FER_CHANNEL_OPTIONS_INIT \
    { sizeof(fer_channel_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0 }
/* clang-format on */

/**
 * The end of fer_channel_connect().
 *
 * `status` FER_OK: the channel is open. Otherwise it is of no more use: close it.
 */
typedef void (*fer_channel_connected_cb)(fer_channel *channel, fer_status status, void *user);

/**
 * Messages came, or the channel ended.
 *
 * `status` FER_OK: `count` messages, at least one, valid until the callback returns; handles that
 * were not taken by then are closed. Otherwise no messages, and the callback comes no more: FER_EOF
 * after the peer's goodbye, FER_ECONNRESET when the peer died, FER_EPROTO, FER_EMSGSIZE,
 * FER_ECONNABORTED after a silence of `frame_timeout_ms`, FER_EMFILE when handles came that this process
 * has no descriptors for, FER_ECANCELED after a close on this side.
 */
typedef void (*fer_messages_cb)(fer_channel *channel, fer_status status,
                                const fer_message *messages, size_t count, void *user);

/** The end of a send. `status` FER_OK: the kernel has the whole message. */
typedef void (*fer_sent_cb)(fer_channel *channel, fer_status status, void *user);

/**
 * The queue fell below half the high-water mark after having been above it, or sending has failed:
 * then fer_channel_is_writable() is 0, and fer_channel_send() says why.
 */
typedef void (*fer_drain_cb)(fer_channel *channel, void *user);

/**
 * The end of a channel. Nothing of it calls back after this.
 *
 * `status` FER_OK: everything was flushed, and the peer said goodbye. FER_ETIMEDOUT: it did not in
 * time. FER_ECANCELED: aborted. Otherwise why the channel had ended before.
 */
typedef void (*fer_channel_closed_cb)(fer_channel *channel, fer_status status, void *user);

/**
 * Check an address without using it.
 *
 * @param address  text.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL for NULL; FER_EADDRESS, and fer_status_detail() says what is wrong.
 * Seed: none.
 */
FER_API fer_status fer_address_check(const char *address);

/**
 * Connect to a server. Tries again until somebody listens or the time is up.
 *
 * On `fifo:` both sides may do this: each opens the FIFO that it reads, then waits for the other to do
 * the same. Nobody else may read it meanwhile. A FIFO must be the user's own or root's; root may use
 * any.
 *
 * @param loop          the loop to put the channel on.
 * @param address       where the server is.
 * @param options       or NULL for the defaults.
 * @param cb            one-shot.
 * @param user          passed to `cb`.
 * @param[out] channel  receives the channel; NULL after an error.
 * Ownership: the caller owns one reference; address and options are copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_ENOTSUP for `max_handles` on a transport or a wire that
 *         carries none; FER_ENAMETOOLONG; FER_EACCES and FER_EPERM for a runtime directory that is not
 *         private, FER_EPERM for a host beyond the loopback; FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE
 *         and FER_ENOTCONN for a descriptor that is no connected stream socket, which stays the
 *         caller's then; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD; FER_EFORK. `cb` gets FER_ECONNREFUSED
 *         or FER_ENOENT when nobody listened in time, FER_ETIMEDOUT when the listener did not accept or
 *         the peer did not say hello in time, FER_EPROTO or FER_EVERSION after a bad handshake,
 *         FER_EACCES for a peer without the secret, or that asks for one, and for a server on TCP of
 *         another user than this one or root, FER_ECONNRESET when the peer went away during it, FER_ENOTSOCK, FER_EPROTOTYPE for a file that
 *         is no FIFO, FER_EADDRINUSE for a FIFO that somebody else reads, FER_EPERM for a FIFO of
 *         another user, FER_ELOOP for a symbolic link in its place, FER_EACCES, FER_EMFILE,
 *         FER_ECANCELED.
 * Seed: aea `IPCChannelClient.connect`.
 */
FER_API fer_status fer_channel_connect(fer_loop *loop, const char *address,
                                       const fer_channel_options *options,
                                       fer_channel_connected_cb cb, void *user,
                                       fer_channel **channel);

/**
 * Make two channels that are connected with each other, over a Unix domain socket.
 *
 * @param loop           the loop to put both on.
 * @param options        of both; NULL for the defaults.
 * @param cb             one-shot for each of them: called twice.
 * @param user           passed to `cb`.
 * @param[out] channels  receives the two; NULL after an error.
 * Ownership: the caller owns one reference to each.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP; FER_EMFILE; FER_ENFILE; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK. `cb` gets what fer_channel_connect() gives it after the connection.
 * Seed: uv_socketpair.
 */
FER_API fer_status fer_channel_pair(fer_loop *loop, const fer_channel_options *options,
                                    fer_channel_connected_cb cb, void *user,
                                    fer_channel *channels[2]);

/**
 * Take one more reference.
 *
 * @param channel  a channel, or NULL, which is ignored.
 * Ownership: the caller owns one more reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return `channel`.
 * Seed: none.
 */
FER_API fer_channel *fer_channel_ref(fer_channel *channel);

/**
 * Drop a reference. When it was the last of an open channel, the loop aborts the channel.
 *
 * @param channel  a channel, or NULL, which is ignored.
 * Ownership: takes the caller's reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_channel_unref(fer_channel *channel);

/**
 * The loop that a channel is on.
 *
 * @param channel  the channel.
 * Ownership: no reference is given; the channel holds one.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the loop; NULL for NULL and for a blocking channel.
 * Seed: none.
 */
FER_API fer_loop *fer_channel_loop(const fer_channel *channel);

/**
 * Receive messages. Until this is called, what the peer sends waits in the kernel.
 *
 * @param channel    an open channel.
 * @param cb         registered.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_EALREADY for a second receiver; FER_ENOTCONN before it is open;
 *         FER_ENOTSUP on a blocking channel; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: aea `IPCChannelClient.read`.
 */
FER_API fer_status fer_channel_receive(fer_channel *channel, fer_messages_cb cb, void *user,
                                       fer_finalizer finalizer);

/**
 * Stop receiving for now. Nothing is lost: what comes waits in the kernel.
 *
 * @param channel  a channel that receives; pausing twice changes nothing.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; the batch being delivered is delivered whole.
 * @return FER_OK; FER_EINVAL; FER_ENOTCONN without a receiver; FER_ENOTSUP on a blocking channel;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_pause(fer_channel *channel);

/**
 * Receive again after fer_channel_pause().
 *
 * @param channel  a channel that receives; resuming twice changes nothing.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_channel_pause().
 * Seed: none.
 */
FER_API fer_status fer_channel_resume(fer_channel *channel);

/**
 * Send a message. It is accepted whole or refused whole.
 *
 * The first message of a loop turn on an idle channel is written at once; those after it leave
 * together at the end of the turn, or sooner when 64 KiB have gathered.
 *
 * @param channel       an open channel.
 * @param parts         the payload, in `count` pieces that become one message.
 * @param count         how many pieces; 0 sends an empty message.
 * @param handles       handles of the same loop to pass with it; NULL when there are none.
 * @param handle_count  how many, up to 64.
 * @param cb            one-shot; may be NULL.
 * @param user          passed to `cb`.
 * Ownership: with `cb`, the bytes stay the caller's and must not change until it is called; the
 *            array `parts` may go at once. Without, what the kernel does not take at once is copied.
 *            The handles stay the caller's, who may go on using or close them at once.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EAGAIN when the queue is at its hard cap; FER_EMSGSIZE over this side's or the
 *         peer's limit; FER_ENOTSUP for handles, or more of them, that the peer, the transport or the
 *         wire does not take, and on a blocking channel; FER_EINVAL, also for an empty message on the
 *         plain wire; FER_EBADF for a handle that is not open yet; FER_EMFILE when a handle that must
 *         wait cannot be duplicated; FER_ETOOMANYREFS; FER_ENOTCONN before it is open; FER_EPIPE after
 *         the peer's goodbye; FER_ECONNRESET; FER_ENOMEM; FER_ECLOSED, also of a handle; FER_ETHREAD;
 *         FER_EFORK. After each but FER_EPIPE, FER_ECONNRESET and FER_ECLOSED the next message can be
 *         sent as if this one had not been tried.
 * Seed: aea `IPCChannelClient.write`.
 */
FER_API fer_status fer_channel_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                                    fer_handle *const *handles, size_t handle_count, fer_sent_cb cb,
                                    void *user);

/**
 * Send messages one after another, each as fer_channel_send() does without a callback, as long as the channel is
 * writable. For many small ones, this costs less than as many calls.
 *
 * @param channel        an open channel.
 * @param messages       the payloads, of one piece each.
 * @param count          how many.
 * @param[out] accepted  receives how many were accepted: the first ones.
 * Ownership: the bytes are the caller's again when the call returns.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK, also with fewer accepted than `count`: then wait for drain; otherwise as fer_channel_send(), about the first
 *         message that was not accepted; FER_EINVAL for bytes that are NULL, with none accepted.
 * Seed: none.
 */
FER_API fer_status fer_channel_send_many(fer_channel *channel, const fer_bytes *messages,
                                         size_t count, size_t *accepted);

/**
 * As fer_channel_send(), with descriptors in the place of handles: of sockets, or of anything else.
 *
 * @param channel   an open channel.
 * @param parts     the payload, in `count` pieces that become one message.
 * @param count     how many pieces; 0 sends an empty message.
 * @param fds       descriptors to pass with it; NULL when there are none.
 * @param fd_count  how many, up to 64.
 * @param cb        one-shot; may be NULL.
 * @param user      passed to `cb`.
 * Ownership: as fer_channel_send(); the descriptors stay the caller's, who may close them at once.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_channel_send().
 * Seed: none.
 */
FER_API fer_status fer_channel_send_fds(fer_channel *channel, const fer_bytes *parts, size_t count,
                                        const fer_fd *fds, size_t fd_count, fer_sent_cb cb,
                                        void *user);

/**
 * Hold back what is sent from now on, so that it leaves together, until fer_channel_uncork().
 *
 * What has gathered to 64 KiB is written all the same, and a close flushes everything.
 *
 * @param channel  a channel; corking twice changes nothing.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking channel; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_cork(fer_channel *channel);

/**
 * Write what waits, as far as the kernel takes it, and hold back no more.
 *
 * @param channel  a channel; without a cork, what was sent in this turn leaves now instead of at its end.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_channel_cork(). Why writing failed, the next fer_channel_send() says.
 * Seed: none.
 */
FER_API fer_status fer_channel_uncork(fer_channel *channel);

/**
 * Be told when the kernel has everything that was accepted so far. What fer_channel_cork() holds back is
 * written, and what is sent afterwards is held back again.
 *
 * @param channel  an open channel.
 * @param cb       one-shot. FER_OK: the kernel has all; otherwise why the channel ended before: FER_EPIPE,
 *                 FER_ECONNRESET, FER_ECANCELED and what else ends one.
 * @param user     passed to `cb`.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTCONN before it is open; FER_EPIPE, FER_ECONNRESET and what else ended
 *         sending before; FER_ENOTSUP on a blocking channel; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_flush(fer_channel *channel, fer_sent_cb cb, void *user);

/**
 * Whether more may be sent before waiting for drain: no longer once the queue has reached the
 * high-water mark, or a message was refused with FER_EAGAIN, and again when it has fallen to half of the mark.
 *
 * @param channel  a channel.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 0 for NULL and for a channel that cannot send.
 * Seed: none.
 */
FER_API int fer_channel_is_writable(const fer_channel *channel);

/**
 * Be told when the queue has fallen below half the high-water mark after having been above it, or after a message
 * was refused with FER_EAGAIN.
 *
 * @param channel    a channel.
 * @param cb         registered; replaces the present one; NULL removes it.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking channel; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_on_drain(fer_channel *channel, fer_drain_cb cb, void *user,
                                        fer_finalizer finalizer);

/**
 * Flush what was sent, say goodbye, wait for the peer's goodbye, close.
 *
 * The wait ends after `close_timeout_ms`. Messages that arrive during it are dropped, and a
 * receiver gets FER_ECANCELED at once. Closing again is allowed.
 *
 * @param channel  the channel.
 * @param cb       one-shot; may be NULL. Also called for a channel that is closed already.
 * @param user     passed to `cb`.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM (nothing was done); FER_ENOTSUP on a blocking channel;
 *         FER_ECLOSED when the loop is closed and cannot call `cb`; FER_ETHREAD; FER_EFORK.
 * Seed: aea `IPCChannelClient.close`.
 */
FER_API fer_status fer_channel_close(fer_channel *channel, fer_channel_closed_cb cb, void *user);

/**
 * Close at once: nothing is flushed and no goodbye is said. Also ends a close that waits.
 *
 * @param channel  the channel.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while another thread is in a call on a blocking channel;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_abort(fer_channel *channel);

/**
 * Whether fer_channel_close() or fer_channel_abort() was called.
 *
 * @param channel  the channel.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 1 for NULL.
 * Seed: none.
 */
FER_API int fer_channel_is_closing(const fer_channel *channel);

/**
 * Choose when the channel keeps fer_loop_run() from returning.
 *
 * @param channel  the channel.
 * @param hold     a fer_channel_hold.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking channel; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_hold_loop(fer_channel *channel, int hold);

/**
 * Attach a pointer of your own.
 *
 * @param channel    the channel.
 * @param data       what fer_channel_data() gives.
 * @param finalizer  called once with `data` when it is replaced or the memory of the channel goes,
 *                   also when this call fails; may be NULL. Runs in the thread that caused it.
 * Ownership: `data` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ETHREAD; FER_EFORK. Works on a closed channel too.
 * Seed: none.
 */
FER_API fer_status fer_channel_set_data(fer_channel *channel, void *data, fer_finalizer finalizer);

/**
 * The pointer that fer_channel_set_data() attached.
 *
 * @param channel  the channel.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return the pointer; NULL when there is none.
 * Seed: none.
 */
FER_API void *fer_channel_data(const fer_channel *channel);

FER_END_DECLS

#endif
