/**
 * Two processes that find each other: the rendezvous of aea's `make_ipc_channel`, on the plain wire.
 *
 * One side makes a channel, and tells the other its two rendezvous points; the other makes a client of
 * them, with the two in the other order. Then both connect. It is the blocking face of
 * ferrule/sync.h: any thread may use one, one at a time. A program with a loop gets the same from
 * fer_server_listen() at `fifo:` or `tcp:127.0.0.1:0` and fer_channel_connect(), with FER_WIRE_PLAIN.
 */
#ifndef FERRULE_IPC_H
#define FERRULE_IPC_H

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "export.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** One side of a rendezvous. */
typedef struct fer_ipc fer_ipc;

/** Where the two sides meet. */
typedef enum fer_ipc_transport {
    FER_IPC_DEFAULT = 0, /**< FIFOs on POSIX, TCP on Windows */
    FER_IPC_FIFO = 1,    /**< two FIFOs in a directory that nobody else can use */
    FER_IPC_TCP = 2      /**< a port of the loopback, bound from now on; one client is served */
} fer_ipc_transport;

/**
 * Make a channel that another process can find.
 *
 * @param transport  a fer_ipc_transport.
 * @param[out] ipc   receives it; NULL after an error.
 * Ownership: the caller's, until fer_ipc_free().
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM; what fer_sync_listen() gives.
 * Seed: aea `make_ipc_channel`, `PosixNamedPipeChannel`, `TCPSocketChannel`.
 */
FER_API fer_status fer_ipc_channel_new(int32_t transport, fer_ipc **ipc);

/**
 * Make the other side of a channel.
 *
 * @param in_path   where to receive: the channel's fer_ipc_out_path(); a path, a port or HOST:PORT.
 * @param out_path  where to send: the channel's fer_ipc_in_path(); for TCP it is not looked at.
 * @param[out] ipc  receives it; NULL after an error.
 * Ownership: the caller's, until fer_ipc_free(); the texts are copied.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_ENOMEM.
 * Seed: aea `make_ipc_channel_client`, `PosixNamedPipeChannelClient`, `TCPSocketChannelClient`.
 */
FER_API fer_status fer_ipc_client_new(const char *in_path, const char *out_path, fer_ipc **ipc);

/**
 * The rendezvous point for what this side receives.
 *
 * @param ipc  either side.
 * Ownership: the text is the library's, and lives as long as `ipc`.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the path of a FIFO, or a port; NULL for NULL.
 * Seed: aea `IPCChannel.in_path`.
 */
FER_API const char *fer_ipc_in_path(const fer_ipc *ipc);

/**
 * The rendezvous point for what this side sends.
 *
 * @param ipc  either side.
 * Ownership: the text is the library's, and lives as long as `ipc`.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the path of a FIFO, or a port; NULL for NULL.
 * Seed: aea `IPCChannel.out_path`.
 */
FER_API const char *fer_ipc_out_path(const fer_ipc *ipc);

/**
 * Wait for the other side.
 *
 * @param ipc         either side.
 * @param timeout_ms  limit; negative: none.
 * Ownership: nothing changes hands.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK; FER_ETIMEDOUT when nobody came in time: another try may be made; FER_EISCONN;
 *         FER_ECLOSED after fer_ipc_close(); FER_EINTR; FER_EINVAL; otherwise what fer_sync_connect() and
 *         fer_sync_accept() give.
 * Seed: aea `IPCChannelClient.connect`.
 */
FER_API fer_status fer_ipc_connect(fer_ipc *ipc, int64_t timeout_ms);

/**
 * Send a message.
 *
 * @param ipc         either side, connected.
 * @param data        the payload.
 * @param size        its bytes, at least 1.
 * @param timeout_ms  limit; negative: none.
 * Ownership: as fer_sync_send().
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_ENOTCONN before fer_ipc_connect() and after fer_ipc_close(); otherwise what fer_sync_send()
 *         gives, FER_EINVAL for an empty message among it.
 * Seed: aea `IPCChannelClient.write`.
 */
FER_API fer_status fer_ipc_write(fer_ipc *ipc, const void *data, size_t size, int64_t timeout_ms);

/**
 * Wait for a message.
 *
 * @param ipc           either side, connected.
 * @param timeout_ms    limit; negative: none. Running out of it loses nothing.
 * @param[out] message  receives the message.
 * Ownership: as fer_sync_receive().
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_ENOTCONN before fer_ipc_connect() and after fer_ipc_close(); FER_EOF at the end; otherwise
 *         what fer_sync_receive() gives.
 * Seed: aea `IPCChannelClient.read`.
 */
FER_API fer_status fer_ipc_read(fer_ipc *ipc, int64_t timeout_ms, fer_message *message);

/**
 * Flush, say goodbye, close, and remove what was made.
 *
 * A peer on the plain wire need not answer: it has a second for that.
 *
 * @param ipc  either side; one that never connected, or that is closed, too.
 * Ownership: nothing changes hands.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback, which then waits.
 * @return FER_OK: everything was flushed. FER_ETIMEDOUT: the peer did not take all of it in time.
 *         FER_EINTR: not closed yet, call again. Otherwise why the channel had ended before. FER_EINVAL.
 * Seed: aea `IPCChannelClient.close`.
 */
FER_API fer_status fer_ipc_close(fer_ipc *ipc);

/**
 * The channel, for what this header does not have: fer_channel_get_info(), fer_sync_fileno() and so on.
 *
 * @param ipc  either side.
 * Ownership: no reference is given; it lives until fer_ipc_close().
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback.
 * @return a blocking channel; NULL before fer_ipc_connect() and for NULL.
 * Seed: none.
 */
FER_API fer_channel *fer_ipc_channel(const fer_ipc *ipc);

/**
 * Close at once, if that was not done before, and free the memory.
 *
 * @param ipc  either side, or NULL, which is ignored.
 * Ownership: takes `ipc`.
 * Thread: any, one at a time.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_ipc_free(fer_ipc *ipc);

FER_END_DECLS

#endif
