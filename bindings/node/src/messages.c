#include "messages.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "body.h"
#include "check.h"
#include "cold.h"
#include "env.h"
#include "received.h"

enum {
    /** What small messages share at most, and so what one of them that is kept keeps. */
    SHARED = 16 * 1024,
    /** From here on a message has a Buffer of its own. */
    OWN_BUFFER = SHARED / 2,
    SIZES_LEAST = 512, /**< room for the sizes of so many messages, to begin with */
};

/** Marks a message that has a Buffer of its own. A message of this size is never small. */
static const uint32_t own_buffer = UINT32_MAX;

/** The Buffers of a batch, as they are filled. */
typedef struct buffers {
    napi_env env;
    napi_value array;
    uint32_t count;
    void *shared;       /**< memory of the Buffer for small messages */
    size_t size;        /**< how large it is; 0: none is begun */
    size_t staged;      /**< bytes of it that are there */
    char stage[SHARED]; /**< here they gather, since its memory is not in the caches */
} buffers;

/** The Buffer of a message. */
static napi_status get_own(napi_env env, const fer_node_batch *batch, size_t index,
                           napi_value *buffer) {
    const fer_message *message = &batch->messages[index];
    FER_NODE_TRY(fer_node_body_take(env, batch->channel, message, buffer));
    if (*buffer != NULL) {
        return napi_ok;
    }
    return napi_create_buffer_copy(env, message->size, message->data, NULL, buffer);
}

static napi_status append(buffers *to, napi_value buffer) {
    FER_NODE_TRY(napi_set_element(to->env, to->array, to->count, buffer));
    to->count += 1;
    return napi_ok;
}

/** Append the Buffer of a message. */
static napi_status add_own(buffers *to, const fer_node_batch *batch, size_t index) {
    napi_handle_scope scope = NULL;
    napi_value buffer = NULL;
    FER_NODE_TRY(napi_open_handle_scope(to->env, &scope));
    napi_status status = get_own(to->env, batch, index, &buffer);
    if (status == napi_ok) {
        status = append(to, buffer);
    }
    FER_NODE_MUST(napi_close_handle_scope(to->env, scope));
    return status;
}

/** Append a Buffer for the next small messages. */
static napi_status add_shared(buffers *to, size_t size) {
    napi_handle_scope scope = NULL;
    napi_value buffer = NULL;
    void *memory = NULL;
    FER_NODE_TRY(napi_open_handle_scope(to->env, &scope));
    napi_status status = napi_create_buffer(to->env, size, &memory, &buffer);
    if (status == napi_ok) {
        status = append(to, buffer);
    }
    FER_NODE_MUST(napi_close_handle_scope(to->env, scope));
    to->shared = memory;
    to->size = size;
    return status;
}

/** How many bytes the small messages from `first` on have that fit into what they share. */
static size_t shared_bytes(const fer_node_batch *batch, size_t first) {
    size_t bytes = 0;
    for (size_t i = first; i < batch->count; i++) {
        size_t size = batch->messages[i].size;
        if (size >= OWN_BUFFER) {
            continue;
        }
        if (bytes + size > SHARED) {
            break;
        }
        bytes += size;
    }
    return bytes;
}

/** Put message `index` into a Buffer, and what is to be known of it into `size`. */
static napi_status add_message(buffers *to, const fer_node_batch *batch, size_t index,
                               uint32_t *size) {
    const fer_message *message = &batch->messages[index];
    if (message->size >= OWN_BUFFER) {
        *size = own_buffer;
        return add_own(to, batch, index);
    }
    *size = (uint32_t)message->size;
    if (message->size == 0) {
        return napi_ok;
    }
    if (to->size == 0) {
        FER_NODE_TRY(add_shared(to, shared_bytes(batch, index)));
    }
    memcpy(to->stage + to->staged, message->data, message->size);
    to->staged += message->size;
    if (to->staged == to->size) {
        fer_node_copy_cold(to->shared, to->stage, to->size);
        to->size = to->staged = 0;
    }
    return napi_ok;
}

/** Have room for `count` sizes. */
static napi_status reserve_sizes(napi_env env, fer_node_numbers *sizes, size_t count) {
    napi_value memory = NULL;
    napi_value array = NULL;
    napi_ref reference = NULL;
    void *data = NULL;
    if (count <= sizes->room) {
        return napi_ok;
    }
    size_t room = sizes->room == 0 ? SIZES_LEAST : sizes->room;
    while (room < count) {
        room *= 2;
    }
    FER_NODE_TRY(napi_create_arraybuffer(env, room * sizeof *sizes->data, &data, &memory));
    FER_NODE_TRY(napi_create_typedarray(env, napi_uint32_array, room, memory, 0, &array));
    FER_NODE_TRY(napi_create_reference(env, array, 1, &reference));
    if (sizes->array != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, sizes->array));
    }
    *sizes = (fer_node_numbers){reference, data, room};
    return napi_ok;
}

static napi_status fill_many(napi_env env, const fer_node_batch *batch, napi_value *argv) {
    void *state = NULL;
    FER_NODE_TRY(napi_get_instance_data(env, &state));
    fer_node_numbers *sizes = &((fer_node_env *)state)->sizes;
    buffers to;
    to.env = env;
    to.count = 0;
    to.size = to.staged = 0;
    FER_NODE_TRY(reserve_sizes(env, sizes, batch->count));
    FER_NODE_TRY(napi_create_array(env, &to.array));
    for (size_t i = 0; i < batch->count; i++) {
        FER_NODE_TRY(add_message(&to, batch, i, &sizes->data[i]));
    }
    FER_NODE_TRY(napi_get_reference_value(env, sizes->array, &argv[0]));
    FER_NODE_TRY(napi_create_uint32(env, (uint32_t)batch->count, &argv[1]));
    argv[2] = to.array;
    return napi_ok;
}

/** Append one handle to the array `list`. */
static napi_status add_handle(napi_env env, const fer_node_batch *batch, size_t message,
                              size_t index, uint32_t at, napi_value list) {
    const fer_message *from = &batch->messages[message];
    napi_value entry[3];
    FER_NODE_TRY(napi_create_uint32(env, (uint32_t)message, &entry[0]));
    FER_NODE_TRY(napi_create_int32(env, from->handles[index].kind, &entry[1]));
    FER_NODE_TRY(fer_node_received_new(env, batch->channel->channel, from, index, &entry[2]));
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
        FER_NODE_TRY(get_own(env, batch, 0, &argv[0]));
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
