/* UDP sockets: multicast groups, how far datagrams go, broadcast. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"

#define GROUP "239.255.77.77"
#define HERE  "127.0.0.1"

typedef struct came {
    size_t count;
    char last[64];
} came;

static void on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                        void *user) {
    came *to = user;
    (void)udp;
    assert_int_equal(status, FER_OK);
    assert_true(datagram->size < sizeof to->last);
    memcpy(to->last, datagram->data, datagram->size);
    to->last[datagram->size] = '\0';
    to->count++;
}

static int option_of(const fer_handle *udp, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    fer_fd fd = -1;
    assert_int_equal(fer_handle_fileno(udp, &fd), FER_OK);
    assert_int_equal(getsockopt((int)fd, level, option, &value, &size), 0);
    /* Some systems have a byte here. */
    return size == 1 ? *(unsigned char *)&value : value;
}

static fer_handle *bound(fer_loop *loop, const char *host) {
    fer_handle *udp = NULL;
    assert_int_equal(fer_udp_new(loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, host, 0, 0), FER_OK);
    return udp;
}

static void a_group_is_joined_and_left(void **state) {
    fer_loop *loop = NULL;
    came got = {0};
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    fer_bytes part = piece("all", 3);
    fer_bytes end = piece("one", 3);
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *member = bound(loop, "0.0.0.0");
    fer_handle *sender = bound(loop, HERE);
    assert_int_equal(fer_inet_getsockname(member, host, &port), FER_OK);
    assert_int_equal(fer_udp_receive_start(member, on_datagram, &got, NULL), FER_OK);
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_LEAVE_GROUP),
                     FER_EADDRNOTAVAIL);
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_JOIN_GROUP), FER_OK);
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_JOIN_GROUP), FER_EADDRINUSE);
    assert_int_equal(fer_udp_set_multicast_interface(sender, HERE), FER_OK);
    assert_int_equal(fer_udp_send(sender, &part, 1, GROUP, port, NULL, NULL), FER_OK);
    run_until_count(loop, &got.count, 1);
    assert_string_equal(got.last, "all");
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_LEAVE_GROUP), FER_OK);
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_LEAVE_GROUP),
                     FER_EADDRNOTAVAIL);
    fer_handle_unref(member);
    fer_handle_unref(sender);

    /* Who is bound to the group's own address gets what is sent to it only while a member. */
    member = bound(loop, GROUP);
    sender = bound(loop, HERE);
    assert_int_equal(fer_inet_getsockname(member, host, &port), FER_OK);
    assert_int_equal(fer_udp_receive_start(member, on_datagram, &got, NULL), FER_OK);
    assert_int_equal(fer_udp_set_multicast_interface(sender, HERE), FER_OK);
    assert_int_equal(fer_udp_send(sender, &part, 1, GROUP, port, NULL, NULL), FER_OK);
    assert_int_equal(fer_udp_set_membership(member, GROUP, HERE, FER_JOIN_GROUP), FER_OK);
    assert_int_equal(fer_udp_send(sender, &end, 1, GROUP, port, NULL, NULL), FER_OK);
    run_until_count(loop, &got.count, 2);
    assert_string_equal(got.last, "one");
    fer_handle_unref(member);
    fer_handle_unref(sender);
    end_loop(loop);
}

static void numbers_reach_the_socket(void **state) {
    fer_loop *loop = NULL;
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *udp = bound(loop, HERE);
    assert_int_equal(fer_udp_set_ttl(udp, 7), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IP, IP_TTL), 7);
    assert_int_equal(fer_udp_set_multicast_ttl(udp, 0), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IP, IP_MULTICAST_TTL), 0);
    assert_int_equal(fer_udp_set_multicast_ttl(udp, 255), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IP, IP_MULTICAST_TTL), 255);
    assert_int_equal(fer_udp_set_multicast_loop(udp, 0), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    assert_int_equal(fer_udp_set_multicast_loop(udp, 1), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    assert_int_equal(option_of(udp, SOL_SOCKET, SO_BROADCAST), 0);
    assert_int_equal(fer_udp_set_broadcast(udp, 1), FER_OK);
    assert_int_not_equal(option_of(udp, SOL_SOCKET, SO_BROADCAST), 0);
    assert_int_equal(fer_udp_set_broadcast(udp, 0), FER_OK);
    assert_int_equal(option_of(udp, SOL_SOCKET, SO_BROADCAST), 0);
    fer_handle_unref(udp);
    end_loop(loop);
}

/* Without leave, the system lets nobody send to everybody. */
static void broadcasting_takes_leave(void **state) {
    fer_loop *loop = NULL;
    came got = {0};
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    fer_bytes part = piece("every", 5);
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *receiver = bound(loop, "0.0.0.0");
    fer_handle *sender = bound(loop, HERE);
    assert_int_equal(fer_inet_getsockname(receiver, host, &port), FER_OK);
    assert_int_equal(fer_udp_receive_start(receiver, on_datagram, &got, NULL), FER_OK);
    assert_int_equal(fer_udp_send(sender, &part, 1, "127.255.255.255", port, NULL, NULL),
                     FER_EACCES);
    assert_int_equal(fer_udp_set_broadcast(sender, 1), FER_OK);
    assert_int_equal(fer_udp_send(sender, &part, 1, "127.255.255.255", port, NULL, NULL), FER_OK);
    run_until_count(loop, &got.count, 1);
    assert_string_equal(got.last, "every");
    fer_handle_unref(receiver);
    fer_handle_unref(sender);
    end_loop(loop);
}

static void ipv6_has_its_own_options(void **state) {
    fer_loop *loop = NULL;
    fer_handle *udp = NULL;
    char zone[IF_NAMESIZE + 4];
    unsigned index = if_nametoindex("lo");
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_udp_new(loop, 0, &udp), FER_OK);
    if (index == 0 || fer_udp_bind(udp, "::", 0, 0) != FER_OK) {
        fer_handle_unref(udp);
        end_loop(loop);
        print_message("there is no IPv6, or no interface lo, here\n");
        skip();
    }
    snprintf(zone, sizeof zone, "::%%%s", "lo");
    assert_int_equal(fer_udp_set_ttl(udp, 7), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 7);
    assert_int_equal(fer_udp_set_multicast_ttl(udp, 9), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 9);
    assert_int_equal(fer_udp_set_multicast_loop(udp, 0), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
    assert_int_equal(fer_udp_set_multicast_interface(udp, zone), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IPV6, IPV6_MULTICAST_IF), index);
    assert_int_equal(fer_udp_set_multicast_interface(udp, NULL), FER_OK);
    assert_int_equal(option_of(udp, IPPROTO_IPV6, IPV6_MULTICAST_IF), 0);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::7777", zone, FER_JOIN_GROUP), FER_OK);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::7777%lo", NULL, FER_JOIN_GROUP),
                     FER_EADDRINUSE);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::7777%lo", NULL, FER_LEAVE_GROUP), FER_OK);
    assert_int_equal(fer_udp_set_membership(udp, GROUP, NULL, FER_JOIN_GROUP), FER_EAFNOSUPPORT);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::7777", HERE, FER_JOIN_GROUP),
                     FER_EAFNOSUPPORT);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::7777", "::%9999", FER_JOIN_GROUP),
                     FER_ENODEV);
    assert_int_equal(fer_udp_set_multicast_interface(udp, HERE), FER_EAFNOSUPPORT);
    fer_handle_unref(udp);
    end_loop(loop);
}

static void bad_arguments(void **state) {
    fer_loop *loop = NULL;
    fer_handle *closed = NULL;
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *udp = bound(loop, HERE);
    assert_int_equal(fer_udp_new(loop, 0, &closed), FER_OK);
    /* Not open yet. */
    assert_int_equal(fer_udp_set_membership(closed, GROUP, NULL, FER_JOIN_GROUP), FER_EBADF);
    assert_int_equal(fer_udp_set_multicast_interface(closed, HERE), FER_EBADF);
    assert_int_equal(fer_udp_set_multicast_loop(closed, 1), FER_EBADF);
    assert_int_equal(fer_udp_set_multicast_ttl(closed, 1), FER_EBADF);
    assert_int_equal(fer_udp_set_ttl(closed, 1), FER_EBADF);
    assert_int_equal(fer_udp_set_broadcast(closed, 1), FER_EBADF);
    assert_int_equal(fer_udp_set_membership(udp, NULL, NULL, FER_JOIN_GROUP), FER_EINVAL);
    assert_int_equal(fer_udp_set_membership(udp, GROUP, HERE, (fer_membership)2), FER_EINVAL);
    assert_int_equal(fer_udp_set_membership(udp, "all", HERE, FER_JOIN_GROUP), FER_EADDRESS);
    assert_int_equal(fer_udp_set_membership(udp, GROUP, "lo", FER_JOIN_GROUP), FER_EADDRESS);
    assert_int_equal(fer_udp_set_membership(udp, HERE, HERE, FER_JOIN_GROUP), FER_EINVAL);
    assert_int_equal(fer_udp_set_membership(udp, "ff01::1", NULL, FER_JOIN_GROUP),
                     FER_EAFNOSUPPORT);
    assert_int_equal(fer_udp_set_membership(udp, GROUP, "192.0.2.1", FER_JOIN_GROUP), FER_ENODEV);
    assert_int_equal(fer_udp_set_multicast_interface(udp, "192.0.2.1"), FER_EADDRNOTAVAIL);
    assert_int_equal(fer_udp_set_multicast_interface(udp, "::1"), FER_EAFNOSUPPORT);
    assert_int_equal(fer_udp_set_multicast_interface(udp, NULL), FER_OK);
    assert_int_equal(fer_udp_set_ttl(udp, 0), FER_EINVAL);
    assert_int_equal(fer_udp_set_ttl(udp, 256), FER_EINVAL);
    assert_int_equal(fer_udp_set_multicast_ttl(udp, -1), FER_EINVAL);
    assert_int_equal(fer_udp_set_multicast_ttl(udp, 256), FER_EINVAL);
    fer_handle_unref(closed);
    fer_handle_unref(udp);
    end_loop(loop);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_group_is_joined_and_left),
        HARNESS_TEST(numbers_reach_the_socket),
        HARNESS_TEST(broadcasting_takes_leave),
        HARNESS_TEST(ipv6_has_its_own_options),
        HARNESS_TEST(bad_arguments),
    };
    return HARNESS_MAIN("udp_options", tests, NULL, argc, argv);
}
