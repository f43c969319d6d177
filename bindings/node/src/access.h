/**
 * Who may come, who is there, and how much has gone over: the parts of channels and servers that
 * lib/access.js uses.
 */
#ifndef FER_NODE_ACCESS_H
#define FER_NODE_ACCESS_H

#include <node_api.h>

#include "class.h"
#include "ferrule/pipe.h"

/** [pid, uid, gid]; -1 for what is not told. NULL, with an exception thrown, when that fails. */
napi_value fer_node_credentials(napi_env env, const fer_credentials *who);

napi_value fer_node_channel_parent(napi_env env, napi_callback_info info);
napi_value fer_node_channel_stats(napi_env env, napi_callback_info info);
napi_value fer_node_channel_credentials(napi_env env, napi_callback_info info);
napi_value fer_node_server_limits(napi_env env, napi_callback_info info);
napi_value fer_node_server_allow(napi_env env, napi_callback_info info);
napi_value fer_node_server_admit(napi_env env, napi_callback_info info);
napi_value fer_node_server_count(napi_env env, napi_callback_info info);

/** activationAddress(name or undefined, index): a Buffer, or a status. */
napi_value fer_node_activation_address(napi_env env, napi_callback_info info);

/** The entries of the table of Channel. */
#define FER_NODE_CHANNEL_ACCESS_METHODS                   \
    FER_NODE_METHOD("parent", fer_node_channel_parent),   \
        FER_NODE_METHOD("stats", fer_node_channel_stats), \
        FER_NODE_METHOD("credentials", fer_node_channel_credentials)

/** The entries of the table of Server. */
#define FER_NODE_SERVER_ACCESS_METHODS                   \
    FER_NODE_METHOD("limits", fer_node_server_limits),   \
        FER_NODE_METHOD("allow", fer_node_server_allow), \
        FER_NODE_METHOD("admit", fer_node_server_admit), \
        FER_NODE_METHOD("count", fer_node_server_count)

#endif
