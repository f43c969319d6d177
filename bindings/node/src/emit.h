/**
 * Calls into JavaScript. There is one function that makes them.
 */
#ifndef FER_NODE_EMIT_H
#define FER_NODE_EMIT_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "object.h"

enum { FER_NODE_ARGUMENTS = 5 };

/** Makes the arguments of a call, inside its handle scope. */
typedef napi_status (*fer_node_fill)(napi_env env, const void *data, napi_value *argv,
                                     size_t *argc);

/**
 * Call the function registered in `slot`, with JavaScript's object as `this`.
 *
 * Promise jobs and next ticks run before it returns. An exception reaches 'uncaughtException'.
 * Afterwards the object may be closing: look again before using it.
 * Returns whether the function was called; it is not when the environment ends or memory runs out.
 */
bool fer_node_emit(fer_node_object *object, fer_node_slot slot, fer_node_fill fill,
                   const void *data);

/** Emit (status, detail); the detail is undefined after FER_OK. */
bool fer_node_emit_status(fer_node_object *object, fer_node_slot slot, fer_status status);

/** Make the arguments status and detail. */
napi_status fer_node_fill_status(napi_env env, const void *status, napi_value *argv, size_t *argc);

#endif
