#include "value.h"

#include <stdlib.h>

#include "check.h"

napi_value fer_node_status(napi_env env, fer_status status) {
    napi_value value = NULL;
    FER_NODE_CALL(env, napi_create_int32(env, (int32_t)status, &value), NULL);
    return value;
}

napi_value fer_node_number(napi_env env, double number) {
    napi_value value = NULL;
    FER_NODE_CALL(env, napi_create_double(env, number, &value), NULL);
    return value;
}

bool fer_node_get_int(napi_env env, napi_value value, int32_t *number) {
    double given = 0;
    napi_status status = napi_get_value_double(env, value, &given);
    /* Written so that NaN fails too. */
    if (status != napi_ok || !(given >= INT32_MIN && given <= INT32_MAX) ||
        given != (double)(int32_t)given) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a 32-bit integer");
        return false;
    }
    *number = (int32_t)given;
    return true;
}

bool fer_node_get_port(napi_env env, napi_value value, uint16_t *port) {
    int32_t number = 0;
    if (!fer_node_get_int(env, value, &number)) {
        return false;
    }
    if (number < 0 || number > UINT16_MAX) {
        fer_node_throw_type(env, "ERR_OUT_OF_RANGE", "expected a port, 0 to 65535");
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

bool fer_node_get_bool(napi_env env, napi_value value, bool *result) {
    if (napi_get_value_bool(env, value, result) != napi_ok) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a boolean");
        return false;
    }
    return true;
}

char *fer_node_get_text(napi_env env, napi_value value) {
    size_t size = 0;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a string");
        return NULL;
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        fer_node_throw_last(env, napi_generic_failure);
        return NULL;
    }
    napi_status status = napi_get_value_string_utf8(env, value, text, size + 1, &size);
    if (status != napi_ok) {
        free(text);
        fer_node_throw_last(env, status);
        return NULL;
    }
    return text;
}

double *fer_node_get_numbers(napi_env env, napi_value value, size_t count) {
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t length = 0;
    napi_status status = napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL);
    if (status != napi_ok || type != napi_float64_array || length != count) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE",
                            "expected a Float64Array of so many numbers");
        return NULL;
    }
    return data;
}

/** The secret of the options, if there is one. An empty one is there too: the library refuses it. */
static bool get_secret(napi_env env, napi_value value, fer_channel_options *options) {
    napi_valuetype kind = napi_undefined;
    napi_typedarray_type type = napi_int8_array;
    void *data = NULL;
    size_t size = 0;
    FER_NODE_CALL(env, napi_typeof(env, value, &kind), false);
    if (kind == napi_undefined) {
        return true;
    }
    napi_status status = napi_get_typedarray_info(env, value, &type, &size, &data, NULL, NULL);
    if (status != napi_ok || type != napi_uint8_array) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "expected a Uint8Array as the secret");
        return false;
    }
    options->secret = size == 0 ? "" : data;
    options->secret_size = size;
    return true;
}

bool fer_node_get_options(napi_env env, napi_value value, napi_value secret,
                          fer_channel_options *options) {
    enum { COUNT = 11 };
    const double *numbers = fer_node_get_numbers(env, value, COUNT);
    if (numbers == NULL) {
        return false;
    }
    for (size_t i = 0; i < COUNT; i++) {
        /* Whole numbers that every field below can hold; written so that NaN fails too. */
        if (!(numbers[i] >= -1 && numbers[i] <= 9007199254740991.0) ||
            ((i < 2 || i >= 9) && numbers[i] > INT32_MAX) ||
            (((i >= 1 && i < 5) || i == 9) && numbers[i] < 0)) {
            fer_node_throw_type(env, "ERR_OUT_OF_RANGE", "an option is out of range");
            return false;
        }
    }
    *options = (fer_channel_options)FER_CHANNEL_OPTIONS_INIT;
    options->wire = (int32_t)numbers[0];
    options->max_handles = (uint32_t)numbers[1];
    options->max_message = (uint64_t)numbers[2];
    options->high_water = (uint64_t)numbers[3];
    options->hard_cap = (uint64_t)numbers[4];
    options->connect_timeout_ms = (int64_t)numbers[5];
    options->handshake_timeout_ms = (int64_t)numbers[6];
    options->close_timeout_ms = (int64_t)numbers[7];
    options->frame_timeout_ms = (int64_t)numbers[8];
    options->flags = (uint32_t)numbers[9];
    options->busy_poll_us = (int64_t)numbers[10];
    return get_secret(env, secret, options);
}

napi_value fer_node_name(napi_env env, fer_node_name_of name_of, const void *object) {
    char room[512];
    char *name = room;
    size_t size = sizeof room;
    fer_status status = name_of(object, name, &size);
    if (status == FER_ENOBUFS) {
        name = malloc(size);
        if (name == NULL) {
            return fer_node_status(env, FER_ENOMEM);
        }
        status = name_of(object, name, &size);
    }
    napi_value value = NULL;
    if (status != FER_OK) {
        value = fer_node_status(env, status);
    } else {
        napi_status made = napi_create_buffer_copy(env, size, name, NULL, &value);
        if (made != napi_ok) {
            fer_node_throw_last(env, made);
            value = NULL;
        }
    }
    if (name != room) {
        free(name);
    }
    return value;
}
