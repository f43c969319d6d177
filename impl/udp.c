#include <string.h>

#include "handle.h"
#include "mem.h"
#include "status.h"

enum { RECEIVE_BATCH = 32 }; /* datagrams in one turn, so that other handles get theirs */

/** A datagram that the kernel has not taken. */
typedef struct fer__mail {
    int has_address;
    fer__inet address;
    size_t size;  /**< in bytes */
    size_t count; /**< pieces */
    /** Where the bytes are: with their owner until the callback, or, in one piece, behind this. */
    struct iovec parts[];
} fer__mail;

/** A send that waits, or whose callback does. A node of the pool. */
typedef struct fer__outgoing {
    fer__link link;
    fer_udp_cb cb;
    void *user;
    fer__mail *mail; /**< while it waits */
    fer_status status;
} fer__outgoing;

_Static_assert(sizeof(fer__outgoing) <= sizeof(fer__node), "a send is a node");

fer_status fer__udp_new(fer_loop *loop, uint32_t flags, fer_handle **out) {
    fer__udp *udp = fer__zalloc(sizeof *udp);
    fer_status status;
    if (udp == NULL)
        return fer__fail_plain(FER_ENOMEM);
    fer__link_init(&udp->waiting);
    fer__link_init(&udp->done);
    status = fer__inet_new(loop, FER_KIND_UDP, flags, out);
    if (status != FER_OK) {
        fer__free(udp);
        return status;
    }
    (*out)->udp = udp;
    return FER_OK;
}

static fer_status watch(fer_handle *udp) {
    uint32_t events = 0;
    if (udp->in.cb != NULL)
        events |= FER__WAIT_READ;
    if (!fer__link_alone(&udp->udp->waiting))
        events |= FER__WAIT_WRITE;
    return fer__io_want(&udp->io, events);
}

/* A socket of the address's family, unless there is one. The system binds it when it is used. */
static fer_status make_socket(fer_handle *udp, const fer__inet *address) {
    fer_status status;
    if (udp->phase != FER__PHASE_NEW)
        return FER_OK;
    status = udp->io.fd != FER__NO_FD ? FER_OK : fer__os_socket_inet(address, 1, &udp->io.fd);
    if (status == FER_OK)
        udp->phase = FER__PHASE_BOUND;
    return status;
}

fer_status fer__udp_bind(fer_handle *udp, const char *host, uint16_t port, uint32_t flags) {
    int had_socket = udp->io.fd != FER__NO_FD;
    fer__inet address;
    fer_status status = fer__os_inet_parse(host, port, &address);
    if (status != FER_OK)
        return status;
    if (udp->phase != FER__PHASE_NEW)
        return fer__fail(FER_EINVAL, "the handle is bound already");
    status = make_socket(udp, &address);
    if (status == FER_OK)
        status = fer__os_bind_inet(udp->io.fd, &address, 1, flags);
    if (status == FER_OK)
        return FER_OK;
    if (!had_socket) {
        fer__os_close(udp->io.fd);
        udp->io.fd = FER__NO_FD;
    }
    udp->phase = FER__PHASE_NEW;
    return status;
}

fer_status fer__udp_connect(fer_handle *udp, const char *host, uint16_t port) {
    fer__inet address;
    fer_status status;
    if (host == NULL) {
        if (!udp->udp->connected)
            return fer__fail_plain(FER_ENOTCONN);
        udp->udp->connected = 0;
        return fer__os_disconnect_inet(udp->io.fd);
    }
    if (udp->udp->connected)
        return fer__fail_plain(FER_EISCONN);
    status = fer__os_inet_parse(host, port, &address);
    if (status == FER_OK)
        status = make_socket(udp, &address);
    if (status == FER_OK)
        status = fer__os_connect_inet(udp->io.fd, &address);
    udp->udp->connected = status == FER_OK;
    return status;
}

/* Sending. */

static size_t size_of(const struct iovec *iov, size_t count) {
    size_t size = 0;
    while (count-- > 0)
        size += iov[count].iov_len;
    return size;
}

/* Put a datagram by. Without a callback its bytes are copied; with one they stay where they are. */
static fer__mail *put_by(const struct iovec *iov, size_t count, const fer__inet *address,
                         int copies) {
    size_t size = size_of(iov, count);
    size_t pieces = copies ? 1 : count;
    size_t start = sizeof(fer__mail) + pieces * sizeof *iov;
    fer__mail *mail = fer__malloc(start + (copies ? size : 0));
    size_t i;
    if (mail == NULL)
        return NULL;
    mail->has_address = address != NULL;
    if (address != NULL)
        mail->address = *address;
    mail->size = size;
    mail->count = pieces;
    if (copies) {
        mail->parts[0].iov_base = (unsigned char *)mail + start;
        mail->parts[0].iov_len = 0;
    }
    for (i = 0; i < count; i++) {
        if (!copies) {
            mail->parts[i] = iov[i];
        } else if (iov[i].iov_len > 0) {
            memcpy((unsigned char *)mail->parts[0].iov_base + mail->parts[0].iov_len,
                   iov[i].iov_base, iov[i].iov_len);
            mail->parts[0].iov_len += iov[i].iov_len;
        }
    }
    return mail;
}

static void finish(fer_handle *udp, fer__outgoing *outgoing, fer_status status) {
    fer__free(outgoing->mail);
    outgoing->mail = NULL;
    outgoing->status = status;
    fer__link_append(&udp->udp->done, &outgoing->link);
    fer__object_due(&udp->object);
}

/* The kernel has no room: wait until it has. */
static fer_status keep(fer_handle *udp, fer__outgoing *outgoing, const struct iovec *iov,
                       size_t count, const fer__inet *address) {
    fer_status status;
    outgoing->mail = put_by(iov, count, address, outgoing->cb == NULL);
    if (outgoing->mail == NULL)
        return FER_ENOMEM;
    fer__link_append(&udp->udp->waiting, &outgoing->link);
    status = watch(udp);
    if (status == FER_OK) {
        udp->udp->queued += outgoing->mail->size;
        udp->udp->count++;
        return FER_OK;
    }
    fer__link_remove(&outgoing->link);
    fer__free(outgoing->mail);
    return status;
}

/* Send now, or keep what must wait. */
static fer_status send_or_keep(fer_handle *udp, const struct iovec *iov, size_t count,
                               const fer__inet *address, int try, fer_udp_cb cb, void *user) {
    fer__pool *pool = &udp->object.loop->pool;
    fer__outgoing *outgoing = NULL;
    fer_status status = FER_EAGAIN;
    /* Before anything is sent: afterwards there is no way back. */
    if (!try) {
        outgoing = fer__pool_node(pool);
        if (outgoing == NULL)
            return fer__fail_plain(FER_ENOMEM);
        outgoing->cb = cb;
        outgoing->user = user;
        outgoing->mail = NULL;
    }
    if (fer__link_alone(&udp->udp->waiting))
        status = fer__os_send_to(udp->io.fd, iov, count, address);
    if (status == FER_EAGAIN && outgoing != NULL) {
        status = keep(udp, outgoing, iov, count, address);
        if (status == FER_OK)
            return FER_OK;
    } else if (status == FER_OK && outgoing != NULL && cb != NULL) {
        finish(udp, outgoing, FER_OK);
        return FER_OK;
    }
    if (outgoing != NULL)
        fer__pool_give_node(pool, outgoing);
    return status == FER_OK ? FER_OK : fer__fail_plain(status);
}

fer_status fer__udp_send(fer_handle *udp, const fer_bytes *parts, size_t count, const char *host,
                         uint16_t port, int try, fer_udp_cb cb, void *user) {
    struct iovec room[FER__PARTS_ON_STACK];
    struct iovec *iov;
    fer__inet address;
    fer_status status = FER_OK;
    if (host == NULL && !udp->udp->connected)
        return fer__fail_plain(FER_EDESTADDRREQ);
    if (host != NULL && udp->udp->connected)
        return fer__fail_plain(FER_EISCONN);
    if (host != NULL)
        status = fer__os_inet_parse(host, port, &address);
    if (status == FER_OK && host != NULL)
        status = make_socket(udp, &address);
    if (status != FER_OK)
        return status;
    iov = fer__to_iovec(parts, count, room);
    if (iov == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = send_or_keep(udp, iov, count, host != NULL ? &address : NULL, try, cb, user);
    if (iov != room)
        fer__free(iov);
    return status;
}

static void send_waiting(fer_handle *udp) {
    while (!fer__link_alone(&udp->udp->waiting)) {
        fer__outgoing *first = FER__CONTAINER(udp->udp->waiting.next, fer__outgoing, link);
        const fer__mail *mail = first->mail;
        fer_status status = fer__os_send_to(udp->io.fd, mail->parts, mail->count,
                                            mail->has_address ? &mail->address : NULL);
        if (status == FER_EAGAIN)
            return;
        udp->udp->queued -= mail->size;
        udp->udp->count--;
        fer__link_remove(&first->link);
        finish(udp, first, status);
    }
}

void fer__udp_run(fer_handle *udp) {
    fer__pool *pool = &udp->object.loop->pool;
    fer__link done;
    int closing = udp->object.state != FER__OPEN;
    fer__link_move_all(&udp->udp->done, &done);
    while (!fer__link_alone(&done) || (closing && !fer__link_alone(&udp->udp->waiting))) {
        fer__link *list = !fer__link_alone(&done) ? &done : &udp->udp->waiting;
        fer__outgoing *first = FER__CONTAINER(list->next, fer__outgoing, link);
        fer_status status = list == &done ? first->status : FER_ECANCELED;
        fer_udp_cb cb = first->cb;
        void *user = first->user;
        fer__link_remove(&first->link);
        fer__free(first->mail);
        fer__pool_give_node(pool, first);
        if (cb == NULL)
            continue;
        if (status != FER_OK)
            fer__fail_plain(status);
        cb(udp, status, user);
    }
}

/* Receiving. */

static void call_receiver(fer_handle *udp, fer_status status, const fer_datagram *datagram) {
    fer_datagram_cb cb = (fer_datagram_cb)udp->in.cb;
    void *user = udp->in.user;
    fer__frame frame;
    fer__callback_enter(&udp->in, &frame);
    if (status == FER_ENOMEM || status == FER_EBADF)
        fer__callback_retire(&udp->in);
    if (status != FER_OK)
        fer__fail_plain(status);
    cb(udp, status, datagram, user);
    fer__callback_leave(&udp->in, &frame);
}

static void receive_more(fer_handle *udp) {
    uint8_t *buffer = fer__pool_read_buffer(&udp->object.loop->pool);
    int i;
    if (buffer == NULL) {
        call_receiver(udp, FER_ENOMEM, NULL);
        return;
    }
    for (i = 0; i < RECEIVE_BATCH && udp->in.cb != NULL && udp->object.state == FER__OPEN; i++) {
        char host[FER__HOST_MAX];
        fer_datagram datagram = {buffer, 0, host, 0, 0};
        fer__inet sender;
        int partial = 0;
        fer_status status = fer__os_recv_from(udp->io.fd, buffer, FER__READ_SIZE, &datagram.size,
                                              &sender, &partial);
        if (status == FER_EAGAIN)
            return;
        if (status == FER_OK) {
            fer__os_inet_text(&sender, host, &datagram.port);
            datagram.flags = partial ? FER_DATAGRAM_PARTIAL : 0;
        }
        call_receiver(udp, status, status == FER_OK ? &datagram : NULL);
    }
}

void fer__udp_ready(fer_handle *udp, uint32_t events) {
    fer_status status;
    if ((events & FER__WAIT_WRITE) != 0)
        send_waiting(udp);
    if ((events & FER__WAIT_READ) != 0 && udp->in.cb != NULL)
        receive_more(udp);
    if (udp->object.state != FER__OPEN)
        return;
    status = watch(udp);
    if (status != FER_OK && udp->in.cb != NULL)
        call_receiver(udp, status, NULL);
}

/* A socket that was made with its family is bound in that. */
static fer_status bind_anywhere(fer_handle *udp) {
    char host[FER__HOST_MAX] = "0.0.0.0";
    uint16_t port = 0;
    fer_status status = FER_OK;
    if (udp->io.fd != FER__NO_FD)
        status = fer__os_inet_name(udp->io.fd, 0, host, &port);
    return status == FER_OK ? fer__udp_bind(udp, host, 0, 0) : status;
}

fer_status fer__udp_receive_start(fer_handle *udp, fer_datagram_cb cb, void *user,
                                  fer_finalizer finalizer) {
    fer_status status = FER_OK;
    if (udp->in.cb != NULL)
        status = fer__fail_plain(FER_EALREADY);
    if (status == FER_OK && udp->phase == FER__PHASE_NEW)
        status = bind_anywhere(udp);
    if (status != FER_OK)
        return fer__callback_refuse(status, user, finalizer);
    fer__callback_set(&udp->in, (void (*)(void))cb, user, finalizer);
    status = watch(udp);
    if (status != FER_OK)
        fer__callback_retire(&udp->in);
    return status;
}

fer_status fer__udp_receive_stop(fer_handle *udp) {
    fer__callback_retire(&udp->in);
    return udp->io.fd == FER__NO_FD ? FER_OK : watch(udp);
}

/* Options. */

fer_status fer__udp_set_membership(fer_handle *udp, const char *group, const char *local,
                                   int join) {
    fer__inet to;
    fer__inet at;
    fer_status status = fer__os_inet_parse(group, 0, &to);
    if (status == FER_OK && local != NULL)
        status = fer__os_inet_parse(local, 0, &at);
    return status == FER_OK ? fer__os_udp_group(udp->io.fd, &to, local != NULL ? &at : NULL, join)
                            : status;
}

fer_status fer__udp_set_multicast_interface(fer_handle *udp, const char *local) {
    fer__inet at;
    fer_status status = local != NULL ? fer__os_inet_parse(local, 0, &at) : FER_OK;
    return status == FER_OK ? fer__os_udp_interface(udp->io.fd, local != NULL ? &at : NULL)
                            : status;
}
