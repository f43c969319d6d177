/**
 * Pipes: Unix domain sockets (named pipes on Windows).
 *
 * A name is a path of any length that the file system takes, or, on Linux, an abstract name: one
 * that starts with a NUL byte. No name is ever truncated.
 */
#ifndef FERRULE_PIPE_H
#define FERRULE_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "handle.h"
#include "status.h"
#include "stream.h"
#include "types.h"

FER_BEGIN_DECLS

/** As a name's size: the name ends with a NUL byte, which is not part of it. */
#define FER_ZSTRING ((size_t)-1)

/** Flag of fer_bind_options: leave the socket file where it is when the pipe is closed. */
#define FER_BIND_KEEP_FILE 1u

/** How to bind a pipe. 0 in a field means the default. */
typedef struct fer_bind_options {
    uint32_t struct_size; /**< sizeof(fer_bind_options) */
    uint32_t flags;       /**< FER_BIND_KEEP_FILE */
    uint32_t mode;        /**< permission bits of the socket file; default 0600 */
} fer_bind_options;

/* clang-format off */
#define FER_BIND_OPTIONS_INIT { sizeof(fer_bind_options), 0, 0 }
/* clang-format on */

/**
 * Make a pipe handle.
 *
 * @param loop         the loop to put it on.
 * @param flags        none yet: 0.
 * @param[out] handle  receives the handle; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for an unknown flag; FER_ENOMEM; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: pyuv `Pipe(loop, ipc)`; uv_pipe_init.
 */
FER_API fer_status fer_pipe_new(fer_loop *loop, uint32_t flags, fer_handle **handle);

/**
 * Bind a pipe to a name, safely.
 *
 * The socket file has its mode from the first instant. A socket that stands there already is
 * replaced, under a lock, when it is ours and nobody listens on it; otherwise the name is in use.
 * From now on the system queues connections for the pipe, so that nobody takes it for stale.
 * Closing the pipe removes the file if it is still the one that was made here.
 *
 * @param pipe     a pipe that is not open yet.
 * @param name     the name.
 * @param size     its size in bytes, or FER_ZSTRING.
 * @param options  or NULL for the defaults.
 * Ownership: name and options are copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for an empty name, a NUL byte inside a path, or a second bind;
 *         FER_EADDRINUSE when somebody listens there or something else is in the way; FER_EACCES;
 *         FER_ENOENT; FER_ENOTDIR; FER_EROFS; FER_ENAMETOOLONG; FER_ENOTSUP for an abstract name off
 *         Linux; FER_EALREADY while it connects; FER_EISCONN; FER_EKIND; FER_ENOMEM; FER_EMFILE;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.bind`; uv_pipe_bind.
 */
FER_API fer_status fer_pipe_bind(fer_handle *pipe, const char *name, size_t size,
                                 const fer_bind_options *options);

/**
 * Connect to a listening pipe.
 *
 * @param pipe  a pipe that is not open yet.
 * @param name  the name.
 * @param size  its size in bytes, or FER_ZSTRING.
 * @param cb    one-shot: FER_OK; FER_ENOENT; FER_ECONNREFUSED when nobody listens there; FER_ENOTSOCK
 *              when something else than a socket is there; FER_EACCES; FER_EAGAIN when the listener's
 *              queue is full; what else connect(2) gives; FER_ECANCELED after a close. After an error
 *              the pipe may try again.
 * @param user  passed to `cb`.
 * Ownership: the name is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EISCONN; FER_EALREADY while it connects; FER_ENAMETOOLONG;
 *         FER_EKIND; FER_ENOMEM; FER_EMFILE; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.connect`; uv_pipe_connect.
 */
FER_API fer_status fer_pipe_connect(fer_handle *pipe, const char *name, size_t size,
                                    fer_stream_cb cb, void *user);

/**
 * Make a pipe of a connected, or listening, socket of the Unix domain.
 *
 * @param pipe  a pipe that is not open yet.
 * @param fd    the descriptor. Its blocking mode is left as it is; the library does not block on it.
 * Ownership: on FER_OK the pipe owns the descriptor and closes it; otherwise it stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EBADF; FER_ENOTSOCK; FER_EPROTOTYPE for another type of socket; FER_EISCONN;
 *         FER_EKIND; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.open`; uv_pipe_open.
 */
FER_API fer_status fer_pipe_open(fer_handle *pipe, fer_fd fd);

/**
 * The name that a pipe is bound to.
 *
 * @param pipe         a pipe.
 * @param[out] buffer  receives the name and a NUL byte behind it.
 * @param[in,out] size the size of `buffer` in bytes; receives the size of the name without the NUL
 *                     byte, or what would be needed with it after FER_ENOBUFS.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK, with size 0 for a pipe without a name; FER_ENOBUFS; FER_EBADF before it is open;
 *         FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: uv_pipe_getsockname.
 */
FER_API fer_status fer_pipe_getsockname(const fer_handle *pipe, char *buffer, size_t *size);

/**
 * The name that the peer of a pipe is bound to.
 *
 * @param pipe         a connected pipe.
 * @param[out] buffer  receives the name and a NUL byte behind it.
 * @param[in,out] size as in fer_pipe_getsockname().
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_pipe_getsockname(), and FER_ENOTCONN.
 * Seed: uv_pipe_getpeername.
 */
FER_API fer_status fer_pipe_getpeername(const fer_handle *pipe, char *buffer, size_t *size);

FER_END_DECLS

#endif
