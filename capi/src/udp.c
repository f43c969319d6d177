#include "ferrule/udp.h"

#include "check.h"

static fer_status check_udp(const fer_handle *handle) {
    FER__TRY(fer__check_handle(handle));
    if (handle->kind != FER_KIND_UDP)
        return fer__fail(FER_EKIND, "the handle is no UDP socket");
    return FER_OK;
}

static fer_status check_open_udp(const fer_handle *handle) {
    FER__TRY(check_udp(handle));
    return fer__check_fd(handle);
}

fer_status fer_udp_new(fer_loop *loop, uint32_t flags, fer_handle **handle) {
    FER__TRY(FER__REQUIRE(handle != NULL, "handle"));
    *handle = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(fer__check_family(flags));
    return fer__udp_new(loop, flags, handle);
}

fer_status fer_udp_bind(fer_handle *udp, const char *host, uint16_t port, uint32_t flags) {
    FER__TRY(check_udp(udp));
    FER__TRY(FER__REQUIRE(host != NULL, "host"));
    FER__TRY(FER__REQUIRE((flags & ~(FER_BIND_IPV6_ONLY | FER_BIND_REUSE_PORT)) == 0, "flags"));
    return fer__udp_bind(udp, host, port, flags);
}

fer_status fer_udp_connect(fer_handle *udp, const char *host, uint16_t port) {
    FER__TRY(check_udp(udp));
    return fer__udp_connect(udp, host, port);
}

fer_status fer_udp_open(fer_handle *udp, fer_fd fd) {
    FER__TRY(check_udp(udp));
    FER__TRY(fer__check_fd_number(fd));
    return fer__handle_open(udp, (fer__fd)fd);
}

fer_status fer_udp_send(fer_handle *udp, const fer_bytes *parts, size_t count, const char *host,
                        uint16_t port, fer_udp_cb cb, void *user) {
    FER__TRY(check_udp(udp));
    FER__TRY(fer__check_parts(parts, count));
    return fer__udp_send(udp, parts, count, host, port, 0, cb, user);
}

fer_status fer_udp_try_send(fer_handle *udp, const fer_bytes *parts, size_t count, const char *host,
                            uint16_t port) {
    FER__TRY(check_udp(udp));
    FER__TRY(fer__check_parts(parts, count));
    return fer__udp_send(udp, parts, count, host, port, 1, NULL, NULL);
}

static int is_open_udp(const fer_handle *handle) {
    return handle != NULL && handle->udp != NULL && handle->object.state == FER__OPEN;
}

size_t fer_udp_send_queue_size(const fer_handle *udp) {
    return is_open_udp(udp) ? udp->udp->queued : 0;
}

size_t fer_udp_send_queue_count(const fer_handle *udp) {
    return is_open_udp(udp) ? udp->udp->count : 0;
}

fer_status fer_udp_receive_start(fer_handle *udp, fer_datagram_cb cb, void *user,
                                 fer_finalizer finalizer) {
    FER__TRY_REGISTER(check_udp(udp), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    return fer__udp_receive_start(udp, cb, user, finalizer);
}

fer_status fer_udp_receive_stop(fer_handle *udp) {
    FER__TRY(check_udp(udp));
    return fer__udp_receive_stop(udp);
}

fer_status fer_udp_set_membership(fer_handle *udp, const char *group, const char *local,
                                  fer_membership membership) {
    FER__TRY(check_open_udp(udp));
    FER__TRY(FER__REQUIRE(group != NULL, "group"));
    FER__TRY(
        FER__REQUIRE(membership == FER_JOIN_GROUP || membership == FER_LEAVE_GROUP, "membership"));
    return fer__udp_set_membership(udp, group, local, membership == FER_JOIN_GROUP);
}

fer_status fer_udp_set_multicast_interface(fer_handle *udp, const char *local) {
    FER__TRY(check_open_udp(udp));
    return fer__udp_set_multicast_interface(udp, local);
}

fer_status fer_udp_set_multicast_loop(fer_handle *udp, int enable) {
    FER__TRY(check_open_udp(udp));
    return fer__os_udp_set(udp->io.fd, FER__UDP_MULTICAST_LOOP, enable != 0);
}

fer_status fer_udp_set_multicast_ttl(fer_handle *udp, int32_t ttl) {
    FER__TRY(check_open_udp(udp));
    FER__TRY(FER__REQUIRE(ttl >= 0 && ttl <= 255, "ttl"));
    return fer__os_udp_set(udp->io.fd, FER__UDP_MULTICAST_TTL, ttl);
}

fer_status fer_udp_set_ttl(fer_handle *udp, int32_t ttl) {
    FER__TRY(check_open_udp(udp));
    FER__TRY(FER__REQUIRE(ttl >= 1 && ttl <= 255, "ttl"));
    return fer__os_udp_set(udp->io.fd, FER__UDP_TTL, ttl);
}

fer_status fer_udp_set_broadcast(fer_handle *udp, int enable) {
    FER__TRY(check_open_udp(udp));
    return fer__os_udp_set(udp->io.fd, FER__UDP_BROADCAST, enable != 0);
}
