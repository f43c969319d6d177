/* Every function that takes a handle and is not in calls.c: passing, options, TCP and UDP. */
#include "calls.h"

static const fer_bytes text = {"text", 4};

static void note_udp(fer_handle *udp, fer_status status, void *user) {
    (void)udp;
    note(user, status);
}

static void on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                     fer_kind pending, void *user) {
    (void)pipe;
    (void)data;
    (void)size;
    (void)pending;
    note(user, status);
}

static void on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                        void *user) {
    (void)udp;
    (void)datagram;
    note(user, status);
}

/* Pipes, and any handle. */

static fer_status call_pipe_pair(objects *o) {
    fer_handle *a = NULL;
    fer_handle *b = NULL;
    return fer_pipe_pair(o->loop, 0, &a, &b);
}

static fer_status call_pipe_pass(objects *o) {
    return fer_pipe_pass(o->pipe, &text, 1, o->udp, note_stream, &o->unexpected);
}

static fer_status call_pipe_pass_fd(objects *o) {
    return fer_pipe_pass_fd(o->pipe, &text, 1, 0, note_stream, &o->unexpected);
}

static fer_status call_pipe_read_start2(objects *o) {
    return fer_pipe_read_start2(o->pipe, on_read2, &o->finalized, note_finalized);
}

static fer_status call_pipe_accept_fd(objects *o) {
    fer_fd number;
    return fer_pipe_accept_fd(o->pipe, &number);
}

static fer_status call_pipe_pending_instances(objects *o) {
    return fer_pipe_pending_instances(o->pipe, 4);
}

static fer_status call_pipe_chmod(objects *o) {
    return fer_pipe_chmod(o->pipe, 0600);
}

static fer_status call_pipe_peer_credentials(objects *o) {
    fer_credentials who = FER_CREDENTIALS_INIT;
    return fer_pipe_peer_credentials(o->pipe, &who);
}

static fer_status call_stream_set_blocking(objects *o) {
    return fer_stream_set_blocking(o->pipe, 0);
}

static fer_status call_handle_detach(objects *o) {
    fer_fd number;
    return fer_handle_detach(o->pipe, &number);
}

static fer_status call_handle_send_buffer_size(objects *o) {
    int32_t size;
    return fer_handle_send_buffer_size(o->pipe, &size);
}

static fer_status call_handle_set_send_buffer_size(objects *o) {
    return fer_handle_set_send_buffer_size(o->pipe, 65536);
}

static fer_status call_handle_receive_buffer_size(objects *o) {
    int32_t size;
    return fer_handle_receive_buffer_size(o->pipe, &size);
}

static fer_status call_handle_set_receive_buffer_size(objects *o) {
    return fer_handle_set_receive_buffer_size(o->pipe, 65536);
}

/* TCP. */

static fer_status call_tcp_new(objects *o) {
    fer_handle *made = NULL;
    return fer_tcp_new(o->loop, 0, &made);
}

static fer_status call_tcp_bind(objects *o) {
    return fer_tcp_bind(o->tcp, "127.0.0.1", 0, 0);
}

static fer_status call_tcp_connect(objects *o) {
    return fer_tcp_connect(o->tcp, "127.0.0.1", 1, note_stream, &o->unexpected);
}

static fer_status call_tcp_open(objects *o) {
    return fer_tcp_open(o->tcp, 0);
}

static fer_status call_tcp_nodelay(objects *o) {
    return fer_tcp_nodelay(o->tcp, 1);
}

static fer_status call_tcp_keepalive(objects *o) {
    return fer_tcp_keepalive(o->tcp, 1, 60);
}

static fer_status call_tcp_simultaneous_accepts(objects *o) {
    return fer_tcp_simultaneous_accepts(o->tcp, 0);
}

static fer_status call_inet_getsockname(objects *o) {
    char host[FER_HOST_MAX];
    uint16_t port;
    return fer_inet_getsockname(o->tcp, host, &port);
}

static fer_status call_inet_getpeername(objects *o) {
    char host[FER_HOST_MAX];
    uint16_t port;
    return fer_inet_getpeername(o->tcp, host, &port);
}

/* UDP. */

static fer_status call_udp_new(objects *o) {
    fer_handle *made = NULL;
    return fer_udp_new(o->loop, 0, &made);
}

static fer_status call_udp_bind(objects *o) {
    return fer_udp_bind(o->udp, "127.0.0.1", 0, 0);
}

static fer_status call_udp_connect(objects *o) {
    return fer_udp_connect(o->udp, "127.0.0.1", 1);
}

static fer_status call_udp_open(objects *o) {
    return fer_udp_open(o->udp, 0);
}

static fer_status call_udp_send(objects *o) {
    return fer_udp_send(o->udp, &text, 1, "127.0.0.1", 1, note_udp, &o->unexpected);
}

static fer_status call_udp_try_send(objects *o) {
    return fer_udp_try_send(o->udp, &text, 1, "127.0.0.1", 1);
}

static fer_status call_udp_receive_start(objects *o) {
    return fer_udp_receive_start(o->udp, on_datagram, &o->finalized, note_finalized);
}

static fer_status call_udp_receive_stop(objects *o) {
    return fer_udp_receive_stop(o->udp);
}

static fer_status call_udp_set_membership(objects *o) {
    return fer_udp_set_membership(o->udp, "239.255.7.7", "127.0.0.1", FER_JOIN_GROUP);
}

static fer_status call_udp_set_multicast_interface(objects *o) {
    return fer_udp_set_multicast_interface(o->udp, NULL);
}

static fer_status call_udp_set_multicast_loop(objects *o) {
    return fer_udp_set_multicast_loop(o->udp, 1);
}

static fer_status call_udp_set_multicast_ttl(objects *o) {
    return fer_udp_set_multicast_ttl(o->udp, 1);
}

static fer_status call_udp_set_ttl(objects *o) {
    return fer_udp_set_ttl(o->udp, 64);
}

static fer_status call_udp_set_broadcast(objects *o) {
    return fer_udp_set_broadcast(o->udp, 0);
}

const call handle_calls[] = {
    {"fer_pipe_pair", CALL_LOOP, 0, call_pipe_pair},
    {"fer_pipe_pass", CALL_PIPE, 0, call_pipe_pass},
    {"fer_pipe_pass_fd", CALL_PIPE, 0, call_pipe_pass_fd},
    {"fer_pipe_read_start2", CALL_PIPE, CALL_REGISTERS, call_pipe_read_start2},
    {"fer_pipe_accept_fd", CALL_PIPE, 0, call_pipe_accept_fd},
    {"fer_pipe_pending_instances", CALL_PIPE, 0, call_pipe_pending_instances},
    {"fer_pipe_chmod", CALL_PIPE, 0, call_pipe_chmod},
    {"fer_pipe_peer_credentials", CALL_PIPE, 0, call_pipe_peer_credentials},
    {"fer_stream_set_blocking", CALL_PIPE, 0, call_stream_set_blocking},
    {"fer_handle_detach", CALL_PIPE, 0, call_handle_detach},
    {"fer_handle_send_buffer_size", CALL_PIPE, 0, call_handle_send_buffer_size},
    {"fer_handle_set_send_buffer_size", CALL_PIPE, 0, call_handle_set_send_buffer_size},
    {"fer_handle_receive_buffer_size", CALL_PIPE, 0, call_handle_receive_buffer_size},
    {"fer_handle_set_receive_buffer_size", CALL_PIPE, 0, call_handle_set_receive_buffer_size},
    {"fer_tcp_new", CALL_LOOP, 0, call_tcp_new},
    {"fer_tcp_bind", CALL_TCP, 0, call_tcp_bind},
    {"fer_tcp_connect", CALL_TCP, 0, call_tcp_connect},
    {"fer_tcp_open", CALL_TCP, 0, call_tcp_open},
    {"fer_tcp_nodelay", CALL_TCP, 0, call_tcp_nodelay},
    {"fer_tcp_keepalive", CALL_TCP, 0, call_tcp_keepalive},
    {"fer_tcp_simultaneous_accepts", CALL_TCP, 0, call_tcp_simultaneous_accepts},
    {"fer_inet_getsockname", CALL_TCP, 0, call_inet_getsockname},
    {"fer_inet_getpeername", CALL_TCP, 0, call_inet_getpeername},
    {"fer_udp_new", CALL_LOOP, 0, call_udp_new},
    {"fer_udp_bind", CALL_UDP, 0, call_udp_bind},
    {"fer_udp_connect", CALL_UDP, 0, call_udp_connect},
    {"fer_udp_open", CALL_UDP, 0, call_udp_open},
    {"fer_udp_send", CALL_UDP, 0, call_udp_send},
    {"fer_udp_try_send", CALL_UDP, 0, call_udp_try_send},
    {"fer_udp_receive_start", CALL_UDP, CALL_REGISTERS, call_udp_receive_start},
    {"fer_udp_receive_stop", CALL_UDP, 0, call_udp_receive_stop},
    {"fer_udp_set_membership", CALL_UDP, 0, call_udp_set_membership},
    {"fer_udp_set_multicast_interface", CALL_UDP, 0, call_udp_set_multicast_interface},
    {"fer_udp_set_multicast_loop", CALL_UDP, 0, call_udp_set_multicast_loop},
    {"fer_udp_set_multicast_ttl", CALL_UDP, 0, call_udp_set_multicast_ttl},
    {"fer_udp_set_ttl", CALL_UDP, 0, call_udp_set_ttl},
    {"fer_udp_set_broadcast", CALL_UDP, 0, call_udp_set_broadcast},
};

const size_t handle_call_count = sizeof handle_calls / sizeof handle_calls[0];
