/**
 * What TCP and UDP sockets have in common, as lib/inet.js uses it.
 */
#ifndef FER_NODE_INET_H
#define FER_NODE_INET_H

#include <node_api.h>

#include "ferrule/handle.h"
#include "ferrule/status.h"
#include "object.h"

/** Add the classes TCP and UDP to `exports`. */
napi_status fer_node_tcp_init(napi_env env, napi_value exports);
napi_status fer_node_udp_init(napi_env env, napi_value exports);

/** fer_tcp_new() or fer_udp_new(). */
typedef fer_status (*fer_node_inet_new)(fer_loop *loop, uint32_t flags, fer_handle **handle);
/** fer_tcp_bind() or fer_udp_bind(). */
typedef fer_status (*fer_node_inet_bind)(fer_handle *handle, const char *host, uint16_t port,
                                         uint32_t flags);
/** fer_tcp_open() or fer_udp_open(). */
typedef fer_status (*fer_node_inet_open)(fer_handle *handle, fer_fd fd);

/** The body of init(flags): make the handle, with a family also its socket. */
napi_value fer_node_inet_init_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_new make);
/** The body of bind(host, port, flags). */
napi_value fer_node_inet_bind_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_bind bind);
/** The body of open(fd). */
napi_value fer_node_inet_open_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_open open);

/** name(peer): [host, port], or a status. */
napi_value fer_node_inet_name(napi_env env, napi_callback_info info);

#endif
