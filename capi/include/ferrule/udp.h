/**
 * UDP sockets: datagrams, on handles that can be passed to another process.
 *
 * Hosts and ports as in ferrule/tcp.h.
 */
#ifndef FERRULE_UDP_H
#define FERRULE_UDP_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "handle.h"
#include "status.h"
#include "tcp.h"
#include "types.h"

FER_BEGIN_DECLS

/** Flag of fer_datagram: the datagram was longer than what is given. */
#define FER_DATAGRAM_PARTIAL 1u

/** A datagram that came. Valid until the callback returns. The layout never changes. */
typedef struct fer_datagram {
    const void *data; /**< the payload; may be NULL when size is 0 */
    size_t size;      /**< in bytes; 0 is a datagram too */
    const char *host; /**< of the sender */
    uint16_t port;    /**< of the sender */
    uint16_t flags;   /**< FER_DATAGRAM_PARTIAL */
} fer_datagram;

/**
 * A datagram came, or receiving failed.
 *
 * `status` FER_OK: `datagram` is not NULL. An error: it is NULL; receiving goes on, but for FER_ENOMEM and
 * FER_EBADF, after which the callback comes no more.
 */
typedef void (*fer_datagram_cb)(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                                void *user);

/** The end of a send. */
typedef void (*fer_udp_cb)(fer_handle *udp, fer_status status, void *user);

/**
 * Make a UDP handle.
 *
 * @param loop         the loop to put it on.
 * @param flags        as for fer_tcp_new().
 * @param[out] handle  receives the handle; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_tcp_new().
 * Seed: pyuv `UDP(loop, family)`; uv_udp_init_ex.
 */
FER_API fer_status fer_udp_new(fer_loop *loop, uint32_t flags, fer_handle **handle);

/**
 * Bind a UDP socket to an address.
 *
 * @param udp    a UDP handle that is not open yet.
 * @param host   the address.
 * @param port   the port; 0 picks one.
 * @param flags  FER_BIND_IPV6_ONLY, FER_BIND_REUSE_PORT.
 * Ownership: the text is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_tcp_bind().
 * Seed: pyuv `UDP.bind`; uv_udp_bind.
 */
FER_API fer_status fer_udp_bind(fer_handle *udp, const char *host, uint16_t port, uint32_t flags);

/**
 * Fix the address that a UDP socket sends to and receives from.
 *
 * @param udp   a UDP handle.
 * @param host  the address; NULL undoes it, and with it the port of a socket that was bound to port 0.
 * @param port  the port.
 * Ownership: the text is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_EISCONN when it is connected; FER_ENOTCONN for NULL when it
 *         is not; FER_EAFNOSUPPORT; FER_EKIND; FER_EMFILE; FER_ECLOSED; FER_ETHREAD; FER_EFORK; what
 *         connect(2) gives.
 * Seed: uv_udp_connect.
 */
FER_API fer_status fer_udp_connect(fer_handle *udp, const char *host, uint16_t port);

/**
 * Make a UDP handle of a UDP socket.
 *
 * @param udp  a UDP handle that is not open yet.
 * @param fd   the descriptor. Its blocking mode is left as it is.
 * Ownership: on FER_OK the handle owns the descriptor and closes it; otherwise it stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EBADF; FER_ENOTSOCK; FER_EPROTOTYPE for another type of socket; FER_EISCONN when it
 *         is open already; FER_EKIND; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.open`; uv_udp_open.
 */
FER_API fer_status fer_udp_open(fer_handle *udp, fer_fd fd);

/**
 * Send a datagram.
 *
 * @param udp    a UDP handle; one that is not bound gets a port.
 * @param parts  the payload, in `count` pieces that become one datagram.
 * @param count  how many pieces; 0 sends an empty datagram.
 * @param host   where to; NULL on a connected socket.
 * @param port   where to.
 * @param cb     one-shot; may be NULL.
 * @param user   passed to `cb`.
 * Ownership: with `cb`, the bytes stay the caller's and must not change until it is called; the
 *            array `parts` may go at once. Without, a datagram that must wait is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_EMSGSIZE for more than a datagram holds;
 *         FER_EDESTADDRREQ without an address on an unconnected socket; FER_EISCONN with one on a connected
 *         socket; FER_ECONNREFUSED when an earlier one was; FER_ENETUNREACH; FER_ENOMEM; FER_EBUSY when it
 *         must wait and something else on the loop watches the descriptor; FER_EKIND; FER_EMFILE; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK. After an error nothing was sent.
 * Seed: pyuv `UDP.send`; uv_udp_send.
 */
FER_API fer_status fer_udp_send(fer_handle *udp, const fer_bytes *parts, size_t count,
                                const char *host, uint16_t port, fer_udp_cb cb, void *user);

/**
 * Send a datagram now or not at all.
 *
 * @param udp    a UDP handle; one that is not bound gets a port.
 * @param parts  the payload, in `count` pieces that become one datagram.
 * @param count  how many pieces; 0 sends an empty datagram.
 * @param host   where to; NULL on a connected socket.
 * @param port   where to.
 * Ownership: the bytes stay the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EAGAIN when it would have to wait; otherwise as fer_udp_send().
 * Seed: pyuv `UDP.try_send`; uv_udp_try_send.
 */
FER_API fer_status fer_udp_try_send(fer_handle *udp, const fer_bytes *parts, size_t count,
                                    const char *host, uint16_t port);

/**
 * How many bytes are in datagrams that wait for the kernel.
 *
 * @param udp  a UDP handle.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return bytes; 0 for NULL, a closed handle or another kind.
 * Seed: pyuv `UDP.send_queue_size`; uv_udp_get_send_queue_size.
 */
FER_API size_t fer_udp_send_queue_size(const fer_handle *udp);

/**
 * How many datagrams wait for the kernel.
 *
 * @param udp  a UDP handle.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return how many; 0 for NULL, a closed handle or another kind.
 * Seed: pyuv `UDP.send_queue_count`; uv_udp_get_send_queue_count.
 */
FER_API size_t fer_udp_send_queue_count(const fer_handle *udp);

/**
 * Receive datagrams.
 *
 * @param udp        a UDP handle; one that is not bound gets a port.
 * @param cb         registered.
 * @param user       passed to `cb` and `finalizer`.
 * @param finalizer  called once with `user` after the last call, also when this call fails; may be
 *                   NULL.
 * Ownership: `user` is the library's until `finalizer` is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback; `cb` may call anything.
 * @return FER_OK; FER_EINVAL; FER_EALREADY while it receives; FER_EKIND; FER_EMFILE; FER_ECLOSED; FER_ETHREAD;
 *         FER_EFORK.
 * Seed: pyuv `UDP.start_recv`; uv_udp_recv_start.
 */
FER_API fer_status fer_udp_receive_start(fer_handle *udp, fer_datagram_cb cb, void *user,
                                         fer_finalizer finalizer);

/**
 * Stop receiving. What is not received yet stays in the kernel.
 *
 * @param udp  a UDP handle; one that does not receive is left as it is.
 * Ownership: the finalizer given to fer_udp_receive_start() is called.
 * Thread: the loop's.
 * Callbacks: may be called from any callback, also from the receive callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.stop_recv`; uv_udp_recv_stop.
 */
FER_API fer_status fer_udp_receive_stop(fer_handle *udp);

/** What fer_udp_set_membership() does. */
typedef enum fer_membership {
    FER_LEAVE_GROUP = 0, /**< no longer receive what is sent to the group */
    FER_JOIN_GROUP = 1   /**< receive it */
} fer_membership;

/**
 * Join or leave a multicast group.
 *
 * @param udp         an open UDP handle, which is bound to the port that the group is sent to.
 * @param group       the address of the group.
 * @param local       the address of the interface to receive on; NULL lets the system choose. For an IPv6
 *                    socket its zone tells which: "::%eth0".
 * @param membership  FER_JOIN_GROUP or FER_LEAVE_GROUP.
 * Ownership: the texts are copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for an address that is no group's; FER_EADDRESS for a malformed one;
 *         FER_EAFNOSUPPORT for one of the other family than the socket's; FER_ENODEV when there is no such
 *         interface; FER_EADDRINUSE when it is in the group already; FER_EADDRNOTAVAIL when it is not;
 *         FER_ENOBUFS for too many groups; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED;
 *         FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_membership`; uv_udp_set_membership.
 */
FER_API fer_status fer_udp_set_membership(fer_handle *udp, const char *group, const char *local,
                                          fer_membership membership);

/**
 * Choose the interface that datagrams to multicast groups leave by.
 *
 * @param udp    an open UDP handle.
 * @param local  the address of the interface; NULL lets the system choose. For an IPv6 socket its zone tells
 *               which: "::%eth0".
 * Ownership: the text is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_EAFNOSUPPORT for an address of the other family than the
 *         socket's; FER_EADDRNOTAVAIL or FER_ENODEV when there is no such interface; FER_EBADF before it is
 *         open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_multicast_interface`; uv_udp_set_multicast_interface.
 */
FER_API fer_status fer_udp_set_multicast_interface(fer_handle *udp, const char *local);

/**
 * Choose whether this machine gets what the socket sends to multicast groups, too.
 *
 * @param udp     an open UDP handle.
 * @param enable  1 (what a new socket has) or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_multicast_loop`; uv_udp_set_multicast_loop.
 */
FER_API fer_status fer_udp_set_multicast_loop(fer_handle *udp, int enable);

/**
 * Choose how many routers a datagram to a multicast group may pass.
 *
 * @param udp  an open UDP handle.
 * @param ttl  from 0, which keeps it on this machine, to 255; a new socket has 1.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_multicast_ttl`; uv_udp_set_multicast_ttl.
 */
FER_API fer_status fer_udp_set_multicast_ttl(fer_handle *udp, int32_t ttl);

/**
 * Choose how many routers a datagram to a single address may pass.
 *
 * @param udp  an open UDP handle.
 * @param ttl  from 1 to 255.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_ttl`; uv_udp_set_ttl.
 */
FER_API fer_status fer_udp_set_ttl(fer_handle *udp, int32_t ttl);

/**
 * Choose whether datagrams may be sent to broadcast addresses.
 *
 * @param udp     an open UDP handle.
 * @param enable  1 or 0 (what a new socket has).
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `UDP.set_broadcast`; uv_udp_set_broadcast.
 */
FER_API fer_status fer_udp_set_broadcast(fer_handle *udp, int enable);

FER_END_DECLS

#endif
