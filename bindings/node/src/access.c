#include "access.h"

#include <stdlib.h>

#include "channel.h"
#include "check.h"
#include "emit.h"
#include "ferrule/parent.h"
#include "ferrule/server.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

static void credentials_as_numbers(const fer_credentials *who, double numbers[3]) {
    numbers[0] = (double)who->pid;
    numbers[1] = who->uid == UINT32_MAX ? -1.0 : (double)who->uid;
    numbers[2] = who->gid == UINT32_MAX ? -1.0 : (double)who->gid;
}

napi_value fer_node_credentials(napi_env env, const fer_credentials *who) {
    double numbers[3];
    napi_value list = NULL;
    credentials_as_numbers(who, numbers);
    FER_NODE_CALL(env, napi_create_array_with_length(env, FER_NODE_COUNT(numbers), &list), NULL);
    for (uint32_t i = 0; i < FER_NODE_COUNT(numbers); i++) {
        napi_value number = NULL;
        FER_NODE_CALL(env, napi_create_double(env, numbers[i], &number), NULL);
        FER_NODE_CALL(env, napi_set_element(env, list, i, number), NULL);
    }
    return list;
}

/* Channels. */

/** parent(options, secret): the channel to the parent; then channelConnected(status, detail). */
napi_value fer_node_channel_parent(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    fer_channel_options options;
    fer_loop *loop = NULL;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 2, argv);
    if (object == NULL || !fer_node_get_options(env, argv[0], argv[1], &options)) {
        return NULL;
    }
    if (object->channel != NULL) {
        return fer_node_status(env, FER_EALREADY);
    }
    fer_status status = fer_node_env_loop(object->state, &loop);
    if (status == FER_OK) {
        status = fer_channel_parent(loop, &options, fer_node_channel_connected, object,
                                    &object->channel);
    }
    if (status == FER_OK) {
        fer_node_hold(object);
    }
    return fer_node_status(env, status);
}

/**
 * stats(numbers): fills a Float64Array of 8 with messages_in, messages_out, bytes_in, bytes_out,
 * handles_in, handles_out, queued, high_water_hits.
 */
napi_value fer_node_channel_stats(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    if (object == NULL) {
        return NULL;
    }
    double *numbers = fer_node_get_numbers(env, argv[0], 8);
    if (numbers == NULL) {
        return NULL;
    }
    fer_channel_stats stats = FER_CHANNEL_STATS_INIT;
    fer_status status = fer_channel_get_stats(object->channel, &stats);
    if (status == FER_OK) {
        numbers[0] = (double)stats.messages_in;
        numbers[1] = (double)stats.messages_out;
        numbers[2] = (double)stats.bytes_in;
        numbers[3] = (double)stats.bytes_out;
        numbers[4] = (double)stats.handles_in;
        numbers[5] = (double)stats.handles_out;
        numbers[6] = (double)stats.queued;
        numbers[7] = (double)stats.high_water_hits;
    }
    return fer_node_status(env, status);
}

/** credentials(): [pid, uid, gid], or a status. */
napi_value fer_node_channel_credentials(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_status status = fer_channel_peer_credentials(object->channel, &who);
    return status == FER_OK ? fer_node_credentials(env, &who) : fer_node_status(env, status);
}

/* Servers. */

/** limits(maxChannels, maxHalfOpen) */
napi_value fer_node_server_limits(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    int32_t limits[2];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 2, argv);
    if (object == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        if (!fer_node_get_int(env, argv[i], &limits[i])) {
            return NULL;
        }
        if (limits[i] < 0) {
            return fer_node_status(env, FER_EINVAL);
        }
    }
    return fer_node_status(
        env, fer_server_set_limits(object->server, (uint32_t)limits[0], (uint32_t)limits[1]));
}

static int allow_any(fer_server *server, const fer_credentials *who, void *user) {
    (void)server;
    (void)who;
    (void)user;
    return 1;
}

static napi_status fill_credentials(napi_env env, const void *who, napi_value *argv, size_t *argc) {
    double numbers[3];
    credentials_as_numbers(who, numbers);
    for (size_t i = 0; i < FER_NODE_COUNT(numbers); i++) {
        FER_NODE_TRY(napi_create_double(env, numbers[i], &argv[i]));
    }
    *argc = FER_NODE_COUNT(numbers);
    return napi_ok;
}

/** serverAllow(pid, uid, gid): JavaScript calls admit() for a client that is to be served. */
static int ask_javascript(fer_server *server, const fer_credentials *who, void *user) {
    (void)server;
    fer_node_object *object = user;
    object->admitted = false;
    fer_node_emit(object, FER_NODE_SERVER_ALLOW, fill_credentials, who);
    return object->admitted;
}

/** allow(ask): ask serverAllow() about each client, or serve all of them. */
napi_value fer_node_server_allow(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    bool ask = false;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 1, argv);
    if (object == NULL || !fer_node_get_bool(env, argv[0], &ask)) {
        return NULL;
    }
    return fer_node_status(
        env, fer_server_on_allow(object->server, ask ? ask_javascript : allow_any, object, NULL));
}

/** admit(): in serverAllow, serve this client. */
napi_value fer_node_server_admit(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 0, NULL);
    if (object != NULL) {
        object->admitted = true;
    }
    return NULL;
}

/** count(): how many channels that were given out are open. */
napi_value fer_node_server_count(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_SERVER, 0, NULL);
    return object == NULL ? NULL : fer_node_number(env, (double)fer_server_count(object->server));
}

/* What the process was started with. */

typedef struct activated {
    const char *name;
    size_t index;
} activated;

static fer_status name_of_activated(const void *which, char *buffer, size_t *size) {
    const activated *wanted = which;
    return fer_activation_address(wanted->name, wanted->index, buffer, size);
}

napi_value fer_node_activation_address(napi_env env, napi_callback_info info) {
    size_t argc = 2;
    napi_value argv[2];
    napi_valuetype type = napi_undefined;
    int32_t index = 0;
    char *name = NULL;
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL), NULL);
    FER_NODE_CALL(env, napi_typeof(env, argv[0], &type), NULL);
    if (!fer_node_get_int(env, argv[1], &index)) {
        return NULL;
    }
    if (index < 0) {
        return fer_node_status(env, FER_EINVAL);
    }
    if (type != napi_undefined) {
        name = fer_node_get_text(env, argv[0]);
        if (name == NULL) {
            return NULL;
        }
    }
    activated wanted = {name, (size_t)index};
    napi_value address = fer_node_name(env, name_of_activated, &wanted);
    free(name);
    return address;
}
