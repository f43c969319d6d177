/**
 * TCP sockets: streams that can be passed to another process.
 *
 * Hosts are literal addresses, such as "127.0.0.1" or "::1" (a zone may follow: "fe80::1%eth0"); names are
 * not looked up. Ports are numbers in the machine's order.
 */
#ifndef FERRULE_TCP_H
#define FERRULE_TCP_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "handle.h"
#include "status.h"
#include "stream.h"
#include "types.h"

FER_BEGIN_DECLS

/** Room for any host text, with its NUL byte. */
#define FER_HOST_MAX 64

/** Flag of fer_tcp_bind() and fer_udp_bind(): an IPv6 socket takes no IPv4 traffic. */
#define FER_BIND_IPV6_ONLY 1u
/** Flag of fer_tcp_bind() and fer_udp_bind(): several sockets may share the port (SO_REUSEPORT). */
#define FER_BIND_REUSE_PORT 2u

/** Flag of fer_tcp_new() and fer_udp_new(): make an IPv4 socket at once, not when an address tells its family. */
#define FER_INET_IPV4 1u
/** Flag of fer_tcp_new() and fer_udp_new(): the same with IPv6. */
#define FER_INET_IPV6 2u

/**
 * Make a TCP handle.
 *
 * @param loop         the loop to put it on.
 * @param flags        FER_INET_IPV4 or FER_INET_IPV6: then it has a descriptor, whose options can be set, before it is
 *                     bound or connected; 0: neither.
 * @param[out] handle  receives the handle; NULL after an error.
 * Ownership: the caller owns one reference.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for an unknown flag or both; FER_EAFNOSUPPORT; FER_EMFILE; FER_ENFILE; FER_ENOMEM;
 *         FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP(loop, family)`; uv_tcp_init_ex.
 */
FER_API fer_status fer_tcp_new(fer_loop *loop, uint32_t flags, fer_handle **handle);

/**
 * Bind a TCP socket to an address. A port that connections of the past linger on can be bound.
 *
 * @param tcp    a TCP handle that is not open yet.
 * @param host   the address.
 * @param port   the port; 0 picks one.
 * @param flags  FER_BIND_IPV6_ONLY, FER_BIND_REUSE_PORT.
 * Ownership: the text is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL, also for a second bind; FER_EADDRESS for a malformed host; FER_EADDRINUSE;
 *         FER_EADDRNOTAVAIL; FER_EACCES; FER_EAFNOSUPPORT; FER_ENOTSUP for a flag that the system does
 *         not have; FER_EISCONN; FER_EKIND; FER_EMFILE; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.bind`; uv_tcp_bind.
 */
FER_API fer_status fer_tcp_bind(fer_handle *tcp, const char *host, uint16_t port, uint32_t flags);

/**
 * Connect to a listening TCP socket.
 *
 * @param tcp   a TCP handle that is not open yet, or bound.
 * @param host  the address.
 * @param port  the port.
 * @param cb    one-shot: FER_OK; FER_ECONNREFUSED, FER_ETIMEDOUT and what else connect(2) gives;
 *              FER_ECANCELED after a close.
 * @param user  passed to `cb`.
 * Ownership: the text is copied.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EADDRESS; FER_EISCONN; FER_EALREADY while it connects; FER_EAFNOSUPPORT;
 *         FER_EKIND; FER_EMFILE; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.connect`; uv_tcp_connect.
 */
FER_API fer_status fer_tcp_connect(fer_handle *tcp, const char *host, uint16_t port,
                                   fer_stream_cb cb, void *user);

/**
 * Make a TCP handle of a TCP socket.
 *
 * @param tcp  a TCP handle that is not open yet.
 * @param fd   the descriptor: new, bound, listening or connected. Its blocking mode is left as it is.
 * Ownership: on FER_OK the handle owns the descriptor and closes it; otherwise it stays the caller's.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EBADF; FER_ENOTSOCK; FER_EPROTOTYPE for another type of socket; FER_EISCONN;
 *         FER_EKIND; FER_EINVAL; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.open`; uv_tcp_open.
 */
FER_API fer_status fer_tcp_open(fer_handle *tcp, fer_fd fd);

/**
 * Choose whether small pieces are sent at once instead of being gathered (TCP_NODELAY).
 *
 * @param tcp     an open TCP handle.
 * @param enable  1 or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.nodelay`; uv_tcp_nodelay.
 */
FER_API fer_status fer_tcp_nodelay(fer_handle *tcp, int enable);

/**
 * Choose whether an idle connection is probed (SO_KEEPALIVE).
 *
 * @param tcp      an open TCP handle.
 * @param enable   1 or 0.
 * @param delay_s  seconds of idleness before the first probe; 0 leaves the system's.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.keepalive`; uv_tcp_keepalive.
 */
FER_API fer_status fer_tcp_keepalive(fer_handle *tcp, int enable, uint32_t delay_s);

/**
 * Choose whether a listener has several accepts under way at a time. Has an effect on Windows only.
 *
 * @param tcp     a TCP handle.
 * @param enable  1 (what a new handle has) or 0.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.simultaneous_accepts`; uv_tcp_simultaneous_accepts.
 */
FER_API fer_status fer_tcp_simultaneous_accepts(fer_handle *tcp, int enable);

/**
 * The address that a TCP or UDP socket is bound to.
 *
 * @param handle      a TCP or UDP handle.
 * @param[out] host   receives the address, in FER_HOST_MAX bytes.
 * @param[out] port   receives the port.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL; FER_EBADF before it is open; FER_EKIND; FER_ECLOSED; FER_ETHREAD; FER_EFORK.
 * Seed: pyuv `TCP.getsockname`; uv_tcp_getsockname, uv_udp_getsockname.
 */
FER_API fer_status fer_inet_getsockname(const fer_handle *handle, char host[FER_HOST_MAX],
                                        uint16_t *port);

/**
 * The address that a TCP or UDP socket is connected to.
 *
 * @param handle      a TCP or UDP handle.
 * @param[out] host   receives the address, in FER_HOST_MAX bytes.
 * @param[out] port   receives the port.
 * Ownership: nothing changes hands.
 * Thread: the loop's.
 * Callbacks: may be called from any callback.
 * @return as fer_inet_getsockname(), and FER_ENOTCONN.
 * Seed: pyuv `TCP.getpeername`; uv_tcp_getpeername, uv_udp_getpeername.
 */
FER_API fer_status fer_inet_getpeername(const fer_handle *handle, char host[FER_HOST_MAX],
                                        uint16_t *port);

FER_END_DECLS

#endif
