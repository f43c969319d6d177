/* Who is at the other end of a TCP connection on this machine. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#endif

#include "status.h"

#ifdef __linux__

typedef union name {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
} name;

/** What the kernel is asked, and says. */
typedef struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
} question;

static void put_end(const name *from, uint8_t *family, __be32 address[4], __be16 *port) {
    *family = (uint8_t)from->any.sa_family;
    if (from->any.sa_family == AF_INET) {
        memcpy(address, &from->ip4.sin_addr, sizeof from->ip4.sin_addr);
        *port = from->ip4.sin_port;
    } else {
        memcpy(address, &from->ip6.sin6_addr, sizeof from->ip6.sin6_addr);
        *port = from->ip6.sin6_port;
    }
}

/* A socket between IPv6 ends that stand for IPv4 ones may be known to the kernel as IPv4. */
static void unmap(name *end) {
    if (end->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&end->ip6.sin6_addr)) {
        struct sockaddr_in ip4;
        memset(&ip4, 0, sizeof ip4);
        ip4.sin_family = AF_INET;
        ip4.sin_port = end->ip6.sin6_port;
        memcpy(&ip4.sin_addr, end->ip6.sin6_addr.s6_addr + 12, sizeof ip4.sin_addr);
        end->ip4 = ip4;
    }
}

/*
 * Ask for the socket whose own end is `own`, and whose peer is `peer` (NULL: that listens).
 * 0, or an errno: ENOENT when there is no such socket.
 */
static int ask(fer__fd netlink, const name *own, const name *peer, uint32_t *uid, uint32_t *inode) {
    question ask;
    union {
        struct nlmsghdr head;
        unsigned char room[1024];
    } answer;
    const struct inet_diag_msg *found;
    ssize_t got;
    memset(&ask, 0, sizeof ask);
    ask.head.nlmsg_len = sizeof ask;
    ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.head.nlmsg_flags = NLM_F_REQUEST;
    put_end(own, &ask.body.sdiag_family, ask.body.id.idiag_src, &ask.body.id.idiag_sport);
    if (peer != NULL)
        put_end(peer, &ask.body.sdiag_family, ask.body.id.idiag_dst, &ask.body.id.idiag_dport);
    ask.body.sdiag_protocol = IPPROTO_TCP;
    ask.body.idiag_states = UINT32_MAX;
    ask.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    ask.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (send(netlink, &ask, sizeof ask, 0) != (ssize_t)sizeof ask)
        return errno;
    do {
        /* The kernel answers before send(2) returns. */
        got = recv(netlink, &answer, sizeof answer, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno;
    if ((size_t)got < sizeof answer.head || !NLMSG_OK(&answer.head, (unsigned)got))
        return EPROTO;
    if (answer.head.nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(&answer.head);
        return error->error == 0 ? EPROTO : -error->error;
    }
    if (answer.head.nlmsg_len < NLMSG_LENGTH(sizeof *found))
        return EPROTO;
    found = NLMSG_DATA(&answer.head);
    *uid = found->idiag_uid;
    /* One that only tries to connect from there is another one, and came after the peer had gone. */
    *inode = found->idiag_state == TCP_SYN_SENT ? 0 : found->idiag_inode;
    return 0;
}

/* Whose socket is at the other end: 0 and a user, ENOENT when it is nobody's, or another errno. */
static int ask_peer(fer__fd netlink, const name *own, const name *peer, int listener,
                    uint32_t *uid) {
    uint32_t inode = 0;
    int number = ask(netlink, peer, own, uid, &inode);
    if (number == 0 && inode != 0)
        return 0;
    if (number == 0)
        number = ENOENT;
    if (number != ENOENT || !listener)
        return number;
    /* Not accepted yet: whose the listener is, the connection will be. */
    number = ask(netlink, peer, NULL, uid, &inode);
    if (number == 0 && inode != 0)
        return 0;
    /* It may have accepted, and stopped to listen, between the two questions. */
    number = ask(netlink, peer, own, uid, &inode);
    return number == 0 && inode == 0 ? ENOENT : number;
}

/* Whether nobody can ask here, or only this once: then who is there may not be taken for a friend. */
static fer_status no_answer(int number) {
    if (number == EMFILE || number == ENFILE || number == ENOMEM)
        return fer__fail_plain(fer__status_from_errno(number));
    if (number == ENOBUFS || number == EAGAIN || number == EINTR)
        return fer__fail(FER_ENOMEM, "the system had no room to tell who is at the other end");
    return fer__fail(FER_ENOTSUP, "the system does not tell who is at the other end");
}

static fer_status find_user(fer__fd netlink, fer__fd fd, int listener, uint32_t *uid) {
    name own;
    name peer;
    socklen_t size = sizeof own;
    uint32_t inode = 0;
    uint32_t ignored = 0;
    int number;
    memset(&own, 0, sizeof own);
    memset(&peer, 0, sizeof peer);
    if (getsockname(fd, &own.any, &size) != 0)
        return fer__fail_plain(fer__status_from_errno(errno));
    size = sizeof peer;
    if (getpeername(fd, &peer.any, &size) != 0)
        return errno == ENOTCONN
                   ? fer__fail(FER_EACCES, "the peer is gone: nobody can tell who it was")
                   : fer__fail_plain(fer__status_from_errno(errno));
    unmap(&own);
    unmap(&peer);
    number = ask_peer(netlink, &own, &peer, listener, uid);
    if (number == 0)
        return FER_OK;
    /* Where the kernel does not find this side's socket either, it does not tell. */
    if (number == ENOENT) {
        number = ask(netlink, &own, &peer, &ignored, &inode);
        if (number == 0)
            return fer__fail(FER_EACCES, "the peer has closed: nobody can tell who it was");
    }
    return no_answer(number);
}

fer_status fer__os_tcp_user(fer__fd fd, int listener, uint32_t *uid) {
    int saved = errno;
    fer__fd netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    fer_status status;
    if (netlink < 0) {
        status = no_answer(errno);
    } else {
        status = find_user(netlink, fd, listener, uid);
        close(netlink);
    }
    errno = saved;
    return status;
}

#else

fer_status fer__os_tcp_user(fer__fd fd, int listener, uint32_t *uid) {
    (void)fd;
    (void)listener;
    (void)uid;
    return fer__fail(FER_ENOTSUP, "the system does not tell who is at the other end");
}

#endif

uint32_t fer__os_own_user(void) {
    return (uint32_t)geteuid();
}
