/* Channels against peers that break the protocol, die, or ask for too much. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

#define MIB ((size_t)1 << 20)

/* The handshake, from both sides. */

/** A channel that waits for the peer's HELLO. */
typedef struct shake {
    fer_loop *loop;
    fer_server *server; /* NULL when this side connects */
    fer_channel *channel;
    noted result;
    int peer;
} shake;

static void note_served(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    shake *one = user;
    assert_non_null(server);
    assert_int_equal(status == FER_OK, channel != NULL);
    one->channel = channel;
    note(&one->result, status);
}

static void shake_open(shake *one, int serve, int64_t timeout_ms) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    memset(one, 0, sizeof *one);
    options.handshake_timeout_ms = timeout_ms;
    assert_int_equal(fer_loop_new(&one->loop), FER_OK);
    if (serve) {
        assert_int_equal(fer_server_listen(one->loop, address_of("s"), &options, note_served, one,
                                           NULL, &one->server),
                         FER_OK);
        one->peer = raw_connect(harness_path("s"));
        return;
    }
    int listener = raw_listen(harness_path("s"));
    assert_int_equal(fer_channel_connect(one->loop, address_of("s"), &options, note_connected,
                                         &one->result, &one->channel),
                     FER_OK);
    one->peer = raw_accept(listener);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
}

static void shake_close(shake *one, fer_status expected) {
    harness_run_until(one->loop, &one->result.calls);
    assert_int_equal(one->result.calls, 1);
    assert_int_equal(one->result.status, expected);
    fer_channel_unref(one->channel);
    fer_server_unref(one->server);
    end_loop(one->loop);
    assert_int_equal(one->result.calls, 1);
    if (one->peer >= 0)
        raw_close(one->peer);
}

static void garbage_instead_of_a_hello(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t given;
        size_t size; /* with the NUL bytes that follow */
    } examples[] = {
        {"G", 1, 1},
        {"GET / HTTP/1.1\r\n\r\n", 18, 18},
        {"\0\0\0\5plain", 9, 9},
        {"{\"json\": 1}\n", 12, 12},
        {"\2\0\0\0\0\0\0\0", 8, 8},
        {"\4\0\0\0\0\0\0\0", 8, 8},
        {"\1\0\0\0\377\377\377\377", 8, 8},
        {"\1\0\0\0\0\0\0\34FERRULE ", 16, 36},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        for (int serve = 0; serve < 2; serve++) {
            shake one;
            uint8_t bytes[HELLO_SIZE] = {0};
            shake_open(&one, serve, 0);
            memcpy(bytes, examples[i].bytes, examples[i].given);
            raw_send(one.peer, bytes, examples[i].size);
            harness_run_until(one.loop, &one.result.calls);
            assert_non_null(strstr(one.result.detail, "plain"));
            /* The first byte that is wrong is enough, and so is the end behind it. */
            shake_close(&one, FER_EPROTO);
            shake_open(&one, serve, 0);
            raw_send(one.peer, bytes, examples[i].size);
            raw_close(one.peer);
            one.peer = -1;
            shake_close(&one, FER_EPROTO);
        }
    }
}

static void a_hello_cut_at_every_position(void **state) {
    (void)state;
    for (size_t cut = 0; cut < HELLO_SIZE; cut++) {
        for (int serve = 0; serve < 2; serve++) {
            shake one;
            shake_open(&one, serve, 0);
            raw_send(one.peer, hello_bytes, cut);
            raw_close(one.peer);
            one.peer = -1;
            shake_close(&one, FER_ECONNRESET);
            /* A peer that is only slow has until the time is up. */
            if (cut % 12 == 0) {
                shake_open(&one, serve, 20);
                raw_send(one.peer, hello_bytes, cut);
                shake_close(&one, FER_ETIMEDOUT);
            }
        }
    }
}

static void versions_that_do_not_meet(void **state) {
    (void)state;
    uint8_t hello[HELLO_SIZE];
    memcpy(hello, hello_bytes, sizeof hello);
    hello[17] = 2; /* from version 2 */
    hello[19] = 9; /* to version 9 */
    for (int serve = 0; serve < 2; serve++) {
        shake one;
        shake_open(&one, serve, 0);
        raw_send(one.peer, hello, sizeof hello);
        shake_close(&one, FER_EVERSION);
    }
}

/* Frames. */

static void expect_end(solo *half, const char *received, fer_status expected) {
    inbox box = {0};
    assert_int_equal(fer_channel_receive(half->channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    harness_run_until(half->loop, &box.end.calls);
    assert_int_equal(box.end.status, expected);
    assert_int_equal(box.size, strlen(received));
    assert_memory_equal(box.bytes != NULL ? (char *)box.bytes : "", received, box.size);
    assert_int_equal(box.finalized.calls, 1);
    if (expected != FER_EOF)
        assert_int_equal(send_text(half->channel, "x"), expected);
    solo_close(half);
    inbox_free(&box);
}

/* "first" and "second", cut at every position: what is whole is delivered, the part is not. */
static void a_frame_cut_at_every_position(void **state) {
    (void)state;
    static const char native[] = "\2\0\0\0\0\0\0\5first\2\0\0\0\0\0\0\6second";
    static const char plain[] = "\0\0\0\5first\0\0\0\6second";
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        const char *bytes = wire == 0 ? native : plain;
        const size_t size = wire == 0 ? sizeof native - 1 : sizeof plain - 1;
        const size_t header = wire == 0 ? 8 : 4;
        for (size_t cut = 0; cut <= size; cut++) {
            solo half;
            const char *received = cut < header + 5 ? "" : cut < size ? "first" : "firstsecond";
            const int between = cut == 0 || cut == header + 5 || cut == size;
            solo_open(&half, &options);
            raw_send(half.peer, bytes, cut);
            raw_close(half.peer);
            expect_end(&half, received, wire == 1 && between ? FER_EOF : FER_ECONNRESET);
        }
    }
}

static void frames_that_break_the_protocol(void **state) {
    (void)state;
    static const struct {
        const char *digits;
        fer_status status;
    } examples[] = {
        {"0000000000000000", FER_EPROTO},   /* kind 0 */
        {"0500000000000000", FER_EPROTO},   /* an unknown kind */
        {"7f00000000000000", FER_EPROTO},   /* another */
        {"030000000000000161", FER_EPROTO}, /* a handle */
        {"020100000000000161", FER_EPROTO}, /* a message with handles */
        {"020001000000000161", FER_EPROTO}, /* a reserved field */
        {"040000000000000161", FER_EPROTO}, /* a goodbye with a payload */
        {"80000000ffffffff", FER_EPROTO},   /* more to skip than is reasonable */
        {"02000000ffffffff", FER_EMSGSIZE}, /* a length that nobody means */
        {"0200000004000001", FER_EMSGSIZE}, /* one byte over the limit */
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        solo half;
        size_t size = 0;
        uint8_t *bytes = harness_bytes(examples[i].digits, &size);
        solo_open(&half, NULL);
        const size_t before = harness_memory_now().bytes;
        raw_send(half.peer, "\2\0\0\0\0\0\0\4good", 12);
        raw_send(half.peer, bytes, size);
        raw_send(half.peer, "\2\0\0\0\0\0\0\3bad", 11);
        assert_true(harness_memory_now().bytes - before < MIB);
        expect_end(&half, "good", examples[i].status);
        raw_close(half.peer);
        free(bytes);
    }
    /* The HELLO comes once. */
    solo half;
    solo_open(&half, NULL);
    raw_send(half.peer, hello_bytes, HELLO_SIZE);
    expect_end(&half, "", FER_EPROTO);
    raw_close(half.peer);
}

static void frames_of_later_versions_are_skipped(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 255, 65536, 300000, MIB};
    static uint8_t payload[MIB];
    solo half;
    inbox box = {0};
    size_t expected = 0;
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    memset(payload, 4, sizeof payload); /* as if it were goodbyes */
    for (unsigned kind = 0x80; kind <= 0xff; kind += 0x7f / 7) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const uint32_t size = (uint32_t)sizes[i];
            const uint8_t header[8] = {(uint8_t)kind,
                                       0xff,
                                       0xff,
                                       0xff,
                                       (uint8_t)(size >> 24),
                                       (uint8_t)(size >> 16 & 0xff),
                                       (uint8_t)(size >> 8 & 0xff),
                                       (uint8_t)(size & 0xff)};
            raw_send_beside(half.loop, half.peer, header, sizeof header);
            raw_send_beside(half.loop, half.peer, payload, size);
            raw_send_beside(half.loop, half.peer, "\2\0\0\0\0\0\0\1m", 9);
            run_until_count(half.loop, &box.count, ++expected);
        }
    }
    assert_int_equal(box.size, expected);
    /* None of it was kept. */
    assert_true(harness_memory_now().largest < MIB);
    solo_close(&half);
    raw_close(half.peer);
    inbox_free(&box);
}

/* Memory grows with what arrives, and not with what is claimed. */
static void a_claim_costs_nothing(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    solo half;
    inbox box = {0};
    static uint8_t bytes[65536];
    options.max_message = UINT32_MAX;
    solo_open(&half, &options);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    const size_t before = harness_memory_now().bytes;
    raw_send(half.peer, "\2\0\0\0\377\377\377\377", 8);
    size_t arrived = 0;
    for (int i = 0; i < 160; i++) {
        raw_send_beside(half.loop, half.peer, bytes, sizeof bytes);
        arrived += sizeof bytes;
        for (int turns = 0; turns < 3; turns++)
            assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        assert_true(harness_memory_now().bytes - before < 3 * arrived + MIB);
        assert_true(harness_memory_now().largest < 3 * arrived + MIB);
    }
    assert_int_equal(box.count, 0);
    assert_int_equal(shutdown(half.peer, SHUT_WR), 0);
    harness_run_until(half.loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_ECONNRESET);
    assert_int_equal(box.count, 0);
    /* And it is given back before the channel is. */
    assert_true(harness_memory_now().bytes - before < 6 * MIB);
    solo_close(&half);
    raw_close(half.peer);
    inbox_free(&box);
}

/* Descriptors. */

static void descriptors_that_nobody_asked_for(void **state) {
    (void)state;
    enum { MOST = 250 };
    int handles[MOST];
    for (int i = 0; i < MOST; i++)
        handles[i] = STDERR_FILENO;
    for (size_t count = 1; count <= MOST; count += 83) {
        /* Instead of, and with, a HELLO. */
        for (int serve = 0; serve < 2; serve++) {
            shake one;
            shake_open(&one, serve, 0);
            const size_t before = harness_count_descriptors();
            raw_send_handles(one.peer, hello_bytes, HELLO_SIZE, handles, count);
            harness_run_until(one.loop, &one.result.calls);
            assert_int_equal(harness_count_descriptors(), before);
            shake_close(&one, FER_EPROTO);
        }
        /* With a message: what came whole before it is delivered. */
        solo half;
        inbox box = {0};
        solo_open(&half, NULL);
        const size_t before = harness_count_descriptors();
        raw_send(half.peer, "\2\0\0\0\0\0\0\4good", 12);
        raw_send_handles(half.peer, "\2\0\0\0\0\0\0\3bad", 11, handles, count);
        raw_send(half.peer, "\2\0\0\0\0\0\0\4late", 12);
        assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        harness_run_until(half.loop, &box.end.calls);
        assert_int_equal(box.end.status, FER_EPROTO);
        assert_int_equal(harness_count_descriptors(), before);
        assert_true(box.count >= 1 && box.sizes[0] == 4);
        assert_memory_equal(box.bytes, "good", 4);
        assert_true(box.count == 1 || memcmp(box.bytes + 4, "late", 4) != 0);
        solo_close(&half);
        raw_close(half.peer);
        inbox_free(&box);
    }
}

/* Whatever comes, it ends with a status. */
static void any_bytes_end_with_a_status(void **state) {
    (void)state;
    enum { ROUNDS = 3000, MOST = 600 };
    uint8_t bytes[MOST];
    for (unsigned round = 0; round < ROUNDS; round++) {
        const fer_channel_options options =
            options_of(round % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE);
        solo half;
        inbox box = {0};
        fill(bytes, sizeof bytes, round);
        /* Beginnings that go a little further than most. */
        if (round % 3 == 0)
            memcpy(bytes, "\2\0\0\0\0\0\0\4", 8);
        if (round % 5 == 0)
            memcpy(bytes + 12, "\0\0\0\0\0\0\1\0", 8);
        if (round % 2)
            bytes[0] = bytes[1] = 0;
        solo_open(&half, &options);
        raw_send(half.peer, bytes, round % MOST);
        raw_close(half.peer);
        assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        harness_run_until(half.loop, &box.end.calls);
        assert_true(box.end.status == FER_EOF || box.end.status == FER_ECONNRESET ||
                    box.end.status == FER_EPROTO || box.end.status == FER_EMSGSIZE);
        assert_true(box.size <= MOST);
        solo_close(&half);
        inbox_free(&box);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(garbage_instead_of_a_hello),
        HARNESS_TEST(a_hello_cut_at_every_position),
        HARNESS_TEST(versions_that_do_not_meet),
        HARNESS_TEST(a_frame_cut_at_every_position),
        HARNESS_TEST(frames_that_break_the_protocol),
        HARNESS_TEST(frames_of_later_versions_are_skipped),
        HARNESS_TEST(a_claim_costs_nothing),
        HARNESS_TEST(descriptors_that_nobody_asked_for),
        HARNESS_TEST(any_bytes_end_with_a_status),
    };
    return HARNESS_MAIN("channel_peer", tests, NULL, argc, argv);
}
