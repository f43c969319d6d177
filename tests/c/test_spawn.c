/* What a process was started with: FERRULE_CHANNEL, and the sockets of a service manager. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"

enum { PASSED = 3 };

/* In the child: the variable is gone, and what it named is not inherited. */
static int is_consumed(void) {
    return getenv(FER_PARENT_VARIABLE) == NULL && (fcntl(PASSED, F_GETFD) & FD_CLOEXEC) != 0;
}

/* Answer what the parent says with what a grandchild finds. */
static int child_blocking(int argc, char **argv) {
    fer_channel *channel = NULL;
    fer_channel *again = NULL;
    fer_message message;
    fer_bytes answer = {"bad", 3};
    (void)argc;
    (void)argv;
    if (setenv(FER_PARENT_VARIABLE, "fd:3", 1) != 0)
        return 1;
    if (fer_sync_parent(NULL, HARNESS_PATIENCE_MS, &channel) != FER_OK)
        return 2;
    if (fer_sync_parent(NULL, 0, &again) != FER_ENOENT || again != NULL)
        return 3;
    if (fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message) != FER_OK)
        return 4;
    /* A program that is started now finds neither the variable nor the descriptor. */
    if (is_consumed() &&
        system("test -z \"$" FER_PARENT_VARIABLE "\" && ! (true >&3) 2>/dev/null") == 0)
        answer = (fer_bytes){message.data, message.size};
    if (fer_sync_send(channel, &answer, 1, HARNESS_PATIENCE_MS) != FER_OK)
        return 5;
    if (fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message) != FER_EOF ||
        fer_sync_close(channel, HARNESS_PATIENCE_MS) != FER_OK)
        return 6;
    fer_channel_unref(channel);
    return 0;
}

static int child_on_loop(int argc, char **argv) {
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    fer_channel *again = NULL;
    noted connected = {0};
    (void)argc;
    (void)argv;
    if (setenv(FER_PARENT_VARIABLE, "fd:3", 1) != 0 || fer_loop_new(&loop) != FER_OK)
        return 1;
    if (fer_channel_parent(loop, NULL, note_connected, &connected, &channel) != FER_OK)
        return 2;
    if (fer_channel_parent(loop, NULL, note_connected, &connected, &again) != FER_ENOENT)
        return 3;
    while (connected.calls == 0)
        (void)fer_loop_step(loop, 1000);
    if (connected.status != FER_OK || !is_consumed() || send_text(channel, "hello") != FER_OK)
        return 4;
    noted closed = {0};
    if (fer_channel_close(channel, note_closed, &closed) != FER_OK || fer_loop_run(loop) != FER_OK)
        return 5;
    fer_channel_unref(channel);
    (void)fer_loop_close(loop);
    fer_loop_unref(loop);
    return closed.status == FER_OK ? 0 : 6;
}

static int child_that_dies(int argc, char **argv) {
    fer_channel *channel = NULL;
    (void)argc;
    (void)argv;
    if (setenv(FER_PARENT_VARIABLE, "fd:3", 1) != 0 ||
        fer_sync_parent(NULL, HARNESS_PATIENCE_MS, &channel) != FER_OK)
        return 1;
    abort();
}

/* Says whether the sockets of LISTEN_FDS are as argv[2] and on have them. */
static int child_activated(int argc, char **argv) {
    char address[32];
    size_t size = sizeof address;
    char pid[24];
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (argc != 1 || setenv("LISTEN_FDS", "1", 1) != 0 || setenv("LISTEN_PID", pid, 1) != 0 ||
        setenv("LISTEN_FDNAMES", "control", 1) != 0)
        return 1;
    if (fer_activation_address("control", 0, address, &size) != FER_OK ||
        strcmp(address, "fd:3") != 0)
        return 2;
    (void)argv;
    if (fer_sync_listen(address, NULL, &server) != FER_OK)
        return 3;
    if (fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel) != FER_OK ||
        fer_sync_send(channel, &(fer_bytes){"activated", 9}, 1, 1000) != FER_OK ||
        fer_sync_close(channel, HARNESS_PATIENCE_MS) != FER_OK)
        return 4;
    fer_channel_unref(channel);
    fer_server_unref(server);
    return 0;
}

static const harness_helper helpers[] = {
    {"blocking", child_blocking},
    {"on-loop", child_on_loop},
    {"dies", child_that_dies},
    {"activated", child_activated},
    {NULL, NULL},
};

/* Start a helper with one end of a pair as its descriptor 3; a channel at the other end. */
static fer_channel *spawn(fer_loop *loop, harness_child *child, const char *name) {
    fer_channel *channel = NULL;
    noted connected = {0};
    char address[32];
    int fds[2];
    raw_pair(fds);
    harness_spawn(child, name, fds[1], NULL);
    raw_close(fds[1]);
    snprintf(address, sizeof address, "fd:%d", fds[0]);
    assert_int_equal(fer_channel_connect(loop, address, NULL, note_connected, &connected, &channel),
                     FER_OK);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    return channel;
}

static void a_child_takes_the_channel_once(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    harness_child child;
    inbox box = {0};
    noted closed = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_channel *channel = spawn(loop, &child, "blocking");
    assert_int_equal(fer_channel_receive(channel, inbox_messages, &box, NULL), FER_OK);
    assert_int_equal(send_text(channel, "answer me"), FER_OK);
    run_until_count(loop, &box.count, 1);
    assert_int_equal(box.size, 9);
    assert_memory_equal(box.bytes, "answer me", 9);
    assert_int_equal(fer_channel_close(channel, note_closed, &closed), FER_OK);
    harness_run_until(loop, &closed.calls);
    assert_int_equal(closed.status, FER_OK);
    assert_int_equal(harness_wait(&child), 0);
    fer_channel_unref(channel);
    end_loop(loop);
    inbox_free(&box);
}

static void a_child_takes_it_on_its_loop(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    harness_child child;
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_channel *channel = spawn(loop, &child, "on-loop");
    assert_int_equal(fer_channel_receive(channel, inbox_messages, &box, NULL), FER_OK);
    harness_run_until(loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_EOF);
    assert_memory_equal(box.bytes, "hello", 5);
    fer_channel_unref(channel);
    end_loop(loop);
    assert_int_equal(harness_wait(&child), 0);
    inbox_free(&box);
}

static void the_death_of_the_child_ends_the_channel(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    harness_child child;
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_channel *channel = spawn(loop, &child, "dies");
    assert_int_equal(fer_channel_receive(channel, inbox_messages, &box, NULL), FER_OK);
    harness_run_until(loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_ECONNRESET);
    assert_true(harness_wait(&child) < 0);
    fer_channel_unref(channel);
    end_loop(loop);
    inbox_free(&box);
}

/* Variables that name nothing of use. */

static void expect_parent(const char *value, fer_status status) {
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    for (int on_loop = 0; on_loop < 2; on_loop++) {
        fer_status got;
        if (value != NULL)
            assert_int_equal(setenv(FER_PARENT_VARIABLE, value, 1), 0);
        else
            assert_int_equal(unsetenv(FER_PARENT_VARIABLE), 0);
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        channel = (fer_channel *)(void *)&channel;
        got = on_loop ? fer_channel_parent(loop, NULL, note_connected, &connected, &channel)
                      : fer_sync_parent(NULL, 0, &channel);
        if (got != status)
            fail_msg("%s gave %s", value == NULL ? "nothing" : value, fer_status_name(got));
        assert_null(channel);
        assert_null(getenv(FER_PARENT_VARIABLE));
        end_loop(loop);
    }
    assert_int_equal(connected.calls, 0);
}

static void variables_of_no_use_are_refused_and_removed(void **state) {
    (void)state;
    char text[64];
    char long_text[5000];
    expect_parent(NULL, FER_ENOENT);
    assert_string_equal(fer_status_detail(), "this process was not started with a channel");
    static const char *const malformed[] = {
        "",          "3",
        "fd:",       "fd:x",
        "fd:-1",     "fd:3x",
        "fd: 3",     "fd:99999999999999999999",
        "pipe:name", "tcp:127.0.0.1:1",
        "fifo:a,b",  "FD:3",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        expect_parent(malformed[i], FER_EADDRESS);
    memset(long_text, '3', sizeof long_text);
    memcpy(long_text, "fd:", 3);
    long_text[sizeof long_text - 1] = '\0';
    expect_parent(long_text, FER_EADDRESS);
    for (int fd = 0; fd < 3; fd++) {
        snprintf(text, sizeof text, "fd:%d", fd);
        expect_parent(text, FER_EINVAL);
    }
    /* Closed; then a file, a datagram socket, one that is not connected, one that listens. */
    /* A number that nothing else gets meanwhile. */
    expect_parent("fd:900", FER_EBADF);
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    snprintf(text, sizeof text, "fd:%d", file);
    expect_parent(text, FER_ENOTSOCK);
    raw_close(file);
    const int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(text, sizeof text, "fd:%d", datagrams);
    expect_parent(text, FER_EPROTOTYPE);
    raw_close(datagrams);
    const int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(text, sizeof text, "fd:%d", fresh);
    expect_parent(text, FER_ENOTCONN);
    raw_close(fresh);
    const int listener = raw_listen(harness_path("l"));
    snprintf(text, sizeof text, "fd:%d", listener);
    expect_parent(text, FER_ENOTCONN);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("l")), 0);
}

/* The variable is gone, so nobody could close it later. */
static void a_descriptor_is_closed_when_the_handshake_fails(void **state) {
    (void)state;
    for (int way = 0; way < 3; way++) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        fer_channel *channel = NULL;
        fer_loop *loop = NULL;
        noted connected = {0};
        char address[32];
        int fds[2];
        options.handshake_timeout_ms = 50;
        raw_pair(fds);
        snprintf(address, sizeof address, "fd:%d", fds[0]);
        assert_int_equal(setenv(FER_PARENT_VARIABLE, address, 1), 0);
        if (way == 1)
            raw_send(fds[1], "nonsense", 8);
        if (way < 2) {
            assert_int_equal(fer_sync_parent(&options, -1, &channel),
                             way == 0 ? FER_ETIMEDOUT : FER_EPROTO);
            assert_null(channel);
        } else {
            assert_int_equal(fer_loop_new(&loop), FER_OK);
            assert_int_equal(
                fer_channel_parent(loop, &options, note_connected, &connected, &channel), FER_OK);
            harness_run_until(loop, &connected.calls);
            assert_int_equal(connected.status, FER_ETIMEDOUT);
            fer_channel_unref(channel);
            end_loop(loop);
        }
        assert_null(getenv(FER_PARENT_VARIABLE));
        assert_int_equal(raw_drain(fds[1]), HELLO_SIZE);
        raw_close(fds[1]);
    }
}

/* What cannot succeed does not cost the channel. */
static void wrong_arguments_leave_the_variable(void **state) {
    (void)state;
    fer_channel_options bad = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channel = NULL;
    fer_loop *loop = NULL;
    noted connected = {0};
    assert_int_equal(setenv(FER_PARENT_VARIABLE, "fd:3", 1), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_sync_parent(NULL, 0, NULL), FER_EINVAL);
    assert_int_equal(fer_channel_parent(NULL, NULL, note_connected, &connected, &channel),
                     FER_EINVAL);
    assert_int_equal(fer_channel_parent(loop, NULL, NULL, NULL, &channel), FER_EINVAL);
    bad.wire = 9;
    assert_int_equal(fer_sync_parent(&bad, 0, &channel), FER_EINVAL);
    assert_int_equal(fer_channel_parent(loop, &bad, note_connected, &connected, &channel),
                     FER_EINVAL);
    bad.wire = FER_WIRE_NATIVE;
    bad.secret = "secret";
    bad.secret_size = 6;
    assert_int_equal(fer_sync_parent(&bad, 0, &channel), FER_ENOTSUP);
    assert_int_equal(fer_channel_parent(loop, &bad, note_connected, &connected, &channel),
                     FER_ENOTSUP);
    assert_string_equal(getenv(FER_PARENT_VARIABLE), "fd:3");
    assert_int_equal(unsetenv(FER_PARENT_VARIABLE), 0);
    end_loop(loop);
    assert_int_equal(connected.calls, 0);
}

/* With the variable gone nobody else knows its descriptor. */
static void a_silent_parent_costs_no_descriptor(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    char text[64];
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    snprintf(text, sizeof text, "fd:%d", ends[1]);
    assert_int_equal(setenv(FER_PARENT_VARIABLE, text, 1), 0);
    assert_int_equal(fer_sync_parent(NULL, 0, &channel), FER_ETIMEDOUT);
    assert_null(channel);
    assert_int_equal(fcntl(ends[1], F_GETFD), -1);
    raw_close(ends[0]);
}

/* Activation. */

static void set_activation(long pid, const char *count, const char *names) {
    char text[24];
    snprintf(text, sizeof text, "%ld", pid);
    assert_int_equal(pid == 0 ? unsetenv("LISTEN_PID") : setenv("LISTEN_PID", text, 1), 0);
    assert_int_equal(count == NULL ? unsetenv("LISTEN_FDS") : setenv("LISTEN_FDS", count, 1), 0);
    assert_int_equal(
        names == NULL ? unsetenv("LISTEN_FDNAMES") : setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void expect_activated(const char *name, size_t index, const char *address) {
    char buffer[32];
    size_t size = sizeof buffer;
    fer_status status = fer_activation_address(name, index, buffer, &size);
    if (address == NULL) {
        assert_int_equal(status, FER_ENOENT);
        return;
    }
    assert_int_equal(status, FER_OK);
    assert_string_equal(buffer, address);
    assert_int_equal(size, strlen(address));
}

static void sockets_of_a_service_manager_are_found(void **state) {
    (void)state;
    const long own = (long)getpid();
    char buffer[32];
    size_t size = 0;
    set_activation(0, NULL, NULL);
    expect_activated(NULL, 0, NULL);
    set_activation(own, "3", NULL);
    expect_activated(NULL, 0, "fd:3");
    expect_activated(NULL, 2, "fd:5");
    expect_activated(NULL, 3, NULL);
    expect_activated("name", 0, NULL);
    set_activation(own, "4", "a:bc:a:");
    expect_activated("a", 0, "fd:3");
    expect_activated("a", 1, "fd:5");
    expect_activated("a", 2, NULL);
    expect_activated("bc", 0, "fd:4");
    expect_activated("b", 0, NULL);
    expect_activated("", 0, "fd:6");
    expect_activated(NULL, 3, "fd:6");
    /* Fewer names than sockets. */
    set_activation(own, "3", "a");
    expect_activated("a", 0, "fd:3");
    expect_activated("a", 1, NULL);
    expect_activated(NULL, 2, "fd:5");
    /* For another process, such as the parent of this one. */
    set_activation(own + 1, "3", NULL);
    expect_activated(NULL, 0, NULL);
    set_activation(0, "3", NULL);
    expect_activated(NULL, 0, NULL);
    static const char *const numbers[] = {"0", "-1", "x", "", "1x", " 1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        set_activation(own, numbers[i], NULL);
        expect_activated(NULL, 0, NULL);
    }
    set_activation(own, "1", NULL);
    assert_int_equal(fer_activation_address(NULL, 0, NULL, &size), FER_ENOBUFS);
    assert_int_equal(size, 5);
    size = 4;
    assert_int_equal(fer_activation_address(NULL, 0, buffer, &size), FER_ENOBUFS);
    assert_int_equal(fer_activation_address(NULL, 0, buffer, NULL), FER_EINVAL);
    size = 4;
    assert_int_equal(fer_activation_address(NULL, 0, NULL, &size), FER_EINVAL);
    set_activation(0, NULL, NULL);
}

static void an_activated_server_serves(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    fer_message message;
    harness_child child;
    int listener = raw_listen(harness_path("s"));
    harness_spawn(&child, "activated", listener, NULL);
    raw_close(listener);
    assert_int_equal(fer_sync_connect(address_of("s"), NULL, HARNESS_PATIENCE_MS, &channel),
                     FER_OK);
    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
    assert_int_equal(message.size, 9);
    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_EOF);
    assert_int_equal(fer_sync_close(channel, HARNESS_PATIENCE_MS), FER_OK);
    fer_channel_unref(channel);
    assert_int_equal(harness_wait(&child), 0);
    /* It was not the server's to remove. */
    assert_int_equal(unlink(harness_path("s")), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_child_takes_the_channel_once),
        HARNESS_TEST(a_child_takes_it_on_its_loop),
        HARNESS_TEST(the_death_of_the_child_ends_the_channel),
        HARNESS_TEST(variables_of_no_use_are_refused_and_removed),
        HARNESS_TEST(a_descriptor_is_closed_when_the_handshake_fails),
        HARNESS_TEST(wrong_arguments_leave_the_variable),
        HARNESS_TEST(a_silent_parent_costs_no_descriptor),
        HARNESS_TEST(sockets_of_a_service_manager_are_found),
        HARNESS_TEST(an_activated_server_serves),
    };
    return HARNESS_MAIN("spawn", tests, helpers, argc, argv);
}
