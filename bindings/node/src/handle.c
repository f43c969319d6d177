#include "handle.h"

#include "check.h"
#include "emit.h"
#include "ferrule/handle.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

static void on_closed(fer_handle *handle, void *user) {
    (void)handle;
    fer_node_emit(user, FER_NODE_HANDLE_CLOSED, NULL, NULL);
    fer_node_release(user);
}

napi_value fer_node_opened(napi_env env, fer_node_object *object, fer_status status) {
    if (status == FER_OK) {
        fer_node_hold(object);
    }
    return fer_node_status(env, status);
}

/** fileno(): the descriptor, or a status. */
napi_value fer_node_handle_fileno(napi_env env, napi_callback_info info) {
    fer_fd fd = -1;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = fer_handle_fileno(object->handle, &fd);
    return status == FER_OK ? fer_node_number(env, (double)fd) : fer_node_status(env, status);
}

/** detach(): the descriptor, which is the caller's, or a status. The handle is closing then. */
napi_value fer_node_handle_detach(napi_env env, napi_callback_info info) {
    fer_fd fd = -1;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = fer_handle_detach(object->handle, &fd);
    return status == FER_OK ? fer_node_number(env, (double)fd) : fer_node_status(env, status);
}

/** hold(on): whether it keeps Node from exiting. */
napi_value fer_node_handle_hold(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_handle_hold_loop(object->handle, on));
}

/** held(): 1 when it keeps Node from exiting while it waits for something, else 0. */
napi_value fer_node_handle_held(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_number(env, fer_handle_holds_loop(object->handle));
}

/** bufferSize(receive): in bytes, or a status. */
napi_value fer_node_handle_buffer_size(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool receive = false;
    int32_t size = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &receive)) {
        return NULL;
    }
    fer_status status = receive ? fer_handle_receive_buffer_size(object->handle, &size)
                                : fer_handle_send_buffer_size(object->handle, &size);
    return status == FER_OK ? fer_node_number(env, size) : fer_node_status(env, status);
}

/** setBufferSize(receive, bytes) */
napi_value fer_node_handle_set_buffer_size(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    bool receive = false;
    int32_t size = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 2, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &receive) ||
        !fer_node_get_int(env, argv[1], &size)) {
        return NULL;
    }
    return fer_node_status(env, receive ? fer_handle_set_receive_buffer_size(object->handle, size)
                                        : fer_handle_set_send_buffer_size(object->handle, size));
}

/** close(): then handleClosed(). */
napi_value fer_node_handle_close(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_HANDLE, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = FER_OK;
    if (!object->closing) {
        status = fer_handle_close(object->handle, on_closed, object);
        if (status == FER_OK) {
            object->closing = true;
            fer_node_hold(object);
        }
    }
    return fer_node_status(env, status);
}
