/* Channels on each transport and wire: the largest messages, and peers that claim too much, stop or die half way. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

enum { ON_PIPE, ON_FIFOS, ON_TCP, PLACES };

static const char *place_of(int place) {
    if (place == ON_FIFOS)
        return "fifo:";
    return place == ON_TCP ? "tcp:127.0.0.1:0" : address_of(FIXTURE_SOCKET);
}

/** A channel whose other end is not the library's. */
typedef struct line {
    fer_loop *loop;
    fer_channel *channel;
    int reader; /**< of the raw end; the same as the writer where both are one socket */
    int writer;
    inbox box;
} line;

static int listen_on_tcp(char *address, size_t room) {
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    snprintf(address, room, "tcp:127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    return fd;
}

/* Make the other end, as far as it must be there before. Returns what listens, or -1. */
static int prepare(line *one, int place, char *address, size_t room) {
    if (place == ON_TCP)
        return listen_on_tcp(address, room);
    if (place == ON_PIPE) {
        snprintf(address, room, "%s", address_of("raw"));
        return raw_listen(harness_path("raw"));
    }
    assert_int_equal(mkfifo(harness_path("in"), 0600), 0);
    assert_int_equal(mkfifo(harness_path("out"), 0600), 0);
    snprintf(address, room, "fifo:%s,%s", harness_path("in"), harness_path("out"));
    one->reader = open(harness_path("out"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(one->reader >= 0);
    return -1;
}

static void join(line *one, int place, int listener) {
    if (listener >= 0) {
        one->reader = one->writer = raw_accept(listener);
        raw_close(listener);
    } else {
        one->writer = open(harness_path("in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(one->writer >= 0);
        assert_int_equal(unlink(harness_path("in")), 0);
        assert_int_equal(unlink(harness_path("out")), 0);
    }
    if (place == ON_PIPE)
        assert_int_equal(unlink(harness_path("raw")), 0);
}

static void put(const line *one, const void *data, size_t size) {
    assert_int_equal(write(one->writer, data, size), size);
}

/* What a TCP socket has not read when it is closed, resets the connection. */
static void take_hello(const line *one) {
    uint8_t hello[HELLO_SIZE];
    for (size_t have = 0; have < sizeof hello;) {
        raw_wait(one->reader, POLLIN);
        ssize_t got = read(one->reader, hello + have, sizeof hello - have);
        assert_true(got > 0);
        have += (size_t)got;
    }
}

static void line_open(line *one, int place, const fer_channel_options *options) {
    char address[256];
    noted connected = {0};
    memset(one, 0, sizeof *one);
    assert_int_equal(fer_loop_new(&one->loop), FER_OK);
    int listener = prepare(one, place, address, sizeof address);
    assert_int_equal(
        fer_channel_connect(one->loop, address, options, note_connected, &connected, &one->channel),
        FER_OK);
    join(one, place, listener);
    if (options->wire == FER_WIRE_NATIVE)
        put(one, hello_bytes, HELLO_SIZE);
    harness_run_until(one->loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    if (options->wire == FER_WIRE_NATIVE)
        take_hello(one);
    assert_int_equal(fer_channel_receive(one->channel, inbox_messages, &one->box, inbox_finalized),
                     FER_OK);
}

static void raw_end(line *one) {
    if (one->writer < 0)
        return;
    if (one->writer != one->reader)
        raw_close(one->reader);
    raw_close(one->writer);
    one->writer = one->reader = -1;
}

static void line_close(line *one) {
    fer_channel_unref(one->channel);
    end_loop(one->loop);
    raw_end(one);
    inbox_free(&one->box);
}

/* The header of a message. Returns its size. */
static size_t header(fer_wire wire, uint32_t length, uint8_t *out) {
    size_t size = 0;
    if (wire == FER_WIRE_NATIVE) {
        out[size++] = 2;
        out[size++] = out[2] = out[3] = 0;
        size = 4;
    }
    for (int shift = 24; shift >= 0; shift -= 8)
        out[size++] = (uint8_t)(length >> shift);
    return size;
}

static void put_message(const line *one, fer_wire wire, const char *text) {
    uint8_t bytes[8];
    put(one, bytes, header(wire, (uint32_t)strlen(text), bytes));
    put(one, text, strlen(text));
}

static void let_it_run(fer_loop *loop) {
    for (int i = 0; i < 5; i++)
        assert_int_equal(fer_loop_step(loop, 1), FER_OK);
}

#define EACH_PLACE_AND_WIRE                      \
    for (int place = 0; place < PLACES; place++) \
        for (fer_wire wire = FER_WIRE_NATIVE; wire <= FER_WIRE_PLAIN; wire++)

static void a_claim_costs_nothing(void **state) {
    (void)state;
    EACH_PLACE_AND_WIRE {
        static const uint32_t claims[] = {1001, 0x7fffffff, 0xffffffff};
        for (int i = 0; i < 3; i++) {
            fer_channel_options options = options_of(wire);
            uint8_t bytes[8];
            line one;
            options.max_message = 1000;
            line_open(&one, place, &options);
            /* What any message needs is there. */
            put_message(&one, wire, "warm");
            run_until_count(one.loop, &one.box.count, 1);
            let_it_run(one.loop);
            const harness_memory before = harness_memory_now();
            put(&one, bytes, header(wire, claims[i], bytes));
            harness_run_until(one.loop, &one.box.end.calls);
            assert_int_equal(one.box.end.status, FER_EMSGSIZE);
            assert_int_equal(harness_memory_now().calls, before.calls);
            assert_int_equal(one.box.count, 1);
            line_close(&one);
        }
    }
}

static void half_a_frame_and_death(void **state) {
    (void)state;
    EACH_PLACE_AND_WIRE {
        uint8_t frame[8 + 10] = {0};
        const size_t head = header(wire, 10, frame);
        for (size_t cut = 1; cut < head + 10; cut++) {
            const fer_channel_options options = options_of(wire);
            line one;
            line_open(&one, place, &options);
            put_message(&one, wire, "whole");
            put(&one, frame, cut);
            if (cut % 2 == 0)
                let_it_run(one.loop);
            raw_end(&one);
            harness_run_until(one.loop, &one.box.end.calls);
            assert_int_equal(one.box.end.status, FER_ECONNRESET);
            assert_int_equal(one.box.count, 1);
            line_close(&one);
        }
    }
}

static void nothing_is_a_message_or_the_end(void **state) {
    (void)state;
    EACH_PLACE_AND_WIRE {
        const fer_channel_options options = options_of(wire);
        uint8_t bytes[8];
        line one;
        line_open(&one, place, &options);
        put(&one, bytes, header(wire, 0, bytes));
        if (wire == FER_WIRE_NATIVE) {
            run_until_count(one.loop, &one.box.count, 1);
            assert_int_equal(one.box.sizes[0], 0);
            assert_int_equal(send_bytes(one.channel, "", 0), FER_OK);
        } else {
            assert_int_equal(send_bytes(one.channel, "", 0), FER_EINVAL);
            harness_run_until(one.loop, &one.box.end.calls);
            assert_int_equal(one.box.end.status, FER_EOF);
            assert_int_equal(one.box.count, 0);
        }
        line_close(&one);
    }
}

/* However long it takes from the header to the body. */
static void a_message_may_take_its_time(void **state) {
    (void)state;
    EACH_PLACE_AND_WIRE {
        const fer_channel_options options = options_of(wire);
        uint8_t bytes[8];
        const size_t head = header(wire, 6, bytes);
        line one;
        line_open(&one, place, &options);
        put(&one, bytes, head - 1);
        let_it_run(one.loop);
        put(&one, bytes + head - 1, 1);
        let_it_run(one.loop);
        assert_int_equal(fer_channel_pause(one.channel), FER_OK);
        put(&one, "abc", 3);
        let_it_run(one.loop);
        assert_int_equal(fer_channel_resume(one.channel), FER_OK);
        let_it_run(one.loop);
        assert_int_equal(one.box.count, 0);
        put(&one, "def", 3);
        put_message(&one, wire, "next");
        run_until_count(one.loop, &one.box.count, 2);
        assert_memory_equal(one.box.bytes, "abcdefnext", 10);
        line_close(&one);
    }
}

static void a_blocking_channel_stays_in_step(void **state) {
    (void)state;
    for (int place = 0; place < PLACES; place++) {
        const fer_channel_options options = options_of(FER_WIRE_PLAIN);
        char address[256];
        fer_message message;
        line one = {0};
        int listener = prepare(&one, place, address, sizeof address);
        assert_int_equal(fer_sync_connect(address, &options, -1, &one.channel), FER_OK);
        join(&one, place, listener);
        for (int i = 0; i < 3; i++) {
            static const char frame[] = "\0\0\0\6abcdef";
            for (size_t at = 0; at < 10; at++) {
                put(&one, frame + at, 1);
                if (at < 9) {
                    assert_int_equal(fer_sync_receive(one.channel, 0, &message), FER_ETIMEDOUT);
                    assert_int_equal(fer_sync_receive(one.channel, 1, &message), FER_ETIMEDOUT);
                }
            }
            assert_int_equal(fer_sync_receive(one.channel, -1, &message), FER_OK);
            assert_int_equal(message.size, 6);
            assert_memory_equal(message.data, "abcdef", 6);
        }
        fer_channel_unref(one.channel);
        raw_end(&one);
    }
}

static void silence_in_a_message_ends_it(void **state) {
    (void)state;
    static const uint8_t half[] = {2, 0, 0, 0, 0, 0, 0, 9, 'h', 'a', 'l', 'f'};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    solo ends;
    inbox box = {0};
    options.frame_timeout_ms = 20;
    solo_open(&ends, &options);
    assert_int_equal(fer_channel_receive(ends.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    raw_send(ends.peer, half, sizeof half);
    harness_run_until(ends.loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_ECONNABORTED);
    assert_int_equal(box.count, 0);
    raw_close(ends.peer);
    solo_close(&ends);
    inbox_free(&box);

    fer_channel *blocking = NULL;
    fer_message message;
    int peer = sync_and_raw(&blocking, &options);
    raw_send(peer, half, sizeof half);
    assert_int_equal(fer_sync_receive(blocking, 0, &message), FER_ETIMEDOUT);
    assert_int_equal(fer_sync_receive(blocking, -1, &message), FER_ECONNABORTED);
    assert_int_equal(fer_sync_receive(blocking, -1, &message), FER_ECONNABORTED);
    raw_close(peer);
    fer_channel_unref(blocking);
    /* However short the single waits are. */
    for (int wait = 0; wait < 2; wait++) {
        fer_status status = FER_ETIMEDOUT;
        const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
        peer = sync_and_raw(&blocking, &options);
        raw_send(peer, half, sizeof half);
        while (status == FER_ETIMEDOUT && now_ms() < end)
            status = fer_sync_receive(blocking, wait, &message);
        assert_int_equal(status, FER_ECONNABORTED);
        raw_close(peer);
        fer_channel_unref(blocking);
    }
}

/* The largest. */

/** What is to come: the same bytes, in messages of these sizes. */
typedef struct expected {
    const uint8_t *data;
    size_t sizes[3];
    int count;
    noted end;
} expected;

static void compare(fer_channel *channel, fer_status status, const fer_message *messages,
                    size_t count, void *user) {
    expected *all = user;
    assert_non_null(channel);
    if (status != FER_OK)
        note(&all->end, status);
    for (size_t i = 0; i < count; i++) {
        assert_true(all->count < 3);
        assert_int_equal(messages[i].size, all->sizes[all->count]);
        if (memcmp(messages[i].data, all->data, messages[i].size) != 0)
            fail_msg("%lu bytes are not those that were sent", (unsigned long)messages[i].size);
        all->count++;
    }
}

static void up_to_the_limit_and_no_further(void **state) {
    (void)state;
    enum { DEFAULT = 64 << 20, SMALL = 1000 };
    uint8_t *data = filled(DEFAULT + 1, 1);
    EACH_PLACE_AND_WIRE {
        for (int i = 0; i < 2; i++) {
            const size_t limit = i == 0 ? (size_t)DEFAULT : (size_t)SMALL;
            fer_channel_options options = options_of(wire);
            expected all = {data, {limit, limit - 1, limit}, 0, {0}};
            noted sent[3] = {{0}, {0}, {0}};
            duo ends;
            options.max_message = i == 0 ? 0 : SMALL;
            options.hard_cap = (uint64_t)4 * DEFAULT;
            duo_open_at(&ends, place_of(place), &options, &options);
            assert_int_equal(fer_channel_receive(ends.served, compare, &all, NULL), FER_OK);
            for (int n = 0; n < 3; n++) {
                const fer_bytes whole = {data, all.sizes[n]};
                assert_int_equal(send_bytes(ends.client, data, limit + 1), FER_EMSGSIZE);
                assert_int_equal(
                    fer_channel_send(ends.client, &whole, 1, NULL, 0, note_sent, &sent[n]), FER_OK);
            }
            for (int n = 0; n < 3; n++) {
                harness_run_until(ends.loop, &sent[n].calls);
                assert_int_equal(sent[n].status, FER_OK);
            }
            while (all.count < 3)
                assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
            duo_close(&ends);
        }
    }
    free(data);
}

/* The sender is allowed more than the receiver takes: on the native wire it knows. */
static void what_the_receiver_does_not_take(void **state) {
    (void)state;
    static uint8_t data[1001];
    EACH_PLACE_AND_WIRE {
        const fer_channel_options sender = options_of(wire);
        fer_channel_options receiver = options_of(wire);
        expected all = {data, {1000, 0, 0}, 0, {0}};
        duo ends;
        receiver.max_message = 1000;
        duo_open_at(&ends, place_of(place), &sender, &receiver);
        assert_int_equal(fer_channel_receive(ends.served, compare, &all, NULL), FER_OK);
        assert_int_equal(send_bytes(ends.client, data, 1000), FER_OK);
        assert_int_equal(send_bytes(ends.client, data, 1001),
                         wire == FER_WIRE_NATIVE ? FER_EMSGSIZE : FER_OK);
        if (wire == FER_WIRE_PLAIN) {
            harness_run_until(ends.loop, &all.end.calls);
            assert_int_equal(all.end.status, FER_EMSGSIZE);
        }
        while (all.count < 1)
            assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
        duo_close(&ends);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_claim_costs_nothing),
        HARNESS_TEST(half_a_frame_and_death),
        HARNESS_TEST(nothing_is_a_message_or_the_end),
        HARNESS_TEST(a_message_may_take_its_time),
        HARNESS_TEST(a_blocking_channel_stays_in_step),
        HARNESS_TEST(silence_in_a_message_ends_it),
        HARNESS_TEST(up_to_the_limit_and_no_further),
        HARNESS_TEST(what_the_receiver_does_not_take),
    };
    return HARNESS_MAIN("channel_limits", tests, NULL, argc, argv);
}
