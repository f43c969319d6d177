/**
 * Pipes, as lib/pipe.js uses them.
 */
#ifndef FER_NODE_PIPE_H
#define FER_NODE_PIPE_H

#include <node_api.h>

/** Add the class Pipe to `exports`. */
napi_status fer_node_pipe_init(napi_env env, napi_value exports);

#endif
