/* UDP sockets: bind, send, receive, connect, options, bad input. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

/** Datagrams that came. */
typedef struct post {
    size_t count;
    size_t sizes[64];
    char last[2048];
    char host[FER_HOST_MAX];
    uint16_t port;
    fer_status failed;
    noted finalized;
    fer_handle *stop; /* after the first */
} post;

static void on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                        void *user) {
    post *to = user;
    (void)udp;
    if (status != FER_OK) {
        assert_null(datagram);
        to->failed = status;
        to->count++;
        return;
    }
    assert_true(to->count < 64);
    to->sizes[to->count++] = datagram->size;
    memcpy(to->last, datagram->data,
           datagram->size < sizeof to->last ? datagram->size : sizeof to->last);
    snprintf(to->host, sizeof to->host, "%s", datagram->host);
    to->port = datagram->port;
    assert_int_equal(datagram->flags, 0);
    if (to->stop != NULL)
        assert_int_equal(fer_udp_receive_stop(to->stop), FER_OK);
}

static void on_finalized(void *user) {
    note_finalized(&((post *)user)->finalized);
}

static void note_udp(fer_handle *udp, fer_status status, void *user) {
    (void)udp;
    note(user, status);
}

typedef struct udp_duo {
    fer_loop *loop;
    fer_handle *a;
    fer_handle *b;
    uint16_t a_port;
    uint16_t b_port;
} udp_duo;

static void duo_bind(udp_duo *both) {
    char host[FER_HOST_MAX];
    assert_int_equal(fer_loop_new(&both->loop), FER_OK);
    assert_int_equal(fer_udp_new(both->loop, 0, &both->a), FER_OK);
    assert_int_equal(fer_udp_new(both->loop, 0, &both->b), FER_OK);
    assert_int_equal(fer_udp_bind(both->a, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_udp_bind(both->b, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_inet_getsockname(both->a, host, &both->a_port), FER_OK);
    assert_int_equal(fer_inet_getsockname(both->b, host, &both->b_port), FER_OK);
}

static void duo_end(udp_duo *both) {
    fer_handle_unref(both->a);
    fer_handle_unref(both->b);
    end_loop(both->loop);
}

static void datagrams_arrive_whole(void **state) {
    udp_duo both;
    post came = {0};
    noted sent = {0};
    fer_bytes parts[2] = {piece("hel", 3), piece("lo", 2)};
    (void)state;
    duo_bind(&both);
    assert_int_equal(fer_udp_receive_start(both.b, on_datagram, &came, on_finalized), FER_OK);
    assert_int_equal(fer_udp_send(both.a, parts, 2, "127.0.0.1", both.b_port, note_udp, &sent),
                     FER_OK);
    assert_int_equal(sent.calls, 0);
    run_until_count(both.loop, &came.count, 1);
    harness_run_until(both.loop, &sent.calls);
    assert_int_equal(sent.status, FER_OK);
    assert_int_equal(came.sizes[0], 5);
    assert_memory_equal(came.last, "hello", 5);
    assert_string_equal(came.host, "127.0.0.1");
    assert_int_equal(came.port, both.a_port);
    /* An empty datagram is one too. */
    assert_int_equal(fer_udp_try_send(both.a, NULL, 0, "127.0.0.1", both.b_port), FER_OK);
    run_until_count(both.loop, &came.count, 2);
    assert_int_equal(came.sizes[1], 0);
    duo_end(&both);
    assert_int_equal(came.finalized.calls, 1);
}

static void a_connected_socket_has_one_peer(void **state) {
    udp_duo both;
    post came = {0};
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    fer_bytes part = piece("x", 1);
    (void)state;
    duo_bind(&both);
    assert_int_equal(fer_udp_send(both.a, &part, 1, NULL, 0, NULL, NULL), FER_EDESTADDRREQ);
    assert_int_equal(fer_udp_connect(both.a, NULL, 0), FER_ENOTCONN);
    assert_int_equal(fer_udp_connect(both.a, "127.0.0.1", both.b_port), FER_OK);
    assert_int_equal(fer_udp_connect(both.a, "127.0.0.1", both.b_port), FER_EISCONN);
    assert_int_equal(fer_inet_getpeername(both.a, host, &port), FER_OK);
    assert_int_equal(port, both.b_port);
    assert_int_equal(fer_udp_receive_start(both.b, on_datagram, &came, on_finalized), FER_OK);
    assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1", both.b_port, NULL, NULL),
                     FER_EISCONN);
    assert_int_equal(fer_udp_send(both.a, &part, 1, NULL, 0, NULL, NULL), FER_OK);
    run_until_count(both.loop, &came.count, 1);
    assert_int_equal(fer_udp_connect(both.a, NULL, 0), FER_OK);
    assert_int_equal(fer_inet_getpeername(both.a, host, &port), FER_ENOTCONN);
    duo_end(&both);
}

static void what_nobody_takes_is_told(void **state) {
    udp_duo both;
    post came = {0};
    fer_bytes part = piece("x", 1);
    (void)state;
    duo_bind(&both);
    assert_int_equal(fer_udp_connect(both.a, "127.0.0.1", both.b_port), FER_OK);
    assert_int_equal(fer_udp_receive_start(both.a, on_datagram, &came, on_finalized), FER_OK);
    assert_int_equal(fer_handle_close(both.b, NULL, NULL), FER_OK);
    assert_int_equal(fer_udp_send(both.a, &part, 1, NULL, 0, NULL, NULL), FER_OK);
    run_until_count(both.loop, &came.count, 1);
    assert_int_equal(came.failed, FER_ECONNREFUSED);
    duo_end(&both);
}

static void receiving_stops_inside_the_callback(void **state) {
    udp_duo both;
    post came = {0};
    fer_bytes part = piece("x", 1);
    (void)state;
    duo_bind(&both);
    came.stop = both.b;
    assert_int_equal(fer_udp_receive_start(both.b, on_datagram, &came, on_finalized), FER_OK);
    assert_int_equal(fer_udp_receive_start(both.b, on_datagram, &came, on_finalized), FER_EALREADY);
    assert_int_equal(came.finalized.calls, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1", both.b_port, NULL, NULL),
                         FER_OK);
    run_until_count(both.loop, &came.count, 1);
    assert_int_equal(came.finalized.calls, 2);
    assert_int_equal(fer_loop_step(both.loop, 0), FER_OK);
    assert_int_equal(came.count, 1);
    came.stop = NULL;
    assert_int_equal(fer_udp_receive_start(both.b, on_datagram, &came, on_finalized), FER_OK);
    run_until_count(both.loop, &came.count, 3);
    duo_end(&both);
    assert_int_equal(came.finalized.calls, 3);
}

static void a_descriptor_goes_in_and_out(void **state) {
    udp_duo both;
    fer_handle *again = NULL;
    fer_fd fd = -1;
    post came = {0};
    fer_bytes part = piece("x", 1);
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)state;
    duo_bind(&both);
    assert_int_equal(fer_handle_detach(both.b, &fd), FER_OK);
    assert_int_equal(fer_handle_kind_of(fd), FER_KIND_UDP);
    assert_int_equal(fer_udp_new(both.loop, 0, &again), FER_OK);
    assert_int_equal(fer_udp_open(again, -1), FER_EBADF);
    assert_int_equal(fer_udp_open(again, file), FER_ENOTSOCK);
    raw_close(file);
    assert_int_equal(fer_udp_open(both.a, fd), FER_EISCONN);
    assert_int_equal(fer_udp_open(again, fd), FER_OK);
    assert_int_equal(fer_udp_receive_start(again, on_datagram, &came, on_finalized), FER_OK);
    assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1", both.b_port, NULL, NULL), FER_OK);
    run_until_count(both.loop, &came.count, 1);
    fer_handle_unref(again);
    duo_end(&both);
}

static void bad_arguments(void **state) {
    udp_duo both;
    fer_handle *pipe = NULL;
    fer_handle *other = NULL;
    fer_bytes part = piece("x", 1);
    uint8_t *huge = filled(70000, 1);
    fer_bytes too_much = piece(huge, 70000);
    noted never = {0};
    (void)state;
    duo_bind(&both);
    assert_int_equal(fer_pipe_new(both.loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_udp_new(both.loop, 3, &other), FER_EINVAL);
    assert_int_equal(fer_udp_new(both.loop, 4, &other), FER_EINVAL);
    assert_int_equal(fer_udp_new(both.loop, 0, &other), FER_OK);
    assert_int_equal(fer_handle_kind(other), FER_KIND_UDP);
    assert_int_equal(fer_udp_bind(pipe, "127.0.0.1", 0, 0), FER_EKIND);
    assert_int_equal(fer_stream_write(both.a, &part, 1, NULL, NULL), FER_EKIND);
    assert_int_equal(fer_stream_read_start(both.a, inbox_read, NULL, NULL), FER_EKIND);
    assert_int_equal(fer_udp_bind(both.a, "127.0.0.1", 0, 0), FER_EINVAL);
    assert_int_equal(fer_udp_bind(other, "nowhere", 0, 0), FER_EADDRESS);
    assert_int_equal(fer_udp_bind(other, "127.0.0.1", both.a_port, 0), FER_EADDRINUSE);
    assert_int_equal(fer_udp_send(both.a, &too_much, 1, "127.0.0.1", both.b_port, note_udp, &never),
                     FER_EMSGSIZE);
    assert_int_equal(fer_udp_send(both.a, NULL, 1, "127.0.0.1", both.b_port, NULL, NULL),
                     FER_EINVAL);
    assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1.1", 1, NULL, NULL), FER_EADDRESS);
    assert_int_equal(fer_udp_receive_start(both.a, NULL, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_udp_receive_stop(both.a), FER_OK);
    assert_int_equal(fer_handle_close(both.a, NULL, NULL), FER_OK);
    assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1", both.b_port, NULL, NULL),
                     FER_ECLOSED);
    fer_handle_unref(pipe);
    fer_handle_unref(other);
    duo_end(&both);
    free(huge);
    assert_int_equal(never.calls, 0);
}

static void close_tells_every_send(void **state) {
    udp_duo both;
    noted sent = {0};
    noted closed = {0};
    fer_bytes part = piece("x", 1);
    (void)state;
    duo_bind(&both);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fer_udp_send(both.a, &part, 1, "127.0.0.1", both.b_port, note_udp, &sent),
                         FER_OK);
    assert_int_equal(fer_handle_close(both.a, note_handle_closed, &closed), FER_OK);
    harness_run_until(both.loop, &closed.calls);
    assert_int_equal(sent.calls, 100);
    assert_true(sent.when < closed.when);
    duo_end(&both);
}

static int has_ipv6(void) {
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 self = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int bound = fd >= 0 && bind(fd, (struct sockaddr *)&self, sizeof self) == 0;
    if (fd >= 0)
        close(fd);
    return bound;
}

/* Receiving binds it to any address of its family. */
static void a_socket_made_with_its_family(void **state) {
    static const struct {
        uint32_t family;
        const char *any;
        const char *other;
        const char *here;
    } families[] = {{FER_INET_IPV4, "0.0.0.0", "::1", "127.0.0.1"},
                    {FER_INET_IPV6, "::", "127.0.0.1", "::1"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fer_handle *receiver = NULL;
        fer_handle *sender = NULL;
        fer_bytes part = piece("x", 1);
        char host[FER_HOST_MAX];
        uint16_t port = 0;
        fer_fd fd = -1;
        fer_fd after = -1;
        fer_loop *loop = NULL;
        post mail = {0};
        if (families[i].family == FER_INET_IPV6 && !has_ipv6())
            continue;
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_udp_new(loop, families[i].family, &receiver), FER_OK);
        assert_int_equal(fer_handle_fileno(receiver, &fd), FER_OK);
        assert_int_equal(fer_udp_set_ttl(receiver, 3), FER_OK);
        assert_int_equal(fer_udp_open(receiver, fd), FER_EISCONN);
        assert_int_not_equal(fer_udp_bind(receiver, families[i].other, 0, 0), FER_OK);
        if (families[i].family == FER_INET_IPV4)
            assert_int_equal(fer_udp_bind(receiver, "::1", 0, 0), FER_EAFNOSUPPORT);
        assert_int_equal(fer_udp_receive_start(receiver, on_datagram, &mail, on_finalized), FER_OK);
        assert_int_equal(fer_inet_getsockname(receiver, host, &port), FER_OK);
        assert_string_equal(host, families[i].any);
        assert_int_equal(fer_udp_bind(receiver, families[i].here, 0, 0), FER_EINVAL);
        assert_int_equal(fer_handle_fileno(receiver, &after), FER_OK);
        assert_int_equal(after, fd);
        assert_int_equal(fer_udp_new(loop, families[i].family, &sender), FER_OK);
        assert_int_equal(fer_udp_send(sender, &part, 1, families[i].here, port, NULL, NULL),
                         FER_OK);
        run_until_count(loop, &mail.count, 1);
        assert_string_equal(mail.host, families[i].here);
        assert_int_equal(fer_handle_close(receiver, NULL, NULL), FER_OK);
        fer_handle_unref(receiver);
        fer_handle_unref(sender);
        end_loop(loop);
        assert_int_equal(mail.finalized.calls, 1);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(datagrams_arrive_whole),
        HARNESS_TEST(a_connected_socket_has_one_peer),
        HARNESS_TEST(what_nobody_takes_is_told),
        HARNESS_TEST(receiving_stops_inside_the_callback),
        HARNESS_TEST(a_descriptor_goes_in_and_out),
        HARNESS_TEST(a_socket_made_with_its_family),
        HARNESS_TEST(bad_arguments),
        HARNESS_TEST(close_tells_every_send),
    };
    return HARNESS_MAIN("udp", tests, NULL, argc, argv);
}
