/**
 * What pipes, TCP sockets and UDP sockets have in common.
 *
 * Close is not free. fer_handle_close() starts the end; callbacks that are still due get
 * FER_ECANCELED, then the close callback comes, which is the last. The memory goes when the handle
 * is closed and nobody holds a reference. A call on a closed handle that you still own gives
 * FER_ECLOSED.
 */
#ifndef FERRULE_HANDLE_H
#define FERRULE_HANDLE_H

#include <stdint.h>

#include "export.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** A descriptor on POSIX, a HANDLE on Windows. */
typedef intptr_t fer_fd;

/** The kinds of handles. */
typedef enum fer_kind {
    FER_KIND_NONE = 0, /**< no handle */
    FER_KIND_PIPE = 1, /**< a pipe */
    FER_KIND_TCP = 2,  /**< a TCP socket */
    FER_KIND_UDP = 3,  /**< a UDP socket */
    FER_KIND_OTHER = 4 /**< of a received handle: a descriptor of another kind */
} fer_kind;

/** The end of fer_handle_close(). Nothing of the handle calls back after it. */
typedef void (*fer_handle_closed_cb)(fer_handle *handle, void *user);

/**
 * Take one more reference.
 *
 * @param handle  a handle, or NULL, which is ignored.
 * Ownership: the caller owns one more reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return `handle`.
 * Seed: none.
 */
FER_API fer_handle *fer_handle_ref(fer_handle *handle);

/**
 * Drop a reference. When it was the last of an open handle, the loop closes the handle.
 *
 * @param handle  a handle, or NULL, which is ignored.
 * Ownership: takes the caller's reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_handle_unref(fer_handle *handle);

/**
 * Start to close a handle. Closing again is allowed and changes nothing.
 *
 * @param handle  the handle.
 * @param cb      one-shot; may be NULL. Also called for a handle that is closed already.
 * @param user    passed to `cb`.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM (nothing was done); FER_ECLOSED when the loop is closed and
 *         cannot call `cb`; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Handle.close`; uv_close.
 */
FER_API fer_status fer_handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user);

/**
 * Whether fer_handle_close() was called, or the close was finished.
 *
 * @param handle  the handle.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 1 for NULL.
 * Seed: pyuv `Handle.closed`; uv_is_closing.
 */
FER_API int fer_handle_is_closing(const fer_handle *handle);

/**
 * The kind of a handle.
 *
 * @param handle  the handle.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the kind; FER_KIND_NONE for NULL.
 * Seed: uv_handle_get_type.
 */
FER_API fer_kind fer_handle_kind(const fer_handle *handle);

/**
 * The loop that a handle is on.
 *
 * @param handle  the handle.
 * Ownership: no reference is given; the handle holds one.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the loop; NULL for NULL.
 * Seed: pyuv `Handle.loop`; uv_handle_get_loop.
 */
FER_API fer_loop *fer_handle_loop(const fer_handle *handle);

/**
 * Attach a pointer of your own.
 *
 * @param handle     the handle.
 * @param data       what fer_handle_data() gives.
 * @param finalizer  called once with `data` when it is replaced or the memory of the handle goes,
 *                   also when this call fails; may be NULL. Runs in the thread that caused it.
 * Ownership: `data` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ETHREAD; FER_EFORK. Works on a closed handle too.
 * Seed: uv_handle_set_data.
 */
FER_API fer_status fer_handle_set_data(fer_handle *handle, void *data, fer_finalizer finalizer);

/**
 * The pointer that fer_handle_set_data() attached.
 *
 * @param handle  the handle.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return the pointer; NULL when there is none.
 * Seed: uv_handle_get_data.
 */
FER_API void *fer_handle_data(const fer_handle *handle);

/**
 * Choose whether the handle keeps fer_loop_run() from returning while it waits for something.
 *
 * @param handle  the handle.
 * @param hold    1 (what a new handle has) or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Handle.ref`; uv_ref and uv_unref.
 */
FER_API fer_status fer_handle_hold_loop(fer_handle *handle, int hold);

/**
 * Whether the handle holds its loop.
 *
 * @param handle  the handle.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 0 for NULL.
 * Seed: uv_has_ref.
 */
FER_API int fer_handle_holds_loop(const fer_handle *handle);

/**
 * The descriptor of a handle.
 *
 * @param handle   the handle.
 * @param[out] fd  receives the descriptor.
 * Ownership: the descriptor stays the handle's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before there is one; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.fileno`; uv_fileno.
 */
FER_API fer_status fer_handle_fileno(const fer_handle *handle, fer_fd *fd);

/**
 * Take the descriptor out of a handle, and close the handle.
 *
 * @param handle   an open handle.
 * @param[out] fd  receives the descriptor.
 * Ownership: the descriptor is the caller's. What waited to be written is not, nor is a socket file
 *            that the handle made removed.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before there is one; FER_EBUSY while writes wait or it connects;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_handle_detach(fer_handle *handle, fer_fd *fd);

/**
 * The kind of handle that a descriptor would make.
 *
 * @param fd  a descriptor.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the kind; FER_KIND_OTHER for what is no stream pipe, TCP or UDP socket; FER_KIND_NONE for a
 *         number that is no descriptor.
 * Seed: uv_guess_handle.
 */
FER_API fer_kind fer_handle_kind_of(fer_fd fd);

/**
 * The size of the kernel's buffer for what is sent, as getsockopt(2) gives it.
 *
 * @param handle      an open handle.
 * @param[out] bytes  receives the size; Linux reports twice what was set.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.send_buffer_size`; uv_send_buffer_size.
 */
FER_API fer_status fer_handle_send_buffer_size(const fer_handle *handle, int32_t *bytes);

/**
 * Ask for a size of the kernel's buffer for what is sent. The system may give less.
 *
 * @param handle  an open handle.
 * @param bytes   the size, above 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_handle_send_buffer_size().
 * Seed: pyuv `Pipe.send_buffer_size`; uv_send_buffer_size.
 */
FER_API fer_status fer_handle_set_send_buffer_size(fer_handle *handle, int32_t bytes);

/**
 * The size of the kernel's buffer for what is received, as getsockopt(2) gives it.
 *
 * @param handle      an open handle.
 * @param[out] bytes  receives the size; Linux reports twice what was set.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_handle_send_buffer_size().
 * Seed: pyuv `Pipe.receive_buffer_size`; uv_recv_buffer_size.
 */
FER_API fer_status fer_handle_receive_buffer_size(const fer_handle *handle, int32_t *bytes);

/**
 * Ask for a size of the kernel's buffer for what is received. The system may give less.
 *
 * @param handle  an open handle.
 * @param bytes   the size, above 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_handle_send_buffer_size().
 * Seed: pyuv `Pipe.receive_buffer_size`; uv_recv_buffer_size.
 */
FER_API fer_status fer_handle_set_receive_buffer_size(fer_handle *handle, int32_t bytes);

FER_END_DECLS

#endif
