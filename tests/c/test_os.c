/* Sockets, reading and writing, waiting, and the mark of the process. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "impl/os.h"

static fer_status send_bytes(fer__fd fd, const void *data, size_t size, size_t *written) {
    struct iovec part = {(void *)(uintptr_t)data, size};
    return fer__os_send(fd, &part, 1, written);
}

static fer_status receive_bytes(fer__fd fd, void *data, size_t size, size_t *got, uint32_t *flags) {
    struct iovec part = {data, size};
    return fer__os_recv(fd, &part, 1, got, flags);
}

static void assert_prepared(fer__fd fd) {
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fer__os_get_nonblocking(fd), 1);
}

static void close_pair(fer__fd fds[2]) {
    fer__os_close(fds[0]);
    fer__os_close(fds[1]);
}

static void a_pair_carries_bytes(void **state) {
    (void)state;
    fer__fd fds[2];
    char text[16];
    size_t count;
    uint32_t flags = 99;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    assert_prepared(fds[0]);
    assert_prepared(fds[1]);
    assert_int_equal(send_bytes(fds[0], "hello", 5, &count), FER_OK);
    assert_int_equal(count, 5);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(count, 5);
    assert_int_equal(flags, 0);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_EAGAIN);
    assert_int_equal(count, 0);
    assert_int_equal(fer__os_shutdown_write(fds[0]), FER_OK);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_EOF);
    assert_int_equal(send_bytes(fds[0], "x", 1, &count), FER_EPIPE);
    assert_int_equal(send_bytes(fds[1], "back", 4, &count), FER_OK);
    assert_int_equal(receive_bytes(fds[0], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(fer__os_socket_error(fds[0]), FER_OK);
    close_pair(fds);
    fer__os_close(FER__NO_FD);
}

/* Without a reader, more than the kernel can hold. */
static size_t fill(fer__fd fd) {
    static char block[65536];
    size_t total = 0;
    size_t count;
    fer_status status;
    while ((status = send_bytes(fd, block, sizeof block, &count)) == FER_OK)
        total += count;
    assert_int_equal(status, FER_EAGAIN);
    assert_int_equal(count, 0);
    return total;
}

static void a_blocking_descriptor_does_not_block(void **state) {
    (void)state;
    fer__fd fds[2];
    char text[16];
    size_t count;
    uint32_t flags;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    assert_int_equal(fer__os_set_nonblocking(fds[0], 0), FER_OK);
    assert_int_equal(fer__os_set_nonblocking(fds[1], 0), FER_OK);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_EAGAIN);
    assert_true(fill(fds[0]) > 0);
    assert_int_equal(fer__os_get_nonblocking(fds[0]), 0);
    assert_int_equal(fer__os_get_nonblocking(fds[1]), 0);
    close_pair(fds);
    assert_int_equal(fer__os_get_nonblocking(-1), -1);
    assert_int_equal(fer__os_set_nonblocking(-1, 1), FER_EBADF);
}

static void a_larger_send_buffer_holds_more(void **state) {
    (void)state;
    fer__fd small[2];
    fer__fd large[2];
    assert_int_equal(fer__os_socket_pair(small), FER_OK);
    assert_int_equal(fer__os_socket_pair(large), FER_OK);
    int size = 0;
    socklen_t length = sizeof size;
    assert_int_equal(getsockopt(large[0], SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    fer__os_want_send_buffer(large[0], size * 4);
    assert_true(fill(large[0]) > fill(small[0]));
    int grown = 0;
    assert_int_equal(getsockopt(large[0], SOL_SOCKET, SO_SNDBUF, &grown, &length), 0);
    fer__os_want_send_buffer(large[0], 1);
    int after = 0;
    assert_int_equal(getsockopt(large[0], SOL_SOCKET, SO_SNDBUF, &after, &length), 0);
    assert_int_equal(after, grown);
    fer__os_want_send_buffer(-1, 100);
    close_pair(small);
    close_pair(large);
}

static void many_parts_go_in_order(void **state) {
    (void)state;
    enum { PARTS = 600 };
    struct iovec parts[PARTS];
    uint8_t bytes[PARTS];
    uint8_t got[PARTS];
    fer__fd fds[2];
    size_t count;
    uint32_t flags;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    for (size_t i = 0; i < PARTS; i++) {
        bytes[i] = (uint8_t)i;
        parts[i].iov_base = &bytes[i];
        /* Pieces of no bytes are allowed between others. */
        parts[i].iov_len = i % 3 == 1 ? 0 : 1;
    }
    assert_int_equal(fer__os_send(fds[0], parts, PARTS, &count), FER_OK);
    assert_in_range(count, 1, FER__IOV_MAX);
    size_t expected = count;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i].iov_base = &got[i];
        parts[i].iov_len = i % 3 == 2 ? 0 : 1;
    }
    memset(got, 0xee, sizeof got);
    assert_int_equal(fer__os_recv(fds[1], parts, PARTS, &count, &flags), FER_OK);
    assert_int_equal(count, expected);
    for (size_t i = 0, from = 0, seen = 0; seen < count; i++) {
        if (i % 3 == 2)
            continue;
        while (from % 3 == 1)
            from++;
        assert_int_equal(got[i], bytes[from++]);
        seen++;
    }
    /* Nothing to read into is not the end of the stream. */
    assert_int_equal(send_bytes(fds[0], "x", 1, &count), FER_OK);
    assert_int_equal(receive_bytes(fds[1], got, 0, &count, &flags), FER_OK);
    assert_int_equal(receive_bytes(fds[1], got, 1, &count, &flags), FER_OK);
    assert_int_equal(count, 1);
    close_pair(fds);
}

static void a_gone_peer_raises_no_signal(void **state) {
    (void)state;
    fer__fd fds[2];
    struct sigaction action;
    size_t count;
    char text[4];
    uint32_t flags;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    fer__os_close(fds[1]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_bytes(fds[0], "x", 1, &count), FER_EPIPE);
    assert_int_equal(receive_bytes(fds[0], text, sizeof text, &count, &flags), FER_EOF);
    fer__os_close(fds[0]);
}

static void what_came_before_a_reset_is_read(void **state) {
    (void)state;
    fer__fd fds[2];
    char text[8];
    size_t count;
    uint32_t flags;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    assert_int_equal(send_bytes(fds[0], "unread", 6, &count), FER_OK);
    assert_int_equal(send_bytes(fds[1], "last", 4, &count), FER_OK);
    fer__os_close(fds[1]);
    assert_int_equal(receive_bytes(fds[0], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(count, 4);
    assert_memory_equal(text, "last", 4);
#ifdef __linux__
    assert_int_equal(receive_bytes(fds[0], text, sizeof text, &count, &flags), FER_ECONNRESET);
#endif
    assert_int_equal(receive_bytes(fds[0], text, sizeof text, &count, &flags), FER_EOF);
    fer__os_close(fds[0]);
}

static void handles_that_come_are_seen_and_not_kept(void **state) {
    (void)state;
    fer__fd fds[2];
    int handles[3] = {0, 1, 2};
    char text[8];
    size_t count;
    uint32_t flags;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    size_t open_before = harness_count_descriptors();
    raw_send_handles(fds[0], "abc", 3, handles, 3);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(count, 3);
    assert_int_equal(flags, FER__RECV_TRUNCATED);
    raw_send_handles(fds[0], "d", 1, handles, 1);
    struct iovec part = {text, sizeof text};
    assert_int_equal(fer__os_recv_blocking(fds[1], &part, 1, &count, &flags), FER_OK);
    assert_int_equal(flags, FER__RECV_TRUNCATED);
    raw_send(fds[0], "e", 1);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(flags, 0);
    assert_int_equal(harness_count_descriptors(), open_before);
    close_pair(fds);
}

#ifdef __linux__
static void credentials_are_not_taken_for_handles(void **state) {
    (void)state;
    fer__fd fds[2];
    char text[8];
    size_t count;
    uint32_t flags;
    int on = 1;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    assert_int_equal(send_bytes(fds[0], "abc", 3, &count), FER_OK);
    assert_int_equal(receive_bytes(fds[1], text, sizeof text, &count, &flags), FER_OK);
    assert_int_equal(count, 3);
    assert_int_equal(flags, 0);
    close_pair(fds);
}
#endif

static atomic_int waiting_done;

static void on_signal(int number) {
    (void)number;
}

/* Signal the thread until it has returned from what it waits in. */
static void interrupt_until_done(pthread_t thread) {
    struct sigaction action;
    struct sigaction before;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    while (!atomic_load(&waiting_done)) {
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        poll(NULL, 0, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

struct wait_case {
    fer__fd fd;
    fer_status status;
};

static void *receive_in_thread(void *user) {
    struct wait_case *wait = user;
    char text[4];
    struct iovec part = {text, sizeof text};
    size_t count;
    uint32_t flags;
    wait->status = fer__os_recv_blocking(wait->fd, &part, 1, &count, &flags);
    atomic_store(&waiting_done, 1);
    return NULL;
}

static void *wait_in_thread(void *user) {
    struct wait_case *wait = user;
    fer__wait waits = {wait->fd, FER__WAIT_READ, 0};
    wait->status = fer__os_wait(&waits, 1, -1);
    atomic_store(&waiting_done, 1);
    return NULL;
}

static void a_signal_ends_a_wait(void **state) {
    (void)state;
    static void *(*const functions[])(void *) = {receive_in_thread, wait_in_thread};
    fer__fd fds[2];
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    assert_int_equal(fer__os_set_nonblocking(fds[0], 0), FER_OK);
    for (int i = 0; i < 2; i++) {
        struct wait_case wait = {fds[0], FER_OK};
        pthread_t thread;
        atomic_store(&waiting_done, 0);
        assert_int_equal(pthread_create(&thread, NULL, functions[i], &wait), 0);
        interrupt_until_done(thread);
        assert_int_equal(wait.status, FER_EINTR);
    }
    close_pair(fds);
}

static void waiting_tells_what_is_ready(void **state) {
    (void)state;
    fer__fd fds[2];
    size_t count;
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    fer__wait waits[2] = {{fds[0], FER__WAIT_READ, 9}, {fds[1], FER__WAIT_READ, 9}};
    assert_int_equal(fer__os_wait(waits, 2, 0), FER_ETIMEDOUT);
    assert_int_equal(waits[0].ready + waits[1].ready, 0);
    int64_t before = fer__os_now();
    assert_int_equal(fer__os_wait(waits, 2, 20), FER_ETIMEDOUT);
    assert_true(fer__os_now() - before >= 19);
    assert_int_equal(send_bytes(fds[0], "x", 1, &count), FER_OK);
    /* Times that poll(2) cannot take. */
    static const int64_t times[] = {-1, 0, INT_MAX, (int64_t)INT_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(fer__os_wait(waits, 2, times[i]), FER_OK);
        assert_int_equal(waits[0].ready, 0);
        assert_int_equal(waits[1].ready, FER__WAIT_READ);
    }
    waits[0].events = waits[1].events = FER__WAIT_READ | FER__WAIT_WRITE;
    assert_int_equal(fer__os_wait(waits, 2, -1), FER_OK);
    assert_int_equal(waits[0].ready, FER__WAIT_WRITE);
    assert_int_equal(waits[1].ready, FER__WAIT_READ | FER__WAIT_WRITE);
    /* The end of the peer sets what was asked for. */
    fer__os_close(fds[1]);
    waits[0].events = FER__WAIT_WRITE;
    assert_int_equal(fer__os_wait(waits, 1, -1), FER_OK);
    assert_int_equal(waits[0].ready, FER__WAIT_WRITE);
    fer__os_close(fds[0]);
    /* So does a descriptor that is none. */
    waits[0].events = FER__WAIT_READ;
    assert_int_equal(fer__os_wait(waits, 1, -1), FER_OK);
    assert_int_equal(waits[0].ready, FER__WAIT_READ);
}

static void wait_for_many(void *context) {
    fer__wait *waits = context;
    fer_status status = fer__os_wait(waits, 40, -1);
    if (status == FER_OK)
        assert_int_equal(waits[39].ready, FER__WAIT_WRITE);
    else
        assert_int_equal(status, FER_ENOMEM);
}

static void many_descriptors_can_be_waited_for(void **state) {
    (void)state;
    fer__fd fds[2];
    fer__wait waits[40];
    assert_int_equal(fer__os_socket_pair(fds), FER_OK);
    for (size_t i = 0; i < 40; i++) {
        waits[i].fd = fds[0];
        waits[i].events = i == 39 ? FER__WAIT_WRITE : FER__WAIT_READ;
    }
    assert_int_equal(harness_each_allocation(wait_for_many, waits), 1);
    assert_int_equal(fer__os_wait(waits, SIZE_MAX / 4, 0), FER_ENOMEM);
    close_pair(fds);
}

static void only_stream_sockets_of_the_domain_are_pipes(void **state) {
    (void)state;
    fer__fd pipe_fd;
    int other[2];
    assert_int_equal(fer__os_socket_pipe(&pipe_fd), FER_OK);
    assert_prepared(pipe_fd);
    assert_int_equal(fer__os_check_pipe(pipe_fd), FER_OK);
    fer__os_close(pipe_fd);
    assert_int_equal(fer__os_check_pipe(pipe_fd), FER_EBADF);
    assert_int_equal(fer__os_check_pipe(-1), FER_EBADF);
    assert_int_equal(pipe(other), 0);
    assert_int_equal(fer__os_check_pipe(other[0]), FER_ENOTSOCK);
    raw_close(other[0]);
    raw_close(other[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, other), 0);
    assert_int_equal(fer__os_check_pipe(other[0]), FER_EPROTOTYPE);
    raw_close(other[0]);
    raw_close(other[1]);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(tcp >= 0);
    assert_int_equal(fer__os_check_pipe(tcp), FER_EPROTOTYPE);
    raw_close(tcp);
}

static void accepting_never_waits(void **state) {
    (void)state;
    int listener = raw_listen(harness_path("s"));
    fer__fd fd = 99;
    assert_true(fer__os_is_listening(listener));
    for (int blocking = 0; blocking < 2; blocking++) {
        assert_int_equal(fer__os_set_nonblocking(listener, !blocking), FER_OK);
        assert_int_equal(fer__os_accept(listener, &fd), FER_EAGAIN);
        assert_int_equal(fd, FER__NO_FD);
        int first = raw_connect(harness_path("s"));
        int second = raw_connect(harness_path("s"));
        raw_close(first);
        /* One that is gone again is still handed out; that it is gone shows when it is read. */
        assert_int_equal(fer__os_accept(listener, &fd), FER_OK);
        assert_prepared(fd);
        assert_false(fer__os_is_listening(fd));
        fer__os_close(fd);
        assert_int_equal(fer__os_accept(listener, &fd), FER_OK);
        fer__os_close(fd);
        assert_int_equal(fer__os_accept(listener, &fd), FER_EAGAIN);
        assert_int_equal(fer__os_get_nonblocking(listener), !blocking);
        raw_close(second);
    }
    fer__fd plain;
    assert_int_equal(fer__os_socket_pipe(&plain), FER_OK);
    assert_int_equal(fer__os_accept(plain, &fd), FER_EINVAL);
    assert_false(fer__os_is_listening(plain));
    assert_false(fer__os_is_listening(-1));
    assert_int_equal(fer__os_accept(-1, &fd), FER_EBADF);
    fer__os_close(plain);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
}

static void no_descriptors_left_is_a_status(void **state) {
    (void)state;
    int listener = raw_listen(harness_path("s"));
    int client = raw_connect(harness_path("s"));
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {(rlim_t)client + 1, before.rlim_max};
    fer__fd fds[2];
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fer_status accepted = fer__os_accept(listener, &fds[0]);
    fer_status made = fer__os_socket_pipe(&fds[0]);
    fer_status paired = fer__os_socket_pair(fds);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted, FER_EMFILE);
    assert_int_equal(made, FER_EMFILE);
    assert_int_equal(paired, FER_EMFILE);
    assert_int_equal(fds[0], FER__NO_FD);
    assert_int_equal(fds[1], FER__NO_FD);
    /* The connection is still there. */
    assert_int_equal(fer__os_accept(listener, &fds[0]), FER_OK);
    fer__os_close(fds[0]);
    raw_close(client);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
}

static void errno_is_left_alone(void **state) {
    (void)state;
    char text[8];
    size_t count = sizeof text;
    uint32_t flags;
    fer__fd fd;
    fer__wait wait = {-1, FER__WAIT_READ, 0};
    struct iovec part = {text, sizeof text};
    errno = EDOM;
    assert_int_equal(send_bytes(-1, "x", 1, &count), FER_EBADF);
    assert_int_equal(receive_bytes(-1, text, 1, &count, &flags), FER_EBADF);
    assert_int_equal(fer__os_recv_blocking(-1, &part, 1, &count, &flags), FER_EBADF);
    assert_int_equal(fer__os_accept(-1, &fd), FER_EBADF);
    assert_int_equal(fer__os_listen(-1, 1), FER_EBADF);
    assert_int_equal(fer__os_check_pipe(-1), FER_EBADF);
    assert_int_equal(fer__os_socket_error(-1), FER_EBADF);
    assert_int_equal(fer__os_shutdown_write(-1), FER_EBADF);
    assert_int_equal(fer__os_connect_pipe(-1, "/nowhere", FER_ZSTRING), FER_EBADF);
    count = sizeof text;
    assert_int_equal(fer__os_pipe_name(-1, 0, text, &count), FER_EBADF);
    fer__os_is_listening(-1);
    fer__os_get_nonblocking(-1);
    fer__os_close(-2);
    fer__os_wait(&wait, 1, 0);
    fer__os_process_mark();
    assert_int_equal(errno, EDOM);
}

static void a_child_has_another_mark(void **state) {
    (void)state;
    uint64_t mark = fer__os_process_mark();
    int fds[2];
    uint64_t seen[2] = {0, 0};
    int status;
    assert_true(mark != 0);
    assert_true(fer__os_process_mark() == mark);
    raw_pair(fds);
    pid_t child = fork();
    if (child == 0) {
        uint64_t marks[2] = {fer__os_process_mark(), 0};
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(fer__os_process_mark() != marks[0] && fer__os_process_mark() != mark ? 7 : 8);
        int rc = 0;
        waitpid(grandchild, &rc, 0);
        marks[1] = (uint64_t)WEXITSTATUS(rc);
        _exit(write(fds[1], marks, sizeof marks) == sizeof marks ? 0 : 1);
    }
    assert_true(child > 0);
    raw_receive(fds[0], seen, sizeof seen);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(seen[0] != 0 && seen[0] != mark);
    assert_int_equal(seen[1], 7);
    assert_true(fer__os_process_mark() == mark);
    raw_close(fds[0]);
    raw_close(fds[1]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_pair_carries_bytes),
        HARNESS_TEST(a_blocking_descriptor_does_not_block),
        HARNESS_TEST(a_larger_send_buffer_holds_more),
        HARNESS_TEST(many_parts_go_in_order),
        HARNESS_TEST(a_gone_peer_raises_no_signal),
        HARNESS_TEST(what_came_before_a_reset_is_read),
        HARNESS_TEST(handles_that_come_are_seen_and_not_kept),
#ifdef __linux__
        HARNESS_TEST(credentials_are_not_taken_for_handles),
#endif
        HARNESS_TEST(a_signal_ends_a_wait),
        HARNESS_TEST(waiting_tells_what_is_ready),
        HARNESS_TEST(many_descriptors_can_be_waited_for),
        HARNESS_TEST(only_stream_sockets_of_the_domain_are_pipes),
        HARNESS_TEST(accepting_never_waits),
        HARNESS_TEST(no_descriptors_left_is_a_status),
        HARNESS_TEST(errno_is_left_alone),
        HARNESS_TEST(a_child_has_another_mark),
    };
    return HARNESS_MAIN("os", tests, NULL, argc, argv);
}
