#include "channel.h"

#include <stdlib.h>

#include "bytes.h"
#include "check.h"
#include "class.h"
#include "emit.h"
#include "messages.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

/** A message whose bytes are referenced until the kernel has them, or whose end somebody waits for. */
typedef struct channel_send {
    fer_node_object *channel;
    fer_node_kept kept;
    napi_ref callback; /**< NULL when nobody waits */
} channel_send;

/** The arguments of channelSent. */
typedef struct sent_arguments {
    fer_status status;
    napi_ref callback;
} sent_arguments;

static void on_drain(fer_channel *channel, void *user) {
    (void)channel;
    fer_node_emit(user, FER_NODE_CHANNEL_DRAIN, NULL, NULL);
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    if (status == FER_OK) {
        status = fer_channel_on_drain(channel, on_drain, user, NULL);
    }
    fer_node_emit_status(user, FER_NODE_CHANNEL_CONNECTED, status);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    fer_node_object *object = user;
    if (status != FER_OK) {
        fer_node_emit_status(object, FER_NODE_CHANNEL_ENDED, status);
        return;
    }
    fer_node_batch batch = {messages, count};
    if (!fer_node_emit(object, FER_NODE_CHANNEL_MESSAGES, fer_node_fill_batch, &batch)) {
        /* The batch is lost: nothing may be received after it as if it had not been there. */
        (void)fer_channel_abort(channel);
        fer_node_emit_status(object, FER_NODE_CHANNEL_ENDED, FER_ENOMEM);
    }
}

/** (callback, status, detail) */
static napi_status fill_sent(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const sent_arguments *sent = data;
    FER_NODE_TRY(napi_get_reference_value(env, sent->callback, &argv[0]));
    FER_NODE_TRY(fer_node_fill_status(env, &sent->status, argv + 1, argc));
    *argc += 1;
    return napi_ok;
}

static void send_free(napi_env env, channel_send *send) {
    fer_node_kept_drop(env, &send->kept);
    if (send->callback != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, send->callback));
    }
    free(send);
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    channel_send *send = user;
    fer_node_object *object = send->channel;
    if (send->callback != NULL) {
        sent_arguments arguments = {status, send->callback};
        fer_node_emit(object, FER_NODE_CHANNEL_SENT, fill_sent, &arguments);
    }
    send_free(object->state->env, send);
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    fer_node_emit_status(user, FER_NODE_CHANNEL_CLOSED, status);
    fer_node_release(user);
}

static napi_value channel_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_CHANNEL);
}

/** connect(address, options): then channelConnected(status, detail). */
static napi_value channel_connect(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    fer_channel_options options;
    fer_loop *loop = NULL;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 2, argv);
    if (object == NULL || !fer_node_get_options(env, argv[1], &options)) {
        return NULL;
    }
    if (object->channel != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    char *address = fer_node_get_text(env, argv[0]);
    if (address == NULL) {
        return NULL;
    }
    fer_status status = fer_node_env_loop(object->state, &loop);
    if (status == FER_OK) {
        status =
            fer_channel_connect(loop, address, &options, on_connected, object, &object->channel);
    }
    free(address);
    if (status == FER_OK) {
        fer_node_hold(object);
    }
    return fer_node_status(env, status);
}

fer_status fer_node_channel_adopt(fer_node_object *object, fer_channel *channel) {
    if (object->channel != NULL) {
        return FER_EALREADY;
    }
    fer_status status = fer_channel_on_drain(channel, on_drain, object, NULL);
    if (status == FER_OK) {
        object->channel = channel;
        fer_node_hold(object);
    }
    return status;
}

/** receive(): then channelMessages(...) each time, and at the end channelEnded(status, detail). */
static napi_value channel_receive(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_channel_receive(object->channel, on_messages, object, NULL));
}

/** pause() */
static napi_value channel_pause(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_channel_pause(object->channel));
}

/** resume() */
static napi_value channel_resume(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_channel_resume(object->channel));
}

/** Send with a completion: the bytes are kept alive instead of copied. */
static fer_status send_kept(napi_env env, fer_node_object *object, fer_node_bytes *bytes,
                            napi_value data, napi_value callback) {
    channel_send *send = calloc(1, sizeof *send);
    if (send == NULL) {
        return FER_ENOMEM;
    }
    send->channel = object;
    fer_status status = FER_ENOMEM;
    if (fer_node_bytes_keep(env, data, bytes, &send->kept) &&
        (callback == NULL || napi_create_reference(env, callback, 1, &send->callback) == napi_ok)) {
        status =
            fer_channel_send(object->channel, bytes->parts, bytes->count, NULL, 0, on_sent, send);
    }
    if (status != FER_OK) {
        send_free(env, send);
    }
    return status;
}

/**
 * send(data, callback): 1 when more may be sent, 0 when it is better to wait for channelDrain(), or
 * a status. With a callback: then channelSent(callback, status, detail).
 */
static napi_value channel_send_data(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    fer_node_bytes bytes;
    napi_valuetype type = napi_undefined;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 2, argv);
    if (object == NULL) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_typeof(env, argv[1], &type), NULL);
    if (type != napi_undefined && type != napi_function) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a function");
        return NULL;
    }
    if (!fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    fer_status status = FER_OK;
    if (type == napi_function || bytes.total >= FER_NODE_BIG) {
        status = send_kept(env, object, &bytes, argv[0], type == napi_function ? argv[1] : NULL);
    } else {
        status = fer_channel_send(object->channel, bytes.parts, bytes.count, NULL, 0, NULL, NULL);
    }
    fer_node_bytes_done(&bytes);
    if (status != FER_OK) {
        return fer_node_status(env, status);
    }
    napi_value more = NULL;
    int32_t writable = fer_channel_is_writable(object->channel);
    FER_NODE_CALL(env, napi_create_int32(env, writable, &more), NULL);
    return more;
}

/** writable(): 1 or 0. */
static napi_value channel_writable(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_number(env, fer_channel_is_writable(object->channel));
}

/**
 * info(numbers): fills a Float64Array of 8 with wire, version, max_message, peer_max_message,
 * max_handles, peer_max_handles, queued, high_water.
 */
static napi_value channel_info(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t length = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    if (object == NULL) {
        return NULL;
    }
    napi_status got = napi_get_typedarray_info(env, argv[0], &type, &length, &data, NULL, NULL);
    if (got != napi_ok || type != napi_float64_array || length != 8) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a Float64Array of 8");
        return NULL;
    }
    fer_channel_info known = FER_CHANNEL_INFO_INIT;
    fer_status status = fer_channel_get_info(object->channel, &known);
    if (status == FER_OK) {
        double *numbers = data;
        numbers[0] = known.wire;
        numbers[1] = known.version;
        numbers[2] = (double)known.max_message;
        numbers[3] = (double)known.peer_max_message;
        numbers[4] = known.max_handles;
        numbers[5] = known.peer_max_handles;
        numbers[6] = (double)known.queued;
        numbers[7] = (double)known.high_water;
    }
    return fer_node_status(env, status);
}

/** hold(on): whether it keeps Node from exiting. */
static napi_value channel_hold(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_channel_hold_loop(object->channel, on));
}

/** Have channelClosed(status, detail) called at the end, once. */
static fer_status close_once(fer_node_object *object) {
    if (object->closing) {
        return FER_OK;
    }
    fer_status status = fer_channel_close(object->channel, on_closed, object);
    if (status == FER_OK) {
        object->closing = true;
        fer_node_hold(object);
    }
    return status;
}

/** close(): flush, goodbye; then channelClosed(status, detail). */
static napi_value channel_close(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_status(env, close_once(object));
}

/** abort(): at once; then channelClosed(status, detail). */
static napi_value channel_abort(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = fer_channel_abort(object->channel);
    if (status == FER_OK) {
        status = close_once(object);
    }
    return fer_node_status(env, status);
}

napi_status fer_node_channel_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_METHOD("connect", channel_connect), FER_NODE_METHOD("receive", channel_receive),
        FER_NODE_METHOD("pause", channel_pause),     FER_NODE_METHOD("resume", channel_resume),
        FER_NODE_METHOD("send", channel_send_data),  FER_NODE_METHOD("writable", channel_writable),
        FER_NODE_METHOD("info", channel_info),       FER_NODE_METHOD("hold", channel_hold),
        FER_NODE_METHOD("close", channel_close),     FER_NODE_METHOD("abort", channel_abort),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "Channel", NAPI_AUTO_LENGTH, channel_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "Channel", constructor);
}
