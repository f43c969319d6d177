/**
 * What a process was started with: the channel to its parent, and sockets from a service manager.
 *
 * Both are told in environment variables. The one that names the channel is removed when it is read, so that
 * a child of this process does not take the channel for its own. Changing the environment is not safe while
 * another thread reads it: call these functions early.
 */
#ifndef FERRULE_PARENT_H
#define FERRULE_PARENT_H

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "export.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** The variable that names the channel to the parent: `fd:` and the number of a descriptor. */
#define FER_PARENT_VARIABLE "FERRULE_CHANNEL"

/**
 * Open the channel to the parent, on a loop.
 *
 * @param loop          the loop to put the channel on.
 * @param options       or NULL for the defaults.
 * @param cb            one-shot.
 * @param user          passed to `cb`.
 * @param[out] channel  receives the channel; NULL after an error.
 * Ownership: the caller owns one reference; the descriptor is the channel's, and closed after an error, unless it
 *            is no connected socket.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_ENOENT when this process was not started with a channel, or took it before;
 *         FER_EADDRESS for a variable that does not name a descriptor; FER_EINVAL for a standard stream;
 *         otherwise, and for `cb`, as fer_channel_connect(). FER_EINVAL for an argument, FER_ENOTSUP for a
 *         secret, FER_ETHREAD and FER_EFORK leave the variable; after any other status it is removed.
 * Seed: none.
 */
FER_API fer_status fer_channel_parent(fer_loop *loop, const fer_channel_options *options,
                                      fer_channel_connected_cb cb, void *user,
                                      fer_channel **channel);

/**
 * Open the channel to the parent, and wait until it is open.
 *
 * @param options       or NULL for the defaults.
 * @param timeout_ms    limit; negative: none beside those of `options`.
 * @param[out] channel  receives the channel, a blocking one; NULL after an error.
 * Ownership: the caller owns one reference; the descriptor is the channel's, and closed after an error, unless it
 *            is no connected stream socket.
 * Thread: any.
 * Callbacks: may be called from any callback, which then waits.
 * @return as fer_channel_parent() and its callback; FER_ETIMEDOUT; FER_EINTR.
 * Seed: none.
 */
FER_API fer_status fer_sync_parent(const fer_channel_options *options, int64_t timeout_ms,
                                   fer_channel **channel);

/**
 * The address of a listening socket that a service manager passed: `LISTEN_FDS` of sd_listen_fds(3).
 *
 * It can be given to fer_server_listen(). The variables stay, for the other sockets.
 *
 * @param name           as `LISTEN_FDNAMES` has it; NULL: by number.
 * @param index          which of those with this name, from 0.
 * @param[out] buffer    receives the address, ended by a NUL byte.
 * @param[in,out] size   the size of `buffer` in bytes; receives the length without the NUL byte, or what would
 *                       be needed with it after FER_ENOBUFS.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_ENOENT when there is no such socket, or the variables are for another process;
 *         FER_ENOBUFS; FER_EINVAL.
 * Seed: none.
 */
FER_API fer_status fer_activation_address(const char *name, size_t index, char *buffer,
                                          size_t *size);

FER_END_DECLS

#endif
