#include "handle.h"
#include "status.h"

static fer_status make_socket(fer_handle *tcp, const fer__inet *address) {
    if (tcp->phase == FER__PHASE_CONNECTING)
        return fer__fail_plain(FER_EALREADY);
    if (tcp->phase == FER__PHASE_CONNECTED)
        return fer__fail_plain(FER_EISCONN);
    if (tcp->phase == FER__PHASE_FAILED)
        return fer__fail(FER_EINVAL, "the handle failed to connect: use a new one");
    if (tcp->phase == FER__PHASE_BOUND)
        return FER_OK;
    if (tcp->phase != FER__PHASE_NEW)
        return fer__fail(FER_EINVAL, "the handle listens");
    if (tcp->io.fd != FER__NO_FD)
        return FER_OK;
    return fer__os_socket_inet(address, 0, &tcp->io.fd);
}

/* A handle that was new before becomes so again; one that was made with its socket keeps it. */
static fer_status undo_socket(fer_handle *tcp, int had_socket, fer_status status) {
    if (tcp->phase != FER__PHASE_NEW || had_socket)
        return status;
    fer__os_close(tcp->io.fd);
    tcp->io.fd = FER__NO_FD;
    return status;
}

fer_status fer__tcp_bind(fer_handle *tcp, const char *host, uint16_t port, uint32_t flags) {
    int had_socket = tcp->io.fd != FER__NO_FD;
    fer__inet address;
    fer_status status = fer__os_inet_parse(host, port, &address);
    if (status == FER_OK && tcp->phase == FER__PHASE_BOUND)
        status = fer__fail(FER_EINVAL, "the handle is bound already");
    if (status == FER_OK)
        status = make_socket(tcp, &address);
    if (status != FER_OK)
        return status;
    status = fer__os_bind_inet(tcp->io.fd, &address, 0, flags);
    if (status != FER_OK)
        return undo_socket(tcp, had_socket, status);
    tcp->phase = FER__PHASE_BOUND;
    return FER_OK;
}

fer_status fer__tcp_connect(fer_handle *tcp, const char *host, uint16_t port, fer_stream_cb cb,
                            void *user) {
    int had_socket = tcp->io.fd != FER__NO_FD;
    fer__inet address;
    fer_status status = fer__os_inet_parse(host, port, &address);
    if (status == FER_OK)
        status = make_socket(tcp, &address);
    if (status != FER_OK)
        return status;
    status = fer__os_connect_inet(tcp->io.fd, &address);
    if (status == FER_EAFNOSUPPORT || status == FER_EINVAL)
        return undo_socket(tcp, had_socket, status);
    if (status != FER_OK && status != FER_EALREADY)
        undo_socket(tcp, had_socket, status);
    tcp->phase = FER__PHASE_CONNECTING;
    tcp->broken = status;
    tcp->once.cb = cb;
    tcp->once.user = user;
    if (status != FER_EALREADY) {
        fer__object_due(&tcp->object);
        return FER_OK;
    }
    status = fer__stream_watch(tcp);
    if (status != FER_OK) {
        tcp->broken = status;
        fer__object_due(&tcp->object);
    }
    return FER_OK;
}
