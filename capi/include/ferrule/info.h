/**
 * What is known about a channel: limits, counts, who is at the other end.
 */
#ifndef FERRULE_INFO_H
#define FERRULE_INFO_H

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "export.h"
#include "pipe.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** What is known about a channel. Set `struct_size` before the call. */
typedef struct fer_channel_info {
    uint32_t struct_size;      /**< sizeof(fer_channel_info) */
    uint32_t flags;            /**< none yet: 0 */
    int32_t wire;              /**< a fer_wire */
    uint32_t version;          /**< of the native wire, agreed with the peer; 0 on the plain one */
    uint64_t max_message;      /**< the largest message that this side takes, in bytes */
    uint64_t peer_max_message; /**< the largest message that the peer takes, in bytes */
    uint32_t max_handles;      /**< handles that this side takes with a message */
    uint32_t peer_max_handles; /**< handles that the peer takes with a message */
    uint64_t queued;           /**< bytes that are accepted and that the kernel does not have yet */
    uint64_t high_water;       /**< the mark above which the channel is not writable */
} fer_channel_info;

/* clang-format off */
#define FER_CHANNEL_INFO_INIT { sizeof(fer_channel_info), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/** What has gone over a channel. Set `struct_size` before the call. */
typedef struct fer_channel_stats {
    uint32_t struct_size;     /**< sizeof(fer_channel_stats) */
    uint32_t flags;           /**< none yet: 0 */
    uint64_t messages_in;     /**< messages that came whole */
    uint64_t messages_out;    /**< messages that were accepted */
    uint64_t bytes_in;        /**< of their payloads */
    uint64_t bytes_out;       /**< of their payloads */
    uint64_t handles_in;      /**< handles that came with them */
    uint64_t handles_out;     /**< handles that went with them */
    uint64_t queued;          /**< bytes that are accepted and that the kernel does not have yet */
    uint64_t high_water_hits; /**< how often the queue went above the high-water mark */
} fer_channel_stats;

/* clang-format off */
#define FER_CHANNEL_STATS_INIT { sizeof(fer_channel_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/**
 * What is known about a channel.
 *
 * @param channel      the channel.
 * @param[in,out] info with `struct_size` set; that much of it is filled in.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while another thread is in a call on a blocking channel;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_get_info(const fer_channel *channel, fer_channel_info *info);

/**
 * Count what has gone over a channel. Payloads are never looked at.
 *
 * @param channel        the channel, also a closed one.
 * @param[in,out] stats  with `struct_size` set; that much of it is filled in.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while another thread is in a call on a blocking channel;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_get_stats(const fer_channel *channel, fer_channel_stats *stats);

/**
 * How much of what was accepted the kernel never got. Which messages these were, their fer_sent_cb says.
 *
 * @param channel     a channel; final once it is closed.
 * @param[out] bytes  receives their bytes, headers included.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBUSY while another thread is in a call on a blocking channel;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_unsent(const fer_channel *channel, uint64_t *bytes);

/**
 * Who is at the other end of a channel.
 *
 * On `pipe:` the system tells process, user and group at the time of the connection. On `tcp:` of the
 * loopback Linux tells the user. What is not told is -1, for user and group UINT32_MAX.
 *
 * @param channel   an open channel.
 * @param[out] who  with `struct_size` set.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_ENOTCONN before it is connected; FER_ENOTSUP where the system does not
 *         tell; FER_EACCES when the peer has closed its end, so that nobody can tell; FER_EBUSY;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_peer_credentials(const fer_channel *channel, fer_credentials *who);

FER_END_DECLS

#endif
