/**
 * Where the payloads of large messages go: into the Buffers that JavaScript gets, without another copy.
 */
#ifndef FER_NODE_BODY_H
#define FER_NODE_BODY_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "ferrule/message.h"
#include "object.h"

/** Memory that the library fills with a payload. */
typedef struct fer_node_body {
    void *memory;
    size_t size;     /**< in bytes */
    napi_ref buffer; /**< the Buffer whose memory it is; NULL when it was mapped */
    struct fer_node_body *next;
} fer_node_body;

/** Have the large payloads of an open channel received into Buffers. It does nothing the second time. */
fer_status fer_node_body_use(fer_node_object *object);

/**
 * Take the Buffer that a payload is in.
 *
 * `buffer` stays NULL when it is in the library's memory, and has to be copied.
 */
napi_status fer_node_body_take(napi_env env, fer_node_object *object, const fer_message *message,
                               napi_value *buffer);

/** external(allowed): as in a runtime that refuses memory from outside, for the tests. */
napi_value fer_node_body_external(napi_env env, napi_callback_info info);

#endif
