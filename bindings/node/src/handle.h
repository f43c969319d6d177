/**
 * What pipes, TCP and UDP sockets have in common, as lib/handle.js uses it.
 */
#ifndef FER_NODE_HANDLE_H
#define FER_NODE_HANDLE_H

#include <node_api.h>

#include "class.h"
#include "ferrule/status.h"
#include "object.h"

/** After a call that opens the handle: keeps JavaScript's side alive. Gives the status. */
napi_value fer_node_opened(napi_env env, fer_node_object *object, fer_status status);

napi_value fer_node_handle_fileno(napi_env env, napi_callback_info info);
napi_value fer_node_handle_detach(napi_env env, napi_callback_info info);
napi_value fer_node_handle_hold(napi_env env, napi_callback_info info);
napi_value fer_node_handle_held(napi_env env, napi_callback_info info);
napi_value fer_node_handle_buffer_size(napi_env env, napi_callback_info info);
napi_value fer_node_handle_set_buffer_size(napi_env env, napi_callback_info info);
napi_value fer_node_handle_close(napi_env env, napi_callback_info info);

/** The entries of a class's table. */
#define FER_NODE_HANDLE_METHODS                                            \
    FER_NODE_METHOD("fileno", fer_node_handle_fileno),                     \
        FER_NODE_METHOD("detach", fer_node_handle_detach),                 \
        FER_NODE_METHOD("hold", fer_node_handle_hold),                     \
        FER_NODE_METHOD("held", fer_node_handle_held),                     \
        FER_NODE_METHOD("bufferSize", fer_node_handle_buffer_size),        \
        FER_NODE_METHOD("setBufferSize", fer_node_handle_set_buffer_size), \
        FER_NODE_METHOD("close", fer_node_handle_close)

#endif
