/* Channels: many messages by one call. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "impl/channel.h"
#include "stock.h"

enum { KIB = 1024, MARK = 16 * KIB, SMALL = 64, FRAME = SMALL + 8, MANY = STOCK };

static void stock_of_small(stock *of) {
    const size_t size = SMALL;
    stock_make(of, &size, 1);
}

static void assert_stock(const inbox *box, const stock *of, size_t count) {
    const uint8_t *at = box->bytes;
    assert_true(box->count >= count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(box->sizes[i], of->messages[i].size);
        if (box->sizes[i] > 0)
            assert_memory_equal(at, of->messages[i].data, box->sizes[i]);
        at += box->sizes[i];
    }
}

/* Everything that is sent in one turn reads the same, by one call or by many. */
static uint8_t *stream_of(const stock *from, fer_wire wire, int at_once, size_t *size) {
    fer_channel_options options = options_of(wire);
    solo half;
    uint8_t *bytes = malloc((size_t)4 << 20);
    size_t accepted = 0;
    ssize_t got;
    *size = 0;
    assert_non_null(bytes);
    solo_open(&half, &options);
    if (at_once) {
        assert_int_equal(fer_channel_send_many(half.channel, from->messages, MANY, &accepted),
                         FER_OK);
        assert_int_equal(accepted, MANY);
    }
    for (size_t i = 0; i < MANY && !at_once; i++)
        assert_int_equal(fer_channel_send(half.channel, &from->messages[i], 1, NULL, 0, NULL, NULL),
                         FER_OK);
    do {
        assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        while ((got = raw_try_receive(half.peer, bytes + *size, ((size_t)4 << 20) - *size)) > 0)
            *size += (size_t)got;
    } while (!fer__sendq_is_empty(&half.channel->out));
    raw_close(half.peer);
    solo_close(&half);
    return bytes;
}

static void the_bytes_are_those_of_single_sends(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 64, 300, 8191, 8192, 8193, 3, 20000, 7};
    static const fer_wire wires[] = {FER_WIRE_NATIVE, FER_WIRE_PLAIN};
    stock all;
    stock_make(&all, sizes, sizeof sizes / sizeof sizes[0]);
    /* Less than the high-water mark in all, so that no call ends early. */
    for (size_t i = 150; i < MANY; i++)
        all.messages[i].size = all.messages[i].size > 5 ? 5 : all.messages[i].size;
    for (int w = 0; w < 2; w++) {
        size_t size[2];
        uint8_t *one_by_one = stream_of(&all, wires[w], 0, &size[0]);
        uint8_t *at_once = stream_of(&all, wires[w], 1, &size[1]);
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(one_by_one, at_once, size[0]);
        free(one_by_one);
        free(at_once);
    }
    free(all.memory);
}

/* One call stops at the mark just where single ones find the channel not writable. */
static void it_stops_at_the_mark(void **state) {
    (void)state;
    static const uint64_t marks[] = {1, FRAME, (uint64_t)10 * FRAME, (uint64_t)10 * FRAME + 1,
                                     MARK};
    stock all;
    stock_of_small(&all);
    for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        size_t singly = 0;
        size_t accepted = 0;
        options.high_water = marks[m];
        for (int at_once = 0; at_once < 2; at_once++) {
            duo ends;
            inbox box = {0};
            noted drained = {0};
            duo_open(&ends, &options, NULL);
            assert_int_equal(fer_channel_on_drain(ends.client, note_drain, &drained, NULL), FER_OK);
            assert_int_equal(fer_channel_cork(ends.client), FER_OK);
            while (!at_once && fer_channel_is_writable(ends.client)) {
                assert_int_equal(send_bytes(ends.client, all.messages[singly].data, SMALL), FER_OK);
                singly++;
            }
            if (at_once)
                assert_int_equal(fer_channel_send_many(ends.client, all.messages, MANY, &accepted),
                                 FER_OK);
            assert_false(fer_channel_is_writable(ends.client));
            assert_int_equal(fer_channel_uncork(ends.client), FER_OK);
            harness_run_until(ends.loop, &drained.calls);
            assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
            run_until_count(ends.loop, &box.count, singly);
            assert_stock(&box, &all, singly);
            duo_close(&ends);
            assert_int_equal(box.count, singly);
            inbox_free(&box);
        }
        assert_int_equal(accepted, singly);
        assert_int_equal(singly, (marks[m] + FRAME - 1) / FRAME);
    }
    free(all.memory);
}

static size_t sent_so_far;

/* From drain to drain. What is not writable takes none. */
static void send_the_rest(fer_channel *channel, void *user) {
    const stock *all = user;
    size_t accepted = MANY;
    assert_true(fer_channel_is_writable(channel));
    assert_int_equal(
        fer_channel_send_many(channel, all->messages + sent_so_far, MANY - sent_so_far, &accepted),
        FER_OK);
    sent_so_far += accepted;
    if (sent_so_far == MANY)
        return;
    assert_false(fer_channel_is_writable(channel));
    assert_int_equal(fer_channel_send_many(channel, all->messages + sent_so_far, 1, &accepted),
                     FER_OK);
    assert_int_equal(accepted, 0);
}

static void drain_brings_the_rest(void **state) {
    (void)state;
    static const size_t sizes[] = {SMALL, 0, 30000, 8192, 5};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    inbox box = {0};
    stock all;
    stock_make(&all, sizes, sizeof sizes / sizeof sizes[0]);
    options.high_water = MARK;
    duo_open(&ends, &options, NULL);
    sent_so_far = 0;
    assert_int_equal(fer_channel_on_drain(ends.client, send_the_rest, &all, NULL), FER_OK);
    send_the_rest(ends.client, &all);
    assert_true(sent_so_far > 0 && sent_so_far < MANY);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
    run_until_count(ends.loop, &box.count, MANY);
    assert_int_equal(sent_so_far, MANY);
    assert_stock(&box, &all, MANY);
    duo_close(&ends);
    inbox_free(&box);
    free(all.memory);
}

/* Below the mark, and over the cap with the next one. */
static void it_stops_at_the_hard_cap(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    inbox box = {0};
    noted drained = {0};
    stock all;
    size_t accepted = 0;
    stock_of_small(&all);
    options.high_water = MARK;
    options.hard_cap = (uint64_t)10 * FRAME + FRAME / 2;
    duo_open(&ends, &options, NULL);
    assert_int_equal(fer_channel_on_drain(ends.client, note_drain, &drained, NULL), FER_OK);
    assert_int_equal(fer_channel_cork(ends.client), FER_OK);
    assert_int_equal(fer_channel_send_many(ends.client, all.messages, MANY, &accepted), FER_EAGAIN);
    assert_int_equal(accepted, 10);
    assert_string_not_equal(fer_status_detail(), "");
    assert_int_equal(fer_channel_uncork(ends.client), FER_OK);
    harness_run_until(ends.loop, &drained.calls);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
    run_until_count(ends.loop, &box.count, accepted);
    assert_stock(&box, &all, accepted);
    duo_close(&ends);
    assert_int_equal(box.count, accepted);
    inbox_free(&box);
    free(all.memory);
}

/* What is before one that cannot be sent goes, and the rest can be sent after it. */
static void one_that_cannot_be_sent_is_told(void **state) {
    (void)state;
    enum { LIMIT = 100 };
    static const fer_wire wires[] = {FER_WIRE_NATIVE, FER_WIRE_PLAIN};
    static uint8_t long_one[LIMIT + 1];
    for (int w = 0; w < 2; w++) {
        fer_channel_options options = options_of(wires[w]);
        duo ends;
        inbox box = {0};
        size_t accepted = 0;
        const int has_empty = wires[w] == FER_WIRE_NATIVE;
        const fer_bytes messages[] = {
            piece("one", 3), piece(long_one, LIMIT),     piece(NULL, 0),
            piece("two", 3), piece(long_one, LIMIT + 1), piece("three", 5)};
        options.max_message = LIMIT;
        duo_open(&ends, &options, &options);
        assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
        if (!has_empty) {
            assert_int_equal(fer_channel_send_many(ends.client, messages, 6, &accepted),
                             FER_EINVAL);
            assert_int_equal(accepted, 2);
        } else {
            assert_int_equal(fer_channel_send_many(ends.client, messages, 3, &accepted), FER_OK);
            assert_int_equal(accepted, 3);
        }
        assert_int_equal(fer_channel_send_many(ends.client, messages + 3, 3, &accepted),
                         FER_EMSGSIZE);
        assert_int_equal(accepted, 1);
        assert_int_equal(fer_channel_send_many(ends.client, messages + 5, 1, &accepted), FER_OK);
        assert_int_equal(accepted, 1);
        run_until_count(ends.loop, &box.count, has_empty ? 5u : 4u);
        assert_int_equal(box.size, 3 + LIMIT + 3 + 5);
        assert_memory_equal(box.bytes + 3 + LIMIT, "twothree", 8);
        duo_close(&ends);
        inbox_free(&box);
    }
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    static const uint8_t byte = 1;
    fer_bytes messages[] = {{&byte, 1}, {NULL, 1}};
    fer_channel *blocking[2];
    noted closed = {0};
    size_t accepted = 7;
    duo ends;
    inbox box = {0};
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_send_many(NULL, messages, 1, &accepted), FER_EINVAL);
    assert_int_equal(accepted, 0);
    assert_int_equal(fer_channel_send_many(ends.client, messages, 1, NULL), FER_EINVAL);
    assert_int_equal(fer_channel_send_many(ends.client, NULL, 1, &accepted), FER_EINVAL);
    accepted = 7;
    assert_int_equal(fer_channel_send_many(ends.client, NULL, 0, &accepted), FER_OK);
    assert_int_equal(accepted, 0);
    accepted = 7;
    assert_int_equal(fer_channel_send_many(ends.client, messages, 2, &accepted), FER_EINVAL);
    assert_int_equal(accepted, 0);
    assert_int_equal(fer_channel_close(ends.client, note_closed, &closed), FER_OK);
    accepted = 7;
    assert_int_equal(fer_channel_send_many(ends.client, messages, 1, &accepted), FER_ECLOSED);
    assert_int_equal(accepted, 0);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
    harness_run_until(ends.loop, &closed.calls);
    assert_int_equal(box.count, 0);
    assert_int_equal(box.end.status, FER_EOF);
    assert_int_equal(fer_channel_send_many(ends.served, messages, 1, &accepted), FER_EPIPE);
    assert_int_equal(accepted, 0);
    duo_close(&ends);
    inbox_free(&box);
    sync_pair(blocking, NULL);
    assert_int_equal(fer_channel_send_many(blocking[0], messages, 1, &accepted), FER_ENOTSUP);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fer_channel_abort(blocking[i]), FER_OK);
        fer_channel_unref(blocking[i]);
    }
}

static void before_it_is_open_nothing_is_sent(void **state) {
    (void)state;
    static const uint8_t byte = 1;
    const fer_bytes message = {&byte, 1};
    fer_loop *loop = NULL;
    fer_channel *channel = NULL;
    noted connected = {0};
    size_t accepted = 7;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_channel_connect(loop, address_of("s"), NULL, note_connected, &connected, &channel),
        FER_OK);
    assert_int_equal(fer_channel_send_many(channel, &message, 1, &accepted), FER_ENOTCONN);
    assert_int_equal(accepted, 0);
    assert_int_equal(fer_channel_abort(channel), FER_OK);
    fer_channel_unref(channel);
    end_loop(loop);
}

/* Sending fails while the channel is above the mark: who sends many must hear of that, not wait for drain. */
static void a_broken_channel_says_so(void **state) {
    (void)state;
    enum { LARGE = 128 * KIB };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    solo half;
    noted drained = {0};
    stock all;
    size_t accepted = 0;
    uint8_t *large = filled(LARGE, 1);
    stock_of_small(&all);
    options.high_water = FRAME;
    solo_open(&half, &options);
    assert_int_equal(fer_channel_on_drain(half.channel, note_drain, &drained, NULL), FER_OK);
    assert_int_equal(fer_channel_cork(half.channel), FER_OK);
    assert_int_equal(fer_channel_send_many(half.channel, all.messages, 2, &accepted), FER_OK);
    assert_int_equal(accepted, 1);
    assert_false(fer_channel_is_writable(half.channel));
    raw_close(half.peer);
    const fer_status status = send_bytes(half.channel, large, LARGE);
    assert_true(status == FER_EPIPE || status == FER_ECONNRESET);
    assert_int_equal(fer_channel_send_many(half.channel, all.messages, 2, &accepted), status);
    assert_int_equal(accepted, 0);
    harness_run_until(half.loop, &drained.calls);
    assert_int_equal(fer_channel_send_many(half.channel, all.messages, 2, &accepted), status);
    solo_close(&half);
    free(large);
    free(all.memory);
}

/* The first ones are accepted, and come, and the rest can be sent once there is memory again. */
static void without_memory_none_is_lost(void **state) {
    (void)state;
    enum { SOME = 60 };
    static const size_t sizes[] = {SMALL, 30000, 3, 8193};
    stock all;
    size_t cut_off = 0;
    int failed = 1;
    stock_make(&all, sizes, sizeof sizes / sizeof sizes[0]);
    for (size_t n = 1; failed; n++) {
        size_t first = 0;
        size_t rest = 0;
        duo ends;
        inbox box = {0};
        duo_open(&ends, NULL, NULL);
        harness_fail_allocation(n);
        const fer_status status = fer_channel_send_many(ends.client, all.messages, SOME, &first);
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        /* Not every failure stands in the way. */
        assert_int_equal(status, first < SOME ? FER_ENOMEM : FER_OK);
        cut_off += first > 0 && first < SOME;
        assert_int_equal(
            fer_channel_send_many(ends.client, all.messages + first, SOME - first, &rest), FER_OK);
        assert_int_equal(first + rest, SOME);
        assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, NULL), FER_OK);
        run_until_count(ends.loop, &box.count, SOME);
        assert_stock(&box, &all, SOME);
        duo_close(&ends);
        inbox_free(&box);
    }
    assert_true(cut_off > 0);
    free(all.memory);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(the_bytes_are_those_of_single_sends),
        HARNESS_TEST(it_stops_at_the_mark),
        HARNESS_TEST(drain_brings_the_rest),
        HARNESS_TEST(it_stops_at_the_hard_cap),
        HARNESS_TEST(one_that_cannot_be_sent_is_told),
        HARNESS_TEST(what_is_wrong_is_said),
        HARNESS_TEST(before_it_is_open_nothing_is_sent),
        HARNESS_TEST(a_broken_channel_says_so),
        HARNESS_TEST(without_memory_none_is_lost),
    };
    return HARNESS_MAIN("send_many", tests, NULL, argc, argv);
}
