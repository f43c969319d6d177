#include "ferrule/udp.h"

#include <stdlib.h>

#include "bytes.h"
#include "check.h"
#include "emit.h"
#include "handle.h"
#include "inet.h"
#include "value.h"

/* Every method gives a status as a number, unless it says otherwise: 0, or a negative one. */

/** A send, which JavaScript knows by its number. */
typedef struct udp_send {
    fer_node_object *udp;
    double number;
    fer_node_kept kept; /**< a copy of the bytes: JavaScript may do with its own what it likes */
} udp_send;

/** The end of a send. */
typedef struct udp_sent {
    double number;
    fer_status status;
} udp_sent;

/** (number, status, detail) */
static napi_status fill_sent(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const udp_sent *sent = data;
    FER_NODE_TRY(fer_node_fill_status(env, &sent->status, argv + 1, argc));
    *argc += 1;
    return napi_create_double(env, sent->number, &argv[0]);
}

static void drop_send(udp_send *send) {
    fer_node_kept_drop(send->udp->state->env, &send->kept);
    free(send);
}

static void on_sent(fer_handle *handle, fer_status status, void *user) {
    (void)handle;
    udp_send *send = user;
    fer_node_object *udp = send->udp;
    udp_sent sent = {send->number, status};
    drop_send(send);
    fer_node_emit(udp, FER_NODE_UDP_SENT, fill_sent, &sent);
}

/** (0, buffer, host, port, flags). The bytes are valid during the callback only: copy. */
static napi_status fill_datagram(napi_env env, const void *data, napi_value *argv, size_t *argc) {
    const fer_datagram *datagram = data;
    FER_NODE_TRY(napi_create_int32(env, FER_OK, &argv[0]));
    FER_NODE_TRY(napi_create_buffer_copy(env, datagram->size, datagram->data, NULL, &argv[1]));
    FER_NODE_TRY(napi_create_string_utf8(env, datagram->host, NAPI_AUTO_LENGTH, &argv[2]));
    FER_NODE_TRY(napi_create_uint32(env, datagram->port, &argv[3]));
    FER_NODE_TRY(napi_create_uint32(env, datagram->flags, &argv[4]));
    *argc = 5;
    return napi_ok;
}

static void on_datagram(fer_handle *handle, fer_status status, const fer_datagram *datagram,
                        void *user) {
    (void)handle;
    if (status != FER_OK) {
        fer_node_emit_status(user, FER_NODE_UDP_DATAGRAM, status);
    } else if (!fer_node_emit(user, FER_NODE_UDP_DATAGRAM, fill_datagram, datagram)) {
        fer_node_emit_status(user, FER_NODE_UDP_DATAGRAM, FER_ENOBUFS);
    }
}

static napi_value udp_new(napi_env env, napi_callback_info info) {
    return fer_node_object_new(env, info, FER_NODE_UDP);
}

/** init(flags): make the handle, with a family also its socket. */
static napi_value udp_init(napi_env env, napi_callback_info info) {
    return fer_node_inet_init_with(env, info, FER_NODE_UDP, fer_udp_new);
}

/** bind(host, port, flags) */
static napi_value udp_bind(napi_env env, napi_callback_info info) {
    return fer_node_inet_bind_with(env, info, FER_NODE_UDP, fer_udp_bind);
}

/** open(fd) */
static napi_value udp_open(napi_env env, napi_callback_info info) {
    return fer_node_inet_open_with(env, info, FER_NODE_UDP, fer_udp_open);
}

/** A host, to be freed; NULL for undefined. False, with an exception thrown, for anything else. */
static bool get_host(napi_env env, napi_value value, char **host) {
    napi_valuetype type = napi_undefined;
    *host = NULL;
    FER_NODE_CALL(env, napi_typeof(env, value, &type), false);
    if (type == napi_undefined) {
        return true;
    }
    *host = fer_node_get_text(env, value);
    return *host != NULL;
}

/** connect(host, port); connect(undefined, 0) undoes it. */
static napi_value udp_connect(napi_env env, napi_callback_info info) {
    napi_value argv[2];
    uint16_t port = 0;
    char *host = NULL;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 2, argv);
    if (udp == NULL || !fer_node_get_port(env, argv[1], &port) || !get_host(env, argv[0], &host)) {
        return NULL;
    }
    fer_status status = fer_udp_connect(udp->handle, host, port);
    free(host);
    return fer_node_opened(env, udp, status);
}

static fer_status start_send(fer_node_object *udp, fer_node_bytes *bytes, const char *host,
                             uint16_t port, double number) {
    udp_send *send = malloc(sizeof *send);
    if (send == NULL || !fer_node_bytes_copy(bytes, &send->kept)) {
        free(send);
        return FER_ENOMEM;
    }
    send->udp = udp;
    send->number = number;
    fer_status status =
        fer_udp_send(udp->handle, bytes->parts, bytes->count, host, port, on_sent, send);
    if (status != FER_OK) {
        drop_send(send);
    }
    return status;
}

/** send(data, host, port, number): 0, then udpSent(number, status, detail). Host may be undefined. */
static napi_value udp_send_data(napi_env env, napi_callback_info info) {
    napi_value argv[4];
    fer_node_bytes bytes;
    uint16_t port = 0;
    double number = 0;
    char *host = NULL;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 4, argv);
    if (udp == NULL || !fer_node_get_port(env, argv[2], &port)) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_get_value_double(env, argv[3], &number), NULL);
    if (!fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    if (!get_host(env, argv[1], &host)) {
        fer_node_bytes_done(&bytes);
        return NULL;
    }
    fer_status status = start_send(udp, &bytes, host, port, number);
    fer_node_bytes_done(&bytes);
    free(host);
    return fer_node_opened(env, udp, status);
}

/** trySend(data, host, port). Host may be undefined. */
static napi_value udp_try_send(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    fer_node_bytes bytes;
    uint16_t port = 0;
    char *host = NULL;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 3, argv);
    if (udp == NULL || !fer_node_get_port(env, argv[2], &port) ||
        !fer_node_bytes_get(env, argv[0], &bytes)) {
        return NULL;
    }
    if (!get_host(env, argv[1], &host)) {
        fer_node_bytes_done(&bytes);
        return NULL;
    }
    fer_status status = fer_udp_try_send(udp->handle, bytes.parts, bytes.count, host, port);
    fer_node_bytes_done(&bytes);
    free(host);
    return fer_node_opened(env, udp, status);
}

/** sendQueueSize(): in bytes. */
static napi_value udp_send_queue_size(napi_env env, napi_callback_info info) {
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 0, NULL);
    if (udp == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_udp_send_queue_size(udp->handle));
}

/** sendQueueCount(): in datagrams. */
static napi_value udp_send_queue_count(napi_env env, napi_callback_info info) {
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 0, NULL);
    if (udp == NULL) {
        return NULL;
    }
    return fer_node_number(env, (double)fer_udp_send_queue_count(udp->handle));
}

/** receiveStart(): then udpDatagram(0, buffer, host, port, flags), or udpDatagram(status, detail). */
static napi_value udp_receive_start(napi_env env, napi_callback_info info) {
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 0, NULL);
    if (udp == NULL) {
        return NULL;
    }
    fer_status status = fer_udp_receive_start(udp->handle, on_datagram, udp, NULL);
    return fer_node_opened(env, udp, status);
}

/** receiveStop() */
static napi_value udp_receive_stop(napi_env env, napi_callback_info info) {
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 0, NULL);
    if (udp == NULL) {
        return NULL;
    }
    return fer_node_status(env, fer_udp_receive_stop(udp->handle));
}

/** setMembership(group, local, join). Local may be undefined. */
static napi_value udp_set_membership(napi_env env, napi_callback_info info) {
    napi_value argv[3];
    bool join = false;
    char *local = NULL;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 3, argv);
    if (udp == NULL || !fer_node_get_bool(env, argv[2], &join) || !get_host(env, argv[1], &local)) {
        return NULL;
    }
    char *group = fer_node_get_text(env, argv[0]);
    if (group == NULL) {
        free(local);
        return NULL;
    }
    fer_status status =
        fer_udp_set_membership(udp->handle, group, local, join ? FER_JOIN_GROUP : FER_LEAVE_GROUP);
    free(group);
    free(local);
    return fer_node_status(env, status);
}

/** setMulticastInterface(local). Local may be undefined. */
static napi_value udp_set_multicast_interface(napi_env env, napi_callback_info info) {
    napi_value argv[1];
    char *local = NULL;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 1, argv);
    if (udp == NULL || !get_host(env, argv[0], &local)) {
        return NULL;
    }
    fer_status status = fer_udp_set_multicast_interface(udp->handle, local);
    free(local);
    return fer_node_status(env, status);
}

/** The body of what takes a number. */
static napi_value set_number(napi_env env, napi_callback_info info,
                             fer_status (*set)(fer_handle *udp, int32_t number)) {
    napi_value argv[1];
    int32_t number = 0;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 1, argv);
    if (udp == NULL || !fer_node_get_int(env, argv[0], &number)) {
        return NULL;
    }
    return fer_node_status(env, set(udp->handle, number));
}

/** The body of what is on or off. */
static napi_value set_switch(napi_env env, napi_callback_info info,
                             fer_status (*set)(fer_handle *udp, int on)) {
    napi_value argv[1];
    bool on = false;
    fer_node_object *udp = fer_node_this(env, info, FER_NODE_UDP, 1, argv);
    if (udp == NULL || !fer_node_get_bool(env, argv[0], &on)) {
        return NULL;
    }
    return fer_node_status(env, set(udp->handle, on));
}

/** setTTL(ttl) */
static napi_value udp_set_ttl(napi_env env, napi_callback_info info) {
    return set_number(env, info, fer_udp_set_ttl);
}

/** setMulticastTTL(ttl) */
static napi_value udp_set_multicast_ttl(napi_env env, napi_callback_info info) {
    return set_number(env, info, fer_udp_set_multicast_ttl);
}

/** setMulticastLoopback(on) */
static napi_value udp_set_multicast_loop(napi_env env, napi_callback_info info) {
    return set_switch(env, info, fer_udp_set_multicast_loop);
}

/** setBroadcast(on) */
static napi_value udp_set_broadcast(napi_env env, napi_callback_info info) {
    return set_switch(env, info, fer_udp_set_broadcast);
}

napi_status fer_node_udp_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor methods[] = {
        FER_NODE_HANDLE_METHODS,
        FER_NODE_METHOD("init", udp_init),
        FER_NODE_METHOD("bind", udp_bind),
        FER_NODE_METHOD("open", udp_open),
        FER_NODE_METHOD("connect", udp_connect),
        FER_NODE_METHOD("name", fer_node_inet_name),
        FER_NODE_METHOD("send", udp_send_data),
        FER_NODE_METHOD("trySend", udp_try_send),
        FER_NODE_METHOD("sendQueueSize", udp_send_queue_size),
        FER_NODE_METHOD("sendQueueCount", udp_send_queue_count),
        FER_NODE_METHOD("receiveStart", udp_receive_start),
        FER_NODE_METHOD("receiveStop", udp_receive_stop),
        FER_NODE_METHOD("setMembership", udp_set_membership),
        FER_NODE_METHOD("setMulticastInterface", udp_set_multicast_interface),
        FER_NODE_METHOD("setTTL", udp_set_ttl),
        FER_NODE_METHOD("setMulticastTTL", udp_set_multicast_ttl),
        FER_NODE_METHOD("setMulticastLoopback", udp_set_multicast_loop),
        FER_NODE_METHOD("setBroadcast", udp_set_broadcast),
    };
    napi_value constructor = NULL;
    FER_NODE_TRY(napi_define_class(env, "UDP", NAPI_AUTO_LENGTH, udp_new, NULL,
                                   FER_NODE_COUNT(methods), methods, &constructor));
    return napi_set_named_property(env, exports, "UDP", constructor);
}
