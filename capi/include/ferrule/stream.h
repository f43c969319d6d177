/**
 * Streams: handles that carry bytes.
 *
 * These functions take a pipe or a TCP socket; any other kind is FER_EKIND.
 */
#ifndef FERRULE_STREAM_H
#define FERRULE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "handle.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/**
 * A connection waits to be accepted, or accepting is in trouble.
 *
 * `status` FER_OK: call fer_stream_accept() in this callback or later. An error, such as
 * FER_EMFILE: nothing was accepted; the listener goes on.
 */
typedef void (*fer_connection_cb)(fer_handle *listener, fer_status status, void *user);

/**
 * Bytes came, or the stream ended.
 *
 * `status` FER_OK: `size` bytes at `data`, at least one, valid until the callback returns.
 * FER_EOF or another error: no bytes; nothing more is read, and the callback comes no more.
 */
typedef void (*fer_read_cb)(fer_handle *stream, fer_status status, const void *data, size_t size,
                            void *user);

/** The end of a connect, a write or a shutdown. */
typedef void (*fer_stream_cb)(fer_handle *stream, fer_status status, void *user);

/**
 * Accept connections.
 *
 * @param stream     a bound stream.
 * @param backlog    how many connections the system may keep waiting; 0 means 511.
 * @param cb         registered.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_EALREADY for a second listen; FER_EDESTADDRREQ when not
 *         bound; FER_EISCONN on a connection; FER_EBUSY when something else on the loop watches the
 *         descriptor; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD; FER_EFORK; what listen(2) gives.
 * Seed: pyuv `Pipe.listen`; uv_listen.
 */
FER_API fer_status fer_stream_listen(fer_handle *stream, int32_t backlog, fer_connection_cb cb,
                                     void *user, fer_finalizer finalizer);

/**
 * Take the next waiting connection, or the next handle that a pipe received, into a new handle.
 *
 * @param listener  a listening stream, or a pipe with FER_PIPE_IPC.
 * @param client    a handle that is not open yet, on any loop of this thread: of the same kind as a
 *                  listener, of the kind that fer_pipe_pending_kind() tells for a pipe.
 * Ownership: both references stay the caller's.
 * Thread: the loops' of both.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL for a stream that does neither; FER_EKIND: nothing was taken; FER_EAGAIN when
 *         nothing waits; FER_EISCONN when `client` is open already; FER_EMFILE; FER_ENFILE; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.accept`; uv_accept.
 */
FER_API fer_status fer_stream_accept(fer_handle *listener, fer_handle *client);

/**
 * Read what comes, until fer_stream_read_stop(), an error or the end.
 *
 * @param stream     a connected stream.
 * @param cb         registered.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_EALREADY while it reads; FER_ENOTCONN; FER_EOF after the
 *         end; FER_EBUSY when something else on the loop watches the descriptor; FER_ENOMEM; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.start_read`; uv_read_start.
 */
FER_API fer_status fer_stream_read_start(fer_handle *stream, fer_read_cb cb, void *user,
                                         fer_finalizer finalizer);

/**
 * Stop reading. What is not read yet stays in the kernel; nothing is lost.
 *
 * @param stream  a stream; one that does not read is left as it is.
 * Ownership: the finalizer given to fer_stream_read_start() is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback, also from the read callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.stop_read`; uv_read_stop.
 */
FER_API fer_status fer_stream_read_stop(fer_handle *stream);

/**
 * Write bytes. All of them are taken, in order; the callback says when the kernel has them.
 *
 * @param stream  a connected stream.
 * @param parts   the bytes, in `count` pieces.
 * @param count   how many pieces; 0 is allowed and completes in its turn.
 * @param cb      one-shot; may be NULL.
 * @param user    passed to `cb`.
 * Ownership: with `cb`, the bytes stay the caller's and must not change until it is called; the
 *            array `parts` may go at once. Without, what the kernel does not take is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ENOMEM (nothing was written); FER_ENOTCONN; FER_EPIPE
 *         after shutdown or when the peer no longer reads; FER_ECONNRESET; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: pyuv `Pipe.write`; uv_write.
 */
FER_API fer_status fer_stream_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                                    fer_stream_cb cb, void *user);

/**
 * Write as much as the kernel takes now.
 *
 * @param stream        a connected stream.
 * @param parts         the bytes, in `count` pieces.
 * @param count         how many pieces.
 * @param[out] written  receives how many bytes were written, perhaps fewer than given.
 * Ownership: the bytes stay the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EAGAIN when nothing could be written or earlier writes are not done; otherwise
 *         as fer_stream_write().
 * Seed: pyuv `Pipe.try_write`; uv_try_write.
 */
FER_API fer_status fer_stream_try_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                                        size_t *written);

/**
 * End the outgoing direction after the writes that are due. The other direction goes on.
 *
 * @param stream  a connected stream.
 * @param cb      one-shot; may be NULL.
 * @param user    passed to `cb`.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ENOMEM; FER_ENOTCONN; FER_EALREADY; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.shutdown`; uv_shutdown.
 */
FER_API fer_status fer_stream_shutdown(fer_handle *stream, fer_stream_cb cb, void *user);

/**
 * How many bytes wait to be written.
 *
 * @param stream  a stream.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return bytes; 0 for NULL, a closed handle or another kind.
 * Seed: pyuv `Pipe.write_queue_size`; uv_stream_get_write_queue_size.
 */
FER_API size_t fer_stream_write_queue_size(const fer_handle *stream);

/**
 * Whether bytes may still come.
 *
 * @param stream  a stream.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0.
 * Seed: pyuv `Pipe.readable`; uv_is_readable.
 */
FER_API int fer_stream_is_readable(const fer_handle *stream);

/**
 * Whether bytes may still be written.
 *
 * @param stream  a stream.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0.
 * Seed: pyuv `Pipe.writable`; uv_is_writable.
 */
FER_API int fer_stream_is_writable(const fer_handle *stream);

/**
 * Set the blocking mode of the stream's descriptor. The library itself never blocks on it; this is for a
 * descriptor that is shared, or will be taken out.
 *
 * @param stream    an open stream.
 * @param blocking  1 or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: uv_stream_set_blocking.
 */
FER_API fer_status fer_stream_set_blocking(fer_handle *stream, int blocking);

FER_END_DECLS

#endif
