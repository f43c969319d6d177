/**
 * The checks that every Node-API call goes through. No status is ignored.
 */
#ifndef FER_NODE_CHECK_H
#define FER_NODE_CHECK_H

#include <node_api.h>
#include <stdbool.h>

/** Throw what a failed Node-API call left behind, unless an exception is pending already. */
void fer_node_throw_last(napi_env env, napi_status status);

/** Throw a TypeError with a `code`, as Node's own functions do. */
void fer_node_throw_type(napi_env env, const char *code, const char *message);

/** In a function that JavaScript calls: leave with `failure`, an exception thrown, when `call` fails. */
#define FER_NODE_CALL(env, call, failure)               \
    do {                                                \
        napi_status status_of_call = (call);            \
        if (status_of_call != napi_ok) {                \
            fer_node_throw_last((env), status_of_call); \
            return failure;                             \
        }                                               \
    } while (0)

/** In a function that returns napi_status: leave with it when `call` fails. */
#define FER_NODE_TRY(call)                  \
    do {                                    \
        napi_status status_of_try = (call); \
        if (status_of_try != napi_ok) {     \
            return status_of_try;           \
        }                                   \
    } while (0)

/** For calls that fail only when this binding is wrong: ends the process, and says where. */
#define FER_NODE_MUST(call)                                                                  \
    do {                                                                                     \
        if ((call) != napi_ok) {                                                             \
            napi_fatal_error(__func__, NAPI_AUTO_LENGTH, #call " failed", NAPI_AUTO_LENGTH); \
        }                                                                                    \
    } while (0)

#endif
