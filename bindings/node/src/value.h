/**
 * Small values on their way to JavaScript and back.
 */
#ifndef FER_NODE_VALUE_H
#define FER_NODE_VALUE_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "ferrule/channel.h"
#include "ferrule/status.h"

/** A status as a number; NULL, with an exception thrown, when that fails. */
napi_value fer_node_status(napi_env env, fer_status status);

/** A number; NULL, with an exception thrown, when that fails. */
napi_value fer_node_number(napi_env env, double number);

/** A 32-bit integer argument; false, with an exception thrown, for anything else. */
bool fer_node_get_int(napi_env env, napi_value value, int32_t *number);

/** A whole number from 0 up to 65535; false, with an exception thrown, for anything else. */
bool fer_node_get_port(napi_env env, napi_value value, uint16_t *port);

/** A boolean argument; false, with an exception thrown, for anything else. */
bool fer_node_get_bool(napi_env env, napi_value value, bool *result);

/** A text argument of any length, to be freed; NULL, with an exception thrown, for anything else. */
char *fer_node_get_text(napi_env env, napi_value value);

/** The numbers of a Float64Array of this length; NULL, with an exception thrown, for anything else. */
double *fer_node_get_numbers(napi_env env, napi_value value, size_t count);

/**
 * Channel options from a Float64Array: wire, max_handles, max_message, high_water, hard_cap,
 * connect_timeout_ms, handshake_timeout_ms, close_timeout_ms, frame_timeout_ms, flags; and the secret, a
 * Uint8Array or undefined, which must stay until the call that takes the options. False, with an exception
 * thrown, for anything else. lib/options.js makes them and checks the ranges.
 */
bool fer_node_get_options(napi_env env, napi_value value, napi_value secret,
                          fer_channel_options *options);

/** A function of the shape of fer_pipe_getsockname() or fer_server_address(). */
typedef fer_status (*fer_node_name_of)(const void *object, char *buffer, size_t *size);

/** The name that `name_of` gives, as a Buffer, or a status; NULL with an exception thrown. */
napi_value fer_node_name(napi_env env, fer_node_name_of name_of, const void *object);

#endif
