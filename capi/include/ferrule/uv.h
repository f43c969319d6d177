/**
 * Ferrule on somebody else's libuv loop. Not part of ferrule.h.
 *
 * The loop must belong to the same copy of libuv that the library runs on (fer_version_uv()), and
 * its owner runs it. A host that uses libuv for sockets ignores SIGPIPE already; the library
 * itself never raises it.
 */
#ifndef FERRULE_UV_H
#define FERRULE_UV_H

#include "export.h"
#include "status.h"
#include "types.h"

struct uv_loop_s;

FER_BEGIN_DECLS

/** The end of fer_loop_detach(): nothing of the library is left on the libuv loop. */
typedef void (*fer_detached_cb)(fer_loop *loop, void *user);

/**
 * Make a loop that runs on a libuv loop.
 *
 * @param uv         the libuv loop; it must outlive the end of fer_loop_detach().
 * @param[out] loop  receives the loop; NULL after an error.
 * Ownership: the caller owns one reference; `uv` stays its owner's.
 * Thread: the one that runs `uv`; it becomes the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM; FER_EMFILE; FER_EVERSION when the libuv that is loaded is
 *         older than the one that the library was built for.
 * Seed: none.
 */
FER_API fer_status fer_loop_attach(struct uv_loop_s *uv, fer_loop **loop);

/**
 * Close everything on a borrowed loop, then leave the libuv loop.
 *
 * @param loop  a loop made by fer_loop_attach().
 * @param cb    one-shot; the last thing that the library does on the libuv loop. May be NULL.
 * @param user  passed to `cb`.
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a loop made by fer_loop_new(); FER_ECLOSED when it is
 *         detached already; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_detach(fer_loop *loop, fer_detached_cb cb, void *user);

FER_END_DECLS

#endif
