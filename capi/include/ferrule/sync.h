/**
 * The blocking face: channels for programs that run no loop.
 *
 * A blocking channel or server is made here and used with the functions of this header, with
 * fer_channel_abort(), fer_channel_get_info(), fer_channel_ref() and their like. It costs one
 * descriptor, two on FIFOs, two more for fer_sync_server_fileno(), and no thread. Any thread may use
 * it, one at a time: a call made while another thread is in one gives FER_EBUSY. All times are in
 * milliseconds; negative means without limit, 0 does not wait. A signal that arrives during a wait
 * ends it with FER_EINTR, so that a program can act on it; call again to go on.
 */
#ifndef FERRULE_SYNC_H
#define FERRULE_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "export.h"
#include "server.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/**
 * Connect to a server and wait until the channel is open.
 *
 * @param address       where the server is.
 * @param options       or NULL for the defaults.
 * @param timeout_ms    limit for the whole, beside those of `options`.
 * @param[out] channel  receives the channel; NULL after an error.
 * Ownership: the caller owns one reference; end with fer_sync_close() and fer_channel_unref(). The
 *            descriptor of an `fd:` address is the channel's after FER_OK, and the caller's otherwise.
 * Thread: any.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK; FER_ETIMEDOUT; FER_EINTR (nothing is left behind); otherwise what
 *         fer_channel_connect() and its callback give: FER_ENOENT or FER_ECONNREFUSED when nobody
 *         listened all the time, whichever limit ended the tries.
 * Seed: aea `IPCChannelClient.connect`.
 */
FER_API fer_status fer_sync_connect(const char *address, const fer_channel_options *options,
                                    int64_t timeout_ms, fer_channel **channel);

/**
 * Send a message and wait until the kernel has it.
 *
 * @param channel     a blocking channel.
 * @param parts       the payload, in `count` pieces that become one message.
 * @param count       how many pieces; 0 sends an empty message.
 * @param timeout_ms  limit.
 * Ownership: the bytes stay the caller's; when it must return early, the rest is copied.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK: the kernel has it. FER_EAGAIN: an earlier message is still on its way, because of
 *         the time or a signal; this one was not accepted, call again. FER_ETIMEDOUT or FER_EINTR:
 *         accepted, and the rest goes with fer_sync_flush() or any later call; do not send it again.
 *         FER_EMSGSIZE, FER_EINVAL, FER_EPIPE, FER_ECONNRESET, FER_ENOMEM: refused whole.
 *         FER_ENOTSUP on a channel that is on a loop; FER_EBUSY; FER_ECLOSED; FER_EFORK.
 * Seed: aea `IPCChannelClient.write`.
 */
FER_API fer_status fer_sync_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                                 int64_t timeout_ms);

/**
 * Send messages one after another, and wait until the kernel has them. Many small ones leave together: this costs
 * less than as many calls.
 *
 * @param channel        a blocking channel.
 * @param messages       the payloads, of one piece each.
 * @param count          how many.
 * @param timeout_ms     limit, for all of them.
 * @param[out] accepted  receives how many were accepted: the first ones.
 * Ownership: the bytes stay the caller's; when it must return early, the rest is copied.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK: the kernel has all. FER_EAGAIN: an earlier message is still on its way, and none was accepted.
 *         FER_ETIMEDOUT or FER_EINTR: what of the accepted ones the kernel does not have goes with
 *         fer_sync_flush() or any later call; do not send them again. FER_EPIPE or FER_ECONNRESET: nobody knows which
 *         of the accepted ones arrived. Otherwise as fer_sync_send(), about the first message that was not
 *         accepted; FER_EINVAL for bytes that are NULL, with none accepted.
 * Seed: none.
 */
FER_API fer_status fer_sync_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                                      int64_t timeout_ms, size_t *accepted);

/**
 * As fer_sync_send(), and pass descriptors with the message.
 *
 * @param channel     a blocking channel.
 * @param parts       the payload, in `count` pieces that become one message.
 * @param count       how many pieces; 0 sends an empty message.
 * @param fds         descriptors to pass with it; NULL when there are none.
 * @param fd_count    how many, up to 64.
 * @param timeout_ms  limit.
 * Ownership: as fer_sync_send(); the descriptors stay the caller's, who may close them at once.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return as fer_sync_send(); FER_ENOTSUP also for descriptors, or more of them, that the peer, the
 *         transport or the wire does not take; FER_EBADF; FER_EMFILE; FER_ETOOMANYREFS.
 * Seed: none.
 */
FER_API fer_status fer_sync_send_fds(fer_channel *channel, const fer_bytes *parts, size_t count,
                                     const fer_fd *fds, size_t fd_count, int64_t timeout_ms);

/**
 * Wait until the kernel has everything that was accepted.
 *
 * @param channel     a blocking channel.
 * @param timeout_ms  limit.
 * Ownership: nothing changes hands.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK; FER_ETIMEDOUT; FER_EINTR; FER_EPIPE; FER_ECONNRESET; FER_EINVAL; FER_ENOTSUP on a
 *         channel that is on a loop; FER_EBUSY; FER_ECLOSED; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_sync_flush(fer_channel *channel, int64_t timeout_ms);

/**
 * Wait for the next message.
 *
 * @param channel       a blocking channel.
 * @param timeout_ms    limit. Running out of it leaves the channel in step.
 * @param[out] message  receives the message.
 * Ownership: payload and handles are the channel's and valid until the next call of this function, or
 *            the end of the channel; fer_message_take_fd() takes a handle out.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK; FER_ETIMEDOUT; FER_EINTR; FER_EOF after the peer's goodbye; FER_ECONNRESET when the
 *         peer died; FER_ECONNABORTED after a silence of `frame_timeout_ms`; FER_EPROTO; FER_EMSGSIZE;
 *         FER_EMFILE; FER_ENOMEM; FER_EINVAL; FER_ENOTSUP on a channel that is
 *         on a loop; FER_EBUSY; FER_ECLOSED; FER_EFORK.
 * Seed: aea `IPCChannelClient.read`.
 */
FER_API fer_status fer_sync_receive(fer_channel *channel, int64_t timeout_ms, fer_message *message);

/**
 * Flush, say goodbye, wait for the peer's goodbye, close. The channel is closed then, except after
 * FER_EINTR.
 *
 * @param channel     a blocking channel; closing again gives FER_OK.
 * @param timeout_ms  limit, beside `close_timeout_ms` of the options.
 * Ownership: the caller's reference stays the caller's.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK: everything was flushed, and the peer said goodbye. FER_ETIMEDOUT: it did not in
 *         time. FER_EINTR: not closed yet, call again. FER_ECONNRESET, FER_EPROTO, FER_EPIPE,
 *         FER_EMSGSIZE, FER_ENOMEM: why the channel had ended before. FER_EINVAL; FER_ENOTSUP on a
 *         channel that is on a loop; FER_EBUSY; FER_EFORK.
 * Seed: aea `IPCChannelClient.close`.
 */
FER_API fer_status fer_sync_close(fer_channel *channel, int64_t timeout_ms);

/**
 * The descriptor of a blocking channel, for select(2) and its like.
 *
 * Messages that were read already are not seen there: call fer_sync_receive() with 0 until it gives
 * FER_ETIMEDOUT, then wait.
 *
 * @param channel  a blocking channel.
 * @param[out] fd  receives the descriptor.
 * Ownership: the descriptor stays the channel's.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a channel that is on a loop; FER_EBUSY; FER_ECLOSED;
 *         FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_sync_fileno(fer_channel *channel, int *fd);

/**
 * Listen at an address, for fer_sync_accept().
 *
 * @param address      where to listen.
 * @param options      of the channels; NULL for the defaults.
 * @param[out] server  receives the server; NULL after an error.
 * Ownership: the caller owns one reference; end with fer_server_close() and fer_server_unref().
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return as fer_server_listen().
 * Seed: aea `IPCChannel.connect`.
 */
FER_API fer_status fer_sync_listen(const char *address, const fer_channel_options *options,
                                   fer_server **server);

/**
 * Wait for the next client.
 *
 * Clients that are slow with their handshake, or fail it, do not hold up the others.
 *
 * @param server        a blocking server.
 * @param timeout_ms    limit.
 * @param[out] channel  receives the channel, a blocking one; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK; FER_ETIMEDOUT; FER_EINTR; FER_EMFILE; FER_ENFILE; FER_ENOMEM; FER_ECALLBACK when the
 *         fer_server_allow_cb gave that; FER_EINVAL; FER_ENOTSUP on a server that is on a loop; FER_EBUSY;
 *         FER_ECLOSED; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_sync_accept(fer_server *server, int64_t timeout_ms, fer_channel **channel);

/**
 * A descriptor of a blocking server, for select(2) and its like: readable when fer_sync_accept() has
 * something to do.
 *
 * Call fer_sync_accept() with 0 then. FER_ETIMEDOUT says that the client is not open yet: wait again.
 * The first call makes the descriptor and one more; nothing is to be read from it.
 *
 * @param server   a blocking server.
 * @param[out] fd  receives the descriptor, the same each time.
 * Ownership: the descriptor stays the server's, and is closed with it.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_ENOTSUP on a server that is on a loop, on one of FIFOs, which has one client at a
 *         time, and on a system without epoll(7); FER_EMFILE; FER_ENFILE; FER_ENOMEM; FER_EINVAL;
 *         FER_EBUSY; FER_ECLOSED; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_sync_server_fileno(fer_server *server, int *fd);

FER_END_DECLS

#endif
