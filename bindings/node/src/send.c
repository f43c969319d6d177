#include "send.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "emit.h"
#include "ferrule/info.h"
#include "value.h"

/*
 * Every method gives the state of the queue, unless it says otherwise: twice the bytes that wait for the kernel,
 * and one more when more may be sent before channelDrain(); or a status, which is negative.
 */

/** A message whose bytes are referenced until the kernel has them. */
typedef struct lent_message {
    fer_node_object *channel;
    fer_node_kept kept;
} lent_message;

/** The descriptors that go with a message. */
typedef struct passed_fds {
    const fer_fd *fds;
    size_t count;
} passed_fds;

static const passed_fds none = {NULL, 0};

static fer_status get_state(const fer_node_object *object, double *state) {
    fer_channel_info known = FER_CHANNEL_INFO_INIT;
    fer_status status = fer_channel_get_info(object->channel, &known);
    if (status == FER_OK) {
        *state = (double)known.queued * 2 + fer_channel_is_writable(object->channel);
    }
    return status;
}

static napi_value state_after(napi_env env, const fer_node_object *object, fer_status status) {
    double state = 0;
    if (status == FER_OK) {
        status = get_state(object, &state);
    }
    return fer_node_number(env, status == FER_OK ? state : (int32_t)status);
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    (void)status;
    lent_message *lent = user;
    fer_node_kept_drop(lent->channel->state->env, &lent->kept);
    free(lent);
}

static fer_status submit(fer_node_object *object, const fer_node_bytes *bytes, passed_fds passed,
                         fer_sent_cb cb, void *user) {
    return passed.count == 0
               ? fer_channel_send(object->channel, bytes->parts, bytes->count, NULL, 0, cb, user)
               : fer_channel_send_fds(object->channel, bytes->parts, bytes->count, passed.fds,
                                      passed.count, cb, user);
}

/** The bytes are kept alive instead of copied. */
static fer_status send_lent(napi_env env, fer_node_object *object, fer_node_bytes *bytes,
                            napi_value data, passed_fds passed) {
    lent_message *lent = calloc(1, sizeof *lent);
    if (lent == NULL) {
        return FER_ENOMEM;
    }
    lent->channel = object;
    fer_status status = FER_ENOMEM;
    if (fer_node_bytes_keep(env, data, bytes, &lent->kept)) {
        status = submit(object, bytes, passed, on_sent, lent);
    }
    if (status != FER_OK) {
        fer_node_kept_drop(env, &lent->kept);
        free(lent);
    }
    return status;
}

/** What send() and pass() have in common. */
static napi_value send_any(napi_env env, fer_node_object *object, napi_value data,
                           passed_fds passed) {
    fer_node_bytes bytes;
    if (!fer_node_bytes_get(env, data, &bytes)) {
        return NULL;
    }
    fer_status status = bytes.total >= FER_NODE_BIG ? send_lent(env, object, &bytes, data, passed)
                                                    : submit(object, &bytes, passed, NULL, NULL);
    fer_node_bytes_done(&bytes);
    return state_after(env, object, status);
}

/** send(data) */
napi_value fer_node_channel_send(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 1, argv);
    return object == NULL ? NULL : send_any(env, object, argv[0], none);
}

/** pass(data, fds): send() with the descriptors in an Int32Array. */
napi_value fer_node_channel_pass(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t count = 0;
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 2, argv);
    if (object == NULL) {
        return NULL;
    }
    napi_status got = napi_get_typedarray_info(env, argv[1], &type, &count, &data, NULL, NULL);
    if (got != napi_ok || type != napi_int32_array || count > FER_NODE_COUNT(fds)) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected an Int32Array of up to 64");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        fds[i] = ((const int32_t *)data)[i];
    }
    return send_any(env, object, argv[0], (passed_fds){fds, count});
}

/** Send them all. */
static fer_status send_all(const fer_node_object *object, const fer_bytes *messages, size_t count) {
    size_t at = 0;
    fer_status status = fer_channel_send_many(object->channel, messages, count, &at);
    /* They were gathered because there is room for them; that there is none must not lose any. */
    for (; status == FER_OK && at < count; at++) {
        status = fer_channel_send(object->channel, &messages[at], 1, NULL, 0, NULL, NULL);
    }
    return status;
}

/** The messages of a slab, as far as they are sent. */
static fer_status send_slab(const fer_node_object *object, const char *slab, size_t count) {
    enum { SOME = 256 };
    fer_bytes some[SOME];
    const char *at = slab + FER_NODE_SLAB_SIZES;
    fer_status status = FER_OK;
    for (size_t i = 0; i < count && status == FER_OK;) {
        size_t filled = 0;
        for (; i < count && filled < SOME; i++) {
            uint32_t size = 0;
            memcpy(&size, slab + i * sizeof size, sizeof size);
            some[filled++] = (fer_bytes){at, size};
            at += size;
        }
        status = send_all(object, some, filled);
    }
    return status;
}

/** Whether `count` messages are inside of a slab of so many bytes. */
static bool is_slab(const char *slab, size_t length, size_t count) {
    size_t used = FER_NODE_SLAB_SIZES;
    if (length < used || count > FER_NODE_SLAB_SIZES / sizeof(uint32_t)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t size = 0;
        memcpy(&size, slab + i * sizeof size, sizeof size);
        used += size;
    }
    return used <= length;
}

/** What deliver() is to do besides. */
enum { FER_NODE_NOTHING = 0, FER_NODE_ASK = 1, FER_NODE_ASK_NOW = 2 };

static void on_flushed(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    fer_node_emit_status(user, FER_NODE_CHANNEL_FLUSHED, status);
}

/**
 * deliver(slab, count, how): send `count` messages that were gathered. Those behind one that could not be sent are not
 * sent, either. The slab is an ArrayBuffer with the messages' sizes, as 32-bit numbers in the machine's byte order, and
 * from FER_NODE_SLAB_SIZES on the messages, one behind the other; with a count of 0 nobody looks at it.
 *
 * With FER_NODE_ASK, channelFlushed(status, detail) comes when the kernel has all that was sent so far, unless the state
 * says that nothing waits and that more may be sent. With FER_NODE_ASK_NOW, what waits is written before.
 */
napi_value fer_node_channel_deliver(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    uint32_t count = 0;
    int32_t how = FER_NODE_NOTHING;
    void *slab = NULL;
    size_t length = 0;
    double state = 0;
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 3, argv);
    if (object == NULL || !fer_node_get_int(env, argv[2], &how)) {
        return NULL;
    }
    napi_status got = napi_get_value_uint32(env, argv[1], &count);
    if (got != napi_ok) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a number of messages");
        return NULL;
    }
    if (count > 0 && (napi_get_arraybuffer_info(env, argv[0], &slab, &length) != napi_ok ||
                      !is_slab(slab, length, count))) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a slab of messages");
        return NULL;
    }
    fer_status status = send_slab(object, slab, count);
    if (status == FER_OK && how == FER_NODE_ASK_NOW) {
        status = fer_channel_uncork(object->channel);
    }
    if (status == FER_OK) {
        status = get_state(object, &state);
    }
    if (status == FER_OK && how != FER_NODE_NOTHING && state != 1) {
        status = fer_channel_flush(object->channel, on_flushed, object);
    }
    return fer_node_number(env, status == FER_OK ? state : (int32_t)status);
}

/** cork(): a status. */
napi_value fer_node_channel_cork(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    return object == NULL ? NULL : fer_node_status(env, fer_channel_cork(object->channel));
}

/** uncork(): a status. */
napi_value fer_node_channel_uncork(napi_env env, napi_callback_info info) {
    fer_node_object *object = fer_node_this(env, info, FER_NODE_CHANNEL, 0, NULL);
    return object == NULL ? NULL : fer_node_status(env, fer_channel_uncork(object->channel));
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
