/**
 * The sending half of a channel, as lib/outbox.js uses it.
 */
#ifndef FER_NODE_SEND_H
#define FER_NODE_SEND_H

#include <node_api.h>

#include "class.h"

enum {
    /** Bytes at the beginning of a slab that are for sizes. */
    FER_NODE_SLAB_SIZES = 16 * 1024,
};

napi_value fer_node_channel_send(napi_env env, napi_callback_info info);
napi_value fer_node_channel_pass(napi_env env, napi_callback_info info);
napi_value fer_node_channel_deliver(napi_env env, napi_callback_info info);
napi_value fer_node_channel_cork(napi_env env, napi_callback_info info);
napi_value fer_node_channel_uncork(napi_env env, napi_callback_info info);
napi_value fer_node_channel_unsent(napi_env env, napi_callback_info info);

/** The entries of the table of Channel. */
#define FER_NODE_SEND_METHODS                                 \
    FER_NODE_METHOD("send", fer_node_channel_send),           \
        FER_NODE_METHOD("pass", fer_node_channel_pass),       \
        FER_NODE_METHOD("deliver", fer_node_channel_deliver), \
        FER_NODE_METHOD("cork", fer_node_channel_cork),       \
        FER_NODE_METHOD("uncork", fer_node_channel_uncork),   \
        FER_NODE_METHOD("unsent", fer_node_channel_unsent)

#endif
