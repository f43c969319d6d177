/**
 * Result codes.
 *
 * One list makes the enumeration, the names and the texts. The values are fixed for ever and equal
 * on every platform. 0 is success, errors are negative.
 */
#ifndef FERRULE_STATUS_H
#define FERRULE_STATUS_H

#include <stdint.h>

#include "export.h"

/** X(name, value, text): every status. docs/errors.md is made from this list. */
#define FER_STATUS_MAP(X)                                                 \
    X(FER_OK, 0, "success")                                               \
    X(FER_EINVAL, -1, "invalid argument")                                 \
    X(FER_ENOMEM, -2, "out of memory")                                    \
    X(FER_EKIND, -3, "wrong kind of handle for this call")                \
    X(FER_ECLOSED, -4, "the object is closed")                            \
    X(FER_ETHREAD, -5, "called from a thread that does not own the loop") \
    X(FER_EFORK, -6, "the object belongs to the parent process")          \
    X(FER_ECANCELED, -7, "canceled by close")                             \
    X(FER_ECALLBACK, -8, "a callback failed")                             \
    X(FER_EPROTO, -9, "the peer broke the protocol")                      \
    X(FER_EADDRESS, -10, "malformed address")                             \
    X(FER_EVERSION, -11, "no common version")                             \
    X(FER_EOF, -12, "orderly end of stream")                              \
    X(FER_EMSGSIZE, -13, "message over the size limit")                   \
    X(FER_ETIMEDOUT, -14, "timed out")                                    \
    X(FER_EAGAIN, -15, "would block; nothing was done")                   \
    X(FER_EBUSY, -16, "in use")                                           \
    X(FER_EALREADY, -17, "already done or under way")                     \
    X(FER_ENOTSUP, -18, "not supported here")                             \
    X(FER_EINTR, -19, "interrupted by a signal; call again")              \
    X(FER_ENOTCONN, -20, "not connected")                                 \
    X(FER_EISCONN, -21, "already connected")                              \
    X(FER_ECONNREFUSED, -22, "connection refused: nobody listens")        \
    X(FER_ECONNRESET, -23, "the peer went away without an orderly end")   \
    X(FER_ECONNABORTED, -24, "connection aborted")                        \
    X(FER_EPIPE, -25, "the peer no longer receives")                      \
    X(FER_EADDRINUSE, -26, "address in use")                              \
    X(FER_EADDRNOTAVAIL, -27, "address not available")                    \
    X(FER_EAFNOSUPPORT, -28, "address family not supported")              \
    X(FER_ENAMETOOLONG, -29, "name too long for a socket address")        \
    X(FER_ENOENT, -30, "no such file or directory")                       \
    X(FER_EACCES, -31, "permission denied")                               \
    X(FER_EPERM, -32, "operation not permitted")                          \
    X(FER_EEXIST, -33, "the file exists")                                 \
    X(FER_ENOTDIR, -34, "not a directory")                                \
    X(FER_EISDIR, -35, "is a directory")                                  \
    X(FER_ELOOP, -36, "too many symbolic links")                          \
    X(FER_EROFS, -37, "read-only file system")                            \
    X(FER_ENOSPC, -38, "no space left on the device")                     \
    X(FER_EDQUOT, -39, "disk quota exceeded")                             \
    X(FER_EIO, -40, "input or output error")                              \
    X(FER_EBADF, -41, "bad descriptor")                                   \
    X(FER_ENOTSOCK, -42, "not a socket")                                  \
    X(FER_EMFILE, -43, "too many open descriptors in this process")       \
    X(FER_ENFILE, -44, "too many open descriptors in the system")         \
    X(FER_ENOBUFS, -45, "no buffer space")                                \
    X(FER_ETOOMANYREFS, -46, "too many descriptors in flight")            \
    X(FER_EPROTOTYPE, -47, "wrong type of socket")                        \
    X(FER_EPROTONOSUPPORT, -48, "protocol not supported")                 \
    X(FER_EDESTADDRREQ, -49, "destination address required")              \
    X(FER_ENETUNREACH, -50, "network unreachable")                        \
    X(FER_EHOSTUNREACH, -51, "host unreachable")                          \
    X(FER_ENXIO, -52, "no such device or address")                        \
    X(FER_ENODEV, -53, "no such device")                                  \
    X(FER_EFAULT, -54, "bad address in memory")                           \
    X(FER_ENOSYS, -55, "the system does not have this function")          \
    X(FER_EUNKNOWN, -99, "unknown error")

/** The result of a call. FER_ECALLBACK is for callbacks to report with; the library never makes it. */
typedef enum fer_status {
#define FER_STATUS_ENTRY(name, value, text) name = value,
    FER_STATUS_MAP(FER_STATUS_ENTRY)
#undef FER_STATUS_ENTRY
    /* Keeps the type 32 bits wide and signed everywhere. */
    FER_STATUS_MIN_ = -2147483647 - 1,
    FER_STATUS_MAX_ = 2147483647
} fer_status;

FER_BEGIN_DECLS

/**
 * The name of a status, such as "FER_EINVAL".
 *
 * @param status  any value.
 * Ownership: the text is the library's and lives for ever.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the name; "FER_EUNKNOWN" for a value that is no status; never NULL.
 * Seed: uv_err_name.
 */
FER_API const char *fer_status_name(fer_status status);

/**
 * What a status means, in a few words.
 *
 * @param status  any value.
 * Ownership: the text is the library's and lives for ever.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the text; that of FER_EUNKNOWN for a value that is no status; never NULL.
 * Seed: uv_strerror.
 */
FER_API const char *fer_status_text(fer_status status);

/**
 * The platform's own error number that comes nearest to a status.
 *
 * @param status  any value.
 * Ownership: nothing changes hands; `errno` is not touched.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return a positive errno value, such as ECONNREFUSED; 0 for FER_OK and for FER_EOF.
 * Seed: none.
 */
FER_API int fer_status_errno(fer_status status);

/**
 * What was wrong, in a sentence, about the last failure that this thread was told of.
 *
 * Set whenever a function of the library returns an error in this thread, and before a callback is
 * called with one; empty when there is nothing to add to fer_status_text().
 *
 * Ownership: the text is the library's; it is valid until this thread's next call into the library.
 * Thread: any; each thread has its own text.
 * Callbacks: may be called from any callback.
 * @return the text, perhaps empty, never NULL.
 * Seed: none.
 */
FER_API const char *fer_status_detail(void);

FER_END_DECLS

#endif
