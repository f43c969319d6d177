#include "ferrule/tcp.h"

#include "check.h"

/* The flags of the operating system layer have the values of the ABI's. */
_Static_assert(FER_BIND_IPV6_ONLY == (unsigned)FER__INET_IPV6_ONLY, "flags");
_Static_assert(FER_BIND_REUSE_PORT == (unsigned)FER__INET_REUSE_PORT, "flags");
_Static_assert(FER_HOST_MAX == (unsigned)FER__HOST_MAX, "host");

static fer_status check_tcp(const fer_handle *handle) {
    FER__TRY(fer__check_handle(handle));
    if (handle->kind != FER_KIND_TCP)
        return fer__fail(FER_EKIND, "the handle is no TCP socket");
    return FER_OK;
}

static fer_status check_open_tcp(const fer_handle *handle) {
    FER__TRY(check_tcp(handle));
    return fer__check_fd(handle);
}

static fer_status check_inet(const fer_handle *handle) {
    FER__TRY(fer__check_handle(handle));
    if (handle->kind != FER_KIND_TCP && handle->kind != FER_KIND_UDP)
        return fer__fail(FER_EKIND, "the handle is no TCP or UDP socket");
    return fer__check_fd(handle);
}

fer_status fer_tcp_new(fer_loop *loop, uint32_t flags, fer_handle **handle) {
    FER__TRY(FER__REQUIRE(handle != NULL, "handle"));
    *handle = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(fer__check_family(flags));
    return fer__inet_new(loop, FER_KIND_TCP, flags, handle);
}

fer_status fer_tcp_bind(fer_handle *tcp, const char *host, uint16_t port, uint32_t flags) {
    FER__TRY(check_tcp(tcp));
    FER__TRY(FER__REQUIRE(host != NULL, "host"));
    FER__TRY(FER__REQUIRE((flags & ~(FER_BIND_IPV6_ONLY | FER_BIND_REUSE_PORT)) == 0, "flags"));
    return fer__tcp_bind(tcp, host, port, flags);
}

fer_status fer_tcp_connect(fer_handle *tcp, const char *host, uint16_t port, fer_stream_cb cb,
                           void *user) {
    FER__TRY(check_tcp(tcp));
    FER__TRY(FER__REQUIRE(host != NULL, "host"));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    return fer__tcp_connect(tcp, host, port, cb, user);
}

fer_status fer_tcp_open(fer_handle *tcp, fer_fd fd) {
    FER__TRY(check_tcp(tcp));
    FER__TRY(fer__check_fd_number(fd));
    return fer__handle_open(tcp, (fer__fd)fd);
}

fer_status fer_tcp_nodelay(fer_handle *tcp, int enable) {
    FER__TRY(check_open_tcp(tcp));
    return fer__os_tcp_nodelay(tcp->io.fd, enable != 0);
}

fer_status fer_tcp_keepalive(fer_handle *tcp, int enable, uint32_t delay_s) {
    FER__TRY(check_open_tcp(tcp));
    FER__TRY(FER__REQUIRE(delay_s <= INT32_MAX, "delay_s"));
    return fer__os_tcp_keepalive(tcp->io.fd, enable != 0, delay_s);
}

fer_status fer_tcp_simultaneous_accepts(fer_handle *tcp, int enable) {
    (void)enable;
    return check_tcp(tcp);
}

fer_status fer_inet_getsockname(const fer_handle *handle, char host[FER_HOST_MAX], uint16_t *port) {
    FER__TRY(check_inet(handle));
    FER__TRY(FER__REQUIRE(host != NULL && port != NULL, "host or port"));
    return fer__os_inet_name(handle->io.fd, 0, host, port);
}

fer_status fer_inet_getpeername(const fer_handle *handle, char host[FER_HOST_MAX], uint16_t *port) {
    FER__TRY(check_inet(handle));
    FER__TRY(FER__REQUIRE(host != NULL && port != NULL, "host or port"));
    return fer__os_inet_name(handle->io.fd, 1, host, port);
}
