#include "messages.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "received.h"

enum {
    OWN_BUFFER = 16 * 1024, /**< from here on a message has a Buffer of its own */
};

/** Marks a message that is not in the slab. A message of this size is never small. */
static const uint32_t elsewhere = UINT32_MAX;

static size_t small_bytes(const fer_node_batch *batch) {
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->messages[i].size < OWN_BUFFER ? batch->messages[i].size : 0;
    }
    return (bytes + 3) / 4 * 4;
}

/** Append one Buffer to the array `large`, which is made when it is needed. */
static napi_status add_large(napi_env env, const fer_message *message, uint32_t index,
                             napi_value large) {
    napi_handle_scope scope = NULL;
    napi_value buffer = NULL;
    FER_NODE_TRY(napi_open_handle_scope(env, &scope));
    napi_status status = napi_create_buffer_copy(env, message->size, message->data, NULL, &buffer);
    if (status == napi_ok) {
        status = napi_set_element(env, large, index, buffer);
    }
    FER_NODE_MUST(napi_close_handle_scope(env, scope));
    return status;
}

static napi_status fill_many(napi_env env, const fer_node_batch *batch, napi_value *argv) {
    size_t bytes = small_bytes(batch);
    uint32_t large = 0;
    size_t at = 0;
    void *memory = NULL;
    FER_NODE_TRY(
        napi_create_buffer(env, bytes + batch->count * sizeof(uint32_t), &memory, &argv[0]));
    FER_NODE_TRY(napi_create_uint32(env, (uint32_t)batch->count, &argv[1]));
    FER_NODE_TRY(napi_get_undefined(env, &argv[2]));
    char *slab = memory;
    char *sizes = slab + bytes;
    for (size_t i = 0; i < batch->count; i++) {
        const fer_message *message = &batch->messages[i];
        uint32_t size = elsewhere;
        if (message->size >= OWN_BUFFER) {
            if (large == 0) {
                FER_NODE_TRY(napi_create_array(env, &argv[2]));
            }
            FER_NODE_TRY(add_large(env, message, large, argv[2]));
            large += 1;
        } else if (message->size > 0) {
            memcpy(slab + at, message->data, message->size);
            at += message->size;
        }
        if (message->size < OWN_BUFFER) {
            size = (uint32_t)message->size;
        }
        memcpy(sizes + i * sizeof size, &size, sizeof size);
    }
    return napi_ok;
}

/** Append one handle to the array `list`. */
static napi_status add_handle(napi_env env, const fer_node_batch *batch, size_t message,
                              size_t index, uint32_t at, napi_value list) {
    const fer_message *from = &batch->messages[message];
    napi_value entry[3];
    FER_NODE_TRY(napi_create_uint32(env, (uint32_t)message, &entry[0]));
    FER_NODE_TRY(napi_create_int32(env, from->handles[index].kind, &entry[1]));
    FER_NODE_TRY(fer_node_received_new(env, batch->channel, from, index, &entry[2]));
    for (uint32_t i = 0; i < 3; i++) {
        FER_NODE_TRY(napi_set_element(env, list, at + i, entry[i]));
    }
    return napi_ok;
}

static napi_status fill_handles(napi_env env, const fer_node_batch *batch, napi_value *list) {
    uint32_t at = 0;
    FER_NODE_TRY(napi_create_array(env, list));
    for (size_t i = 0; i < batch->count; i++) {
        for (size_t n = 0; n < batch->messages[i].handle_count; n++) {
            napi_handle_scope scope = NULL;
            FER_NODE_TRY(napi_open_handle_scope(env, &scope));
            napi_status status = add_handle(env, batch, i, n, at, *list);
            FER_NODE_MUST(napi_close_handle_scope(env, scope));
            FER_NODE_TRY(status);
            at += 3;
        }
    }
    return napi_ok;
}

static bool has_handles(const fer_node_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->messages[i].handle_count > 0) {
            return true;
        }
    }
    return false;
}

napi_status fer_node_fill_batch(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const fer_node_batch *batch = data;
    if (batch->count == 1) {
        *argc = 1;
        FER_NODE_TRY(napi_create_buffer_copy(env, batch->messages[0].size, batch->messages[0].data,
                                             NULL, &argv[0]));
    } else {
        *argc = 3;
        FER_NODE_TRY(fill_many(env, batch, argv));
    }
    if (!has_handles(batch)) {
        return napi_ok;
    }
    for (; *argc < 3; *argc += 1) {
        FER_NODE_TRY(napi_get_undefined(env, &argv[*argc]));
    }
    *argc = 4;
    return fill_handles(env, batch, &argv[3]);
}
