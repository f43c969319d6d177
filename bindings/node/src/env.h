/**
 * What the addon keeps for one environment: the main thread, or a worker.
 *
 * Nothing is kept in file-level variables, so that any number of environments can be open at once.
 * The loop is attached when the first object needs it, and detached by the environment's cleanup hook.
 */
#ifndef FER_NODE_ENV_H
#define FER_NODE_ENV_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ferrule/status.h"
#include "ferrule/types.h"

/** X(slot, name): the functions that lib/ registers, which the addon calls. */
#define FER_NODE_SLOT_MAP(X)                 \
    X(HANDLE_CLOSED, "handleClosed")         \
    X(STREAM_CONNECTION, "streamConnection") \
    X(STREAM_CONNECTED, "streamConnected")   \
    X(STREAM_READ, "streamRead")             \
    X(STREAM_WRITTEN, "streamWritten")       \
    X(STREAM_SHUT, "streamShut")             \
    X(UDP_DATAGRAM, "udpDatagram")           \
    X(UDP_SENT, "udpSent")                   \
    X(CHANNEL_CONNECTED, "channelConnected") \
    X(CHANNEL_MESSAGES, "channelMessages")   \
    X(CHANNEL_ENDED, "channelEnded")         \
    X(CHANNEL_FLUSHED, "channelFlushed")     \
    X(CHANNEL_DRAIN, "channelDrain")         \
    X(CHANNEL_CLOSED, "channelClosed")       \
    X(SERVER_ALLOW, "serverAllow")           \
    X(SERVER_CHANNEL, "serverChannel")       \
    X(SERVER_CLOSED, "serverClosed")

typedef enum fer_node_slot {
#define FER_NODE_SLOT_ENTRY(slot, name) FER_NODE_##slot,
    FER_NODE_SLOT_MAP(FER_NODE_SLOT_ENTRY)
#undef FER_NODE_SLOT_ENTRY
        FER_NODE_SLOT_COUNT
} fer_node_slot;

/** A Uint32Array that is made once, and again when it is too small. */
typedef struct fer_node_numbers {
    napi_ref array; /**< NULL until it is needed */
    uint32_t *data;
    size_t room;
} fer_node_numbers;

typedef struct fer_node_env {
    napi_env env;
    fer_loop *loop;                      /**< NULL until the first object needs it */
    napi_async_cleanup_hook_handle hook; /**< set while the loop is attached */
    size_t owners;                       /**< the instance data, the hook, and every object */
    bool exiting; /**< the environment ends: JavaScript is not called any more */
    napi_ref slots[FER_NODE_SLOT_COUNT];
    fer_node_numbers sizes; /**< of the messages of a batch (messages.h) */
    bool keeps_memory;      /**< malloc(3) was told to (body.c) */
    bool refuses_external;  /**< Buffers of memory from outside are not to be made (body.h) */
} fer_node_env;

/** Make the environment's data. */
napi_status fer_node_env_open(napi_env env);

/** The environment's data; NULL, with an exception thrown, when that fails. */
fer_node_env *fer_node_env_get(napi_env env);

/** One more owner. */
fer_node_env *fer_node_env_ref(fer_node_env *state);

/** One owner less. */
void fer_node_env_unref(fer_node_env *state);

/** The loop, attached to Node's own if it is not yet. */
fer_status fer_node_env_loop(fer_node_env *state, fer_loop **loop);

/** register(name, function): have the addon call `function`. */
napi_value fer_node_env_register(napi_env env, napi_callback_info info);

#endif
