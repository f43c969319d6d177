/**
 * Messages as they come: their bytes, and the handles that came with them.
 */
#ifndef FERRULE_MESSAGE_H
#define FERRULE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "handle.h"
#include "status.h"
#include "types.h"

FER_BEGIN_DECLS

/** A handle that came with a message. The layout never changes. */
typedef struct fer_passed {
    fer_fd fd;    /**< its descriptor; -1 once it was taken */
    int32_t kind; /**< a fer_kind; FER_KIND_OTHER for a descriptor that is no handle */
} fer_passed;

/** One message. The layout never changes. */
typedef struct fer_message {
    const void *data;          /**< the payload; may be NULL when size is 0 */
    size_t size;               /**< in bytes */
    const fer_passed *handles; /**< came with it, in the sender's order; NULL when there are none */
    size_t handle_count;       /**< how many */
} fer_message;

/** The most handles that one message carries. */
enum { FER_MESSAGE_HANDLES_MAX = 64 };

/** What is known about the memory of large payloads: flags of a fer_body_memory. */
enum {
    FER_BODY_MEMORY_COLD = 1 /**< it is not in the caches, and is written past them */
};

/**
 * Where the payloads of large messages go, so that nobody has to copy them again. Copied by
 * fer_channel_set_body_memory().
 *
 * The functions are called in the thread that receives, while something is read, and must not call the
 * library. Sizes are in bytes. Memory grows with the bytes that have come, so `resize` is called for what
 * comes slowly.
 */
typedef struct fer_body_memory {
    uint32_t struct_size;                                   /**< sizeof(fer_body_memory) */
    uint32_t flags;                                         /**< FER_BODY_MEMORY_COLD, or 0 */
    size_t least;                                           /**< bytes that go there, at least */
    void *(*allocate)(size_t size, void *user);             /**< NULL when there is none */
    void *(*resize)(void *memory, size_t size, void *user); /**< as realloc(3) */
    void (*release)(void *memory, void *user);              /**< of what nobody took */
    void *user;                                             /**< passed to each of them */
} fer_body_memory;

/* clang-format off */
#define FER_BODY_MEMORY_INIT { sizeof(fer_body_memory), 0, 0, NULL, NULL, NULL, NULL }
/* clang-format on */

/**
 * Choose where the payloads of large messages go.
 *
 * A message that came whole together with others may be in memory of the library's all the same:
 * fer_message_take_data() tells.
 *
 * @param channel  an open channel on which nothing was received yet.
 * @param memory   three functions and their `user`.
 * Ownership: the structure is copied; `user` must live until the channel is closed.
 * Thread: the loop's; of a blocking channel any, one at a time.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL for a missing function, a `least` of 0, an unknown flag or a wrong `struct_size`;
 *         FER_EALREADY when it was chosen, or something came; FER_ENOTCONN before it is open; FER_ENOMEM;
 *         FER_EBUSY while another thread is in a call on a blocking channel; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_channel_set_body_memory(fer_channel *channel, const fer_body_memory *memory);

/**
 * Take the memory that the payload of a message is in.
 *
 * @param channel      the channel that delivers the message just now.
 * @param message      the message, as the callback or fer_sync_receive() gave it.
 * @param[out] memory  receives what the `allocate` of fer_channel_set_body_memory() gave, with the payload; unchanged
 *                     after an error.
 * Ownership: the memory is the caller's. What is not taken is released after the callback; on a blocking
 *            channel when later messages are received, or when it ends.
 * Thread: the loop's; of a blocking channel any, one at a time.
 * Callbacks: in the fer_messages_cb that got the message; of a blocking channel, before its next call.
 * @return FER_OK; FER_ENOENT when the payload is in memory of the library's, and is to be copied; FER_EINVAL;
 *         FER_EALREADY when it was taken; FER_EBUSY while another thread is in a call on a blocking channel;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_message_take_data(fer_channel *channel, const fer_message *message,
                                         void **memory);

/**
 * Make a handle of one that came with a message.
 *
 * @param channel      the channel that delivers the message just now.
 * @param message      the message, as the callback got it.
 * @param index        which of its handles, from 0.
 * @param[out] handle  receives the handle, on the loop of the channel; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: the loop's.
 * Callbacks: in the fer_messages_cb that got the message.
 * @return FER_OK; FER_EINVAL for a message that is not being delivered, or without such a handle;
 *         FER_EALREADY for one that was taken; FER_EKIND for a descriptor that is no handle, which
 *         fer_message_take_fd() gives; FER_ENOTSUP on a blocking channel; FER_ENOMEM; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `Pipe.accept`.
 */
FER_API fer_status fer_message_take(fer_channel *channel, const fer_message *message, size_t index,
                                    fer_handle **handle);

/**
 * Take the descriptor of a handle that came with a message.
 *
 * @param channel  the channel that delivers the message just now.
 * @param message  the message, as the callback or fer_sync_receive() gave it.
 * @param index    which of its handles, from 0.
 * @param[out] fd  receives the descriptor, which is close-on-exec; unchanged after an error.
 * Ownership: the descriptor is the caller's.
 * Thread: the loop's; of a blocking channel any, one at a time.
 * Callbacks: in the fer_messages_cb that got the message; of a blocking channel, before its next call.
 * @return FER_OK; FER_EINVAL for a message that is not being delivered, or without such a handle;
 *         FER_EALREADY for one that was taken; FER_EBUSY while another thread is in a call on a blocking
 *         channel; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: none.
 */
FER_API fer_status fer_message_take_fd(fer_channel *channel, const fer_message *message,
                                       size_t index, fer_fd *fd);

FER_END_DECLS

#endif
