/* Servers on FIFOs, which have one client after the other. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

/** Takes the channels of a server, and notes what else it says. */
typedef struct keeper {
    fer_channel *served;
    noted taken;
    noted trouble;
} keeper;

static void keep(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    keeper *to = user;
    assert_non_null(server);
    if (status != FER_OK) {
        assert_null(channel);
        note(&to->trouble, status);
        return;
    }
    assert_null(to->served);
    to->served = channel;
    note(&to->taken, FER_OK);
}

/* A client comes. */
static fer_channel *come_with(fer_loop *loop, const char *address,
                              const fer_channel_options *options, keeper *to) {
    noted connected = {0};
    fer_channel *channel = NULL;
    to->taken.calls = 0;
    assert_int_equal(
        fer_channel_connect(loop, address, options, note_connected, &connected, &channel), FER_OK);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    harness_run_until(loop, &to->taken.calls);
    return channel;
}

static fer_channel *come(fer_loop *loop, const char *address, keeper *to) {
    return come_with(loop, address, NULL, to);
}

/* Both sides say goodbye. */
static void go(fer_loop *loop, fer_channel *channel, keeper *to) {
    noted closed[2] = {{0}, {0}};
    assert_int_equal(fer_channel_close(channel, note_closed, &closed[0]), FER_OK);
    assert_int_equal(fer_channel_close(to->served, note_closed, &closed[1]), FER_OK);
    for (int i = 0; i < 2; i++) {
        harness_run_until(loop, &closed[i].calls);
        assert_int_equal(closed[i].status, FER_OK);
    }
    fer_channel_unref(channel);
    fer_channel_unref(to->served);
    to->served = NULL;
}

/** A client that was not made by this library, but takes the lock as one does. */
typedef struct raw_client {
    int reader;
    int writer;
} raw_client;

static raw_client raw_client_open(void) {
    raw_client one = {open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                      open(harness_path("in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    assert_true(one.reader >= 0 && one.writer >= 0);
    assert_int_equal(flock(one.reader, LOCK_EX | LOCK_NB), 0);
    return one;
}

static void raw_client_die(const raw_client *one) {
    raw_close(one->reader);
    raw_close(one->writer);
}

static void step_some(fer_loop *loop) {
    for (int i = 0; i < 50; i++)
        assert_int_equal(fer_loop_step(loop, 1), FER_OK);
}

/** A server and a client that sees nothing of it but the FIFOs: each has a loop of its own. */
typedef struct apart {
    fer_loop *serving;
    fer_loop *connecting;
    fer_server *server;
    keeper to;
    fer_channel *channel;
    noted connected;
} apart;

static void apart_open(apart *both, const fer_channel_options *options) {
    memset(both, 0, sizeof *both);
    assert_int_equal(fer_loop_new(&both->serving), FER_OK);
    assert_int_equal(fer_loop_new(&both->connecting), FER_OK);
    assert_int_equal(fer_server_listen(both->serving, fifos("in", "out"), options, keep, &both->to,
                                       NULL, &both->server),
                     FER_OK);
}

static void apart_connect(apart *both, const fer_channel_options *options) {
    assert_int_equal(fer_channel_connect(both->connecting, fifos("out", "in"), options,
                                         note_connected, &both->connected, &both->channel),
                     FER_OK);
}

static void apart_close(apart *both) {
    fer_channel_unref(both->channel);
    fer_channel_unref(both->to.served);
    fer_server_unref(both->server);
    end_loop(both->connecting);
    end_loop(both->serving);
}

/* Servers that go on. */

static void a_fifo_that_became_a_file_is_told_of(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    keeper to = {0};
    make_fifos();
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_server_listen(loop, fifos("in", "out"), NULL, keep, &to, NULL, &server),
                     FER_OK);
    go(loop, come(loop, fifos("out", "in"), &to), &to);
    fer_channel *channel = come(loop, fifos("out", "in"), &to);
    assert_int_equal(unlink(harness_path("in")), 0);
    fclose(fopen(harness_path("in"), "w"));
    assert_int_equal(to.trouble.calls, 0);
    go(loop, channel, &to);
    harness_run_until(loop, &to.trouble.calls);
    assert_int_equal(to.trouble.status, FER_EPROTOTYPE);
    /* It looks again. */
    assert_int_equal(unlink(harness_path("in")), 0);
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    go(loop, come(loop, fifos("out", "in"), &to), &to);
    fer_server_unref(server);
    end_loop(loop);
    remove_fifos();
}

/* A client that goes away before it has said hello is no reason to wait for its hello. */
static void a_client_may_vanish(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    fer_channel_options patient = FER_CHANNEL_OPTIONS_INIT;
    keeper to = {0};
    uint8_t hello[HELLO_SIZE];
    patient.handshake_timeout_ms = -1;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_server_listen(loop, fifos("in", "out"), &patient, keep, &to, NULL, &server), FER_OK);
    int reader = open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    for (size_t have = 0; have < sizeof hello;) {
        ssize_t got = read(reader, hello + have, sizeof hello - have);
        assert_true(got >= 0 || errno == EAGAIN);
        have += got > 0 ? (size_t)got : 0;
        assert_int_equal(fer_loop_step(loop, got > 0 ? 0 : 5), FER_OK);
    }
    assert_memory_equal(hello, hello_bytes, 16);
    raw_close(reader);
    harness_run_until(loop, &to.trouble.calls);
    assert_int_equal(to.trouble.status, FER_ECONNRESET);
    go(loop, come(loop, fifos("out", "in"), &to), &to);
    fer_server_unref(server);
    end_loop(loop);
}

/* A client of a process that is slow to see that the server has closed its channel is not the next one. */
static void a_client_comes_only_once(void **state) {
    (void)state;
    const fer_channel_options options = options_of(FER_WIRE_PLAIN);
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    keeper to = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_server_listen(loop, fifos("in", "out"), &options, keep, &to, NULL, &server), FER_OK);
    const raw_client one = raw_client_open();
    harness_run_until(loop, &to.taken.calls);
    /* A half of a message: what follows is no beginning of one. */
    assert_int_equal(write(one.writer, "\0\0\0\4ab", 6), 6);
    assert_int_equal(fer_channel_abort(to.served), FER_OK);
    fer_channel_unref(to.served);
    to.served = NULL;
    for (int i = 0; i < 10; i++)
        assert_int_equal(fer_loop_step(loop, 1), FER_OK);
    assert_int_equal(to.taken.calls, 1);
    /* It sees the end, as it should, and makes room. */
    uint8_t byte;
    assert_int_equal(read(one.reader, &byte, 1), 0);
    raw_client_die(&one);
    to.taken.calls = 0;
    go(loop, come_with(loop, fifos("out", "in"), &options, &to), &to);
    fer_server_unref(server);
    end_loop(loop);
}

/* The memory for the next channel is asked for when the one before it is closed. */
static void a_server_without_memory_tries_again(void **state) {
    (void)state;
    int failures = 0;
    for (size_t n = 1; n <= 6; n++) {
        fer_loop *loop = NULL;
        fer_server *server = NULL;
        fer_channel *channel = NULL;
        keeper to = {0};
        noted closed = {0};
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(
            fer_server_listen(loop, fifos("in", "out"), NULL, keep, &to, NULL, &server), FER_OK);
        channel = come(loop, fifos("out", "in"), &to);
        assert_int_equal(fer_channel_abort(channel), FER_OK);
        assert_int_equal(fer_channel_abort(to.served), FER_OK);
        assert_int_equal(fer_channel_close(to.served, note_closed, &closed), FER_OK);
        fer_channel_unref(channel);
        fer_channel_unref(to.served);
        to.served = NULL;
        harness_fail_allocation(n);
        harness_run_until(loop, &closed.calls);
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        harness_fail_allocation(0);
        if (to.trouble.calls > 0) {
            assert_int_equal(to.trouble.status, FER_ENOMEM);
            failures++;
        }
        go(loop, come(loop, fifos("out", "in"), &to), &to);
        fer_server_unref(server);
        end_loop(loop);
    }
    assert_true(failures > 0);
}

/* What the client before has left. */

/* A client that died is no part of the next one's stream, however late the server sees it. */
static void a_client_follows_one_that_died(void **state) {
    (void)state;
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        apart both;
        apart_open(&both, &options);
        const raw_client before = raw_client_open();
        if (wire == FER_WIRE_NATIVE)
            assert_int_equal(write(before.writer, hello_bytes, HELLO_SIZE), HELLO_SIZE);
        harness_run_until(both.serving, &both.to.taken.calls);
        assert_int_equal(write(before.writer, "\0\0\0\4ab", 6), 6);
        raw_client_die(&before);
        apart_connect(&both, &options);
        step_some(both.connecting);
        assert_int_equal(both.connected.calls, 0);
        fer_channel_unref(both.to.served);
        both.to.served = NULL;
        both.to.taken.calls = 0;
        while (both.to.taken.calls == 0 || both.connected.calls == 0) {
            assert_int_equal(fer_loop_step(both.serving, 1), FER_OK);
            assert_int_equal(fer_loop_step(both.connecting, 1), FER_OK);
        }
        assert_int_equal(both.connected.status, FER_OK);
        apart_close(&both);
    }
}

/* Nothing is written to a server before it has the client: it would be left to the next. */
static void a_client_waits_until_it_is_taken(void **state) {
    (void)state;
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        apart both;
        int waiting = -1;
        apart_open(&both, &options);
        apart_connect(&both, &options);
        step_some(both.connecting);
        assert_int_equal(both.connected.calls, 0);
        int reader = open(harness_path("in"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(reader >= 0);
        assert_int_equal(ioctl(reader, FIONREAD, &waiting), 0);
        assert_int_equal(waiting, 0);
        raw_close(reader);
        /* It dies. */
        assert_int_equal(fer_channel_abort(both.channel), FER_OK);
        harness_run_until(both.connecting, &both.connected.calls);
        assert_int_equal(both.connected.status, FER_ECANCELED);
        go(both.serving, come_with(both.serving, fifos("out", "in"), &options, &both.to), &both.to);
        apart_close(&both);
    }
}

/* The server looks whether the client before has left, as the next one comes: that is no other reader. */
static void who_only_looks_is_no_reader(void **state) {
    (void)state;
    const fer_channel_options options = options_of(FER_WIRE_PLAIN);
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    keeper to = {0};
    make_fifos();
    int looker = open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(looker >= 0);
    assert_int_equal(flock(looker, LOCK_SH | LOCK_NB), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_channel_connect(loop, fifos("out", "in"), &options, note_connected,
                                         &connected, &channel),
                     FER_OK);
    step_some(loop);
    assert_int_equal(connected.calls, 0);
    raw_close(looker);
    assert_int_equal(
        fer_server_listen(loop, fifos("in", "out"), &options, keep, &to, NULL, &server), FER_OK);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    harness_run_until(loop, &to.taken.calls);
    go(loop, channel, &to);
    fer_server_unref(server);
    end_loop(loop);
    remove_fifos();
}

/** A server that was not made by this library, and waits until somebody reads. */
typedef struct raw_waiter {
    char path[256];
    atomic_int writer;
} raw_waiter;

static void *wait_for_a_reader(void *user) {
    raw_waiter *one = user;
    atomic_store(&one->writer, open(one->path, O_WRONLY | O_CLOEXEC));
    return NULL;
}

/* Nor is who waits for the server to take leave of the client before a client yet, not for a moment. */
static void who_waits_is_no_client(void **state) {
    (void)state;
    const fer_channel_options options = options_of(FER_WIRE_PLAIN);
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    pthread_t thread;
    struct flock mark = {0};
    raw_waiter one = {"", -1};
    make_fifos();
    int reader = open(harness_path("in"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(flock(reader, LOCK_EX | LOCK_NB), 0);
    mark.l_type = F_RDLCK;
    mark.l_whence = SEEK_SET;
    mark.l_len = 1;
    assert_int_equal(fcntl(reader, F_OFD_SETLK, &mark), 0);
    snprintf(one.path, sizeof one.path, "%s", harness_path("out"));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_reader, &one), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_channel_connect(loop, fifos("out", "in"), &options, note_connected,
                                         &connected, &channel),
                     FER_OK);
    step_some(loop);
    assert_int_equal(atomic_load(&one.writer), -1);
    assert_int_equal(connected.calls, 0);
    mark.l_type = F_UNLCK;
    assert_int_equal(fcntl(reader, F_OFD_SETLK, &mark), 0);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    raw_close(atomic_load(&one.writer));
    raw_close(reader);
    fer_channel_unref(channel);
    end_loop(loop);
    remove_fifos();
}

/* A server that does not take its client in time. */
static void a_client_does_not_wait_forever(void **state) {
    (void)state;
    fer_channel_options options = options_of(FER_WIRE_PLAIN);
    apart both;
    options.connect_timeout_ms = 0;
    options.handshake_timeout_ms = 30;
    apart_open(&both, &options);
    apart_connect(&both, &options);
    harness_run_until(both.connecting, &both.connected.calls);
    assert_int_equal(both.connected.status, FER_ETIMEDOUT);
    apart_close(&both);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_fifo_that_became_a_file_is_told_of),
        HARNESS_TEST(a_client_may_vanish),
        HARNESS_TEST(a_client_comes_only_once),
        HARNESS_TEST(a_server_without_memory_tries_again),
        HARNESS_TEST(a_client_follows_one_that_died),
        HARNESS_TEST(a_client_waits_until_it_is_taken),
        HARNESS_TEST(who_only_looks_is_no_reader),
        HARNESS_TEST(who_waits_is_no_client),
        HARNESS_TEST(a_client_does_not_wait_forever),
    };
    return HARNESS_MAIN("server_fifo", tests, NULL, argc, argv);
}
