#include "object.h"

#include <stdlib.h>

#include "check.h"
#include "ferrule/channel.h"
#include "ferrule/handle.h"
#include "ferrule/server.h"

/** What is known of a kind. The tags are random numbers, chosen once: another addon's object differs. */
static const struct {
    fer_node_kind kind;
    napi_type_tag tag;
    const char *resource;
} kinds[] = {
    {FER_NODE_PIPE, {0x7b0f5d1c64e84a1bu, 0x9c3d21f0ab6e4785u}, "FERRULE_PIPE"},
    {FER_NODE_TCP, {0x2f61b8ce905d4173u, 0xa4e79d3502c8f16bu}, "FERRULE_TCP"},
    {FER_NODE_UDP, {0xd3580a7e1b9c4264u, 0x8b126fe5c9d0a73fu}, "FERRULE_UDP"},
    {FER_NODE_CHANNEL, {0x1e94c7a3302d4f66u, 0xb58f0d7742c91ae3u}, "FERRULE_CHANNEL"},
    {FER_NODE_SERVER, {0x5a62e8d9174b43c0u, 0x8e07f4b1d3a96c52u}, "FERRULE_SERVER"},
};

/** Where a kind, which is not a group, is in the table. */
static size_t index_of(fer_node_kind kind) {
    size_t i = 0;
    while (kinds[i].kind != kind) {
        i++;
    }
    return i;
}

static const char *wrong_kind(fer_node_kind kind) {
    switch (kind) {
    case FER_NODE_PIPE: return "not a pipe of ferrule";
    case FER_NODE_TCP: return "not a TCP socket of ferrule";
    case FER_NODE_UDP: return "not a UDP socket of ferrule";
    case FER_NODE_CHANNEL: return "not a channel of ferrule";
    case FER_NODE_SERVER: return "not a server of ferrule";
    case FER_NODE_STREAM: return "not a stream of ferrule";
    case FER_NODE_INET: return "not a TCP or UDP socket of ferrule";
    case FER_NODE_HANDLE:
    default: return "not a handle of ferrule";
    }
}

/** Free what the structure owns of JavaScript, then the structure. */
static void object_free(napi_env env, fer_node_object *object) {
    if (object->context != NULL) {
        FER_NODE_MUST(napi_async_destroy(env, object->context));
    }
    if (object->self != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, object->self));
    }
    /* An object that was never opened has no callbacks: dropping it is enough. */
    fer_handle_unref(object->handle);
    fer_channel_unref(object->channel);
    fer_server_unref(object->server);
    fer_node_env_unref(object->state);
    free(object);
}

/** The collector, or the end of the environment, took JavaScript's object. */
static void on_collected(napi_env env, void *data, void *hint) {
    (void)hint;
    object_free(env, data);
}

/** Everything of a new object that JavaScript's engine has to make. */
static napi_status object_bind(napi_env env, fer_node_object *object, napi_value self) {
    size_t at = index_of(object->kind);
    napi_value name = NULL;
    FER_NODE_TRY(napi_create_string_utf8(env, kinds[at].resource, NAPI_AUTO_LENGTH, &name));
    FER_NODE_TRY(napi_async_init(env, self, name, &object->context));
    FER_NODE_TRY(napi_create_reference(env, self, 0, &object->self));
    FER_NODE_TRY(napi_type_tag_object(env, self, &kinds[at].tag));
    /* Last: once it is wrapped, the collector frees it. */
    return napi_wrap(env, self, object, on_collected, NULL, NULL);
}

napi_value fer_node_object_new(napi_env env, napi_callback_info info, fer_node_kind kind) {
    fer_node_env *state = fer_node_env_get(env);
    if (state == NULL) {
        return NULL;
    }
    napi_value self = NULL;
    napi_value target = NULL;
    FER_NODE_CALL(env, napi_get_cb_info(env, info, NULL, NULL, &self, NULL), NULL);
    FER_NODE_CALL(env, napi_get_new_target(env, info, &target), NULL);
    if (target == NULL) {
        fer_node_throw_type(env, "ERR_CONSTRUCT_CALL_REQUIRED", "call this with new");
        return NULL;
    }
    fer_node_object *object = calloc(1, sizeof *object);
    if (object == NULL) {
        fer_node_throw_last(env, napi_generic_failure);
        return NULL;
    }
    object->kind = kind;
    object->state = fer_node_env_ref(state);
    napi_status status = object_bind(env, object, self);
    if (status != napi_ok) {
        fer_node_throw_last(env, status);
        object_free(env, object);
        return NULL;
    }
    return self;
}

napi_status fer_node_find(napi_env env, napi_value value, fer_node_kind kind,
                          fer_node_object **object) {
    napi_valuetype type = napi_undefined;
    bool tagged = false;
    *object = NULL;
    FER_NODE_TRY(napi_typeof(env, value, &type));
    if (type != napi_object) {
        return napi_ok;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !tagged; i++) {
        if ((kinds[i].kind & kind) != 0) {
            FER_NODE_TRY(napi_check_object_type_tag(env, value, &kinds[i].tag, &tagged));
        }
    }
    if (!tagged) {
        return napi_ok;
    }
    void *data = NULL;
    FER_NODE_TRY(napi_unwrap(env, value, &data));
    *object = data;
    return napi_ok;
}

fer_node_object *fer_node_this(napi_env env, napi_callback_info info, fer_node_kind kind,
                               size_t argc, napi_value *argv) {
    napi_value self = NULL;
    fer_node_object *object = NULL;
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, argv, &self, NULL), NULL);
    FER_NODE_CALL(env, fer_node_find(env, self, kind, &object), NULL);
    if (object == NULL) {
        fer_node_throw_type(env, "ERR_INVALID_THIS", wrong_kind(kind));
    }
    return object;
}

fer_node_object *fer_node_argument(napi_env env, napi_value value, fer_node_kind kind) {
    fer_node_object *object = NULL;
    FER_NODE_CALL(env, fer_node_find(env, value, kind, &object), NULL);
    if (object == NULL) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", wrong_kind(kind));
    }
    return object;
}

void fer_node_hold(fer_node_object *object) {
    if (!object->held) {
        object->held = true;
        FER_NODE_MUST(napi_reference_ref(object->state->env, object->self, NULL));
    }
}

void fer_node_release(fer_node_object *object) {
    if (object->held) {
        object->held = false;
        FER_NODE_MUST(napi_reference_unref(object->state->env, object->self, NULL));
    }
}
