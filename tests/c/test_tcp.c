/* TCP sockets: bind, listen, accept, connect, read, write, options, bad input. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

/** A listener and the two ends of a connection that it accepted. */
typedef struct tcp_trio {
    fer_loop *loop;
    fer_handle *listener;
    fer_handle *client;
    fer_handle *served;
    uint16_t port;
    noted connected;
    int accepted;
    const char *host;
} tcp_trio;

static void on_connection(fer_handle *listener, fer_status status, void *user) {
    tcp_trio *trio = user;
    assert_int_equal(status, FER_OK);
    assert_int_equal(fer_tcp_new(trio->loop, 0, &trio->served), FER_OK);
    assert_int_equal(fer_stream_accept(listener, trio->served), FER_OK);
    trio->accepted = 1;
}

static void listen_on(tcp_trio *trio, const char *host) {
    char text[FER_HOST_MAX];
    memset(trio, 0, sizeof *trio);
    trio->host = host;
    assert_int_equal(fer_loop_new(&trio->loop), FER_OK);
    assert_int_equal(fer_tcp_new(trio->loop, 0, &trio->listener), FER_OK);
    assert_int_equal(fer_tcp_bind(trio->listener, host, 0, 0), FER_OK);
    assert_int_equal(fer_stream_listen(trio->listener, 0, on_connection, trio, NULL), FER_OK);
    assert_int_equal(fer_inet_getsockname(trio->listener, text, &trio->port), FER_OK);
    assert_string_equal(text, host);
    assert_int_not_equal(trio->port, 0);
}

static void connect_to(tcp_trio *trio) {
    assert_int_equal(fer_tcp_new(trio->loop, 0, &trio->client), FER_OK);
    assert_int_equal(
        fer_tcp_connect(trio->client, trio->host, trio->port, note_stream, &trio->connected),
        FER_OK);
    assert_int_equal(trio->connected.calls, 0);
    harness_run_until(trio->loop, &trio->accepted);
    harness_run_until(trio->loop, &trio->connected.calls);
    assert_int_equal(trio->connected.status, FER_OK);
}

static void trio_end(tcp_trio *trio) {
    fer_handle_unref(trio->listener);
    fer_handle_unref(trio->client);
    fer_handle_unref(trio->served);
    end_loop(trio->loop);
}

static void bytes_go_both_ways_on(const char *host) {
    enum { SIZE = 3 << 20 };
    tcp_trio trio;
    inbox box = {0};
    noted written = {0};
    noted ended = {0};
    char text[FER_HOST_MAX];
    uint16_t port = 0;
    uint8_t *data = filled(SIZE, 7);
    fer_bytes part = piece(data, SIZE);
    listen_on(&trio, host);
    connect_to(&trio);
    assert_int_equal(fer_inet_getpeername(trio.client, text, &port), FER_OK);
    assert_string_equal(text, host);
    assert_int_equal(port, trio.port);
    assert_int_equal(fer_stream_read_start(trio.served, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(trio.client, &part, 1, note_stream, &written), FER_OK);
    assert_int_equal(fer_stream_shutdown(trio.client, note_stream, &ended), FER_OK);
    harness_run_until(trio.loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_EOF);
    assert_int_equal(written.status, FER_OK);
    assert_int_equal(ended.status, FER_OK);
    assert_int_equal(box.size, SIZE);
    assert_filled(box.bytes, SIZE, 7);
    inbox_free(&box);
    free(data);
    trio_end(&trio);
}

static void bytes_go_both_ways(void **state) {
    (void)state;
    bytes_go_both_ways_on("127.0.0.1");
}

static void bytes_go_both_ways_on_ipv6(void **state) {
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    (void)state;
    struct sockaddr_in6 self;
    memset(&self, 0, sizeof self);
    self.sin6_family = AF_INET6;
    self.sin6_addr = in6addr_loopback;
    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) != 0) {
        if (fd >= 0)
            close(fd);
        skip();
    }
    close(fd);
    bytes_go_both_ways_on("::1");
}

static int option_of(fer_handle *handle, int level, int name) {
    fer_fd fd = -1;
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(fer_handle_fileno(handle, &fd), FER_OK);
    assert_int_equal(getsockopt((int)fd, level, name, &value, &size), 0);
    return value;
}

static void options_reach_the_socket(void **state) {
    tcp_trio trio;
    int32_t size = 0;
    (void)state;
    listen_on(&trio, "127.0.0.1");
    connect_to(&trio);
    assert_int_equal(fer_tcp_nodelay(trio.client, 1), FER_OK);
    assert_int_not_equal(option_of(trio.client, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(fer_tcp_nodelay(trio.client, 0), FER_OK);
    assert_int_equal(option_of(trio.client, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(fer_tcp_keepalive(trio.client, 1, 7), FER_OK);
    assert_int_not_equal(option_of(trio.client, SOL_SOCKET, SO_KEEPALIVE), 0);
#ifdef TCP_KEEPIDLE
    assert_int_equal(option_of(trio.client, IPPROTO_TCP, TCP_KEEPIDLE), 7);
#endif
    assert_int_equal(fer_tcp_keepalive(trio.client, 0, 0), FER_OK);
    assert_int_equal(option_of(trio.client, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(fer_handle_set_send_buffer_size(trio.client, 32768), FER_OK);
    assert_int_equal(fer_handle_send_buffer_size(trio.client, &size), FER_OK);
    assert_int_equal(size, option_of(trio.client, SOL_SOCKET, SO_SNDBUF));
    assert_int_equal(fer_handle_set_receive_buffer_size(trio.client, 32768), FER_OK);
    assert_int_equal(fer_handle_receive_buffer_size(trio.client, &size), FER_OK);
    assert_int_equal(size, option_of(trio.client, SOL_SOCKET, SO_RCVBUF));
    assert_int_equal(fer_handle_set_send_buffer_size(trio.client, 0), FER_EINVAL);
    assert_int_equal(fer_tcp_simultaneous_accepts(trio.listener, 0), FER_OK);
    assert_int_equal(fer_tcp_simultaneous_accepts(trio.listener, 1), FER_OK);
    trio_end(&trio);
}

static void the_blocking_mode_is_for_others(void **state) {
    tcp_trio trio;
    inbox box = {0};
    fer_fd fd = -1;
    fer_bytes part = piece("x", 1);
    (void)state;
    listen_on(&trio, "127.0.0.1");
    connect_to(&trio);
    assert_int_equal(fer_handle_fileno(trio.served, &fd), FER_OK);
    assert_int_equal(fer_stream_set_blocking(trio.served, 1), FER_OK);
    assert_int_equal(fcntl((int)fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fer_stream_read_start(trio.served, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(trio.client, &part, 1, NULL, NULL), FER_OK);
    run_until_count(trio.loop, &box.size, 1);
    assert_int_equal(fer_stream_set_blocking(trio.served, 0), FER_OK);
    assert_int_not_equal(fcntl((int)fd, F_GETFL) & O_NONBLOCK, 0);
    trio_end(&trio);
    inbox_free(&box);
}

static void nobody_listens(void **state) {
    tcp_trio trio;
    noted late = {0};
    (void)state;
    listen_on(&trio, "127.0.0.1");
    assert_int_equal(fer_handle_close(trio.listener, NULL, NULL), FER_OK);
    assert_int_equal(fer_tcp_new(trio.loop, 0, &trio.client), FER_OK);
    assert_int_equal(
        fer_tcp_connect(trio.client, "127.0.0.1", trio.port, note_stream, &trio.connected), FER_OK);
    harness_run_until(trio.loop, &trio.connected.calls);
    assert_int_equal(trio.connected.status, FER_ECONNREFUSED);
    assert_int_not_equal(fer_tcp_connect(trio.client, "127.0.0.1", trio.port, note_stream, &late),
                         FER_OK);
    assert_int_equal(fer_stream_write(trio.client, NULL, 0, NULL, NULL), FER_ENOTCONN);
    assert_int_equal(late.calls, 0);
    trio_end(&trio);
}

static void close_cancels_a_connect(void **state) {
    tcp_trio trio;
    noted closed = {0};
    (void)state;
    listen_on(&trio, "127.0.0.1");
    assert_int_equal(fer_tcp_new(trio.loop, 0, &trio.client), FER_OK);
    assert_int_equal(
        fer_tcp_connect(trio.client, "127.0.0.1", trio.port, note_stream, &trio.connected), FER_OK);
    assert_int_equal(fer_tcp_connect(trio.client, "127.0.0.1", trio.port, note_stream, &closed),
                     FER_EALREADY);
    assert_int_equal(fer_handle_close(trio.client, note_handle_closed, &closed), FER_OK);
    harness_run_until(trio.loop, &closed.calls);
    assert_int_equal(trio.connected.calls, 1);
    assert_int_equal(trio.connected.status, FER_ECANCELED);
    assert_true(trio.connected.when < closed.when);
    trio_end(&trio);
}

static void bad_arguments(void **state) {
    fer_loop *loop = NULL;
    fer_handle *tcp = NULL;
    fer_handle *pipe = NULL;
    fer_handle *other = NULL;
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    noted never = {0};
    int fds[2];
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_tcp_new(loop, 3, &tcp), FER_EINVAL);
    assert_int_equal(fer_tcp_new(loop, 4, &tcp), FER_EINVAL);
    assert_null(tcp);
    assert_int_equal(fer_tcp_new(NULL, 0, &tcp), FER_EINVAL);
    assert_int_equal(fer_tcp_new(loop, 0, &tcp), FER_OK);
    assert_int_equal(fer_tcp_new(loop, 0, &other), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_kind(tcp), FER_KIND_TCP);
    assert_int_equal(fer_tcp_bind(pipe, "127.0.0.1", 0, 0), FER_EKIND);
    assert_int_equal(fer_pipe_bind(tcp, "x", FER_ZSTRING, NULL), FER_EKIND);
    assert_int_equal(fer_tcp_bind(tcp, NULL, 0, 0), FER_EINVAL);
    assert_int_equal(fer_tcp_bind(tcp, "localhost", 0, 0), FER_EADDRESS);
    assert_string_not_equal(fer_status_detail(), "");
    assert_int_equal(fer_tcp_bind(tcp, "127.0.0.1", 0, 4), FER_EINVAL);
    assert_int_equal(fer_tcp_bind(tcp, "192.0.2.1", 0, 0), FER_EADDRNOTAVAIL);
    assert_int_equal(fer_inet_getsockname(tcp, host, &port), FER_EBADF);
    assert_int_equal(fer_tcp_nodelay(tcp, 1), FER_EBADF);
    assert_int_equal(fer_stream_listen(tcp, 0, note_connection, &never, NULL), FER_EDESTADDRREQ);
    assert_int_equal(fer_tcp_connect(tcp, "300.1.1.1", 1, note_stream, &never), FER_EADDRESS);
    assert_int_equal(fer_tcp_connect(tcp, "127.0.0.1", 1, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_tcp_bind(tcp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_tcp_bind(tcp, "127.0.0.1", 0, 0), FER_EINVAL);
    assert_int_equal(fer_stream_listen(tcp, 0, note_connection, &never, NULL), FER_OK);
    assert_int_equal(fer_inet_getsockname(tcp, host, &port), FER_OK);
    assert_int_equal(fer_inet_getpeername(tcp, host, &port), FER_ENOTCONN);
    assert_int_equal(fer_inet_getsockname(tcp, host, &port), FER_OK);
    assert_int_equal(fer_tcp_bind(other, "127.0.0.1", port, 0), FER_EADDRINUSE);
    raw_pair(fds);
    assert_int_equal(fer_tcp_open(other, fds[0]), FER_EPROTOTYPE);
    assert_int_equal(fer_tcp_open(other, -1), FER_EBADF);
    assert_int_equal(fer_tcp_open(other, file), FER_ENOTSOCK);
    raw_close(file);
    assert_int_equal(fer_stream_accept(tcp, pipe), FER_EKIND);
    assert_int_equal(fer_stream_accept(tcp, other), FER_EAGAIN);
    raw_close(fds[0]);
    raw_close(fds[1]);
    assert_int_equal(fer_handle_close(tcp, NULL, NULL), FER_OK);
    assert_int_equal(fer_tcp_nodelay(tcp, 1), FER_ECLOSED);
    fer_handle_unref(tcp);
    fer_handle_unref(other);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(never.calls, 0);
}

static void a_descriptor_goes_in_and_out(void **state) {
    tcp_trio trio;
    fer_handle *again = NULL;
    fer_fd fd = -1;
    inbox box = {0};
    fer_bytes part = piece("hello", 5);
    (void)state;
    listen_on(&trio, "127.0.0.1");
    connect_to(&trio);
    assert_int_equal(fer_handle_detach(trio.client, &fd), FER_OK);
    assert_int_equal(fer_handle_kind_of(fd), FER_KIND_TCP);
    assert_int_equal(fer_stream_write(trio.client, &part, 1, NULL, NULL), FER_ECLOSED);
    assert_int_equal(fer_tcp_new(trio.loop, 0, &again), FER_OK);
    assert_int_equal(fer_tcp_open(again, fd), FER_OK);
    assert_int_equal(fer_tcp_open(again, fd), FER_EISCONN);
    assert_int_equal(fer_stream_read_start(trio.served, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(again, &part, 1, NULL, NULL), FER_OK);
    run_until_count(trio.loop, &box.size, 5);
    assert_memory_equal(box.bytes, "hello", 5);
    fer_handle_unref(again);
    trio_end(&trio);
    inbox_free(&box);
}

/* The socket is there with the handle: its options are, too, and it waits for an address as any other. */
static void a_socket_made_with_its_family(void **state) {
    tcp_trio trio;
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    fer_fd fd = -1;
    fer_fd after = -1;
    fer_handle *never = NULL;
    noted none = {0};
    (void)state;
    listen_on(&trio, "127.0.0.1");
    assert_int_equal(fer_tcp_new(trio.loop, FER_INET_IPV4, &trio.client), FER_OK);
    assert_int_equal(fer_handle_fileno(trio.client, &fd), FER_OK);
    assert_int_equal(fer_tcp_nodelay(trio.client, 1), FER_OK);
    assert_int_equal(fer_inet_getsockname(trio.client, host, &port), FER_OK);
    assert_string_equal(host, "0.0.0.0");
    assert_int_equal(fer_stream_write(trio.client, NULL, 0, NULL, NULL), FER_ENOTCONN);
    assert_int_equal(fer_stream_listen(trio.client, 0, note_connection, &none, NULL),
                     FER_EDESTADDRREQ);
    assert_int_equal(fer_tcp_open(trio.client, fd), FER_EISCONN);
    assert_int_equal(fer_stream_accept(trio.listener, trio.client), FER_EISCONN);
    /* What fails leaves it as it was. */
    assert_int_equal(fer_tcp_bind(trio.client, "::1", 0, 0), FER_EAFNOSUPPORT);
    assert_int_equal(fer_tcp_bind(trio.client, "192.0.2.1", 0, 0), FER_EADDRNOTAVAIL);
    assert_int_equal(fer_tcp_bind(trio.client, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_tcp_bind(trio.client, "127.0.0.1", 0, 0), FER_EINVAL);
    assert_int_equal(
        fer_tcp_connect(trio.client, "127.0.0.1", trio.port, note_stream, &trio.connected), FER_OK);
    harness_run_until(trio.loop, &trio.accepted);
    harness_run_until(trio.loop, &trio.connected.calls);
    assert_int_equal(trio.connected.status, FER_OK);
    assert_int_equal(fer_handle_fileno(trio.client, &after), FER_OK);
    assert_int_equal(after, fd);
    /* One that was never used gives its descriptor back. */
    assert_int_equal(fer_tcp_new(trio.loop, FER_INET_IPV4, &never), FER_OK);
    fer_handle_unref(never);
    assert_int_equal(none.calls, 0);
    trio_end(&trio);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(bytes_go_both_ways),
        HARNESS_TEST(bytes_go_both_ways_on_ipv6),
        HARNESS_TEST(options_reach_the_socket),
        HARNESS_TEST(the_blocking_mode_is_for_others),
        HARNESS_TEST(a_socket_made_with_its_family),
        HARNESS_TEST(nobody_listens),
        HARNESS_TEST(close_cancels_a_connect),
        HARNESS_TEST(bad_arguments),
        HARNESS_TEST(a_descriptor_goes_in_and_out),
    };
    return HARNESS_MAIN("tcp", tests, NULL, argc, argv);
}
