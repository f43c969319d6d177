/**
 * What pipes and TCP sockets have in common, as lib/stream.js uses it.
 */
#ifndef FER_NODE_STREAM_H
#define FER_NODE_STREAM_H

#include <node_api.h>

#include "bytes.h"
#include "class.h"
#include "ferrule/status.h"
#include "ferrule/types.h"
#include "object.h"

/** A write that the kernel did not take at once. It keeps the bytes alive. */
typedef struct fer_node_write {
    fer_node_object *stream;
    fer_node_kept kept;
} fer_node_write;

/** A write of a copy of `bytes`, from which `written` are left out. NULL when there is no memory. */
fer_node_write *fer_node_write_new(fer_node_object *stream, fer_node_bytes *bytes, size_t written);

/** It was refused. */
void fer_node_write_drop(fer_node_write *write);

/** It has ended; a fer_stream_cb: streamWritten(status, detail). */
void fer_node_on_written(fer_handle *stream, fer_status status, void *user);

/** A connect has ended; a fer_stream_cb: streamConnected(status, detail). */
void fer_node_on_connected(fer_handle *stream, fer_status status, void *object);

napi_value fer_node_stream_listen(napi_env env, napi_callback_info info);
napi_value fer_node_stream_accept(napi_env env, napi_callback_info info);
napi_value fer_node_stream_read_start(napi_env env, napi_callback_info info);
napi_value fer_node_stream_read_stop(napi_env env, napi_callback_info info);
napi_value fer_node_stream_write_data(napi_env env, napi_callback_info info);
napi_value fer_node_stream_try_write(napi_env env, napi_callback_info info);
napi_value fer_node_stream_shutdown(napi_env env, napi_callback_info info);
napi_value fer_node_stream_write_queue_size(napi_env env, napi_callback_info info);
napi_value fer_node_stream_set_blocking(napi_env env, napi_callback_info info);

/** The entries of a class's table. */
#define FER_NODE_STREAM_METHODS                                              \
    FER_NODE_METHOD("listen", fer_node_stream_listen),                       \
        FER_NODE_METHOD("accept", fer_node_stream_accept),                   \
        FER_NODE_METHOD("readStart", fer_node_stream_read_start),            \
        FER_NODE_METHOD("readStop", fer_node_stream_read_stop),              \
        FER_NODE_METHOD("write", fer_node_stream_write_data),                \
        FER_NODE_METHOD("tryWrite", fer_node_stream_try_write),              \
        FER_NODE_METHOD("shutdown", fer_node_stream_shutdown),               \
        FER_NODE_METHOD("writeQueueSize", fer_node_stream_write_queue_size), \
        FER_NODE_METHOD("setBlocking", fer_node_stream_set_blocking)

#endif
