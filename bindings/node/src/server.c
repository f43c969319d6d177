#include "server.h"

#include <stdlib.h>

#include "access.h"
#include "channel.h"
#include "check.h"
#include "class.h"
#include "emit.h"
#include "ferrule/server.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

/** serverChannel(status, detail): JavaScript makes a Channel and takes the new one into it. */
static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    fer_node_object *object = user;
    object->channel = channel;
    fer_node_emit_status(object, FER_NODE_SERVER_CHANNEL, status);
    if (object->channel != NULL) {
        /* It was not taken, because JavaScript threw or is not there any more. */
        (void)fer_channel_abort(object->channel);
        fer_channel_unref(object->channel);
        object->channel = NULL;
    }
}

static void on_closed(fer_server *server, void *user) {
    (void)server;
    fer_node_emit(user, FER_NODE_SERVER_CLOSED, NULL, NULL);
    fer_node_release(user);
}

static napi_value server_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_SERVER);
}

/** listen(address, options, secret): then serverChannel(status, detail) for each client. */
static napi_value server_listen(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    fer_channel_options options;
    fer_loop *loop = NULL;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 3, argv);
    if (object == NULL || !fer_node_get_options(env, argv[1], argv[2], &options)) {
        return NULL;
    }
    if (object->server != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    char *address = fer_node_get_text(env, argv[0]);
    if (address == NULL) {
        return NULL;
    }
    fer_status status = fer_node_env_loop(object->state, &loop);
    if (status == FER_OK) {
        status =
            fer_server_listen(loop, address, &options, on_channel, object, NULL, &object->server);
    }
    free(address);
    if (status == FER_OK) {
        fer_node_hold(object);
    }
    return fer_node_status(env, status);
}

/** take(channel): in serverChannel, the new channel into an object that has none. */
static napi_value server_take(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 1, argv);
    if (object == NULL) {
        return NULL;
    }
    fer_node_object *channel = fer_node_argument(env, argv[0], FER_NODE_CHANNEL);
    if (channel == NULL) {
        return NULL;
    }
    fer_status status = FER_EAGAIN;
    if (object->channel != NULL) {
        status = fer_node_channel_adopt(channel, object->channel);
        if (status == FER_OK) {
            object->channel = NULL;
        }
    }
    return fer_node_status(env, status);
}

static fer_status address_of(const void *server, char *buffer, size_t *size) {
    return fer_server_address(server, buffer, size);
}

/** address(): a Buffer, or a status. */
static napi_value server_address(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_name(env, address_of, object->server);
}

/** hold(on): whether it keeps Node from exiting. */
static napi_value server_hold(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, fer_server_hold_loop(object->server, on));
}

/** close(): then serverClosed(). */
static napi_value server_close(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = FER_OK;
    if (!object->closing) {
        status = fer_server_close(object->server, on_closed, object);
        if (status == FER_OK) {
            object->closing = true;
            fer_node_hold(object);
        }
    }
    return fer_node_status(env, status);
}

/** abort(): stop, and abort the channels; serverClosed() comes after them if it has not come yet. */
static napi_value server_abort(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_server_abort(object->server));
}

napi_status fer_node_server_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_SERVER_ACCESS_METHODS,         FER_NODE_METHOD("listen", server_listen),
        FER_NODE_METHOD("take", server_take),   FER_NODE_METHOD("address", server_address),
        FER_NODE_METHOD("hold", server_hold),   FER_NODE_METHOD("close", server_close),
        FER_NODE_METHOD("abort", server_abort),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "Server", NAPI_AUTO_LENGTH, server_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "Server", constructor);
}
