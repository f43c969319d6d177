/* Waiting with poll(2) for the clients of a blocking server, and for channels, at once. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

enum { SHORT_MS = 30 };

static fer_server *listen_at(const char *name, const fer_channel_options *options, int *fd) {
    fer_server *server = NULL;
    assert_int_equal(fer_sync_listen(address_of(name), options, &server), FER_OK);
    assert_int_equal(fer_sync_server_fileno(server, fd), FER_OK);
    return server;
}

static int is_readable(int fd) {
    struct pollfd one = {fd, POLLIN, 0};
    return poll(&one, 1, 0) == 1;
}

/* Wait, and accept once, until there is a channel. */
static fer_channel *await_channel(fer_server *server, int fd) {
    fer_channel *channel = NULL;
    fer_status status = FER_ETIMEDOUT;
    while (status == FER_ETIMEDOUT) {
        raw_wait(fd, POLLIN);
        status = fer_sync_accept(server, 0, &channel);
    }
    assert_int_equal(status, FER_OK);
    return channel;
}

/* Have the server do what there is to do. */
static void serve(fer_server *server, int fd) {
    fer_channel *channel = NULL;
    for (int rounds = 0; is_readable(fd); rounds++) {
        assert_int_equal(fer_sync_accept(server, 0, &channel), FER_ETIMEDOUT);
        assert_true(rounds < 1000);
    }
}

static void clients_and_channels_in_one_wait(void **state) {
    (void)state;
    enum { CLIENTS = 20 };
    struct pollfd polls[1 + CLIENTS];
    fer_channel *channels[CLIENTS];
    int raw[CLIENTS];
    nfds_t have = 0;
    int echoed = 0;
    fer_server *server = listen_at("s", NULL, &polls[0].fd);
    polls[0].events = POLLIN;
    assert_false(is_readable(polls[0].fd));
    for (int i = 0; i < CLIENTS; i++) {
        raw[i] = raw_connect(harness_path("s"));
        raw_send(raw[i], hello_bytes, HELLO_SIZE);
        raw_send(raw[i], "\2\0\0\0\0\0\0\4ping", 12);
    }
    while (echoed < CLIENTS) {
        assert_true(poll(polls, 1 + have, HARNESS_PATIENCE_MS) > 0);
        nfds_t before = have;
        for (nfds_t i = 0; i < before; i++) {
            fer_message message;
            if (polls[1 + i].revents == 0)
                continue;
            assert_int_equal(fer_sync_receive(channels[i], 0, &message), FER_OK);
            const fer_bytes bytes = {message.data, message.size};
            assert_int_equal(fer_sync_send(channels[i], &bytes, 1, -1), FER_OK);
            echoed++;
        }
        if (polls[0].revents == 0)
            continue;
        /* One at a time: those that wait behind it are seen, too. */
        fer_status status = fer_sync_accept(server, 0, &channels[have]);
        if (status == FER_ETIMEDOUT)
            continue;
        assert_int_equal(status, FER_OK);
        polls[1 + have].events = POLLIN;
        assert_int_equal(fer_sync_fileno(channels[have], &polls[1 + have].fd), FER_OK);
        have++;
    }
    assert_int_equal(have, CLIENTS);
    assert_false(is_readable(polls[0].fd));
    for (int i = 0; i < CLIENTS; i++) {
        char got[HELLO_SIZE + 12];
        raw_receive(raw[i], got, sizeof got);
        assert_memory_equal(got + HELLO_SIZE + 8, "ping", 4);
        fer_channel_unref(channels[i]);
        raw_close(raw[i]);
    }
    /* The channels took what was theirs along. */
    assert_false(is_readable(polls[0].fd));
    fer_server_unref(server);
}

static void a_slow_handshake_is_waited_for(void **state) {
    (void)state;
    int fd = -1;
    fer_server *server = listen_at("s", NULL, &fd);
    int raw = raw_connect(harness_path("s"));
    for (size_t i = 0; i + 1 < HELLO_SIZE; i++) {
        serve(server, fd);
        raw_send(raw, hello_bytes + i, 1);
        raw_wait(fd, POLLIN);
    }
    serve(server, fd);
    raw_send(raw, hello_bytes + HELLO_SIZE - 1, 1);
    fer_channel *channel = await_channel(server, fd);
    assert_false(is_readable(fd));
    fer_channel_unref(channel);
    raw_close(raw);
    /* Clients that go, and that talk nonsense. */
    raw = raw_connect(harness_path("s"));
    serve(server, fd);
    raw_close(raw);
    raw_wait(fd, POLLIN);
    serve(server, fd);
    raw = raw_connect(harness_path("s"));
    raw_send(raw, "garbage, of a certain length, as it is", 38);
    raw_wait(fd, POLLIN);
    serve(server, fd);
    assert_true(raw_drain(raw) <= HELLO_SIZE);
    raw_close(raw);
    fer_server_unref(server);
}

static void what_was_there_before_is_seen(void **state) {
    (void)state;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    int fd = -1;
    int again = -1;
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    int half = raw_connect(harness_path("s"));
    while (fer_sync_accept(server, 0, &channel) == FER_ETIMEDOUT) {
        uint8_t hello[HELLO_SIZE];
        if (raw_try_receive(half, hello, sizeof hello) > 0)
            break;
    }
    int fresh = raw_connect(harness_path("s"));
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_OK);
    assert_int_equal(fer_sync_server_fileno(server, &again), FER_OK);
    assert_int_equal(again, fd);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_true(is_readable(fd));
    serve(server, fd);
    raw_send(half, hello_bytes, HELLO_SIZE);
    fer_channel_unref(await_channel(server, fd));
    raw_send(fresh, hello_bytes, HELLO_SIZE);
    fer_channel_unref(await_channel(server, fd));
    raw_close(half);
    raw_close(fresh);
    fer_server_unref(server);
}

static void times_are_seen(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channel = NULL;
    int fd = -1;
    options.handshake_timeout_ms = SHORT_MS;
    fer_server *server = listen_at("s", &options, &fd);
    int raw = raw_connect(harness_path("s"));
    serve(server, fd);
    assert_false(is_readable(fd));
    /* Nothing comes: the client's time is up. */
    raw_wait(fd, POLLIN);
    serve(server, fd);
    assert_true(raw_drain(raw) <= HELLO_SIZE);
    raw_close(raw);
    assert_false(is_readable(fd));
    /* Without descriptors the server looks again later. */
    raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    raw_wait(fd, POLLIN);
    take_descriptors_away();
    assert_int_equal(fer_sync_accept(server, 0, &channel), FER_EMFILE);
    assert_false(is_readable(fd));
    raw_wait(fd, POLLIN);
    assert_int_equal(fer_sync_accept(server, 0, &channel), FER_ETIMEDOUT);
    give_descriptors_back();
    fer_channel_unref(await_channel(server, fd));
    raw_close(raw);
    fer_server_unref(server);
}

static void a_fork_changes_nothing(void **state) {
    (void)state;
    int fd = -1;
    int rc = 0;
    int ends[2];
    fer_server *server = listen_at("s", NULL, &fd);
    int raw = raw_connect(harness_path("s"));
    serve(server, fd);
    raw_pair(ends);
    pid_t child = fork();
    if (child == 0) {
        /* It has the sockets of the clients, too, for as long as it lives. */
        char go = 0;
        int number = -1;
        int fine = fer_sync_server_fileno(server, &number) == FER_EFORK && number == -1;
        close(ends[0]);
        struct pollfd one = {ends[1], POLLIN, 0};
        fine = fine && poll(&one, 1, -1) == 1 && read(ends[1], &go, 1) == 1;
        _exit(fine ? 7 : 8);
    }
    assert_true(child > 0);
    raw_send(raw, "garbage, of a certain length, as it is", 38);
    raw_wait(fd, POLLIN);
    serve(server, fd);
    assert_false(is_readable(fd));
    int good = raw_connect(harness_path("s"));
    raw_send(good, hello_bytes, HELLO_SIZE);
    fer_channel_unref(await_channel(server, fd));
    assert_false(is_readable(fd));
    raw_send(ends[0], "g", 1);
    assert_int_equal(waitpid(child, &rc, 0), child);
    assert_int_equal(WEXITSTATUS(rc), 7);
    raw_close(ends[0]);
    raw_close(ends[1]);
    raw_close(raw);
    raw_close(good);
    fer_server_unref(server);
}

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    (void)status;
    (void)user;
    fer_channel_unref(channel);
}

typedef struct asked {
    fer_status status;
    int calls;
} asked;

static int ask_inside(fer_server *server, const fer_credentials *who, void *user) {
    asked *to = user;
    int fd = -1;
    (void)who;
    to->calls++;
    to->status = fer_sync_server_fileno(server, &fd);
    return 1;
}

static void who_may_ask(void **state) {
    (void)state;
    asked inside = {FER_OK, 0};
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    int fd = -1;
    assert_int_equal(fer_sync_server_fileno(NULL, &fd), FER_EINVAL);
    /* FIFOs have one client at a time. */
    make_fifos();
    assert_int_equal(fer_sync_listen(fifos("in", "out"), NULL, &server), FER_OK);
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_ENOTSUP);
    fer_server_unref(server);
    remove_fifos();
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_server_listen(loop, address_of("l"), NULL, on_channel, NULL, NULL, &server), FER_OK);
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_ENOTSUP);
    fer_server_unref(server);
    fer_loop_close_objects(loop);
    while (fer_loop_is_alive(loop))
        assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
    /* Without descriptors there is none, and the server goes on. */
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    assert_int_equal(fer_sync_server_fileno(server, NULL), FER_EINVAL);
    take_descriptors_away();
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_EMFILE);
    give_descriptors_back();
    assert_int_equal(fd, -1);
    assert_int_equal(fer_server_on_allow(server, ask_inside, &inside, NULL), FER_OK);
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_OK);
    assert_int_equal(inside.calls, 1);
    assert_int_equal(inside.status, FER_EBUSY);
    fer_channel_unref(channel);
    raw_close(raw);
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_OK);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(fer_sync_server_fileno(server, &fd), FER_ECLOSED);
    fer_server_unref(server);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(clients_and_channels_in_one_wait),
        HARNESS_TEST(a_slow_handshake_is_waited_for),
        HARNESS_TEST(what_was_there_before_is_seen),
        HARNESS_TEST(times_are_seen),
        HARNESS_TEST(a_fork_changes_nothing),
        HARNESS_TEST(who_may_ask),
    };
    return HARNESS_MAIN("sync_select", tests, NULL, argc, argv);
}
