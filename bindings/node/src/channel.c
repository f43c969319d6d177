#include "channel.h"

#include <stdlib.h>

#include "access.h"
#include "body.h"
#include "check.h"
#include "class.h"
#include "emit.h"
#include "messages.h"
#include "send.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

static void on_drain(fer_channel *channel, void *user) {
    (void)channel;
    fer_node_emit(user, FER_NODE_CHANNEL_DRAIN, NULL, NULL);
}

void fer_node_channel_connected(fer_channel *channel, fer_status status, void *user) {
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
    fer_node_batch batch = {object, messages, count};
    if (!fer_node_emit(object, FER_NODE_CHANNEL_MESSAGES, fer_node_fill_batch, &batch)) {
        /* The batch is lost: nothing may be received after it as if it had not been there. */
        (void)fer_channel_abort(channel);
        fer_node_emit_status(object, FER_NODE_CHANNEL_ENDED, FER_ENOMEM);
    }
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    fer_node_emit_status(user, FER_NODE_CHANNEL_CLOSED, status);
    fer_node_release(user);
}

static napi_value channel_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_CHANNEL);
}

/** connect(address, options, secret): then channelConnected(status, detail). */
static napi_value channel_connect(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    fer_channel_options options;
    fer_loop *loop = NULL;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 3, argv);
    if (object == NULL || !fer_node_get_options(env, argv[1], argv[2], &options)) {
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
        status = fer_channel_connect(loop, address, &options, fer_node_channel_connected, object,
                                     &object->channel);
    }
    free(address);
    if (status == FER_OK) {
        fer_node_hold(object);
    }
    return fer_node_status(env, status);
}

/** The one callback of a pair is told which of the two it is about. */
static void on_paired(fer_channel *channel, fer_status status, void *user) {
    (void)user;
    fer_node_object *object = fer_channel_data(channel);
    if (object != NULL) {
        fer_node_channel_connected(channel, status, object);
    }
}

/** Make `objects` the owners of two new channels. */
static fer_status pair_objects(fer_node_object *const objects[2],
                               const fer_channel_options *options) {
    fer_channel *channels[2] = {NULL, NULL};
    fer_loop *loop = NULL;
    fer_status status = fer_node_env_loop(objects[0]->state, &loop);
    if (status == FER_OK) {
        status = fer_channel_pair(loop, options, on_paired, NULL, channels);
    }
    for (size_t i = 0; i < 2 && status == FER_OK; i++) {
        status = fer_channel_set_data(channels[i], objects[i], NULL);
    }
    for (size_t i = 0; i < 2; i++) {
        if (status == FER_OK) {
            objects[i]->channel = channels[i];
            fer_node_hold(objects[i]);
        } else if (channels[i] != NULL) {
            (void)fer_channel_set_data(channels[i], NULL, NULL);
            fer_channel_unref(channels[i]);
        }
    }
    return status;
}

/** pair(other, options, secret): connected with each other; then channelConnected(status, detail) on both. */
static napi_value channel_pair(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    fer_channel_options options;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 3, argv);
    if (object == NULL || !fer_node_get_options(env, argv[1], argv[2], &options)) {
        return NULL;
    }
    fer_node_object *other = fer_node_argument(env, argv[0], FER_NODE_CHANNEL);
    if (other == NULL) {
        return NULL;
    }
    if (object == other || object->channel != NULL || other->channel != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_node_object *const both[2] = {object, other};
    return fer_node_status(env, pair_objects(both, &options));
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
    fer_status status = fer_node_body_use(object);
    if (status == FER_OK) {
        status = fer_channel_receive(object->channel, on_messages, object, NULL);
    }
    return fer_node_status(env, status);
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

/**
 * info(numbers): fills a Float64Array of 8 with wire, version, max_message, peer_max_message,
 * max_handles, peer_max_handles, queued, high_water.
 */
static napi_value channel_info(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    if (object == NULL) {
        return NULL;
    }
    double *numbers = fer_node_get_numbers(env, argv[0], 8);
    if (numbers == NULL) {
        return NULL;
    }
    fer_channel_info known = FER_CHANNEL_INFO_INIT;
    fer_status status = fer_channel_get_info(object->channel, &known);
    if (status == FER_OK) {
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

/** hold(when): when it keeps Node from exiting, a fer_channel_hold. */
static napi_value channel_hold(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    int32_t when = FER_CHANNEL_HOLD_NEVER;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    if (object == NULL || !fer_node_get_int(env, argv[0], &when)) {
        return NULL;
    }
    return fer_node_status(env, fer_channel_hold_loop(object->channel, when));
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
        FER_NODE_SEND_METHODS,
        FER_NODE_CHANNEL_ACCESS_METHODS,
        FER_NODE_METHOD("connect", channel_connect),
        FER_NODE_METHOD("pair", channel_pair),
        FER_NODE_METHOD("receive", channel_receive),
        FER_NODE_METHOD("pause", channel_pause),
        FER_NODE_METHOD("resume", channel_resume),
        FER_NODE_METHOD("info", channel_info),
        FER_NODE_METHOD("hold", channel_hold),
        FER_NODE_METHOD("close", channel_close),
        FER_NODE_METHOD("abort", channel_abort),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "Channel", NAPI_AUTO_LENGTH, channel_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "Channel", constructor);
}
