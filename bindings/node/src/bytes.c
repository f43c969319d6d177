#include "bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char expected[] = "expected a string, a Buffer, or an array of Buffers";

/** FALSE in `fits`, and no exception, when `value` is not a Uint8Array with its memory. */
static napi_status get_part(napi_env env, napi_value value, fer_bytes *part, bool *fits) {
    napi_typedarray_type type = napi_int8_array;
    napi_value memory = NULL;
    void *data = NULL;
    size_t size = 0;
    bool is_typed = false;
    *fits = false;
    FER_NODE_TRY(napi_is_typedarray(env, value, &is_typed));
    if (!is_typed) {
        return napi_ok;
    }
    FER_NODE_TRY(napi_get_typedarray_info(env, value, &type, &size, &data, NULL, NULL));
    if (type != napi_uint8_array) {
        return napi_ok;
    }
    if (size == 0) {
        /* The memory may have been given away, to a worker for example. */
        bool detached = false;
        FER_NODE_TRY(napi_get_typedarray_info(env, value, NULL, NULL, NULL, &memory, NULL));
        FER_NODE_TRY(napi_is_detached_arraybuffer(env, memory, &detached));
        if (detached) {
            return napi_ok;
        }
        data = NULL;
    }
    part->data = data;
    part->size = size;
    *fits = true;
    return napi_ok;
}

static napi_status get_text(napi_env env, napi_value value, fer_node_bytes *bytes) {
    size_t size = 0;
    char *text = bytes->room;
    FER_NODE_TRY(napi_get_value_string_utf8(env, value, text, sizeof bytes->room, &size));
    /* A character that did not fit whole is left out: up to three bytes less, and the NUL. */
    if (size + 4 >= sizeof bytes->room) {
        FER_NODE_TRY(napi_get_value_string_utf8(env, value, NULL, 0, &size));
        text = malloc(size + 1);
        if (text == NULL) {
            return napi_generic_failure;
        }
        bytes->text = text;
        FER_NODE_TRY(napi_get_value_string_utf8(env, value, text, size + 1, &size));
    }
    bytes->few[0].data = text;
    bytes->few[0].size = size;
    bytes->count = 1;
    bytes->total = size;
    return napi_ok;
}

static napi_status get_parts(napi_env env, napi_value value, fer_node_bytes *bytes, bool *fits) {
    uint32_t length = 0;
    FER_NODE_TRY(napi_get_array_length(env, value, &length));
    if (length > FER_NODE_FEW) {
        bytes->parts = malloc(length * sizeof *bytes->parts);
        if (bytes->parts == NULL) {
            return napi_generic_failure;
        }
    }
    bytes->count = length;
    *fits = true;
    for (uint32_t i = 0; i < length && *fits; i++) {
        napi_handle_scope scope = NULL;
        napi_value part = NULL;
        FER_NODE_TRY(napi_open_handle_scope(env, &scope));
        napi_status status = napi_get_element(env, value, i, &part);
        if (status == napi_ok) {
            status = get_part(env, part, &bytes->parts[i], fits);
        }
        FER_NODE_MUST(napi_close_handle_scope(env, scope));
        FER_NODE_TRY(status);
        bytes->total += *fits ? bytes->parts[i].size : 0;
    }
    return napi_ok;
}

static napi_status get_any(napi_env env, napi_value value, fer_node_bytes *bytes, bool *fits) {
    napi_valuetype type = napi_undefined;
    bool is_array = false;
    FER_NODE_TRY(get_part(env, value, &bytes->few[0], fits));
    if (*fits) {
        bytes->count = 1;
        bytes->total = bytes->few[0].size;
        return napi_ok;
    }
    FER_NODE_TRY(napi_typeof(env, value, &type));
    if (type == napi_string) {
        *fits = true;
        return get_text(env, value, bytes);
    }
    FER_NODE_TRY(napi_is_array(env, value, &is_array));
    return is_array ? get_parts(env, value, bytes, fits) : napi_ok;
}

bool fer_node_bytes_get(napi_env env, napi_value value, fer_node_bytes *bytes) {
    bool fits = false;
    bytes->parts = bytes->few;
    bytes->count = 0;
    bytes->total = 0;
    bytes->text = NULL;
    napi_status status = get_any(env, value, bytes, &fits);
    if (status == napi_ok && fits) {
        return true;
    }
    fer_node_bytes_done(bytes);
    if (status != napi_ok) {
        fer_node_throw_last(env, status);
    } else {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", expected);
    }
    return false;
}

bool fer_node_bytes_keep(napi_env env, napi_value value, fer_node_bytes *bytes,
                         fer_node_kept *kept) {
    kept->value = NULL;
    kept->text = NULL;
    if (bytes->text != NULL) {
        kept->text = bytes->text;
        bytes->text = NULL;
        return true;
    }
    if (bytes->parts == bytes->few && bytes->count == 1 && bytes->few[0].data == bytes->room) {
        kept->text = malloc(bytes->few[0].size + 1);
        if (kept->text == NULL) {
            return false;
        }
        memcpy(kept->text, bytes->room, bytes->few[0].size);
        bytes->few[0].data = kept->text;
        return true;
    }
    return napi_create_reference(env, value, 1, &kept->value) == napi_ok;
}

bool fer_node_bytes_copy(fer_node_bytes *bytes, fer_node_kept *kept) {
    char *copy = malloc(bytes->total > 0 ? bytes->total : 1);
    size_t size = 0;
    kept->value = NULL;
    kept->text = copy;
    if (copy == NULL) {
        return false;
    }
    for (size_t i = 0; i < bytes->count; i++) {
        if (bytes->parts[i].size > 0) {
            memcpy(copy + size, bytes->parts[i].data, bytes->parts[i].size);
            size += bytes->parts[i].size;
        }
    }
    fer_node_bytes_done(bytes);
    bytes->few[0].data = copy;
    bytes->few[0].size = size;
    bytes->count = 1;
    bytes->total = size;
    return true;
}

void fer_node_kept_drop(napi_env env, fer_node_kept *kept) {
    if (kept->value != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, kept->value));
        kept->value = NULL;
    }
    free(kept->text);
    kept->text = NULL;
}

void fer_node_bytes_skip(fer_node_bytes *bytes, size_t size) {
    bytes->total -= size;
    size_t first = 0;
    while (first < bytes->count && size >= bytes->parts[first].size) {
        size -= bytes->parts[first].size;
        first += 1;
    }
    bytes->count -= first;
    for (size_t i = 0; i < bytes->count; i++) {
        bytes->parts[i] = bytes->parts[first + i];
    }
    if (size > 0) {
        bytes->parts[0].data = (const char *)bytes->parts[0].data + size;
        bytes->parts[0].size -= size;
    }
}

void fer_node_bytes_done(fer_node_bytes *bytes) {
    if (bytes->parts != bytes->few) {
        free(bytes->parts);
        bytes->parts = bytes->few;
    }
    free(bytes->text);
    bytes->text = NULL;
}
