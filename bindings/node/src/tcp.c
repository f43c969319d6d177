#include "ferrule/tcp.h"

#include <stdlib.h>

#include "check.h"
#include "handle.h"
#include "inet.h"
#include "stream.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

static napi_value tcp_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_TCP);
}

/** init(flags): make the handle, with a family also its socket. */
static napi_value tcp_init(napi_env env, napi_callback_info info) {
    return fer_node_inet_init_with(env, info, FER_NODE_TCP, fer_tcp_new);
}

/** bind(host, port, flags) */
static napi_value tcp_bind(napi_env env, napi_callback_info info) {
    return fer_node_inet_bind_with(env, info, FER_NODE_TCP, fer_tcp_bind);
}

/** open(fd) */
static napi_value tcp_open(napi_env env, napi_callback_info info) {
    return fer_node_inet_open_with(env, info, FER_NODE_TCP, fer_tcp_open);
}

/** connect(host, port): then streamConnected(status, detail). */
static napi_value tcp_connect(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    uint16_t port = 0;
    fer_node_object *tcp = fer_node_this(env, info, FER_NODE_TCP, 2, argv);
    if (tcp == NULL || !fer_node_get_port(env, argv[1], &port)) {
        return NULL;
    }
    char *host = fer_node_get_text(env, argv[0]);
    if (host == NULL) {
        return NULL;
    }
    fer_status status = fer_tcp_connect(tcp->handle, host, port, fer_node_on_connected, tcp);
    free(host);
    return fer_node_opened(env, tcp, status);
}

/** setNoDelay(on) */
static napi_value tcp_set_no_delay(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *tcp = fer_node_this(env, info, FER_NODE_TCP, 1, argv);
    if (tcp == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_tcp_nodelay(tcp->handle, on));
}

/** setKeepAlive(on, seconds) */
static napi_value tcp_set_keep_alive(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    bool on = false;
    int32_t seconds = 0;
    fer_node_object *tcp = fer_node_this(env, info, FER_NODE_TCP, 2, argv);
    if (tcp == NULL || !fer_node_get_bool(env, argv[0], &on) ||
        !fer_node_get_int(env, argv[1], &seconds)) {
        return NULL;
    }
    return fer_node_status(env, fer_tcp_keepalive(tcp->handle, on, (uint32_t)seconds));
}

/** simultaneousAccepts(on) */
static napi_value tcp_simultaneous_accepts(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *tcp = fer_node_this(env, info, FER_NODE_TCP, 1, argv);
    if (tcp == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_tcp_simultaneous_accepts(tcp->handle, on));
}

napi_status fer_node_tcp_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_HANDLE_METHODS,
        FER_NODE_STREAM_METHODS,
        FER_NODE_METHOD("init", tcp_init),
        FER_NODE_METHOD("bind", tcp_bind),
        FER_NODE_METHOD("open", tcp_open),
        FER_NODE_METHOD("connect", tcp_connect),
        FER_NODE_METHOD("name", fer_node_inet_name),
        FER_NODE_METHOD("setNoDelay", tcp_set_no_delay),
        FER_NODE_METHOD("setKeepAlive", tcp_set_keep_alive),
        FER_NODE_METHOD("simultaneousAccepts", tcp_simultaneous_accepts),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "TCP", NAPI_AUTO_LENGTH, tcp_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "TCP", constructor);
}
