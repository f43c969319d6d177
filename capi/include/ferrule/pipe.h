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

/** Flag of fer_pipe_new() and fer_pipe_pair(): handles may be passed over the pipe. */
#define FER_PIPE_IPC 1u

/** Received handles that may wait to be accepted; one more ends reading with FER_EPROTO. */
#define FER_PENDING_MAX 64

/** Who is at the other end of a pipe. */
typedef struct fer_credentials {
    uint32_t struct_size; /**< sizeof(fer_credentials) */
    uint32_t flags;       /**< none yet: 0 */
    int64_t pid;  /**< process, when it connected; it may have ended; -1 where it is not told */
    uint32_t uid; /**< effective user, when it connected */
    uint32_t gid; /**< effective group, when it connected */
} fer_credentials;

/* clang-format off */
#define FER_CREDENTIALS_INIT { sizeof(fer_credentials), 0, 0, 0, 0 }
/* clang-format on */

/**
 * Bytes came over a pipe with FER_PIPE_IPC, or the stream ended.
 *
 * As fer_read_cb; `pending` is the kind of the next received handle, FER_KIND_NONE when there is none.
 * Take it with fer_stream_accept(), or fer_pipe_accept_fd() when it is FER_KIND_OTHER.
 */
typedef void (*fer_read2_cb)(fer_handle *pipe, fer_status status, const void *data, size_t size,
                             fer_kind pending, void *user);

/**
 * Make a pipe handle.
 *
 * @param loop         the loop to put it on.
 * @param flags        FER_PIPE_IPC.
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
 * An abstract name has no file and no mode: any user of the machine can connect.
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
 * Connect to a listening pipe. While the listener's queue is full this waits, as a blocking connect(2)
 * does: it tries again, at most 64 ms apart, until there is room or the pipe is closed.
 *
 * @param pipe  a pipe that is not open yet.
 * @param name  the name.
 * @param size  its size in bytes, or FER_ZSTRING.
 * @param cb    one-shot: FER_OK; FER_ENOENT; FER_ECONNREFUSED when nobody listens there; FER_ENOTSOCK
 *              when something else than a socket is there; FER_EACCES; what else connect(2) gives;
 *              FER_ECANCELED after a close. After an error the pipe may try again.
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
 * The name that a pipe is bound to: what was asked for. That of an accepted pipe is its listener's.
 *
 * A pipe that fer_pipe_open() made, or that was received, has the name that the system knows. Of a path
 * longer than a socket address, that is one that means something to who bound it only.
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
 * The name that the peer of a pipe is bound to, as the peer gave it; where the system does not know it
 * in a form that is of use here, the one that this pipe connected to.
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

/**
 * Make two pipes that are connected to each other.
 *
 * @param loop    the loop to put both on.
 * @param flags   FER_PIPE_IPC.
 * @param[out] a  receives the one; NULL after an error.
 * @param[out] b  receives the other; NULL after an error.
 * Ownership: the caller owns one reference of each.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for an unknown flag; FER_ENOMEM; FER_EMFILE; FER_ENFILE; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: uv_socketpair.
 */
FER_API fer_status fer_pipe_pair(fer_loop *loop, uint32_t flags, fer_handle **a, fer_handle **b);

/**
 * Whether handles may be passed over a pipe.
 *
 * @param pipe  a pipe.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 0 for NULL and for another kind.
 * Seed: pyuv `Pipe(loop, ipc)`.
 */
FER_API int fer_pipe_is_ipc(const fer_handle *pipe);

/**
 * Write bytes, and pass a handle with the first of them.
 *
 * The handle stays usable. The peer gets a descriptor of its own, with the state of the socket: bound,
 * listening or connected. Data that this process has read of it already does not travel with it.
 *
 * @param pipe   a connected pipe with FER_PIPE_IPC.
 * @param parts  the bytes, in `count` pieces: at least one byte, because a handle rides on one.
 * @param count  how many pieces.
 * @param pass   an open handle: pipe, TCP or UDP, of any loop of this thread, but not `pipe` itself.
 * @param cb     one-shot; may be NULL.
 * @param user   passed to `cb`.
 * Ownership: `pass` stays the caller's and may be closed at once: its descriptor is duplicated when it
 *            must wait. The bytes as in fer_stream_write().
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for no bytes, for `pass` being `pipe`, and for a pipe without
 *         FER_PIPE_IPC; FER_EBADF for a handle that is not open yet; FER_ECLOSED, also for a closed `pass`;
 *         FER_ETOOMANYREFS when too many are under way (nothing was written); FER_EMFILE; otherwise as
 *         fer_stream_write().
 * Seed: pyuv `Pipe.write(data, callback, handle)`; uv_write2.
 */
FER_API fer_status fer_pipe_pass(fer_handle *pipe, const fer_bytes *parts, size_t count,
                                 fer_handle *pass, fer_stream_cb cb, void *user);

/**
 * As fer_pipe_pass(), for a descriptor of any kind.
 *
 * @param pipe   a connected pipe with FER_PIPE_IPC.
 * @param parts  the bytes, in `count` pieces: at least one byte.
 * @param count  how many pieces.
 * @param fd     the descriptor.
 * @param cb     one-shot; may be NULL.
 * @param user   passed to `cb`.
 * Ownership: `fd` stays the caller's and may be closed at once.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_pipe_pass(); FER_EBADF for a number that is no descriptor.
 * Seed: none.
 */
FER_API fer_status fer_pipe_pass_fd(fer_handle *pipe, const fer_bytes *parts, size_t count,
                                    fer_fd fd, fer_stream_cb cb, void *user);

/**
 * As fer_stream_read_start(), and be told of received handles.
 *
 * @param pipe       a connected pipe with FER_PIPE_IPC.
 * @param cb         registered.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called. Handles that nobody accepts are closed
 *            with the pipe.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return as fer_stream_read_start(); FER_EINVAL for a pipe without FER_PIPE_IPC. `cb` gets FER_EPROTO when
 *         more than FER_PENDING_MAX handles wait, and FER_EMFILE when the system had no room for one that
 *         came: what came with it is closed, and reading ends.
 * Seed: pyuv `Pipe.start_read2`; uv_read_start on a pipe with ipc.
 */
FER_API fer_status fer_pipe_read_start2(fer_handle *pipe, fer_read2_cb cb, void *user,
                                        fer_finalizer finalizer);

/**
 * How many received handles wait to be accepted.
 *
 * @param pipe  a pipe.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return the count; 0 for NULL, a closed pipe and another kind.
 * Seed: uv_pipe_pending_count.
 */
FER_API size_t fer_pipe_pending_count(const fer_handle *pipe);

/**
 * The kind of the next received handle.
 *
 * @param pipe  a pipe.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return the kind; FER_KIND_NONE when none waits.
 * Seed: pyuv `Pipe.pending_handle_type`; uv_pipe_pending_type.
 */
FER_API fer_kind fer_pipe_pending_kind(const fer_handle *pipe);

/**
 * Take the next received handle, of whatever kind, as a descriptor.
 *
 * @param pipe     a pipe with FER_PIPE_IPC.
 * @param[out] fd  receives the descriptor, close-on-exec.
 * Ownership: the descriptor is the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EAGAIN when none waits; FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_pipe_accept_fd(fer_handle *pipe, fer_fd *fd);

/**
 * How many instances of a named pipe wait for connections. Has an effect on Windows only.
 *
 * @param pipe   a pipe.
 * @param count  how many, above 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.pending_instances`; uv_pipe_pending_instances.
 */
FER_API fer_status fer_pipe_pending_instances(fer_handle *pipe, int32_t count);

/**
 * Change the permission bits of a bound pipe's socket file.
 *
 * @param pipe  a pipe that is bound to a path.
 * @param mode  the bits, up to 0777.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also when it is not bound to a path; FER_ENOENT when the file is no longer the
 *         pipe's; FER_EPERM; FER_EROFS; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: uv_pipe_chmod.
 */
FER_API fer_status fer_pipe_chmod(fer_handle *pipe, uint32_t mode);

/**
 * Who is at the other end of a pipe, as the kernel knows it.
 *
 * @param pipe              a connected pipe.
 * @param[in,out] who       with `struct_size` set; that much of it is filled in.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTCONN; FER_ENOTSUP where the system does not tell; FER_EKIND;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_pipe_peer_credentials(const fer_handle *pipe, fer_credentials *who);

FER_END_DECLS

#endif
