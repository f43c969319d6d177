/**
 * Handles that travel over pipes, as lib/pipe.js uses them.
 */
#ifndef FER_NODE_PASSING_H
#define FER_NODE_PASSING_H

#include <node_api.h>

#include "class.h"

napi_value fer_node_pipe_pass(napi_env env, napi_callback_info info);
napi_value fer_node_pipe_pending_count(napi_env env, napi_callback_info info);
napi_value fer_node_pipe_pending_kind(napi_env env, napi_callback_info info);
napi_value fer_node_pipe_accept_fd(napi_env env, napi_callback_info info);

/** The entries of the table of Pipe. */
#define FER_NODE_PASSING_METHODS                                      \
    FER_NODE_METHOD("pass", fer_node_pipe_pass),                      \
        FER_NODE_METHOD("pendingCount", fer_node_pipe_pending_count), \
        FER_NODE_METHOD("pendingKind", fer_node_pipe_pending_kind),   \
        FER_NODE_METHOD("acceptFd", fer_node_pipe_accept_fd)

#endif
