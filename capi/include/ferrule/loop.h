/**
 * Loops: where callbacks run.
 *
 * A loop, and everything that is made on it, belongs to one thread: the one that made it. Calls
 * from another thread give FER_ETHREAD and do nothing, except where a function says "Thread: any".
 * In the child of a fork(2) every call gives FER_EFORK.
 *
 * Three ways to run one: its own (fer_loop_new, fer_loop_run), inside a host's loop (fer_loop_fd,
 * fer_loop_timeout, fer_loop_set_notify, fer_loop_step), or on a libuv loop (ferrule/uv.h).
 */
#ifndef FERRULE_LOOP_H
#define FERRULE_LOOP_H

#include <stdint.h>

#include "export.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/**
 * Runs on the loop's thread because of fer_loop_post().
 *
 * `status` is FER_OK, or FER_ECANCELED when the loop was closed first.
 */
typedef void (*fer_posted_cb)(fer_loop *loop, fer_status status, void *user);

/** Tells the host of an embedded loop to call fer_loop_step() soon. */
typedef void (*fer_notify_cb)(fer_loop *loop, void *user);

/**
 * Make a loop of its own.
 *
 * @param[out] loop  receives the loop; NULL after an error.
 * Ownership: the caller owns one reference; end with fer_loop_close() and fer_loop_unref().
 * Thread: any; the calling thread becomes the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL for NULL; FER_ENOMEM; FER_EMFILE; FER_ENFILE.
 * Seed: pyuv `Loop()`; uv_loop_init.
 */
FER_API fer_status fer_loop_new(fer_loop **loop);

/**
 * Take one more reference.
 *
 * @param loop  a loop, or NULL, which is ignored.
 * Ownership: the caller owns one more reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return `loop`.
 * Seed: none.
 */
FER_API fer_loop *fer_loop_ref(fer_loop *loop);

/**
 * Drop a reference. The memory goes when the loop is closed and unreferenced.
 *
 * A loop that is dropped while open keeps its memory and descriptors: close it first.
 *
 * @param loop  a loop, or NULL, which is ignored.
 * Ownership: takes the caller's reference.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return nothing.
 * Seed: none.
 */
FER_API void fer_loop_unref(fer_loop *loop);

/**
 * Run callbacks until nothing on the loop can call one any more, or until it is told to stop.
 *
 * @param loop  a loop made by fer_loop_new().
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: not from a callback of the same loop.
 * @return FER_OK; what fer_loop_fail() was given; FER_EINVAL; FER_EBUSY when it runs already;
 *         FER_ENOTSUP on a borrowed loop, which its owner runs; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Loop.run`; uv_run with UV_RUN_DEFAULT.
 */
FER_API fer_status fer_loop_run(fer_loop *loop);

/**
 * Wait for at most `timeout_ms`, then run the callbacks that are due, once.
 *
 * @param loop        a loop made by fer_loop_new().
 * @param timeout_ms  in milliseconds; 0 does not wait; negative waits without limit.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: not from a callback of the same loop.
 * @return as fer_loop_run().
 * Seed: uv_run with UV_RUN_NOWAIT or UV_RUN_ONCE.
 */
FER_API fer_status fer_loop_step(fer_loop *loop, int64_t timeout_ms);

/**
 * Make the running fer_loop_run() or fer_loop_step() return as soon as its current callbacks have.
 *
 * Without one that runs, the next returns at once. On a borrowed loop nothing happens.
 *
 * @param loop  the loop.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_EFORK.
 * Seed: pyuv `Loop.stop`; uv_stop.
 */
FER_API fer_status fer_loop_stop(fer_loop *loop);

/**
 * As fer_loop_stop(), and the call that stops returns `status`.
 *
 * For bindings: a callback that raised says so with FER_ECALLBACK. The first failure is kept.
 *
 * @param loop    the loop.
 * @param status  an error.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: made for callbacks.
 * @return FER_OK; FER_EINVAL for FER_OK as `status`; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_fail(fer_loop *loop, fer_status status);

/**
 * End the present wait of the loop, so that a fer_loop_step() returns.
 *
 * @param loop  the loop.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_EFORK.
 * Seed: uv_async_send.
 */
FER_API fer_status fer_loop_wake(fer_loop *loop);

/**
 * Have `cb` run on the loop's thread. Posted callbacks run in the order in which they were posted.
 *
 * @param loop  the loop.
 * @param cb    one-shot.
 * @param user  passed to `cb`.
 * Ownership: `user` stays the caller's until `cb` is called.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOMEM; FER_ECLOSED; FER_EFORK.
 * Seed: pyuv `Async`; uv_async_send.
 */
FER_API fer_status fer_loop_post(fer_loop *loop, fer_posted_cb cb, void *user);

/**
 * Whether something on the loop can still call back.
 *
 * @param loop  the loop.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return 1 or 0; 0 also for NULL, a closed loop and a foreign thread.
 * Seed: pyuv `Loop.alive`; uv_loop_alive.
 */
FER_API int fer_loop_is_alive(const fer_loop *loop);

/**
 * The descriptor that becomes readable when the loop has something to do.
 *
 * For embedding in another loop: wait until it is readable or fer_loop_timeout() has passed, then
 * call fer_loop_step() with 0.
 *
 * @param loop     a loop made by fer_loop_new().
 * @param[out] fd  receives the descriptor.
 * Ownership: the descriptor stays the loop's; do not read, write or close it.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a borrowed loop; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Loop.fileno`; uv_backend_fd.
 */
FER_API fer_status fer_loop_fd(const fer_loop *loop, int *fd);

/**
 * How long a host may wait before its next fer_loop_step().
 *
 * @param loop             a loop made by fer_loop_new().
 * @param[out] timeout_ms  receives milliseconds; -1 means until the descriptor is readable.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a borrowed loop; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Loop.get_timeout`; uv_backend_timeout.
 */
FER_API fer_status fer_loop_timeout(const fer_loop *loop, int64_t *timeout_ms);

/**
 * Look for what comes within the moment in which an answer is expected, instead of going to sleep.
 *
 * For hosts, after the last step and before they wait. A channel to which answers come soon, one after the other, has
 * its loop look for the next one: see `busy_poll_us` of fer_channel_options. Otherwise this returns at once. It never
 * takes longer than that time, and ends as soon as there is anything to do on the loop; what the host has to do besides
 * waits so long.
 *
 * @param loop        a loop made by fer_loop_new().
 * @param[out] ready  receives 1 when there is something: call fer_loop_step() with 0; else 0: wait.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: not from a callback of the same loop; makes none.
 * @return FER_OK; FER_EINVAL; FER_EBUSY when it runs; FER_ENOTSUP on a borrowed loop, which looks by itself;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_linger(fer_loop *loop, int *ready);

/**
 * Be told when a call made outside of fer_loop_step() left work for the next step.
 *
 * A host that embeds the loop schedules a step then; without it, what was asked for (a connection,
 * bytes that wait to be coalesced) would rest until the next event; an answer that fer_loop_linger()
 * would look for is such work, too. Called at most once between two steps, from within the call that left
 * the work.
 *
 * @param loop       a loop made by fer_loop_new().
 * @param cb         registered; NULL removes the present one.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` when `cb` will not be called again, also when this
 *                   call fails; may be NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback. `cb` must not call back into the library.
 * @return FER_OK; FER_EINVAL; FER_ENOTSUP on a borrowed loop; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_set_notify(fer_loop *loop, fer_notify_cb cb, void *user,
                                       fer_finalizer finalizer);

/**
 * Make the calling thread the one that the loop, and all that is on it, belongs to.
 *
 * The caller sees to it that no other thread is in a call on the loop, and that whatever the old
 * thread did is visible to this one.
 *
 * @param loop  a loop made by fer_loop_new().
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: not from a callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while it runs; FER_ENOTSUP on a borrowed loop; FER_ECLOSED;
 *         FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_adopt(fer_loop *loop);

/**
 * Start to close every handle, channel and server on the loop.
 *
 * Channels are aborted: nothing more is flushed. The callbacks come while the loop runs.
 *
 * @param loop  the loop.
 * Ownership: the references of the caller stay the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_loop_close_objects(fer_loop *loop);

/**
 * Close a loop that has nothing open on it. Posted callbacks that did not run get FER_ECANCELED.
 *
 * Everything must have been closed, and have had its close callback, before. A loop that is
 * already closed gives FER_OK.
 *
 * @param loop  a loop made by fer_loop_new().
 * Ownership: the caller's reference stays the caller's.
 * Thread: the loop's.
 * Callbacks: not from a callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while something is open on it or it runs; FER_ENOTSUP on a
 *         borrowed loop (fer_loop_detach()); FER_ETHREAD; FER_EFORK.
 * Seed: uv_loop_close.
 */
FER_API fer_status fer_loop_close(fer_loop *loop);

FER_END_DECLS

#endif
