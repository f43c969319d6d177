#include "inet.h"

#include <stdlib.h>

#include "check.h"
#include "ferrule/tcp.h"
#include "handle.h"
#include "value.h"

napi_value fer_node_inet_init_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_new make) {
    napi_value argv[1];
    int32_t flags = 0;
    fer_node_object *object = fer_node_this(env, info, kind, 1, argv);
    if (object == NULL || !fer_node_get_int(env, argv[0], &flags)) {
        return NULL;
    }
    if (object->handle != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_loop *loop = NULL;
    fer_status status = fer_node_env_loop(object->state, &loop);
    if (status == FER_OK) {
        status = make(loop, (uint32_t)flags, &object->handle);
    }
    return flags != 0 ? fer_node_opened(env, object, status) : fer_node_status(env, status);
}

napi_value fer_node_inet_bind_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_bind bind) {
    napi_value argv[3];
    uint16_t port = 0;
    int32_t flags = 0;
    fer_node_object *object = fer_node_this(env, info, kind, 3, argv);
    if (object == NULL || !fer_node_get_port(env, argv[1], &port) ||
        !fer_node_get_int(env, argv[2], &flags)) {
        return NULL;
    }
    char *host = fer_node_get_text(env, argv[0]);
    if (host == NULL) {
        return NULL;
    }
    fer_status status = bind(object->handle, host, port, (uint32_t)flags);
    free(host);
    return fer_node_opened(env, object, status);
}

napi_value fer_node_inet_open_with(napi_env env, napi_callback_info info, fer_node_kind kind,
                                   fer_node_inet_open open) {
    napi_value argv[1];
    int32_t fd = -1;
    fer_node_object *object = fer_node_this(env, info, kind, 1, argv);
    if (object == NULL || !fer_node_get_int(env, argv[0], &fd)) {
        return NULL;
    }
    return fer_node_opened(env, object, open(object->handle, fd));
}

napi_value fer_node_inet_name(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool peer = false;
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    napi_value list = NULL;
    napi_value text = NULL;
    napi_value number = NULL;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_INET, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &peer)) {
        return NULL;
    }
    fer_status status = peer ? fer_inet_getpeername(object->handle, host, &port)
                             : fer_inet_getsockname(object->handle, host, &port);
    if (status != FER_OK) {
        return fer_node_status(env, status);
    }
    FER_NODE_CALL(env, napi_create_array_with_length(env, 2, &list), NULL);
    FER_NODE_CALL(env, napi_create_string_utf8(env, host, NAPI_AUTO_LENGTH, &text), NULL);
    FER_NODE_CALL(env, napi_create_uint32(env, port, &number), NULL);
    FER_NODE_CALL(env, napi_set_element(env, list, 0, text), NULL);
    FER_NODE_CALL(env, napi_set_element(env, list, 1, number), NULL);
    return list;
}
