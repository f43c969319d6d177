/* Channels: messages of every size, whole and in order, both ways and on both wires. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#ifndef PIPE_BUF
#define PIPE_BUF 4096
#endif

enum { MIB = 1 << 20, LIMIT = 64 * MIB };

static const size_t sizes[] = {1,
                               2,
                               3,
                               4,
                               5,
                               7,
                               8,
                               9,
                               PIPE_BUF - 9,
                               PIPE_BUF - 1,
                               PIPE_BUF,
                               PIPE_BUF + 1,
                               8191,
                               8192,
                               8193,
                               32768,
                               65527,
                               65528,
                               65529,
                               65531,
                               65532,
                               65533,
                               65534,
                               65535,
                               65536,
                               65537,
                               65545,
                               131072,
                               262135,
                               262136,
                               262137,
                               262144,
                               262145,
                               MIB - 1,
                               MIB,
                               MIB + 1,
                               3 * MIB + 1};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void send_one(fer_channel *channel, const uint8_t *data, size_t size, noted *sent) {
    /* In three pieces, one of them empty. */
    const fer_bytes parts[3] = {{data, size / 3}, {NULL, 0}, {data + size / 3, size - size / 3}};
    assert_int_equal(
        fer_channel_send(channel, parts, 3, NULL, 0, sent == NULL ? NULL : note_sent, sent),
        FER_OK);
    assert_true(sent == NULL || sent->calls == 0);
}

/* Each size by itself: there and back. */
static void every_size_comes_whole(void **state) {
    (void)state;
    for (int wire = FER_WIRE_NATIVE; wire <= FER_WIRE_PLAIN; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        duo ends;
        inbox boxes[2] = {{0}, {0}};
        duo_open(&ends, &options, &options);
        assert_int_equal(
            fer_channel_receive(ends.client, inbox_messages, &boxes[0], inbox_finalized), FER_OK);
        assert_int_equal(
            fer_channel_receive(ends.served, inbox_messages, &boxes[1], inbox_finalized), FER_OK);
        for (int i = 0; i < SIZES; i++) {
            uint8_t *data = filled(sizes[i], (unsigned)i);
            noted sent = {0};
            send_one(ends.client, data, sizes[i], i % 2 ? &sent : NULL);
            run_until_count(ends.loop, &boxes[1].count, (size_t)i + 1);
            assert_int_equal(boxes[1].sizes[i], sizes[i]);
            assert_filled(boxes[1].bytes + boxes[1].size - sizes[i], sizes[i], (unsigned)i);
            if (i % 2)
                harness_run_until(ends.loop, &sent.calls);
            assert_int_equal(sent.calls, i % 2);
            assert_int_equal(sent.status, FER_OK);
            memset(&sent, 0, sizeof sent);
            send_one(ends.served, data, sizes[i], &sent);
            run_until_count(ends.loop, &boxes[0].count, (size_t)i + 1);
            harness_run_until(ends.loop, &sent.calls);
            free(data);
        }
        assert_int_equal(boxes[0].size, boxes[1].size);
        assert_memory_equal(boxes[0].bytes, boxes[1].bytes, boxes[0].size);
        duo_close(&ends);
        inbox_free(&boxes[0]);
        inbox_free(&boxes[1]);
    }
}

/* All sizes at once, again and again, before the peer has a receiver. */
static void a_burst_of_all_sizes_keeps_its_order(void **state) {
    (void)state;
    enum { ROUNDS = 4, ALL = ROUNDS * SIZES };
    for (int wire = FER_WIRE_NATIVE; wire <= FER_WIRE_PLAIN; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        static uint8_t *data[ALL];
        static noted sent[ALL];
        duo ends;
        inbox box = {0};
        size_t at = 0;
        duo_open(&ends, &options, &options);
        for (int i = 0; i < ALL; i++) {
            const size_t size = sizes[(i * 7) % SIZES];
            data[i] = filled(size, (unsigned)i);
            memset(&sent[i], 0, sizeof sent[i]);
            send_one(ends.client, data[i], size, i % 3 ? &sent[i] : NULL);
        }
        /* What waits in the kernel is not lost. */
        for (int i = 0; i < 5; i++)
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        run_until_count(ends.loop, &box.count, ALL);
        for (int i = 0; i < ALL; i++) {
            assert_int_equal(box.sizes[i], sizes[(i * 7) % SIZES]);
            assert_filled(box.bytes + at, box.sizes[i], (unsigned)i);
            at += box.sizes[i];
            if (i % 3)
                harness_run_until(ends.loop, &sent[i].calls);
            assert_int_equal(sent[i].calls, i % 3 != 0);
            free(data[i]);
        }
        duo_close(&ends);
        inbox_free(&box);
    }
}

static void empty_messages_are_messages(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    noted sent = {0};
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_send(ends.client, NULL, 0, NULL, 0, note_sent, &sent), FER_OK);
    assert_int_equal(send_text(ends.client, ""), FER_OK);
    assert_int_equal(send_text(ends.client, "x"), FER_OK);
    assert_int_equal(send_text(ends.client, ""), FER_OK);
    run_until_count(ends.loop, &box.count, 4);
    harness_run_until(ends.loop, &sent.calls);
    assert_int_equal(sent.status, FER_OK);
    const size_t expected[4] = {0, 0, 1, 0};
    assert_memory_equal(box.sizes, expected, sizeof expected);
    assert_int_equal(box.end.calls, 0);
    duo_close(&ends);
    inbox_free(&box);

    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    duo_open(&ends, &plain, &plain);
    memset(&sent, 0, sizeof sent);
    assert_int_equal(fer_channel_send(ends.client, NULL, 0, NULL, 0, note_sent, &sent), FER_EINVAL);
    duo_close(&ends);
    assert_int_equal(sent.calls, 0);
}

/* The largest of all, there and back; by its owner's memory one way. */
static void a_message_may_be_as_large_as_the_limit(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    noted sent = {0};
    noted refused = {0};
    uint8_t *data = filled(LIMIT + 1, 9);
    const fer_bytes whole = {data, LIMIT};
    const fer_bytes over = {data, LIMIT + 1};
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    const size_t before = harness_memory_now().bytes;
    assert_int_equal(fer_channel_send(ends.client, &over, 1, NULL, 0, note_sent, &refused),
                     FER_EMSGSIZE);
    assert_int_equal(fer_channel_send(ends.client, &whole, 1, NULL, 0, note_sent, &sent), FER_OK);
    /* It is not copied. */
    assert_true(harness_memory_now().bytes - before < (size_t)2 * MIB);
    run_until_count(ends.loop, &box.count, 1);
    harness_run_until(ends.loop, &sent.calls);
    assert_int_equal(box.size, LIMIT);
    assert_memory_equal(box.bytes, data, LIMIT);
    /* The channel is as good as before. */
    assert_int_equal(send_text(ends.client, "small"), FER_OK);
    run_until_count(ends.loop, &box.count, 2);
    assert_int_equal(box.sizes[1], 5);
    duo_close(&ends);
    assert_int_equal(refused.calls, 0);
    inbox_free(&box);
    free(data);
}

static void both_limits_hold_for_a_sender(void **state) {
    (void)state;
    fer_channel_options client = FER_CHANNEL_OPTIONS_INIT;
    fer_channel_options served = FER_CHANNEL_OPTIONS_INIT;
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    uint8_t data[2001];
    duo ends;
    inbox boxes[2] = {{0}, {0}};
    memset(data, 'd', sizeof data);
    client.max_message = 2000;
    served.max_message = 1000;
    served.high_water = 77;
    duo_open(&ends, &client, &served);
    assert_int_equal(fer_channel_get_info(ends.served, &info), FER_OK);
    assert_int_equal(info.wire, FER_WIRE_NATIVE);
    assert_int_equal(info.version, 1);
    assert_int_equal(info.max_message, 1000);
    assert_int_equal(info.peer_max_message, 2000);
    assert_int_equal(info.max_handles, 0);
    assert_int_equal(info.peer_max_handles, 0);
    assert_int_equal(info.queued, 0);
    assert_int_equal(info.high_water, 77);
    assert_int_equal(fer_channel_receive(ends.client, inbox_messages, &boxes[0], inbox_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &boxes[1], inbox_finalized),
                     FER_OK);
    assert_int_equal(send_bytes(ends.client, data, 1000), FER_OK);
    assert_int_equal(send_bytes(ends.client, data, 1001), FER_EMSGSIZE);
    assert_non_null(strstr(fer_status_detail(), "1001"));
    assert_int_equal(send_bytes(ends.client, data, 2001), FER_EMSGSIZE);
    assert_int_equal(send_bytes(ends.served, data, 1000), FER_OK);
    assert_int_equal(send_bytes(ends.served, data, 1001), FER_EMSGSIZE);
    assert_int_equal(send_bytes(ends.client, data, 999), FER_OK);
    run_until_count(ends.loop, &boxes[0].count, 1);
    run_until_count(ends.loop, &boxes[1].count, 2);
    assert_int_equal(boxes[1].size, 1999);
    duo_close(&ends);
    inbox_free(&boxes[0]);
    inbox_free(&boxes[1]);
}

/* Bytes given without a callback are the caller's again at once, with one when it is called. */
static void the_bytes_of_a_send_have_an_owner(void **state) {
    (void)state;
    enum { ROUNDS = 12, SIZE = 300000 };
    static uint8_t data[ROUNDS][SIZE];
    noted sent[ROUNDS];
    duo ends;
    inbox box = {0};
    memset(sent, 0, sizeof sent);
    duo_open(&ends, NULL, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const fer_bytes bytes = {data[i], SIZE};
        fill(data[i], SIZE, i);
        assert_int_equal(fer_channel_send(ends.client, &bytes, 1, NULL, 0, i % 2 ? note_sent : NULL,
                                          i % 2 ? &sent[i] : NULL),
                         FER_OK);
        if (i % 2 == 0)
            memset(data[i], 0, SIZE);
    }
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0)
            continue;
        harness_run_until(ends.loop, &sent[i].calls);
        memset(data[i], 0, SIZE);
    }
    run_until_count(ends.loop, &box.count, ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_filled(box.bytes + (size_t)i * SIZE, SIZE, i);
    duo_close(&ends);
    inbox_free(&box);
}

static void messages_of_many_pieces(void **state) {
    (void)state;
    enum { PIECES = 3000 };
    static fer_bytes pieces[PIECES];
    duo ends;
    inbox box = {0};
    noted sent = {0};
    uint8_t *data = filled(PIECES, 8);
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = piece(data + i, 1);
    for (size_t count = 1; count <= PIECES; count = count * 2 + 1) {
        const size_t before = box.count;
        const size_t size = box.size;
        assert_int_equal(fer_channel_send(ends.client, pieces, count, NULL, 0, note_sent, &sent),
                         FER_OK);
        run_until_count(ends.loop, &box.count, before + 1);
        assert_int_equal(box.sizes[before], count);
        assert_memory_equal(box.bytes + size, data, count);
    }
    duo_close(&ends);
    inbox_free(&box);
    free(data);
}

/* Echo from inside the callback, many at a time. */
static void echo(fer_channel *channel, fer_status status, const fer_message *messages, size_t count,
                 void *user) {
    noted *end = user;
    if (status != FER_OK) {
        note(end, status);
        return;
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(send_bytes(channel, messages[i].data, messages[i].size), FER_OK);
}

static void an_answer_may_be_sent_from_the_callback(void **state) {
    (void)state;
    enum { MESSAGES = 20000 };
    duo ends;
    inbox box = {0};
    noted end = {0};
    noted finalized = {0};
    size_t at = 0;
    uint8_t *data = filled(512, 4);
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, echo, &end, NULL), FER_OK);
    assert_int_equal(fer_channel_receive(ends.client, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_receive(ends.client, inbox_messages, &finalized, note_finalized),
                     FER_EALREADY);
    assert_int_equal(finalized.calls, 1);
    for (size_t i = 0; i < MESSAGES; i++)
        assert_int_equal(send_bytes(ends.client, data + i % 256, i % 257), FER_OK);
    run_until_count(ends.loop, &box.count, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(box.sizes[i], i % 257);
        assert_memory_equal(box.bytes + at, data + i % 256, i % 257);
        at += box.sizes[i];
    }
    /* One call a read, not one a message. */
    assert_true(box.batches < MESSAGES / 20);
    duo_close(&ends);
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.status, FER_ECANCELED);
    assert_int_equal(box.end.status, FER_ECANCELED);
    assert_int_equal(box.finalized.calls, 1);
    inbox_free(&box);
    free(data);
}

static void data_is_attached_and_released(void **state) {
    (void)state;
    duo ends;
    noted finalized[2] = {{0}, {0}};
    duo_open(&ends, NULL, NULL);
    assert_null(fer_channel_data(ends.client));
    assert_ptr_equal(fer_channel_loop(ends.client), ends.loop);
    assert_int_equal(fer_channel_set_data(ends.client, &finalized[0], note_finalized), FER_OK);
    assert_ptr_equal(fer_channel_data(ends.client), &finalized[0]);
    assert_int_equal(fer_channel_set_data(ends.client, &finalized[1], note_finalized), FER_OK);
    assert_int_equal(finalized[0].calls, 1);
    duo_close(&ends);
    assert_int_equal(finalized[0].calls, 1);
    assert_int_equal(finalized[1].calls, 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_size_comes_whole),
        HARNESS_TEST(a_burst_of_all_sizes_keeps_its_order),
        HARNESS_TEST(empty_messages_are_messages),
        HARNESS_TEST(a_message_may_be_as_large_as_the_limit),
        HARNESS_TEST(both_limits_hold_for_a_sender),
        HARNESS_TEST(the_bytes_of_a_send_have_an_owner),
        HARNESS_TEST(messages_of_many_pieces),
        HARNESS_TEST(an_answer_may_be_sent_from_the_callback),
        HARNESS_TEST(data_is_attached_and_released),
    };
    return HARNESS_MAIN("channel", tests, NULL, argc, argv);
}
