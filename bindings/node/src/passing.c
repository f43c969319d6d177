#include "passing.h"

#include "check.h"
#include "ferrule/pipe.h"
#include "stream.h"
#include "value.h"

/** Pass `handle`, or the descriptor when there is none, with a copy of `bytes`. */
static fer_status pass(fer_node_object *pipe, fer_node_bytes *bytes, const fer_node_object *handle,
                       int32_t fd) {
    fer_node_write *write = fer_node_write_new(pipe, bytes, 0);
    if (write == NULL) {
        return FER_ENOMEM;
    }
    fer_status status = handle != NULL ? fer_pipe_pass(pipe->handle, bytes->parts, bytes->count,
                                                       handle->handle, fer_node_on_written, write)
                                       : fer_pipe_pass_fd(pipe->handle, bytes->parts, bytes->count,
                                                          fd, fer_node_on_written, write);
    if (status != FER_OK) {
        fer_node_write_drop(write);
    }
    return status;
}

/** pass(data, handle): 0, then streamWritten(status, detail); or a status. A handle may be a descriptor. */
napi_value fer_node_pipe_pass(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    fer_node_bytes bytes;
    napi_valuetype type = napi_undefined;
    fer_node_object *handle = NULL;
    int32_t fd = -1;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 2, argv);
    if (pipe == NULL) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_typeof(env, argv[1], &type), NULL);
    if (type != napi_number) {
        handle = fer_node_argument(env, argv[1], FER_NODE_HANDLE);
        if (handle == NULL) {
            return NULL;
        }
    } else if (!fer_node_get_int(env, argv[1], &fd)) {
        return NULL;
    }
    if (!fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = pass(pipe, &bytes, handle, fd);
    fer_node_bytes_done(&bytes);
    return fer_node_status(env, status);
}

/** pendingCount(): how many received handles wait. */
napi_value fer_node_pipe_pending_count(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_pipe_pending_count(pipe->handle));
}

/** pendingKind(): the number of the kind of the next one; 0 when none waits. */
napi_value fer_node_pipe_pending_kind(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_pipe_pending_kind(pipe->handle));
}

/** acceptFd(): the next one as a descriptor, which is the caller's, or a status. */
napi_value fer_node_pipe_accept_fd(napi_env env, napi_callback_info info) {
    fer_fd fd = -1;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    fer_status status = fer_pipe_accept_fd(pipe->handle, &fd);
    return status == FER_OK ? fer_node_number(env, (double)fd) : fer_node_status(env, status);
}
