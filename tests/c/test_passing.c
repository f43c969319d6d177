/* Handles passed over pipes: every kind, the end of the stream, floods, limits, bad input. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

/** What came over a pipe. */
typedef struct catch {
    fer_loop *loop;
    size_t bytes;
    size_t handles;
    fer_kind kinds[256]; /**< of the first of them */
    fer_handle *last;    /**< the last that was accepted */
    int keep;            /**< leave handles waiting */
    noted end;
    noted finalized;
}
catch;

static void take(fer_handle *pipe, catch *to, fer_kind kind) {
    fer_handle *handle = NULL;
    fer_fd fd = -1;
    if (to->handles < 256)
        to->kinds[to->handles] = kind;
    to->handles++;
    if (kind == FER_KIND_OTHER) {
        assert_int_equal(fer_pipe_accept_fd(pipe, &fd), FER_OK);
        assert_int_not_equal(fcntl((int)fd, F_GETFD) & FD_CLOEXEC, 0);
        close((int)fd);
        return;
    }
    if (kind == FER_KIND_TCP)
        assert_int_equal(fer_tcp_new(to->loop, 0, &handle), FER_OK);
    else if (kind == FER_KIND_UDP)
        assert_int_equal(fer_udp_new(to->loop, 0, &handle), FER_OK);
    else
        assert_int_equal(fer_pipe_new(to->loop, 0, &handle), FER_OK);
    assert_int_equal(fer_stream_accept(pipe, handle), FER_OK);
    fer_handle_unref(to->last);
    to->last = handle;
}

static void on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                     fer_kind pending, void *user) {
    catch *to = user;
    (void)data;
    if (status != FER_OK) {
        note(&to->end, status);
        return;
    }
    to->bytes += size;
    assert_int_equal(pending, fer_pipe_pending_kind(pipe));
    while (!to->keep && fer_pipe_pending_count(pipe) > 0)
        take(pipe, to, fer_pipe_pending_kind(pipe));
}

static void on_finalized(void *user) {
    note_finalized(&((catch *)user)->finalized);
}

/** A pair of pipes that pass handles; what comes out of `b` is caught. */
typedef struct passer {
    fer_loop *loop;
    fer_handle *a;
    fer_handle *b;
    catch caught;
} passer;

static void passer_open(passer *both) {
    memset(both, 0, sizeof *both);
    assert_int_equal(fer_loop_new(&both->loop), FER_OK);
    assert_int_equal(fer_pipe_pair(both->loop, FER_PIPE_IPC, &both->a, &both->b), FER_OK);
    both->caught.loop = both->loop;
    assert_int_equal(fer_pipe_read_start2(both->b, on_read2, &both->caught, on_finalized), FER_OK);
}

static void passer_close(passer *both) {
    fer_handle_unref(both->a);
    fer_handle_unref(both->b);
    fer_handle_unref(both->caught.last);
    end_loop(both->loop);
    assert_int_equal(both->caught.finalized.calls, 1);
}

static void pass(passer *both, fer_handle *handle) {
    fer_bytes part = piece("h", 1);
    assert_int_equal(fer_pipe_pass(both->a, &part, 1, handle, NULL, NULL), FER_OK);
}

/* Every kind. */

static void on_echo_connection(fer_handle *listener, fer_status status, void *user) {
    catch *to = user;
    fer_handle *served = NULL;
    fer_bytes part = piece("served", 6);
    assert_int_equal(status, FER_OK);
    if (fer_handle_kind(listener) == FER_KIND_TCP)
        assert_int_equal(fer_tcp_new(to->loop, 0, &served), FER_OK);
    else
        assert_int_equal(fer_pipe_new(to->loop, 0, &served), FER_OK);
    assert_int_equal(fer_stream_accept(listener, served), FER_OK);
    assert_int_equal(fer_stream_write(served, &part, 1, NULL, NULL), FER_OK);
    /* The last reference closes it, after the bytes are out. */
    fer_handle_unref(served);
}

static void expect_served(passer *both, fer_handle *client, noted *connected) {
    inbox box = {0};
    harness_run_until(both->loop, &connected->calls);
    assert_int_equal(connected->status, FER_OK);
    assert_int_equal(fer_stream_read_start(client, inbox_read, &box, inbox_finalized), FER_OK);
    harness_run_until(both->loop, &box.end.calls);
    assert_int_equal(box.size, 6);
    assert_memory_equal(box.bytes, "served", 6);
    inbox_free(&box);
}

static void a_tcp_listener_serves_where_it_arrives(int listening) {
    passer both;
    fer_handle *listener = NULL;
    fer_handle *client = NULL;
    noted connected = {0};
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    passer_open(&both);
    assert_int_equal(fer_tcp_new(both.loop, 0, &listener), FER_OK);
    assert_int_equal(fer_tcp_bind(listener, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_inet_getsockname(listener, host, &port), FER_OK);
    if (listening)
        assert_int_equal(fer_stream_listen(listener, 0, on_echo_connection, &both.caught, NULL),
                         FER_OK);
    pass(&both, listener);
    assert_int_equal(fer_handle_close(listener, NULL, NULL), FER_OK);
    fer_handle_unref(listener);
    run_until_count(both.loop, &both.caught.handles, 1);
    assert_int_equal(both.caught.kinds[0], FER_KIND_TCP);
    assert_int_equal(fer_stream_listen(both.caught.last, 0, on_echo_connection, &both.caught, NULL),
                     FER_OK);
    assert_int_equal(fer_tcp_new(both.loop, 0, &client), FER_OK);
    assert_int_equal(fer_tcp_connect(client, host, port, note_stream, &connected), FER_OK);
    expect_served(&both, client, &connected);
    fer_handle_unref(client);
    passer_close(&both);
}

static void a_bound_tcp_listener(void **state) {
    (void)state;
    a_tcp_listener_serves_where_it_arrives(0);
}

static void a_listening_tcp_listener(void **state) {
    (void)state;
    a_tcp_listener_serves_where_it_arrives(1);
}

static void a_pipe_listener(void **state) {
    passer both;
    fer_handle *listener = NULL;
    fer_handle *client = NULL;
    noted connected = {0};
    const char *path = harness_path("s");
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_pipe_new(both.loop, 0, &listener), FER_OK);
    assert_int_equal(fer_pipe_bind(listener, path, FER_ZSTRING, NULL), FER_OK);
    pass(&both, listener);
    run_until_count(both.loop, &both.caught.handles, 1);
    assert_int_equal(both.caught.kinds[0], FER_KIND_PIPE);
    assert_int_equal(fer_stream_listen(both.caught.last, 0, on_echo_connection, &both.caught, NULL),
                     FER_OK);
    assert_int_equal(fer_pipe_new(both.loop, 0, &client), FER_OK);
    assert_int_equal(fer_pipe_connect(client, path, FER_ZSTRING, note_stream, &connected), FER_OK);
    expect_served(&both, client, &connected);
    fer_handle_unref(client);
    fer_handle_unref(listener);
    passer_close(&both);
}

static void a_pipe_connection_stays_usable_here(void **state) {
    passer both;
    fer_handle *near = NULL;
    fer_handle *far = NULL;
    inbox box = {0};
    fer_bytes part = piece("one", 3);
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_pipe_pair(both.loop, 0, &near, &far), FER_OK);
    assert_int_equal(fer_stream_read_start(far, inbox_read, &box, inbox_finalized), FER_OK);
    pass(&both, near);
    run_until_count(both.loop, &both.caught.handles, 1);
    assert_int_equal(fer_stream_write(near, &part, 1, NULL, NULL), FER_OK);
    run_until_count(both.loop, &box.size, 3);
    assert_int_equal(fer_stream_write(both.caught.last, &part, 1, NULL, NULL), FER_OK);
    run_until_count(both.loop, &box.size, 6);
    assert_memory_equal(box.bytes, "oneone", 6);
    fer_handle_unref(near);
    fer_handle_unref(far);
    passer_close(&both);
    inbox_free(&box);
}

static void on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                        void *user) {
    (void)udp;
    assert_int_equal(datagram->size, 4);
    note(user, status);
}

static void a_udp_socket(void **state) {
    passer both;
    fer_handle *udp = NULL;
    fer_handle *sender = NULL;
    noted came = {0};
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    fer_bytes part = piece("ping", 4);
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_new(both.loop, 0, &sender), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_inet_getsockname(udp, host, &port), FER_OK);
    pass(&both, udp);
    assert_int_equal(fer_handle_close(udp, NULL, NULL), FER_OK);
    run_until_count(both.loop, &both.caught.handles, 1);
    assert_int_equal(both.caught.kinds[0], FER_KIND_UDP);
    assert_int_equal(fer_udp_receive_start(both.caught.last, on_datagram, &came, NULL), FER_OK);
    assert_int_equal(fer_udp_send(sender, &part, 1, host, port, NULL, NULL), FER_OK);
    harness_run_until(both.loop, &came.calls);
    fer_handle_unref(udp);
    fer_handle_unref(sender);
    passer_close(&both);
}

static void a_descriptor_of_another_kind_blocks_nothing(void **state) {
    passer both;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int directory = open("/", O_RDONLY | O_CLOEXEC);
    fer_bytes part = piece("f", 1);
    fer_handle *udp = NULL;
    fer_fd taken = -1;
    (void)state;
    passer_open(&both);
    both.caught.keep = 1;
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_pipe_pass_fd(both.a, &part, 1, fd, NULL, NULL), FER_OK);
    assert_int_equal(fer_pipe_pass_fd(both.a, &part, 1, directory, NULL, NULL), FER_OK);
    pass(&both, udp);
    close(fd);
    close(directory);
    run_until_count(both.loop, &both.caught.bytes, 3);
    assert_int_equal(fer_pipe_pending_count(both.b), 3);
    assert_int_equal(fer_pipe_pending_kind(both.b), FER_KIND_OTHER);
    assert_int_equal(fer_stream_accept(both.b, udp), FER_EISCONN);
    fer_handle_unref(udp);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_stream_accept(both.b, udp), FER_EKIND);
    assert_int_equal(fer_pipe_accept_fd(both.b, &taken), FER_OK);
    close((int)taken);
    assert_int_equal(fer_pipe_accept_fd(both.b, &taken), FER_OK);
    close((int)taken);
    assert_int_equal(fer_stream_accept(both.b, udp), FER_OK);
    assert_int_equal(fer_stream_accept(both.b, udp), FER_EISCONN);
    assert_int_equal(fer_pipe_accept_fd(both.b, &taken), FER_EAGAIN);
    fer_handle_unref(udp);
    passer_close(&both);
}

/* The end of the stream, queues, floods. */

static void everything_comes_before_the_end(void **state) {
    enum { ROUNDS = 50, HANDLES = 5 };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        passer both;
        fer_handle *udp = NULL;
        fer_bytes part = piece("bytes", 5);
        passer_open(&both);
        assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
        assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
        for (int i = 0; i < HANDLES; i++) {
            assert_int_equal(fer_stream_write(both.a, &part, 1, NULL, NULL), FER_OK);
            pass(&both, udp);
        }
        assert_int_equal(fer_handle_close(both.a, NULL, NULL), FER_OK);
        harness_run_until(both.loop, &both.caught.end.calls);
        assert_int_equal(both.caught.end.status, FER_EOF);
        assert_int_equal(both.caught.bytes, HANDLES * 6);
        assert_int_equal(both.caught.handles, HANDLES);
        fer_handle_unref(udp);
        passer_close(&both);
    }
}

static void a_handle_waits_in_the_queue_and_may_be_closed(void **state) {
    enum { SIZE = 4 << 20 };
    passer both;
    fer_handle *udp = NULL;
    noted passed = {0};
    uint8_t *data = filled(SIZE, 3);
    fer_bytes much = piece(data, SIZE);
    fer_bytes part = piece("h", 1);
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_stream_write(both.a, &much, 1, NULL, NULL), FER_OK);
    assert_true(fer_stream_write_queue_size(both.a) > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_pipe_pass(both.a, &part, 1, udp, note_stream, &passed), FER_OK);
    assert_int_equal(fer_handle_close(udp, NULL, NULL), FER_OK);
    fer_handle_unref(udp);
    run_until_count(both.loop, &both.caught.handles, 3);
    harness_run_until(both.loop, &passed.calls);
    assert_int_equal(passed.status, FER_OK);
    assert_int_equal(both.caught.bytes, SIZE + 3);
    free(data);
    passer_close(&both);
}

static void close_drops_handles_on_both_sides(void **state) {
    enum { SIZE = 4 << 20 };
    passer both;
    fer_handle *udp = NULL;
    noted passed = {0};
    noted closed = {0};
    uint8_t *data = filled(SIZE, 3);
    fer_bytes much = piece(data, SIZE);
    fer_bytes part = piece("h", 1);
    (void)state;
    passer_open(&both);
    both.caught.keep = 1;
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    pass(&both, udp);
    run_until_count(both.loop, &both.caught.bytes, 1);
    assert_int_equal(fer_pipe_pending_count(both.b), 1);
    assert_int_equal(fer_stream_read_stop(both.b), FER_OK);
    assert_int_equal(fer_stream_write(both.a, &much, 1, NULL, NULL), FER_OK);
    assert_int_equal(fer_pipe_pass(both.a, &part, 1, udp, note_stream, &passed), FER_OK);
    assert_int_equal(fer_handle_close(both.a, note_handle_closed, &closed), FER_OK);
    harness_run_until(both.loop, &closed.calls);
    assert_int_equal(passed.calls, 1);
    assert_int_equal(passed.status, FER_ECANCELED);
    free(data);
    fer_handle_unref(udp);
    passer_close(&both);
}

static void a_peer_that_floods_is_cut_off(void **state) {
    passer both;
    fer_handle *pipe = NULL;
    int fds[2];
    int handles[100];
    size_t before;
    (void)state;
    passer_open(&both);
    raw_pair(fds);
    assert_int_equal(fer_pipe_new(both.loop, FER_PIPE_IPC, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
    assert_int_equal(fer_stream_read_stop(both.b), FER_OK);
    both.caught.keep = 1;
    both.caught.finalized.calls = 0;
    assert_int_equal(fer_pipe_read_start2(pipe, on_read2, &both.caught, on_finalized), FER_OK);
    for (size_t i = 0; i < 100; i++)
        handles[i] = fds[1];
    before = harness_count_descriptors();
    raw_send_handles(fds[1], "x", 1, handles, FER_PENDING_MAX);
    run_until_count(both.loop, &both.caught.bytes, 1);
    assert_int_equal(fer_pipe_pending_count(pipe), FER_PENDING_MAX);
    assert_int_equal(harness_count_descriptors(), before + FER_PENDING_MAX);
    raw_send_handles(fds[1], "x", 1, handles, 1);
    harness_run_until(both.loop, &both.caught.end.calls);
    assert_int_equal(both.caught.end.status, FER_EPROTO);
    assert_int_equal(fer_pipe_pending_count(pipe), 0);
    assert_int_equal(harness_count_descriptors(), before);
    fer_handle_unref(pipe);
    raw_close(fds[1]);
    passer_close(&both);
}

static void without_room_for_descriptors_reading_ends(void **state) {
    passer both;
    struct rlimit limit;
    struct rlimit tight;
    fer_handle *udp = NULL;
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    pass(&both, udp);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = limit;
    tight.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (both.caught.end.calls == 0 && both.caught.bytes == 0)
        assert_int_equal(fer_loop_step(both.loop, -1), FER_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(both.caught.end.status, FER_EMFILE);
    assert_int_equal(both.caught.bytes, 0);
    assert_int_equal(both.caught.handles, 0);
    fer_handle_unref(udp);
    passer_close(&both);
}

static void many_passes_leak_nothing(void **state) {
    enum { MANY = 100000 };
    passer both;
    fer_handle *udp = NULL;
    size_t before;
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    before = harness_count_descriptors();
    for (size_t i = 1; i <= MANY; i++) {
        pass(&both, udp);
        if (i % 16 == 0)
            run_until_count(both.loop, &both.caught.handles, i);
    }
    run_until_count(both.loop, &both.caught.handles, MANY);
    fer_handle_unref(both.caught.last);
    both.caught.last = NULL;
    while (harness_count_descriptors() > before)
        assert_int_equal(fer_loop_step(both.loop, -1), FER_OK);
    fer_handle_unref(udp);
    passer_close(&both);
}

/* A third process: what it receives it passes on. */

static void relay_read(fer_handle *pipe, fer_status status, const void *data, size_t size,
                       fer_kind pending, void *user) {
    catch *to = user;
    fer_bytes part = piece(data, size);
    if (status != FER_OK) {
        fer_handle_close(pipe, NULL, NULL);
        return;
    }
    if (pending == FER_KIND_NONE)
        return;
    take(pipe, to, pending);
    fer_pipe_pass(pipe, &part, 1, to->last, NULL, NULL);
}

static int relay(int argc, char **argv) {
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    catch caught = {0};
    (void)argc;
    (void)argv;
    if (fer_loop_new(&loop) != FER_OK || fer_pipe_new(loop, FER_PIPE_IPC, &pipe) != FER_OK ||
        fer_pipe_open(pipe, 3) != FER_OK)
        return 1;
    caught.loop = loop;
    if (fer_pipe_read_start2(pipe, relay_read, &caught, NULL) != FER_OK)
        return 1;
    if (fer_loop_run(loop) != FER_OK)
        return 1;
    fer_handle_unref(caught.last);
    fer_handle_unref(pipe);
    if (fer_loop_run(loop) != FER_OK || fer_loop_close(loop) != FER_OK)
        return 1;
    fer_loop_unref(loop);
    return 0;
}

static void a_handle_goes_through_a_third_process(void **state) {
    passer both;
    harness_child child;
    fer_handle *pipe = NULL;
    fer_handle *near = NULL;
    fer_handle *far = NULL;
    inbox box = {0};
    int fds[2];
    fer_bytes part = piece("h", 1);
    const char *const none[] = {NULL};
    (void)state;
    passer_open(&both);
    raw_pair(fds);
    harness_spawn(&child, "relay", fds[1], none);
    raw_close(fds[1]);
    assert_int_equal(fer_pipe_new(both.loop, FER_PIPE_IPC, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
    both.caught.finalized.calls = 0;
    assert_int_equal(fer_stream_read_stop(both.b), FER_OK);
    both.caught.finalized.calls = 0;
    assert_int_equal(fer_pipe_read_start2(pipe, on_read2, &both.caught, on_finalized), FER_OK);
    assert_int_equal(fer_pipe_pair(both.loop, 0, &near, &far), FER_OK);
    assert_int_equal(fer_pipe_pass(pipe, &part, 1, near, NULL, NULL), FER_OK);
    run_until_count(both.loop, &both.caught.handles, 1);
    assert_int_equal(fer_stream_read_start(far, inbox_read, &box, inbox_finalized), FER_OK);
    part = piece("hello", 5);
    assert_int_equal(fer_stream_write(both.caught.last, &part, 1, NULL, NULL), FER_OK);
    run_until_count(both.loop, &box.size, 5);
    assert_int_equal(fer_handle_close(pipe, NULL, NULL), FER_OK);
    fer_handle_unref(pipe);
    fer_handle_unref(near);
    fer_handle_unref(far);
    passer_close(&both);
    inbox_free(&box);
    assert_int_equal(harness_wait(&child), 0);
}

/* Bad input. */

static void bad_arguments(void **state) {
    passer both;
    fer_handle *plain = NULL;
    fer_handle *udp = NULL;
    fer_bytes part = piece("x", 1);
    fer_bytes nothing = piece("", 0);
    fer_fd fd = -1;
    noted never = {0};
    fer_credentials who = FER_CREDENTIALS_INIT;
    (void)state;
    passer_open(&both);
    assert_int_equal(fer_pipe_new(both.loop, 2, &plain), FER_EINVAL);
    assert_int_equal(fer_pipe_new(both.loop, 0, &plain), FER_OK);
    assert_int_equal(fer_udp_new(both.loop, 0, &udp), FER_OK);
    assert_true(fer_pipe_is_ipc(both.a));
    assert_false(fer_pipe_is_ipc(plain));
    assert_int_equal(fer_pipe_pass(plain, &part, 1, both.a, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_pass(udp, &part, 1, both.a, NULL, NULL), FER_EKIND);
    assert_int_equal(fer_pipe_pass(both.a, &part, 1, both.a, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_pass(both.a, &part, 1, udp, NULL, NULL), FER_EBADF);
    assert_int_equal(fer_pipe_pass(both.a, &part, 1, NULL, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_pipe_pass(both.a, &nothing, 1, udp, note_stream, &never), FER_EINVAL);
    assert_int_equal(fer_pipe_pass(both.a, NULL, 0, udp, note_stream, &never), FER_EINVAL);
    assert_int_equal(fer_pipe_pass_fd(both.a, &part, 1, -1, NULL, NULL), FER_EBADF);
    assert_int_equal(fer_pipe_pass_fd(both.a, &part, 1, 1000000, NULL, NULL), FER_EBADF);
    assert_int_equal(fer_handle_close(udp, NULL, NULL), FER_OK);
    assert_int_equal(fer_pipe_pass(both.a, &part, 1, udp, note_stream, &never), FER_ECLOSED);
    assert_int_equal(fer_pipe_accept_fd(plain, &fd), FER_EINVAL);
    assert_int_equal(fer_pipe_accept_fd(both.b, &fd), FER_EAGAIN);
    assert_int_equal(fer_stream_accept(both.b, plain), FER_EAGAIN);
    assert_int_equal(fer_pipe_read_start2(plain, on_read2, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_read_start2(both.b, on_read2, NULL, NULL), FER_EALREADY);
    assert_int_equal(fer_pipe_pending_kind(NULL), FER_KIND_NONE);
    assert_int_equal(fer_pipe_pending_instances(both.a, 4), FER_OK);
    assert_int_equal(fer_pipe_pending_instances(both.a, 0), FER_EINVAL);
    assert_int_equal(fer_pipe_peer_credentials(both.a, &who), FER_OK);
    assert_int_equal(who.uid, geteuid());
    assert_int_equal(who.gid, getegid());
    assert_int_equal(who.pid, getpid());
    assert_int_equal(fer_pipe_peer_credentials(plain, &who), FER_ENOTCONN);
    who.struct_size = 4;
    assert_int_equal(fer_pipe_peer_credentials(both.a, &who), FER_EINVAL);
    assert_int_equal(fer_pipe_chmod(both.a, 0600), FER_EINVAL);
    fer_handle_unref(plain);
    fer_handle_unref(udp);
    passer_close(&both);
    assert_int_equal(never.calls, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_bound_tcp_listener),
        HARNESS_TEST(a_listening_tcp_listener),
        HARNESS_TEST(a_pipe_listener),
        HARNESS_TEST(a_pipe_connection_stays_usable_here),
        HARNESS_TEST(a_udp_socket),
        HARNESS_TEST(a_descriptor_of_another_kind_blocks_nothing),
        HARNESS_TEST(everything_comes_before_the_end),
        HARNESS_TEST(a_handle_waits_in_the_queue_and_may_be_closed),
        HARNESS_TEST(close_drops_handles_on_both_sides),
        HARNESS_TEST(a_peer_that_floods_is_cut_off),
        HARNESS_TEST(without_room_for_descriptors_reading_ends),
        HARNESS_TEST(many_passes_leak_nothing),
        HARNESS_TEST(a_handle_goes_through_a_third_process),
        HARNESS_TEST(bad_arguments),
    };
    const harness_helper helpers[] = {{"relay", relay}, {NULL, NULL}};
    return HARNESS_MAIN("passing", tests, helpers, argc, argv);
}
