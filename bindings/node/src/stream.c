#include "stream.h"

#include <stdlib.h>

#include "check.h"
#include "emit.h"
#include "ferrule/handle.h"
#include "ferrule/pipe.h"
#include "ferrule/stream.h"
#include "handle.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

/** Bytes that came, or the end. */
typedef struct stream_read {
    fer_status status;
    const void *data;
    size_t size;
    fer_kind pending;
} stream_read;

static void on_connection(fer_handle *listener, fer_status status, void *user) {
    (void)listener;
    fer_node_emit_status(user, FER_NODE_STREAM_CONNECTION, status);
}

void fer_node_on_connected(fer_handle *stream, fer_status status, void *object) {
    (void)stream;
    fer_node_emit_status(object, FER_NODE_STREAM_CONNECTED, status);
}

/** (status, detail) or (0, buffer, pending). The bytes are valid during the callback only: copy. */
static napi_status fill_read(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const stream_read *read = data;
    if (read->status != FER_OK) {
        return fer_node_fill_status(env, &read->status, argv, argc);
    }
    FER_NODE_TRY(napi_create_int32(env, FER_OK, &argv[0]));
    FER_NODE_TRY(napi_create_buffer_copy(env, read->size, read->data, NULL, &argv[1]));
    FER_NODE_TRY(napi_create_int32(env, (int32_t)read->pending, &argv[2]));
    *argc = 3;
    return napi_ok;
}

/** A fer_read2_cb. */
static void on_read2(fer_handle *stream, fer_status status, const void *data, size_t size,
                     fer_kind pending, void *user) {
    fer_node_object *object = user;
    stream_read read = {status, data, size, pending};
    if (!fer_node_emit(object, FER_NODE_STREAM_READ, fill_read, &read) && status == FER_OK) {
        /* The bytes are lost: nothing may be read after them as if they had not been there. */
        (void)fer_stream_read_stop(stream);
        fer_node_emit_status(object, FER_NODE_STREAM_READ, FER_ENOMEM);
    }
}

/** A fer_read_cb. */
static void on_read(fer_handle *stream, fer_status status, const void *data, size_t size,
                    void *user) {
    on_read2(stream, status, data, size, FER_KIND_NONE, user);
}

void fer_node_on_written(fer_handle *stream, fer_status status, void *user) {
    (void)stream;
    fer_node_write *write = user;
    fer_node_object *object = write->stream;
    fer_node_write_drop(write);
    fer_node_emit_status(object, FER_NODE_STREAM_WRITTEN, status);
}

static void on_shut(fer_handle *stream, fer_status status, void *user) {
    (void)stream;
    fer_node_emit_status(user, FER_NODE_STREAM_SHUT, status);
}

/** listen(backlog): then streamConnection(status, detail) for each connection. */
napi_value fer_node_stream_listen(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t backlog = 0;
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 1, argv);
    if (stream == NULL || !fer_node_get_int(env, argv[0], &backlog)) {
        return NULL;
    }
    fer_status status = fer_stream_listen(stream->handle, backlog, on_connection, stream, NULL);
    return fer_node_status(env, status);
}

/** accept(client): a connection, or a handle that a pipe received. */
napi_value fer_node_stream_accept(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 1, argv);
    if (stream == NULL) {
        return NULL;
    }
    fer_node_object *client = fer_node_argument(env, argv[0], FER_NODE_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    return fer_node_opened(env, client, fer_stream_accept(stream->handle, client->handle));
}

/**
 * readStart(): then streamRead(0, buffer, pending) each time, and at the end streamRead(status, detail).
 * Pending is the kind of the next received handle.
 */
napi_value fer_node_stream_read_start(napi_env env, napi_callback_info info) {
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 0, NULL);
    if (stream == NULL) {
        return NULL;
    }
    fer_status status = fer_pipe_is_ipc(stream->handle)
                            ? fer_pipe_read_start2(stream->handle, on_read2, stream, NULL)
                            : fer_stream_read_start(stream->handle, on_read, stream, NULL);
    return fer_node_status(env, status);
}

/** readStop() */
napi_value fer_node_stream_read_stop(napi_env env, napi_callback_info info) {
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 0, NULL);
    if (stream == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_read_stop(stream->handle));
}

fer_node_write *fer_node_write_new(fer_node_object *stream, fer_node_bytes *bytes, size_t written) {
    fer_node_write *write = malloc(sizeof *write);
    if (write == NULL) {
        return NULL;
    }
    write->stream = stream;
    fer_node_bytes_skip(bytes, written);
    if (!fer_node_bytes_copy(bytes, &write->kept)) {
        free(write);
        return NULL;
    }
    return write;
}

void fer_node_write_drop(fer_node_write *write) {
    fer_node_kept_drop(write->stream->state->env, &write->kept);
    free(write);
}

/** Have what is left of `bytes` written. */
static fer_status write_rest(fer_node_object *stream, fer_node_bytes *bytes, size_t written) {
    fer_node_write *write = fer_node_write_new(stream, bytes, written);
    if (write == NULL) {
        return FER_ENOMEM;
    }
    fer_status status =
        fer_stream_write(stream->handle, bytes->parts, bytes->count, fer_node_on_written, write);
    if (status != FER_OK) {
        fer_node_write_drop(write);
    }
    return status;
}

/** write(data): 1 when the kernel took it all; 0, then streamWritten(status, detail); or a status. */
napi_value fer_node_stream_write_data(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes bytes;
    size_t written = 0;
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 1, argv);
    if (stream == NULL || !fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = fer_stream_try_write(stream->handle, bytes.parts, bytes.count, &written);
    int32_t result = 1;
    if (status == FER_EAGAIN || (status == FER_OK && written < bytes.total)) {
        result = (int32_t)write_rest(stream, &bytes, status == FER_OK ? written : 0);
    } else if (status != FER_OK) {
        result = (int32_t)status;
    }
    fer_node_bytes_done(&bytes);
    return fer_node_number(env, result);
}

/** tryWrite(data): how many bytes the kernel took, or a status. */
napi_value fer_node_stream_try_write(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_bytes bytes;
    size_t written = 0;
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 1, argv);
    if (stream == NULL || !fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = fer_stream_try_write(stream->handle, bytes.parts, bytes.count, &written);
    fer_node_bytes_done(&bytes);
    return status == FER_OK ? fer_node_number(env, (double)written) : fer_node_status(env, status);
}

/** shutdown(): then streamShut(status, detail). */
napi_value fer_node_stream_shutdown(napi_env env, napi_callback_info info) {
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 0, NULL);
    if (stream == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_shutdown(stream->handle, on_shut, stream));
}

/** writeQueueSize(): in bytes. */
napi_value fer_node_stream_write_queue_size(napi_env env, napi_callback_info info) {
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 0, NULL);
    if (stream == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_stream_write_queue_size(stream->handle));
}

/** setBlocking(on) */
napi_value fer_node_stream_set_blocking(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *stream = fer_node_this(env, info, FER_NODE_STREAM, 1, argv);
    if (stream == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_stream_set_blocking(stream->handle, on));
}
