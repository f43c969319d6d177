/**
 * The objects that JavaScript holds: handles, channels and servers.
 *
 * The C structure lives on the C heap. JavaScript's object is wrapped around it and tagged with its
 * kind, so that a method called on a foreign object is refused. While the object is open, a strong
 * reference keeps JavaScript's side alive; after the close callback the collector may have it, and its
 * finalizer frees the structure.
 */
#ifndef FER_NODE_OBJECT_H
#define FER_NODE_OBJECT_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "env.h"
#include "ferrule/status.h"
#include "ferrule/types.h"

/** A kind, or a group of kinds. */
typedef enum fer_node_kind {
    FER_NODE_PIPE = 1,
    FER_NODE_TCP = 2,
    FER_NODE_UDP = 4,
    FER_NODE_CHANNEL = 8,
    FER_NODE_SERVER = 16,
    FER_NODE_STREAM = FER_NODE_PIPE | FER_NODE_TCP,
    FER_NODE_INET = FER_NODE_TCP | FER_NODE_UDP,
    FER_NODE_HANDLE = FER_NODE_PIPE | FER_NODE_TCP | FER_NODE_UDP
} fer_node_kind;

typedef struct fer_node_object {
    fer_node_env *state;
    fer_node_kind kind;
    bool held;                  /**< `self` is strong */
    bool closing;               /**< the close callback is due */
    bool admitted;              /**< of a server: the client that serverAllow() is about may come */
    napi_ref self;              /**< JavaScript's object */
    napi_async_context context; /**< in which its callbacks run */
    fer_handle *handle;         /**< of a pipe, a TCP or a UDP socket */
    fer_channel *channel;       /**< of a channel; of a server, the one that waits to be taken */
    struct fer_node_body
        *bodies;        /**< of a channel: payloads on their way (body.h), the oldest first */
    fer_server *server; /**< of a server */
} fer_node_object;

/** The body of a constructor of one kind. Returns `this`, or NULL with an exception thrown. */
napi_value fer_node_object_new(napi_env env, napi_callback_info info, fer_node_kind kind);

/**
 * The object behind the `this` of a call, of this kind or group, and its arguments; missing ones are
 * undefined.
 * NULL, with an exception thrown, when `this` is something else.
 */
fer_node_object *fer_node_this(napi_env env, napi_callback_info info, fer_node_kind kind,
                               size_t argc, napi_value *argv);

/** The object behind `value`, or NULL when it is not of this kind or group. */
napi_status fer_node_find(napi_env env, napi_value value, fer_node_kind kind,
                          fer_node_object **object);

/** The object behind an argument; NULL, with an exception thrown, when it is something else. */
fer_node_object *fer_node_argument(napi_env env, napi_value value, fer_node_kind kind);

/** The object is open now: keep JavaScript's side alive. */
void fer_node_hold(fer_node_object *object);

/** The object is closed: JavaScript's side may go, nothing is called any more. */
void fer_node_release(fer_node_object *object);

#endif
