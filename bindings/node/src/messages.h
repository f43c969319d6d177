/**
 * A batch of messages as the arguments of one call.
 */
#ifndef FER_NODE_MESSAGES_H
#define FER_NODE_MESSAGES_H

#include <node_api.h>
#include <stddef.h>

#include "ferrule/message.h"
#include "object.h"

/** The messages of one read. */
typedef struct fer_node_batch {
    fer_node_object *channel;
    const fer_message *messages;
    size_t count;
} fer_node_batch;

/**
 * Make the arguments of the fer_node_batch at `data`; a fer_node_fill. lib/inbox.js takes them apart.
 *
 * One message: (buffer). More: (sizes, count, buffers). The first `count` elements of the Uint32Array
 * `sizes`, which the next batch writes over, are the messages' sizes, and `buffers` is an array of Buffers that
 * have them. Small ones stand one behind the other in a Buffer that they share, and when that is used up, the next
 * Buffer begins. A size of 0xffffffff stands for all of the next Buffer; what is shared goes on after it.
 * Empty messages are nowhere.
 *
 * When handles came with any of them, a fourth argument is an array of three elements for each: the index of
 * its message, its kind as a number, and the object that owns it (received.h).
 */
napi_status fer_node_fill_batch(napi_env env, const void *data, napi_value *argv, size_t *argc);

#endif
