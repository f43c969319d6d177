/**
 * Servers, as lib/server.js uses them.
 */
#ifndef FER_NODE_SERVER_H
#define FER_NODE_SERVER_H

#include <node_api.h>

/** Add the class Server to `exports`. */
napi_status fer_node_server_init(napi_env env, napi_value exports);

#endif
