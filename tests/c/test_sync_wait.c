/* The blocking face: times, signals, several threads, and clients that let a server wait. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

enum { MIB = 1 << 20, SHORT_MS = 30 };

static uint8_t large[8 * MIB];

/* A bell: signals this thread again and again while it waits. */

static int stop_bell[2]; /* closing the second ends it */
static atomic_int rung;
static pthread_t bell;

static void on_ring(int number) {
    (void)number;
    atomic_fetch_add(&rung, 1);
}

static void *ring(void *user) {
    enum { PACE_MS = 1 };
    struct pollfd stop = {stop_bell[0], POLLIN, 0};
    do
        pthread_kill(*(pthread_t *)user, SIGUSR1);
    while (poll(&stop, 1, PACE_MS) == 0);
    return NULL;
}

static void start_ringing(int restart) {
    static pthread_t self;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_ring;
    action.sa_flags = restart ? SA_RESTART : 0;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    self = pthread_self();
    assert_int_equal(pipe(stop_bell), 0);
    assert_int_equal(pthread_create(&bell, NULL, ring, &self), 0);
}

static void stop_ringing(void) {
    close(stop_bell[1]);
    assert_int_equal(pthread_join(bell, NULL), 0);
    close(stop_bell[0]);
    assert_true(atomic_load(&rung) > 0);
}

/* Times. */

static void receiving_has_a_limit(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    fer_message message;
    int raw = sync_and_raw(&channel, NULL);
    assert_int_equal(fer_sync_receive(channel, 0, &message), FER_ETIMEDOUT);
    static const char frame[] = "\2\0\0\0\0\0\0\5hello";
    /* Every part of a message is kept while the time runs out. */
    for (size_t cut = 0; cut < sizeof frame - 1; cut++) {
        raw_send(raw, frame, cut);
        int64_t start = now_ms();
        int64_t limit = (int64_t)cut % 4;
        assert_int_equal(fer_sync_receive(channel, limit, &message), FER_ETIMEDOUT);
        assert_true(now_ms() - start >= limit);
        raw_send(raw, frame + cut, sizeof frame - 1 - cut);
        assert_int_equal(fer_sync_receive(channel, cut % 2 ? -1 : INT64_MAX, &message), FER_OK);
        assert_int_equal(message.size, 5);
        assert_memory_equal(message.data, "hello", 5);
    }
    fer_channel_unref(channel);
    raw_close(raw);
}

/* Accepted means: it will be sent, once, and its bytes are the caller's again. */
static void check_accepted(fer_channel *channel, int raw) {
    uint8_t header[8];
    uint8_t *got = malloc(sizeof large);
    size_t have = 0;
    const fer_bytes last = {"last", 4};
    raw_receive(raw, header, 8);
    assert_memory_equal(header, "\2\0\0\0\0\200\0\0", 8);
    while (have < sizeof large) {
        ssize_t n = raw_try_receive(raw, got + have, sizeof large - have);
        if (n > 0)
            have += (size_t)n;
        else
            (void)fer_sync_flush(channel, 0);
    }
    assert_filled(got, sizeof large, 1);
    assert_int_equal(fer_sync_flush(channel, -1), FER_OK);
    assert_int_equal(fer_sync_send(channel, &last, 1, -1), FER_OK);
    raw_receive(raw, got, 12);
    assert_memory_equal(got + 8, "last", 4);
    assert_int_equal(raw_try_receive(raw, got, 1), -1);
    free(got);
}

static void a_send_that_runs_out_of_time_is_accepted(void **state) {
    (void)state;
    for (int limit = 0; limit <= SHORT_MS; limit += SHORT_MS) {
        fer_channel *channel = NULL;
        fer_channel_info info = FER_CHANNEL_INFO_INIT;
        int raw = sync_and_raw(&channel, NULL);
        const fer_bytes bytes = {large, sizeof large};
        const fer_bytes more = {"more", 4};
        fill(large, sizeof large, 1);
        const int64_t start = now_ms();
        assert_int_equal(fer_sync_send(channel, &bytes, 1, limit), FER_ETIMEDOUT);
        assert_true(now_ms() - start >= limit);
        memset(large, 0, sizeof large);
        assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
        assert_true(info.queued > 0 && info.queued < sizeof large);
        assert_int_equal(fer_sync_send(channel, &more, 1, limit), FER_EAGAIN);
        assert_int_equal(fer_sync_flush(channel, limit), FER_ETIMEDOUT);
        assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
        check_accepted(channel, raw);
        assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
        assert_int_equal(info.queued, 0);
        fer_channel_unref(channel);
        raw_close(raw);
    }
}

static void small_messages_fill_the_kernel(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    uint8_t data[100];
    uint8_t got[108];
    const fer_bytes bytes = {data, sizeof data};
    unsigned accepted = 0;
    fer_status status = FER_OK;
    int raw = sync_and_raw(&channel, NULL);
    while (status == FER_OK) {
        fill(data, sizeof data, accepted);
        status = fer_sync_send(channel, &bytes, 1, 0);
        accepted += status != FER_EAGAIN;
    }
    assert_int_equal(status, FER_ETIMEDOUT);
    assert_int_equal(fer_sync_send(channel, &bytes, 1, 0), FER_EAGAIN);
    memset(data, 0, sizeof data);
    for (unsigned i = 0; i < accepted; i++) {
        if (i == accepted - 1)
            assert_int_equal(fer_sync_flush(channel, -1), FER_OK);
        raw_receive(raw, got, sizeof got);
        assert_filled(got + 8, 100, i);
    }
    assert_int_equal(raw_try_receive(raw, got, 1), -1);
    fer_channel_unref(channel);
    raw_close(raw);
}

/* Receiving also sends what is left, so that two peers that both send do not wait for ever. */
static void receiving_sends_what_is_left(void **state) {
    (void)state;
    fer_channel *channels[2];
    fer_message message;
    const fer_bytes bytes = {large, sizeof large};
    sync_pair(channels, NULL);
    fill(large, sizeof large, 7);
    assert_int_equal(fer_sync_send(channels[0], &bytes, 1, 0), FER_ETIMEDOUT);
    assert_int_equal(fer_sync_send(channels[1], &bytes, 1, 0), FER_ETIMEDOUT);
    int got = 0;
    int have[2] = {0, 0};
    for (const int64_t end = now_ms() + HARNESS_PATIENCE_MS; got < 2 && now_ms() < end;) {
        for (int i = 0; i < 2; i++) {
            fer_status status =
                have[i] ? FER_ETIMEDOUT : fer_sync_receive(channels[i], 1, &message);
            assert_true(status == FER_OK || status == FER_ETIMEDOUT);
            if (status == FER_OK) {
                assert_filled(message.data, message.size, 7);
                have[i] = 1;
                got++;
            }
            status = fer_sync_flush(channels[i], 0);
            assert_true(status == FER_OK || status == FER_ETIMEDOUT);
        }
    }
    assert_int_equal(got, 2);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

static void connecting_has_limits(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channel = NULL;
    int64_t start = now_ms();
    assert_int_equal(fer_sync_connect(address_of("none"), NULL, SHORT_MS, &channel), FER_ENOENT);
    assert_true(now_ms() - start >= SHORT_MS);
    assert_non_null(strstr(fer_status_detail(), harness_path("none")));
    assert_null(channel);
    assert_int_equal(fer_sync_connect(address_of("none"), NULL, 0, &channel), FER_ENOENT);
    assert_non_null(strstr(fer_status_detail(), harness_path("none")));
    options.connect_timeout_ms = -1;
    assert_int_equal(fer_sync_connect(address_of("none"), &options, SHORT_MS, &channel),
                     FER_ENOENT);
    options.connect_timeout_ms = SHORT_MS;
    start = now_ms();
    assert_int_equal(fer_sync_connect(address_of("none"), &options, -1, &channel), FER_ENOENT);
    assert_true(now_ms() - start >= SHORT_MS);
    assert_non_null(strstr(fer_status_detail(), "none"));
    /* A listener that does not say hello. */
    int raw = raw_listen(harness_path("s"));
    assert_int_equal(fer_sync_connect(address_of("s"), NULL, SHORT_MS, &channel), FER_ETIMEDOUT);
    assert_string_equal(fer_status_detail(), "the channel was not open in time");
    options.handshake_timeout_ms = SHORT_MS;
    assert_int_equal(fer_sync_connect(address_of("s"), &options, -1, &channel), FER_ETIMEDOUT);
    assert_null(channel);
    raw_close(raw);
    assert_int_equal(fer_sync_connect(address_of("s"), &options, INT64_MAX, &channel),
                     FER_ECONNREFUSED);
    assert_int_equal(fer_sync_connect(address_of("s"), NULL, SHORT_MS, &channel), FER_ECONNREFUSED);
    assert_non_null(strstr(fer_status_detail(), harness_path("s")));
    assert_int_equal(unlink(harness_path("s")), 0);
    /* A port that the kernel has just taken back. */
    fer_server *server = NULL;
    char tcp[64];
    size_t size = sizeof tcp;
    assert_int_equal(fer_sync_listen("tcp:127.0.0.1:0", NULL, &server), FER_OK);
    assert_int_equal(fer_server_address(server, tcp, &size), FER_OK);
    fer_server_unref(server);
    assert_int_equal(fer_sync_connect(tcp, NULL, SHORT_MS, &channel), FER_ECONNREFUSED);
    assert_int_equal(fer_sync_connect(tcp, NULL, 0, &channel), FER_ECONNREFUSED);
}

/* Signals. */

static void a_signal_ends_each_wait(void **state) {
    (void)state;
    for (int restart = 0; restart < 2; restart++) {
        fer_channel *channel = NULL;
        fer_channel *none = NULL;
        fer_server *server = NULL;
        fer_message message;
        const fer_bytes bytes = {large, sizeof large};
        const fer_bytes more = {"more", 4};
        int raw = sync_and_raw(&channel, NULL);
        assert_int_equal(fer_sync_listen(address_of("a"), NULL, &server), FER_OK);
        atomic_store(&rung, 0);
        raw_send(raw, "\2\0\0\0\0\0\0\5he", 10);
        start_ringing(restart);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_EINTR);
        assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_EINTR);
        fill(large, sizeof large, 1);
        assert_int_equal(fer_sync_send(channel, &bytes, 1, -1), FER_EINTR);
        memset(large, 0, sizeof large);
        assert_int_equal(fer_sync_send(channel, &more, 1, -1), FER_EAGAIN);
        assert_int_equal(fer_sync_flush(channel, -1), FER_EINTR);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_EINTR);
        assert_int_equal(fer_sync_accept(server, -1, &none), FER_EINTR);
        assert_int_equal(fer_sync_connect(address_of("none"), NULL, -1, &none), FER_EINTR);
        assert_null(none);
        stop_ringing();
        /* All is as if there had been no signal. */
        raw_send(raw, "llo", 3);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_OK);
        assert_memory_equal(message.data, "hello", 5);
        check_accepted(channel, raw);
        start_ringing(restart);
        assert_int_equal(fer_sync_close(channel, -1), FER_EINTR);
        assert_int_equal(fer_sync_close(channel, HARNESS_PATIENCE_MS), FER_EINTR);
        stop_ringing();
        raw_send(raw, "\4\0\0\0\0\0\0\0", 8);
        assert_int_equal(fer_sync_close(channel, -1), FER_OK);
        fer_channel_unref(channel);
        fer_server_unref(server);
        raw_close(raw);
    }
}

/* A channel whose close was interrupted may be given up. */
static void an_interrupted_close_may_be_dropped(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    int raw = sync_and_raw(&channel, NULL);
    atomic_store(&rung, 0);
    start_ringing(0);
    assert_int_equal(fer_sync_close(channel, -1), FER_EINTR);
    stop_ringing();
    assert_true(fer_channel_is_closing(channel));
    fer_channel_unref(channel);
    assert_int_equal(raw_drain(raw), 8);
    raw_close(raw);
}

/* Threads. */

typedef struct waiter {
    fer_channel *channel;
    fer_server *server;
    fer_channel *accepted;
    fer_status status;
    char first;
} waiter;

static void *wait_in_receive(void *user) {
    waiter *one = user;
    fer_message message;
    do {
        one->status = fer_sync_receive(one->channel, -1, &message);
    } while (one->status == FER_EBUSY);
    if (one->status == FER_OK)
        one->first = *(const char *)message.data;
    return NULL;
}

static void *wait_in_accept(void *user) {
    waiter *one = user;
    do {
        one->status = fer_sync_accept(one->server, -1, &one->accepted);
    } while (one->status == FER_EBUSY);
    return NULL;
}

static void one_thread_at_a_time(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    waiter one = {NULL, NULL, NULL, FER_EUNKNOWN, '\0'};
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    pthread_t thread;
    fer_message message;
    int fd;
    const fer_bytes bytes = {"x", 1};
    int raw = sync_and_raw(&channel, NULL);
    one.channel = channel;
    assert_int_equal(pthread_create(&thread, NULL, wait_in_receive, &one), 0);
    while (fer_sync_flush(channel, 0) != FER_EBUSY)
        sched_yield();
    assert_int_equal(fer_sync_receive(channel, 0, &message), FER_EBUSY);
    assert_int_equal(fer_sync_send(channel, &bytes, 1, 0), FER_EBUSY);
    assert_int_equal(fer_sync_close(channel, 0), FER_EBUSY);
    assert_int_equal(fer_sync_fileno(channel, &fd), FER_EBUSY);
    assert_int_equal(fer_channel_abort(channel), FER_EBUSY);
    assert_int_equal(fer_channel_get_info(channel, &info), FER_EBUSY);
    raw_send(raw, "\2\0\0\0\0\0\0\1m", 9);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(one.status, FER_OK);
    assert_int_equal(one.first, 'm');
    /* The thread is gone, so this one may. */
    assert_int_equal(fer_sync_send(channel, &bytes, 1, 0), FER_OK);
    fer_channel_unref(channel);
    raw_close(raw);

    fer_channel *accepted = NULL;
    assert_int_equal(fer_sync_listen(address_of("a"), NULL, &one.server), FER_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_accept, &one), 0);
    fer_status status;
    while ((status = fer_sync_accept(one.server, 0, &accepted)) != FER_EBUSY) {
        assert_int_equal(status, FER_ETIMEDOUT);
        sched_yield();
    }
    assert_int_equal(fer_server_close(one.server, NULL, NULL), FER_EBUSY);
    raw = raw_connect(harness_path("a"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(one.status, FER_OK);
    assert_int_equal(fer_server_close(one.server, NULL, NULL), FER_OK);
    fer_channel_unref(one.accepted);
    fer_server_unref(one.server);
    raw_close(raw);
}

/* Accepting. */

static void slow_clients_do_not_hold_up_the_others(void **state) {
    (void)state;
    enum { SLOW = 30 };
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    fer_message message;
    int slow[SLOW];
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    int64_t start = now_ms();
    assert_int_equal(fer_sync_accept(server, SHORT_MS, &channel), FER_ETIMEDOUT);
    assert_true(now_ms() - start >= SHORT_MS);
    assert_null(channel);
    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = raw_connect(harness_path("s"));
        raw_send(slow[i], hello_bytes, i);
    }
    int bad = raw_connect(harness_path("s"));
    raw_send(bad, "garbage", 7);
    raw_close(raw_connect(harness_path("s")));
    for (int round = 0; round < 3; round++) {
        /* Hello, a message and goodbye at once, and gone. */
        int good = raw_connect(harness_path("s"));
        raw_send(good, hello_bytes, HELLO_SIZE);
        raw_send(good, "\2\0\0\0\0\0\0\4good\4\0\0\0\0\0\0\0", 20);
        if (round == 1)
            raw_close(good);
        assert_int_equal(fer_sync_accept(server, -1, &channel), FER_OK);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_OK);
        assert_memory_equal(message.data, "good", 4);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_EOF);
        fer_channel_unref(channel);
        if (round != 1)
            raw_close(good);
    }
    assert_int_equal(fer_sync_accept(server, 0, &channel), FER_ETIMEDOUT);
    /* The slow ones get there, in the end. */
    for (size_t i = 0; i < SLOW; i++) {
        raw_send(slow[i], hello_bytes + i, HELLO_SIZE - i);
        assert_int_equal(fer_sync_accept(server, -1, &channel), FER_OK);
        raw_send(slow[i], "\2\0\0\0\0\0\0\1s", 9);
        assert_int_equal(fer_sync_receive(channel, -1, &message), FER_OK);
        fer_channel_unref(channel);
        raw_close(slow[i]);
    }
    raw_close(bad);
    fer_server_unref(server);
}

static void channels_outlive_their_server(void **state) {
    (void)state;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    fer_message message;
    int raw[3];
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    for (int i = 0; i < 3; i++) {
        raw[i] = raw_connect(harness_path("s"));
        raw_send(raw[i], hello_bytes, HELLO_SIZE);
    }
    assert_int_equal(fer_sync_accept(server, -1, &channel), FER_OK);
    /* The other two were accepted, too, perhaps, but nobody has them. */
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_channel *none = channel;
    assert_int_equal(fer_sync_accept(server, -1, &none), FER_ECLOSED);
    assert_null(none);
    fer_server_unref(server);
    for (int i = 1; i < 3; i++)
        assert_true(raw_drain(raw[i]) <= HELLO_SIZE);
    raw_send(raw[0], "\2\0\0\0\0\0\0\1m", 9);
    assert_int_equal(fer_sync_receive(channel, -1, &message), FER_OK);
    const fer_bytes bytes = {"answer", 6};
    assert_int_equal(fer_sync_send(channel, &bytes, 1, -1), FER_OK);
    fer_channel_unref(channel);
    assert_int_equal(raw_drain(raw[0]), HELLO_SIZE + 8 + 6);
    for (int i = 0; i < 3; i++)
        raw_close(raw[i]);
}

static void without_descriptors_a_status_says_so(void **state) {
    (void)state;
    fer_server *server = NULL;
    fer_server *second = NULL;
    fer_channel *channel = NULL;
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    int raw = raw_connect(harness_path("s"));
    raw_send(raw, hello_bytes, HELLO_SIZE);
    take_descriptors_away();
    assert_int_equal(fer_sync_accept(server, -1, &channel), FER_EMFILE);
    assert_int_equal(fer_sync_accept(server, -1, &channel), FER_EMFILE);
    assert_int_equal(fer_sync_connect(address_of("s"), NULL, -1, &channel), FER_EMFILE);
    assert_int_equal(fer_sync_listen(address_of("t"), NULL, &second), FER_EMFILE);
    assert_null(channel);
    give_descriptors_back();
    assert_int_equal(fer_sync_accept(server, -1, &channel), FER_OK);
    fer_channel_unref(channel);
    fer_server_unref(server);
    raw_close(raw);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(receiving_has_a_limit),
        HARNESS_TEST(a_send_that_runs_out_of_time_is_accepted),
        HARNESS_TEST(small_messages_fill_the_kernel),
        HARNESS_TEST(receiving_sends_what_is_left),
        HARNESS_TEST(connecting_has_limits),
        HARNESS_TEST(a_signal_ends_each_wait),
        HARNESS_TEST(an_interrupted_close_may_be_dropped),
        HARNESS_TEST(one_thread_at_a_time),
        HARNESS_TEST(slow_clients_do_not_hold_up_the_others),
        HARNESS_TEST(channels_outlive_their_server),
        HARNESS_TEST(without_descriptors_a_status_says_so),
    };
    return HARNESS_MAIN("sync_wait", tests, NULL, argc, argv);
}
