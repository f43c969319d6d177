/**
 * Channels, as lib/channel.js uses them.
 */
#ifndef FER_NODE_CHANNEL_H
#define FER_NODE_CHANNEL_H

#include <node_api.h>

#include "ferrule/info.h"
#include "object.h"

/** Add the class Channel to `exports`. */
napi_status fer_node_channel_init(napi_env env, napi_value exports);

/** The fer_channel_connected_cb of an object, which is the `user`. */
void fer_node_channel_connected(fer_channel *channel, fer_status status, void *user);

/** Make `object` the owner of an open channel, whose reference it takes. */
fer_status fer_node_channel_adopt(fer_node_object *object, fer_channel *channel);

#endif
