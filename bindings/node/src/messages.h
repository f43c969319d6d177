/**
 * A batch of messages as the arguments of one call.
 */
#ifndef FER_NODE_MESSAGES_H
#define FER_NODE_MESSAGES_H

#include <node_api.h>
#include <stddef.h>

#include "ferrule/channel.h"

/** The messages of one read. */
typedef struct fer_node_batch {
    fer_channel *channel;
    const fer_message *messages;
    size_t count;
} fer_node_batch;

/**
 * Make the arguments of the fer_node_batch at `data`; a fer_node_fill. lib/inbox.js takes them apart.
 *
 * One message: (buffer). More: (slab, count, large). The slab is a Buffer with the small messages one
 * behind the other and, from the next multiple of 4 on, their sizes as 32-bit numbers in the machine's
 * byte order. A size of 0xffffffff stands for the next Buffer in the array `large`, which is undefined
 * when there are none.
 *
 * When handles came with any of them, a fourth argument is an array of three elements for each: the index of
 * its message, its kind as a number, and the object that owns it (received.h).
 */
napi_status fer_node_fill_batch(napi_env env, const void *data, napi_value *argv, size_t *argc);

#endif
