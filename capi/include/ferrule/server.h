/**
 * Servers: accept channels at an address.
 */
#ifndef FERRULE_SERVER_H
#define FERRULE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "export.h"
#include "pipe.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/**
 * A client is connected, or one could not be.
 *
 * `status` FER_OK: `channel` is open, and its one reference is the callee's. An error: `channel` is
 * NULL; a client failed the handshake or could not be accepted; the server goes on.
 */
typedef void (*fer_server_channel_cb)(fer_server *server, fer_status status, fer_channel *channel,
                                      void *user);

/**
 * Whether to serve a client, before a byte of it is read. `who` is as fer_channel_peer_credentials() gives
 * it; process, user and group are -1 where the system does not tell.
 *
 * Returns 1 to serve it, 0 to close it. FER_ECALLBACK closes it, too, and is what the server's callback gets, or
 * what comes out of fer_sync_accept().
 */
typedef int (*fer_server_allow_cb)(fer_server *server, const fer_credentials *who, void *user);

/** The end of a server. Nothing of it calls back after this. */
typedef void (*fer_server_closed_cb)(fer_server *server, void *user);

/**
 * Listen at an address.
 *
 * `tcp:HOST:0` picks a port, which stays bound. `fd:N` is a socket that listens already; it becomes
 * non-blocking, and is the server's unless this fails. `fifo:IN,OUT` makes the FIFOs that are not there,
 * mode 0600, and has one client at a time: the next can come when the channel of the one before it is
 * closed. `fifo:` makes two FIFOs in a private directory. fer_server_address() says where clients find
 * it. What the server made, and nothing else, is removed when it closes.
 *
 * @param loop         the loop to put the server and its channels on.
 * @param address      where to listen.
 * @param options      of the channels; NULL for the defaults.
 * @param cb           registered.
 * @param user         passed to `cb` and `finalizer`.
 * @param finalizer    called once with `user` after the last call, also when this call fails; may
 *                     be NULL.
 * @param[out] server  receives the server; NULL after an error.
 * Ownership: the caller owns one reference; address and options are copied; `user` is the
 *            library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_ENOTSUP for `max_handles` on a transport or a wire that
 *         carries none; FER_EPERM for a runtime directory that is not private, a host beyond the
 *         loopback, or a FIFO of another user; FER_EPROTOTYPE for a file in the place of a FIFO, and for
 *         a descriptor that is no listening stream socket (FER_EBADF, FER_ENOTSOCK); what
 *         fer_pipe_bind(), fer_tcp_bind() and fer_stream_listen() give.
 * Seed: aea `IPCChannel.connect`.
 */
FER_API fer_status fer_server_listen(fer_loop *loop, const char *address,
                                     const fer_channel_options *options, fer_server_channel_cb cb,
                                     void *user, fer_finalizer finalizer, fer_server **server);

/**
 * Take one more reference.
 *
 * @param server  a server, or NULL, which is ignored.
 * Ownership: the caller owns one more reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return `server`.
 * Seed: none.
 */
FER_API fer_server *fer_server_ref(fer_server *server);

/**
 * Drop a reference. When it was the last of an open server, the loop closes the server.
 *
 * @param server  a server, or NULL, which is ignored.
 * Ownership: takes the caller's reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_server_unref(fer_server *server);

/**
 * The loop that a server is on.
 *
 * @param server  the server.
 * Ownership: no reference is given; the server holds one.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the loop; NULL for NULL and for a blocking server.
 * Seed: none.
 */
FER_API fer_loop *fer_server_loop(const fer_server *server);

/**
 * Stop listening. Clients that have not said hello are dropped; channels that were given out live on.
 *
 * @param server  the server; closing again is allowed. Also for a blocking server.
 * @param cb      one-shot; may be NULL; must be NULL for a blocking server. Also called for a server
 *                that is closed already.
 * @param user    passed to `cb`.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM (nothing was done); FER_EBUSY while another thread is in a call
 *         on a blocking server; FER_ECLOSED when the loop is closed and cannot call `cb`; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_close(fer_server *server, fer_server_closed_cb cb, void *user);

/**
 * Stop listening, and close every channel that the server gave out and that is still open, with
 * fer_channel_close().
 *
 * @param server  the server, on a loop.
 * @param cb      one-shot; may be NULL. Called when all of them are closed; also for a server that is
 *                closed already.
 * @param user    passed to `cb`.
 * Ownership: the caller's reference stays the caller's, and so do those to the channels.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking server; FER_ENOMEM (nothing was done); FER_ECLOSED
 *         when the loop is closed and cannot call `cb`; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_drain(fer_server *server, fer_server_closed_cb cb, void *user);

/**
 * Stop listening, and abort every channel that the server gave out and that is still open, with
 * fer_channel_abort(): nothing is flushed, and nobody is waited for. Ends a fer_server_drain() that takes
 * too long. To be told when all of them are closed, call fer_server_close() afterwards.
 *
 * @param server  the server, on a loop; one that is closed, or being drained, is allowed.
 * Ownership: the caller's reference stays the caller's, and so do those to the channels.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking server; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_abort(fer_server *server);

/**
 * Limit how much clients can make the server hold.
 *
 * @param server         the server.
 * @param max_channels   open channels; a client more is closed, at once or when it has said hello, and the
 *                       server's callback gets FER_EBUSY. 0 (what a new server has): no limit. Must be 0
 *                       for a blocking server, whose program accepts no more than it wants.
 * @param max_half_open  clients that are connected and have not said hello; for one more, the oldest is
 *                       closed, and the server's callback gets FER_ECONNABORTED. 0: the default, 128.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP; FER_EBUSY while another thread is in a call on a blocking
 *         server; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_set_limits(fer_server *server, uint32_t max_channels,
                                         uint32_t max_half_open);

/**
 * Decide which clients are served. Without this, on a Unix domain socket and on TCP of the loopback, those
 * of the same user and of root; where the system does not tell, all. Others are closed before a byte is
 * read, and the server's callback gets FER_EACCES.
 *
 * @param server     the server.
 * @param cb         registered; replaces the present one; NULL goes back to what holds without it.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything. On a blocking server it runs
 *            inside of fer_sync_accept(): what it does with that server gives FER_EBUSY, and when it drops
 *            the last reference fer_sync_accept() gives FER_ECLOSED.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while another thread is in a call on a blocking server;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_on_allow(fer_server *server, fer_server_allow_cb cb, void *user,
                                       fer_finalizer finalizer);

/**
 * How many channels that the server gave out are open.
 *
 * @param server  a server on a loop.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return the number; 0 for NULL and for a blocking server.
 * Seed: none.
 */
FER_API size_t fer_server_count(const fer_server *server);

/**
 * Whether fer_server_close() was called.
 *
 * @param server  the server.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 1 for NULL.
 * Seed: none.
 */
FER_API int fer_server_is_closing(const fer_server *server);

/**
 * The address at which clients find the server: with the port that was picked, and with the two FIFOs
 * in the order in which a client wants them.
 *
 * @param server       the server.
 * @param[out] buffer  receives the address, ended by a NUL byte.
 * @param[in,out] size the size of `buffer` in bytes; receives the length without the NUL byte, or
 *                     what would be needed with it after FER_ENOBUFS.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_ENOBUFS; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: aea `IPCChannel.in_path`.
 */
FER_API fer_status fer_server_address(const fer_server *server, char *buffer, size_t *size);

/**
 * Choose whether the server keeps fer_loop_run() from returning.
 *
 * @param server  the server.
 * @param hold    1 (what a new server has) or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a blocking server; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_server_hold_loop(fer_server *server, int hold);

FER_END_DECLS

#endif
