/**
 * Handles that came with messages, until JavaScript does something with them.
 *
 * Each is an object of JavaScript's that owns the descriptor: whatever becomes of the message, the collector
 * or the end of the environment closes what nobody took. lib/received.js holds it.
 */
#ifndef FER_NODE_RECEIVED_H
#define FER_NODE_RECEIVED_H

#include <node_api.h>

#include "ferrule/channel.h"

/** Make the object that owns the handle at `index` of a message that is being delivered. */
napi_status fer_node_received_new(napi_env env, fer_channel *channel, const fer_message *message,
                                  size_t index, napi_value *object);

/** Add the functions receivedCopy, receivedFd, receivedKind, receivedRelease and receivedClose to `exports`. */
napi_status fer_node_received_init(napi_env env, napi_value exports);

#endif
