#include "pipe.h"

#include "access.h"
#include "bytes.h"
#include "check.h"
#include "ferrule/pipe.h"
#include "handle.h"
#include "passing.h"
#include "stream.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

static napi_value pipe_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_PIPE);
}

/** init(ipc): make the handle. Without an argument it is not for passing. */
static napi_value pipe_init(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    napi_valuetype type = napi_undefined;
    bool ipc = false;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_typeof(env, argv[0], &type), NULL);
    if (type != napi_undefined && !fer_node_get_bool(env, argv[0], &ipc)) {
        return NULL;
    }
    if (pipe->handle != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_loop *loop = NULL;
    fer_status status = fer_node_env_loop(pipe->state, &loop);
    if (status == FER_OK) {
        status = fer_pipe_new(loop, ipc ? FER_PIPE_IPC : 0, &pipe->handle);
    }
    return fer_node_status(env, status);
}

/** pair(other, ipc): make the handles of both, connected to each other. */
static napi_value pipe_pair(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    bool ipc = false;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 2, argv);
    if (pipe == NULL || !fer_node_get_bool(env, argv[1], &ipc)) {
        return NULL;
    }
    fer_node_object *other = fer_node_argument(env, argv[0], FER_NODE_PIPE);
    if (other == NULL) {
        return NULL;
    }
    if (pipe == other || pipe->handle != NULL || other->handle != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_loop *loop = NULL;
    fer_status status = fer_node_env_loop(pipe->state, &loop);
    if (status == FER_OK) {
        status = fer_pipe_pair(loop, ipc ? FER_PIPE_IPC : 0, &pipe->handle, &other->handle);
    }
    if (status == FER_OK) {
        fer_node_hold(other);
    }
    return fer_node_opened(env, pipe, status);
}

/** A name: a single piece of bytes. False, with an exception thrown, for anything else. */
static bool get_name(napi_env env, napi_value value, fer_node_bytes *name) {
    if (!fer_node_bytes_get(env, value, name)) {
        return false;
    }
    if (name->count != 1) {
        fer_node_bytes_done(name);
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a string or a Buffer");
        return false;
    }
    return true;
}

/** bind(name, mode, flags) */
static napi_value pipe_bind(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    fer_node_bytes name;
    int32_t mode = 0;
    int32_t flags = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 3, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[1], &mode) ||
        !fer_node_get_int(env, argv[2], &flags) || !get_name(env, argv[0], &name)) {
        return NULL;
    }
    fer_bind_options options = FER_BIND_OPTIONS_INIT;
    options.mode = (uint32_t)mode;
    options.flags = (uint32_t)flags;
    fer_status status =
        fer_pipe_bind(pipe->handle, name.parts[0].data, name.parts[0].size, &options);
    fer_node_bytes_done(&name);
    return fer_node_opened(env, pipe, status);
}

/** connect(name): then streamConnected(status, detail). */
static napi_value pipe_connect(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes name;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !get_name(env, argv[0], &name)) {
        return NULL;
    }
    fer_status status = fer_pipe_connect(pipe->handle, name.parts[0].data, name.parts[0].size,
                                         fer_node_on_connected, pipe);
    fer_node_bytes_done(&name);
    return fer_node_opened(env, pipe, status);
}

/** open(fd) */
static napi_value pipe_open(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t fd = -1;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[0], &fd)) {
        return NULL;
    }
    return fer_node_opened(env, pipe, fer_pipe_open(pipe->handle, fd));
}

static fer_status sock_name(const void *handle, char *buffer, size_t *size) {
    return fer_pipe_getsockname(handle, buffer, size);
}

static fer_status peer_name(const void *handle, char *buffer, size_t *size) {
    return fer_pipe_getpeername(handle, buffer, size);
}

/** name(peer): a Buffer, or a status. */
static napi_value pipe_name(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool peer = false;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_bool(env, argv[0], &peer)) {
        return NULL;
    }
    return fer_node_name(env, peer ? peer_name : sock_name, pipe->handle);
}

/** chmod(mode) */
static napi_value pipe_chmod(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t mode = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[0], &mode)) {
        return NULL;
    }
    return fer_node_status(env, fer_pipe_chmod(pipe->handle, (uint32_t)mode));
}

/** pendingInstances(count) */
static napi_value pipe_pending_instances(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t count = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[0], &count)) {
        return NULL;
    }
    return fer_node_status(env, fer_pipe_pending_instances(pipe->handle, count));
}

/** credentials(): [pid, uid, gid], or a status. */
static napi_value pipe_credentials(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_status status = fer_pipe_peer_credentials(pipe->handle, &who);
    return status == FER_OK ? fer_node_credentials(env, &who) : fer_node_status(env, status);
}

napi_status fer_node_pipe_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_HANDLE_METHODS,
        FER_NODE_STREAM_METHODS,
        FER_NODE_PASSING_METHODS,
        FER_NODE_METHOD("init", pipe_init),
        FER_NODE_METHOD("pair", pipe_pair),
        FER_NODE_METHOD("bind", pipe_bind),
        FER_NODE_METHOD("connect", pipe_connect),
        FER_NODE_METHOD("open", pipe_open),
        FER_NODE_METHOD("name", pipe_name),
        FER_NODE_METHOD("chmod", pipe_chmod),
        FER_NODE_METHOD("pendingInstances", pipe_pending_instances),
        FER_NODE_METHOD("credentials", pipe_credentials),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "Pipe", NAPI_AUTO_LENGTH, pipe_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "Pipe", constructor);
}
