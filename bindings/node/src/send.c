#include "send.h"

#include <stdlib.h>

#include "bytes.h"
#include "check.h"
#include "emit.h"
#include "ferrule/info.h"
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

/** The descriptors that go with a message. */
typedef struct passed_fds {
    const fer_fd *fds;
    size_t count;
} passed_fds;

static const passed_fds none = {NULL, 0};

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

static fer_status submit(fer_node_object *object, const fer_node_bytes *bytes, passed_fds passed,
                         fer_sent_cb cb, void *user) {
    return passed.count == 0
               ? fer_channel_send(object->channel, bytes->parts, bytes->count, NULL, 0, cb, user)
               : fer_channel_send_fds(object->channel, bytes->parts, bytes->count, passed.fds,
                                      passed.count, cb, user);
}

/** Send with a completion: the bytes are kept alive instead of copied. */
static fer_status send_kept(napi_env env, fer_node_object *object, fer_node_bytes *bytes,
                            napi_value data, napi_value callback, passed_fds passed) {
    channel_send *send = calloc(1, sizeof *send);
    if (send == NULL) {
        return FER_ENOMEM;
    }
    send->channel = object;
    fer_status status = FER_ENOMEM;
    if (fer_node_bytes_keep(env, data, bytes, &send->kept) &&
        (callback == NULL || napi_create_reference(env, callback, 1, &send->callback) == napi_ok)) {
        status = submit(object, bytes, passed, on_sent, send);
    }
    if (status != FER_OK) {
        send_free(env, send);
    }
    return status;
}

/** What send() and pass() have in common. */
static napi_value send_any(napi_env env, fer_node_object *object, napi_value data,
                           napi_value callback, passed_fds passed) {
    fer_node_bytes bytes;
    napi_valuetype type = napi_undefined;
    FER_NODE_CALL(env, napi_typeof(env, callback, &type), NULL);
    if (type != napi_undefined && type != napi_function) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a function");
        return NULL;
    }
    if (!fer_node_bytes_get(env, data, &bytes)) {
        return NULL;
    }
    fer_status status = FER_OK;
    if (type == napi_function || bytes.total >= FER_NODE_BIG) {
        status =
            send_kept(env, object, &bytes, data, type == napi_function ? callback : NULL, passed);
    } else {
        status = submit(object, &bytes, passed, NULL, NULL);
    }
    fer_node_bytes_done(&bytes);
    return fer_node_number(env, status == FER_OK ? fer_channel_is_writable(object->channel)
                                                 : (int32_t)status);
}

/**
 * send(data, callback): 1 when more may be sent, 0 when it is better to wait for channelDrain(), or
 * a status. With a callback: then channelSent(callback, status, detail).
 */
napi_value fer_node_channel_send(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 2, argv);
    return object == NULL ? NULL : send_any(env, object, argv[0], argv[1], none);
}

/** How a piece of a sendMany() ended. */
typedef struct sent_some {
    size_t accepted;
    fer_status status;
    bool thrown;
} sent_some;

/** Send the messages from `from` on, as long as there is room. The last of all has the callback. */
static sent_some send_some(napi_env env, fer_node_object *object, const napi_value *argv,
                           uint32_t from, uint32_t length) {
    sent_some some = {0, FER_OK, false};
    for (uint32_t i = from; i < length && some.status == FER_OK; i++) {
        napi_handle_scope scope = NULL;
        napi_value data = NULL;
        fer_node_bytes bytes;
        if (napi_open_handle_scope(env, &scope) != napi_ok) {
            some.status = FER_ENOMEM;
            return some;
        }
        napi_status got = napi_get_element(env, argv[0], i, &data);
        some.thrown = got != napi_ok || !fer_node_bytes_get(env, data, &bytes);
        if (!some.thrown) {
            bool last = i + 1 == length;
            some.status = last || bytes.total >= FER_NODE_BIG
                              ? send_kept(env, object, &bytes, data, last ? argv[2] : NULL, none)
                              : submit(object, &bytes, none, NULL, NULL);
            fer_node_bytes_done(&bytes);
        }
        FER_NODE_MUST(napi_close_handle_scope(env, scope));
        if (some.thrown) {
            return some;
        }
        some.accepted += some.status == FER_OK;
        if (some.status == FER_OK && !fer_channel_is_writable(object->channel)) {
            return some;
        }
    }
    return some;
}

/**
 * sendMany(list, from, callback): how many were accepted before there was no room; a status when the first was not.
 * Then channelSent(callback, status, detail), once the last of the list was accepted.
 */
napi_value fer_node_channel_send_many(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    uint32_t from = 0;
    uint32_t length = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 3, argv);
    if (object == NULL) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_get_array_length(env, argv[0], &length), NULL);
    FER_NODE_CALL(env, napi_get_value_uint32(env, argv[1], &from), NULL);
    sent_some some = send_some(env, object, argv, from, length);
    if (some.thrown && some.accepted == 0) {
        return NULL;
    }
    if (some.thrown) {
        /* The next call begins with what is wrong, and throws again. */
        napi_value error = NULL;
        FER_NODE_CALL(env, napi_get_and_clear_last_exception(env, &error), NULL);
    }
    return fer_node_number(env, some.accepted > 0 || some.status == FER_OK ? (double)some.accepted
                                                                           : (int32_t)some.status);
}

/** pass(data, callback, fds): send() with the descriptors in an Int32Array. */
napi_value fer_node_channel_pass(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t count = 0;
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 3, argv);
    if (object == NULL) {
        return NULL;
    }
    napi_status got = napi_get_typedarray_info(env, argv[2], &type, &count, &data, NULL, NULL);
    if (got != napi_ok || type != napi_int32_array || count > FER_NODE_COUNT(fds)) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected an Int32Array of up to 64");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        fds[i] = ((const int32_t *)data)[i];
    }
    return send_any(env, object, argv[0], argv[1], (passed_fds){fds, count});
}

/** cork() */
napi_value fer_node_channel_cork(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    return object == NULL ? NULL : fer_node_status(env, fer_channel_cork(object->channel));
}

/** uncork() */
napi_value fer_node_channel_uncork(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    return object == NULL ? NULL : fer_node_status(env, fer_channel_uncork(object->channel));
}

/** writable(): 1 or 0. */
napi_value fer_node_channel_writable(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    return object == NULL ? NULL : fer_node_number(env, fer_channel_is_writable(object->channel));
}

/** unsent(): how many accepted bytes the kernel never got, or a status. */
napi_value fer_node_channel_unsent(napi_env env, napi_callback_info info) {
    uint64_t bytes = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    if (object == NULL) {
        return NULL;
    }
    fer_status status = fer_channel_unsent(object->channel, &bytes);
    return status == FER_OK ? fer_node_number(env, (double)bytes) : fer_node_status(env, status);
}
