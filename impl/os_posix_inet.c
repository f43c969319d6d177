/* TCP and UDP sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((fer__inet *)0)->room), "an address fits");
_Static_assert(INET6_ADDRSTRLEN + IF_NAMESIZE <= FER__HOST_MAX, "the text of an address fits");

typedef union name {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    unsigned char bytes[sizeof(struct sockaddr_in6)];
} name;

static void to_inet(const name *from, size_t size, fer__inet *to) {
    to->size = (uint32_t)size;
    memcpy(to->room.bytes, from, size);
}

static socklen_t from_inet(const fer__inet *from, name *to) {
    memset(to, 0, sizeof *to);
    memcpy(to, from->room.bytes, from->size);
    return from->size;
}

/* Addresses and their text. */

static int parse_zone(const char *zone, uint32_t *index) {
    char *end;
    unsigned long number;
    *index = if_nametoindex(zone);
    if (*index != 0)
        return 1;
    number = strtoul(zone, &end, 10);
    if (end == zone || *end != '\0' || number > UINT32_MAX)
        return 0;
    *index = (uint32_t)number;
    return 1;
}

static int parse_ip6(const char *host, uint16_t port, fer__inet *address) {
    char text[FER__HOST_MAX];
    size_t size = strcspn(host, "%");
    name n;
    memset(&n, 0, sizeof n);
    if (size >= sizeof text)
        return 0;
    memcpy(text, host, size);
    text[size] = '\0';
    if (inet_pton(AF_INET6, text, &n.ip6.sin6_addr) != 1)
        return 0;
    if (host[size] == '%' && !parse_zone(host + size + 1, &n.ip6.sin6_scope_id))
        return 0;
    n.ip6.sin6_family = AF_INET6;
    n.ip6.sin6_port = htons(port);
    to_inet(&n, sizeof n.ip6, address);
    return 1;
}

fer_status fer__os_inet_parse(const char *host, uint16_t port, fer__inet *address) {
    int saved = errno;
    name n;
    memset(&n, 0, sizeof n);
    if (inet_pton(AF_INET, host, &n.ip4.sin_addr) == 1) {
        n.ip4.sin_family = AF_INET;
        n.ip4.sin_port = htons(port);
        to_inet(&n, sizeof n.ip4, address);
    } else if (!parse_ip6(host, port, address)) {
        errno = saved;
        return fer__fail(FER_EADDRESS, "'%.64s' is no literal IPv4 or IPv6 address", host);
    }
    errno = saved;
    return FER_OK;
}

void fer__os_inet_text(const fer__inet *address, char *host, uint16_t *port) {
    int saved = errno;
    name n;
    from_inet(address, &n);
    host[0] = '\0';
    *port = 0;
    if (n.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &n.ip4.sin_addr, host, FER__HOST_MAX);
        *port = ntohs(n.ip4.sin_port);
    } else if (n.any.sa_family == AF_INET6) {
        char zone[IF_NAMESIZE];
        inet_ntop(AF_INET6, &n.ip6.sin6_addr, host, FER__HOST_MAX);
        if (n.ip6.sin6_scope_id != 0 && if_indextoname(n.ip6.sin6_scope_id, zone) != NULL) {
            size_t size = strlen(host);
            snprintf(host + size, FER__HOST_MAX - size, "%%%s", zone);
        }
        *port = ntohs(n.ip6.sin6_port);
    }
    errno = saved;
}

int fer__os_inet_is_loopback(const fer__inet *address) {
    name n;
    from_inet(address, &n);
    if (n.any.sa_family == AF_INET)
        return (ntohl(n.ip4.sin_addr.s_addr) >> 24) == 127;
    if (IN6_IS_ADDR_V4MAPPED(&n.ip6.sin6_addr))
        return n.ip6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&n.ip6.sin6_addr);
}

/* Sockets. */

fer_status fer__os_socket_inet(const fer__inet *address, int datagrams, fer__fd *fd) {
    int saved = errno;
    int type = datagrams ? SOCK_DGRAM : SOCK_STREAM;
    int number = 0;
    name n;
    from_inet(address, &n);
#ifdef __linux__
    *fd = socket(n.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        number = errno;
#else
    *fd = socket(n.any.sa_family, type, 0);
    number = *fd < 0 ? errno : fer__os_prepare(*fd);
    if (*fd >= 0 && number != 0)
        fer__os_close(*fd);
#endif
    if (number != 0)
        *fd = FER__NO_FD;
    return fer__os_finish(saved, number);
}

static int set_flag(fer__fd fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) != 0 ? errno : 0;
}

fer_status fer__os_bind_inet(fer__fd fd, const fer__inet *address, int datagrams, uint32_t flags) {
    int saved = errno;
    int number = 0;
    name n;
    socklen_t size = from_inet(address, &n);
    /* A TCP port that only connections of the past hold can be used again. For UDP it would share it. */
    if (!datagrams)
        number = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (number == 0 && (flags & FER__INET_REUSE_PORT) != 0)
        number = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (number == 0 && n.any.sa_family == AF_INET6) {
        number = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, (flags & FER__INET_IPV6_ONLY) != 0);
        /* An IPv4 socket. */
        if (number == ENOPROTOOPT)
            number = EAFNOSUPPORT;
    }
    if (number == 0 && bind(fd, &n.any, size) != 0)
        number = errno;
    return fer__os_finish(saved, number);
}

fer_status fer__os_connect_inet(fer__fd fd, const fer__inet *address) {
    int saved = errno;
    int blocking = fer__os_get_nonblocking(fd) == 0;
    int number = blocking ? fer__os_switch_nonblocking(fd, 1) : 0;
    name n;
    socklen_t size = from_inet(address, &n);
    if (number == 0 && connect(fd, &n.any, size) != 0)
        number = errno;
    if (blocking)
        (void)fer__os_switch_nonblocking(fd, 0);
    /* Interrupted, it goes on by itself. */
    if (number == EINPROGRESS || number == EINTR) {
        errno = saved;
        return FER_EALREADY;
    }
    return fer__os_finish(saved, number);
}

fer_status fer__os_disconnect_inet(fer__fd fd) {
    int saved = errno;
    struct sockaddr none;
    memset(&none, 0, sizeof none);
    none.sa_family = AF_UNSPEC;
    /* Some systems report the address that is none although they did what was asked. */
    if (connect(fd, &none, sizeof none) != 0 && errno != EAFNOSUPPORT)
        return fer__os_finish(saved, errno);
    errno = saved;
    return FER_OK;
}

fer_status fer__os_inet_name(fer__fd fd, int peer, char *host, uint16_t *port) {
    int saved = errno;
    name n;
    fer__inet address;
    socklen_t size = sizeof n;
    memset(&n, 0, sizeof n);
    if ((peer ? getpeername(fd, &n.any, &size) : getsockname(fd, &n.any, &size)) != 0)
        return fer__os_finish(saved, errno);
    to_inet(&n, sizeof n, &address);
    fer__os_inet_text(&address, host, port);
    return FER_OK;
}

fer_status fer__os_tcp_nodelay(fer__fd fd, int enable) {
    int saved = errno;
    return fer__os_finish(saved, set_flag(fd, IPPROTO_TCP, TCP_NODELAY, enable));
}

fer_status fer__os_tcp_keepalive(fer__fd fd, int enable, uint32_t delay_s) {
    int saved = errno;
    int number = set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, enable);
#if defined(TCP_KEEPIDLE)
    if (number == 0 && enable && delay_s > 0)
        number = set_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)delay_s);
#elif defined(TCP_KEEPALIVE)
    if (number == 0 && enable && delay_s > 0)
        number = set_flag(fd, IPPROTO_TCP, TCP_KEEPALIVE, (int)delay_s);
#endif
    return fer__os_finish(saved, number);
}

/* Options of UDP sockets. */

#ifndef IPV6_JOIN_GROUP
#define IPV6_JOIN_GROUP  IPV6_ADD_MEMBERSHIP
#define IPV6_LEAVE_GROUP IPV6_DROP_MEMBERSHIP
#endif

/* The family of a socket; 0 with errno set. */
static int family_of(fer__fd fd) {
    name local;
    socklen_t size = sizeof local;
    memset(&local, 0, sizeof local);
    return getsockname(fd, &local.any, &size) == 0 ? local.any.sa_family : 0;
}

fer_status fer__os_udp_set(fer__fd fd, fer__udp_option option, int value) {
    static const int ip4[] = {IP_TTL, IP_MULTICAST_TTL, IP_MULTICAST_LOOP};
    static const int ip6[] = {IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP};
    int saved = errno;
    int family = family_of(fd);
    int number;
    if (family == 0)
        number = errno;
    else if (option == FER__UDP_BROADCAST)
        number = set_flag(fd, SOL_SOCKET, SO_BROADCAST, value);
    else if (family == AF_INET6)
        number = set_flag(fd, IPPROTO_IPV6, ip6[option], value);
    else
        number = set_flag(fd, IPPROTO_IP, ip4[option], value);
    return fer__os_finish(saved, number);
}

/* Addresses of the socket's family, or an errno value. `at` NULL is the one that is none. */
static int group_names(fer__fd fd, const fer__inet *group, const fer__inet *at, name *to,
                       name *from) {
    int family = family_of(fd);
    from_inet(group, to);
    memset(from, 0, sizeof *from);
    from->any.sa_family = (sa_family_t)family;
    if (at != NULL)
        from_inet(at, from);
    if (family == 0)
        return errno;
    return from->any.sa_family == family && to->any.sa_family == family ? 0 : EAFNOSUPPORT;
}

fer_status fer__os_udp_group(fer__fd fd, const fer__inet *group, const fer__inet *at, int join) {
    int saved = errno;
    name to;
    name from;
    int number = group_names(fd, group, at, &to, &from);
    if (number == 0 && to.any.sa_family == AF_INET) {
        struct ip_mreq request;
        memset(&request, 0, sizeof request);
        request.imr_multiaddr = to.ip4.sin_addr;
        request.imr_interface = from.ip4.sin_addr;
        if (setsockopt(fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
                       sizeof request) != 0)
            number = errno;
    } else if (number == 0) {
        struct ipv6_mreq request;
        memset(&request, 0, sizeof request);
        request.ipv6mr_multiaddr = to.ip6.sin6_addr;
        request.ipv6mr_interface = at != NULL ? from.ip6.sin6_scope_id : to.ip6.sin6_scope_id;
        if (setsockopt(fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
                       sizeof request) != 0)
            number = errno;
    }
    return fer__os_finish(saved, number);
}

fer_status fer__os_udp_interface(fer__fd fd, const fer__inet *at) {
    int saved = errno;
    int family = family_of(fd);
    int number = family == 0 ? errno : 0;
    name from;
    memset(&from, 0, sizeof from);
    from.any.sa_family = (sa_family_t)family;
    if (at != NULL)
        from_inet(at, &from);
    if (number == 0 && from.any.sa_family != family)
        number = EAFNOSUPPORT;
    if (number == 0 && family == AF_INET6)
        number = set_flag(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)from.ip6.sin6_scope_id);
    else if (number == 0 && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &from.ip4.sin_addr,
                                       sizeof from.ip4.sin_addr) != 0)
        number = errno;
    return fer__os_finish(saved, number);
}

/* Datagrams. */

fer_status fer__os_send_to(fer__fd fd, const struct iovec *parts, size_t count,
                           const fer__inet *address) {
    int saved = errno;
    struct msghdr message;
    name n;
    ssize_t sent;
    memset(&message, 0, sizeof message);
    if (address != NULL) {
        message.msg_namelen = from_inet(address, &n);
        message.msg_name = &n;
    }
    message.msg_iov = (struct iovec *)(uintptr_t)parts;
    message.msg_iovlen = count;
    do {
        sent = sendmsg(fd, &message, FER__SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return fer__os_finish(saved, errno == ENOBUFS ? EAGAIN : errno);
    errno = saved;
    return FER_OK;
}

fer_status fer__os_recv_from(fer__fd fd, void *buffer, size_t size, size_t *got, fer__inet *sender,
                             int *partial) {
    int saved = errno;
    struct iovec part = {buffer, size};
    struct msghdr message;
    name n;
    ssize_t received;
    memset(&n, 0, sizeof n);
    memset(&message, 0, sizeof message);
    message.msg_name = &n;
    message.msg_namelen = sizeof n;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    do {
        received = recvmsg(fd, &message, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return fer__os_finish(saved, errno);
    *got = (size_t)received;
    *partial = (message.msg_flags & MSG_TRUNC) != 0;
    to_inet(&n, sizeof n, sender);
    errno = saved;
    return FER_OK;
}
