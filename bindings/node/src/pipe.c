#include "pipe.h"

#include <stdlib.h>

#include "bytes.h"
#include "check.h"
#include "class.h"
#include "emit.h"
#include "ferrule/handle.h"
#include "ferrule/pipe.h"
#include "ferrule/stream.h"
#include "object.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

/** A write that the kernel did not take at once. It keeps the bytes alive. */
typedef struct pipe_write {
    fer_node_object *pipe;
    fer_node_kept kept;
} pipe_write;

/** Bytes that came, or the end. */
typedef struct pipe_read {
    fer_status status;
    const void *data;
    size_t size;
} pipe_read;

static void on_connection(fer_handle *listener, fer_status status, void *user) {
    (void)listener;
    fer_node_emit_status(user, FER_NODE_PIPE_CONNECTION, status);
}

static void on_connected(fer_handle *handle, fer_status status, void *user) {
    (void)handle;
    fer_node_emit_status(user, FER_NODE_PIPE_CONNECTED, status);
}

/** (status, detail) or (0, buffer). The bytes are valid during the callback only: copy. */
static napi_status fill_read(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const pipe_read *read = data;
    if (read->status != FER_OK) {
        return fer_node_fill_status(env, &read->status, argv, argc);
    }
    FER_NODE_TRY(napi_create_int32(env, FER_OK, &argv[0]));
    FER_NODE_TRY(napi_create_buffer_copy(env, read->size, read->data, NULL, &argv[1]));
    *argc = 2;
    return napi_ok;
}

static void on_read(fer_handle *stream, fer_status status, const void *data, size_t size,
                    void *user) {
    fer_node_object *pipe = user;
    pipe_read read = {status, data, size};
    if (!fer_node_emit(pipe, FER_NODE_PIPE_READ, fill_read, &read) && status == FER_OK) {
        /* The bytes are lost: nothing may be read after them as if they had not been there. */
        (void)fer_stream_read_stop(stream);
        fer_node_emit_status(pipe, FER_NODE_PIPE_READ, FER_ENOMEM);
    }
}

static void on_written(fer_handle *stream, fer_status status, void *user) {
    (void)stream;
    pipe_write *write = user;
    fer_node_object *pipe = write->pipe;
    fer_node_kept_drop(pipe->state->env, &write->kept);
    free(write);
    fer_node_emit_status(pipe, FER_NODE_PIPE_WRITTEN, status);
}

static void on_shut(fer_handle *stream, fer_status status, void *user) {
    (void)stream;
    fer_node_emit_status(user, FER_NODE_PIPE_SHUT, status);
}

static void on_closed(fer_handle *handle, void *user) {
    (void)handle;
    fer_node_emit(user, FER_NODE_PIPE_CLOSED, NULL, NULL);
    fer_node_release(user);
}

static napi_value pipe_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_PIPE);
}

/** init(): make the handle. */
static napi_value pipe_init(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    if (pipe->handle != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_loop *loop = NULL;
    fer_status status = fer_node_env_loop(pipe->state, &loop);
    if (status == FER_OK) {
        status = fer_pipe_new(loop, 0, &pipe->handle);
    }
    return fer_node_status(env, status);
}

/** After a call that opens the pipe. */
static napi_value opened(napi_env env, fer_node_object *pipe, fer_status status) {
    if (status == FER_OK) {
        fer_node_hold(pipe);
    }
    return fer_node_status(env, status);
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
    return opened(env, pipe, status);
}

/** listen(backlog) */
static napi_value pipe_listen(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t backlog = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[0], &backlog)) {
        return NULL;
    }
    fer_status status = fer_stream_listen(pipe->handle, backlog, on_connection, pipe, NULL);
    return fer_node_status(env, status);
}

/** accept(client) */
static napi_value pipe_accept(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL) {
        return NULL;
    }
    fer_node_object *client = fer_node_argument(env, argv[0], FER_NODE_PIPE);
    if (client == NULL) {
        return NULL;
    }
    return opened(env, client, fer_stream_accept(pipe->handle, client->handle));
}

/** connect(name): then pipeConnected(status, detail). */
static napi_value pipe_connect(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes name;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !get_name(env, argv[0], &name)) {
        return NULL;
    }
    fer_status status =
        fer_pipe_connect(pipe->handle, name.parts[0].data, name.parts[0].size, on_connected, pipe);
    fer_node_bytes_done(&name);
    return opened(env, pipe, status);
}

/** open(fd) */
static napi_value pipe_open(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t fd = -1;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_int(env, argv[0], &fd)) {
        return NULL;
    }
    return opened(env, pipe, fer_pipe_open(pipe->handle, fd));
}

/** fileno(): the descriptor, or a status. */
static napi_value pipe_fileno(napi_env env, napi_callback_info info) {
    fer_fd fd = -1;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    fer_status status = fer_handle_fileno(pipe->handle, &fd);
    return status == FER_OK ? fer_node_number(env, (double)fd) : fer_node_status(env, status);
}

/** readStart(): then pipeRead(0, buffer) each time, and at the end pipeRead(status, detail). */
static napi_value pipe_read_start(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_read_start(pipe->handle, on_read, pipe, NULL));
}

/** readStop() */
static napi_value pipe_read_stop(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_read_stop(pipe->handle));
}

/** Have what is left of `bytes`, which were got from `data`, written. */
static fer_status write_rest(napi_env env, fer_node_object *pipe, fer_node_bytes *bytes,
                             size_t written, napi_value data) {
    pipe_write *write = malloc(sizeof *write);
    if (write == NULL) {
        return FER_ENOMEM;
    }
    write->pipe = pipe;
    if (!fer_node_bytes_keep(env, data, bytes, &write->kept)) {
        free(write);
        return FER_ENOMEM;
    }
    fer_node_bytes_skip(bytes, written);
    fer_status status =
        fer_stream_write(pipe->handle, bytes->parts, bytes->count, on_written, write);
    if (status != FER_OK) {
        fer_node_kept_drop(env, &write->kept);
        free(write);
    }
    return status;
}

/** write(data): 1 when the kernel took it all; 0, then pipeWritten(status, detail); or a status. */
static napi_value pipe_write_data(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes bytes;
    size_t written = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL) {
        return NULL;
    }
    if (!fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = fer_stream_try_write(pipe->handle, bytes.parts, bytes.count, &written);
    int32_t result = 1;
    if (status == FER_EAGAIN || (status == FER_OK && written < bytes.total)) {
        result = (int32_t)write_rest(env, pipe, &bytes, status == FER_OK ? written : 0, argv[0]);
    } else if (status != FER_OK) {
        result = (int32_t)status;
    }
    fer_node_bytes_done(&bytes);
    return fer_node_number(env, result);
}

/** tryWrite(data): how many bytes the kernel took, or a status. */
static napi_value pipe_try_write(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes bytes;
    size_t written = 0;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = fer_stream_try_write(pipe->handle, bytes.parts, bytes.count, &written);
    fer_node_bytes_done(&bytes);
    return status == FER_OK ? fer_node_number(env, (double)written) : fer_node_status(env, status);
}

/** shutdown(): then pipeShut(status, detail). */
static napi_value pipe_shutdown(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_shutdown(pipe->handle, on_shut, pipe));
}

/** writeQueueSize(): in bytes. */
static napi_value pipe_write_queue_size(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_stream_write_queue_size(pipe->handle));
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

/** hold(on): whether it keeps Node from exiting. */
static napi_value pipe_hold(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 1, argv);
    if (pipe == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_handle_hold_loop(pipe->handle, on));
}

/** close(): then pipeClosed(). */
static napi_value pipe_close(napi_env env, napi_callback_info info) {
    fer_node_object *pipe = fer_node_this(env, info, FER_NODE_PIPE, 0, NULL);
    if (pipe == NULL) {
        return NULL;
    }
    fer_status status = FER_OK;
    if (!pipe->closing) {
        status = fer_handle_close(pipe->handle, on_closed, pipe);
        if (status == FER_OK) {
            pipe->closing = true;
            fer_node_hold(pipe);
        }
    }
    return fer_node_status(env, status);
}

napi_status fer_node_pipe_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_METHOD("init", pipe_init),
        FER_NODE_METHOD("bind", pipe_bind),
        FER_NODE_METHOD("listen", pipe_listen),
        FER_NODE_METHOD("accept", pipe_accept),
        FER_NODE_METHOD("connect", pipe_connect),
        FER_NODE_METHOD("open", pipe_open),
        FER_NODE_METHOD("fileno", pipe_fileno),
        FER_NODE_METHOD("readStart", pipe_read_start),
        FER_NODE_METHOD("readStop", pipe_read_stop),
        FER_NODE_METHOD("write", pipe_write_data),
        FER_NODE_METHOD("tryWrite", pipe_try_write),
        FER_NODE_METHOD("shutdown", pipe_shutdown),
        FER_NODE_METHOD("writeQueueSize", pipe_write_queue_size),
        FER_NODE_METHOD("name", pipe_name),
        FER_NODE_METHOD("hold", pipe_hold),
        FER_NODE_METHOD("close", pipe_close),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "Pipe", NAPI_AUTO_LENGTH, pipe_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "Pipe", constructor);
}
