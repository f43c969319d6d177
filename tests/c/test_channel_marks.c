/* Channels: the high-water mark with its drain, and the hard cap. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { MIB = 1 << 20, PART = 64 * 1024 };

static uint8_t part[PART];

static uint64_t queued(const fer_channel *channel) {
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
    return info.queued;
}

/* The mark and drain. */

static void note_drain_and_check(fer_channel *channel, void *user) {
    note(user, FER_OK);
    assert_true(fer_channel_is_writable(channel));
    assert_true(queued(channel) <= MIB / 2);
}

static void above_the_mark_a_sender_waits_for_drain(void **state) {
    (void)state;
    solo half;
    noted drained = {0};
    size_t sent = 0;
    solo_open(&half, NULL);
    assert_int_equal(
        fer_channel_on_drain(half.channel, note_drain_and_check, &drained, note_finalized), FER_OK);
    for (int round = 1; round <= 3; round++) {
        while (fer_channel_is_writable(half.channel)) {
            assert_true(queued(half.channel) < MIB);
            assert_int_equal(send_bytes(half.channel, part, PART), FER_OK);
            sent += PART + 8;
        }
        assert_true(queued(half.channel) >= MIB);
        assert_int_equal(drained.calls, round - 1);
        /* As long as the peer does not read, nothing happens. */
        assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        assert_false(fer_channel_is_writable(half.channel));
        while (sent > 0) {
            uint8_t bytes[PART];
            const size_t want = sent < PART ? sent : PART;
            raw_receive_beside(half.loop, half.peer, bytes, want);
            sent -= want;
        }
        harness_run_until(half.loop, &drained.calls);
        assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        assert_int_equal(drained.calls, round);
        assert_int_equal(queued(half.channel), 0);
    }
    /* What never was above does not drain. */
    assert_int_equal(send_bytes(half.channel, part, PART), FER_OK);
    raw_receive_beside(half.loop, half.peer, part, PART);
    assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(drained.calls, 3);
    solo_close(&half);
    assert_int_equal(drained.calls, 4); /* the finalizer */
    raw_close(half.peer);
}

static void fill_up(fer_channel *channel) {
    while (fer_channel_is_writable(channel))
        assert_int_equal(send_bytes(channel, part, PART), FER_OK);
}

typedef struct again {
    fer_channel *channel;
    fer_bytes bytes;
    int sent;
    noted drained;
} again;

static void fill_again(fer_channel *channel, fer_status status, void *user) {
    again *more = user;
    assert_int_equal(status, FER_OK);
    if (more->sent++ == 0)
        assert_int_equal(fer_channel_send(channel, &more->bytes, 1, NULL, 0, fill_again, more),
                         FER_OK);
}

static void note_drain_when_writable(fer_channel *channel, void *user) {
    again *more = user;
    assert_true(fer_channel_is_writable(channel));
    note(&more->drained, FER_OK);
}

/* A completion comes before the drain that is due with it, and may fill the queue again. */
static void a_queue_that_is_full_again_does_not_drain(void **state) {
    enum { SIZE = 4 << 20 };
    solo half;
    again more = {NULL, {NULL, 0}, 0, {0}};
    uint8_t *data = filled(SIZE, 5);
    uint8_t *room = malloc(SIZE + 8);
    (void)state;
    more.bytes = piece(data, SIZE);
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_on_drain(half.channel, note_drain_when_writable, &more, NULL),
                     FER_OK);
    assert_int_equal(fer_channel_send(half.channel, &more.bytes, 1, NULL, 0, fill_again, &more),
                     FER_OK);
    assert_false(fer_channel_is_writable(half.channel));
    raw_receive_beside(half.loop, half.peer, room, SIZE + 8);
    harness_run_until(half.loop, &more.sent);
    assert_false(fer_channel_is_writable(half.channel));
    more.drained.calls = 0;
    raw_receive_beside(half.loop, half.peer, room, SIZE + 8);
    harness_run_until(half.loop, &more.drained.calls);
    assert_true(fer_channel_is_writable(half.channel));
    raw_close(half.peer);
    solo_close(&half);
    free(room);
    free(data);
}

typedef struct drains {
    noted first;
    noted second;
    noted finalized[2];
} drains;

static void first_finalized(void *user) {
    drains *all = user;
    note(&all->finalized[0], FER_OK);
}

static void second_finalized(void *user) {
    drains *all = user;
    note(&all->finalized[1], FER_OK);
}

static void on_second(fer_channel *channel, void *user) {
    drains *all = user;
    note(&all->second, FER_OK);
    /* It may remove itself. */
    assert_int_equal(fer_channel_on_drain(channel, NULL, NULL, NULL), FER_OK);
    assert_int_equal(all->finalized[1].calls, 0);
}

static void on_first(fer_channel *channel, void *user) {
    drains *all = user;
    note(&all->first, FER_OK);
    assert_int_equal(fer_channel_on_drain(channel, on_second, all, second_finalized), FER_OK);
    /* What is replaced is in use until it returns. */
    assert_int_equal(all->finalized[0].calls, 0);
}

static void drain_callbacks_are_replaced(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    drains all;
    noted finalized = {0};
    memset(&all, 0, sizeof all);
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_on_drain(ends.client, note_drain, &finalized, note_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_on_drain(ends.client, on_first, &all, first_finalized), FER_OK);
    assert_int_equal(finalized.calls, 1);
    fill_up(ends.client);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    harness_run_until(ends.loop, &all.first.calls);
    assert_int_equal(all.finalized[0].calls, 1);
    fill_up(ends.client);
    harness_run_until(ends.loop, &all.second.calls);
    assert_int_equal(all.finalized[1].calls, 1);
    fill_up(ends.client);
    while (!fer_channel_is_writable(ends.client))
        assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
    duo_close(&ends);
    assert_int_equal(all.first.calls, 1);
    assert_int_equal(all.second.calls, 1);
    assert_int_equal(all.finalized[0].calls, 1);
    assert_int_equal(all.finalized[1].calls, 1);
    assert_int_equal(finalized.calls, 1);
    inbox_free(&box);
}

static void note_drain_of_dead(fer_channel *channel, void *user) {
    note(user, send_text(channel, "x"));
    assert_false(fer_channel_is_writable(channel));
}

static void who_waits_for_drain_hears_of_the_end(void **state) {
    (void)state;
    solo half;
    noted drained = {0};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_on_drain(half.channel, note_drain_of_dead, &drained, NULL),
                     FER_OK);
    fill_up(half.channel);
    raw_close(half.peer);
    harness_run_until(half.loop, &drained.calls);
    assert_true(drained.status == FER_EPIPE || drained.status == FER_ECONNRESET);
    solo_close(&half);
    assert_int_equal(drained.calls, 1);
}

/* The cap. */

static void above_the_cap_nothing_is_accepted(void **state) {
    (void)state;
    enum { CAP = 300000, SIZE = 1000 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    inbox box = {0};
    noted refused = {0};
    size_t accepted = 0;
    fer_status status = FER_OK;
    options.high_water = 1000;
    options.hard_cap = CAP;
    duo_open(&ends, &options, NULL);
    while (status == FER_OK) {
        memset(part, (int)(accepted % 251), SIZE);
        status = send_bytes(ends.client, part, SIZE);
        accepted += status == FER_OK;
    }
    assert_int_equal(status, FER_EAGAIN);
    assert_string_not_equal(fer_status_detail(), "");
    const uint64_t waiting = queued(ends.client);
    assert_true(waiting <= CAP + SIZE + 8 && waiting > CAP - SIZE - 8);
    const fer_bytes bytes = {part, SIZE};
    for (int i = 0; i < 10; i++)
        assert_int_equal(fer_channel_send(ends.client, &bytes, 1, NULL, 0, note_sent, &refused),
                         FER_EAGAIN);
    assert_int_equal(queued(ends.client), waiting);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    run_until_count(ends.loop, &box.count, accepted);
    /* There is room again, and those that were refused are not there. */
    assert_int_equal(send_text(ends.client, "last"), FER_OK);
    run_until_count(ends.loop, &box.count, accepted + 1);
    for (size_t i = 0; i < accepted; i++) {
        assert_int_equal(box.sizes[i], SIZE);
        assert_int_equal(box.bytes[i * SIZE], i % 251);
        assert_int_equal(box.bytes[i * SIZE + SIZE - 1], i % 251);
    }
    assert_int_equal(box.sizes[accepted], 4);
    /* One alone is taken, whatever its size. */
    const size_t above = (size_t)2 * CAP;
    uint8_t *large = filled(above, 1);
    assert_int_equal(send_bytes(ends.client, large, above), FER_OK);
    run_until_count(ends.loop, &box.count, accepted + 2);
    duo_close(&ends);
    assert_int_equal(refused.calls, 0);
    inbox_free(&box);
    free(large);
}

/* The mark is part of what is too much, however small the steps to it are. */
static void at_the_mark_it_is_full(void **state) {
    (void)state;
    enum { SIZE = 2, FRAME = 8 + SIZE, MARK = 100 * FRAME };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    options.high_water = MARK;
    duo_open(&ends, &options, NULL);
    assert_int_equal(fer_channel_cork(ends.client), FER_OK);
    for (int i = 0; i < MARK / FRAME; i++) {
        assert_true(fer_channel_is_writable(ends.client));
        assert_int_equal(queued(ends.client), (uint64_t)i * FRAME);
        assert_int_equal(send_bytes(ends.client, "it", SIZE), FER_OK);
    }
    assert_int_equal(queued(ends.client), MARK);
    assert_false(fer_channel_is_writable(ends.client));
    duo_close(&ends);
}

/* A large message is refused for a few bytes that wait: below the mark, but drain comes all the same. */
static void who_was_refused_is_told_to_go_on(void **state) {
    (void)state;
    enum { MARK = 1 << 20 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    noted drained = {0};
    uint8_t *large = filled(MARK, 1);
    options.high_water = MARK;
    options.hard_cap = MARK;
    duo_open(&ends, &options, NULL);
    assert_int_equal(fer_channel_on_drain(ends.client, note_drain, &drained, NULL), FER_OK);
    assert_int_equal(send_text(ends.client, "one"), FER_OK);
    assert_int_equal(send_text(ends.client, "two"), FER_OK);
    assert_true(fer_channel_is_writable(ends.client));
    assert_int_equal(send_bytes(ends.client, large, MARK), FER_EAGAIN);
    assert_false(fer_channel_is_writable(ends.client));
    harness_run_until(ends.loop, &drained.calls);
    assert_true(fer_channel_is_writable(ends.client));
    assert_int_equal(send_bytes(ends.client, large, MARK), FER_OK);
    duo_close(&ends);
    assert_int_equal(drained.calls, 1);
    free(large);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(above_the_mark_a_sender_waits_for_drain),
        HARNESS_TEST(a_queue_that_is_full_again_does_not_drain),
        HARNESS_TEST(drain_callbacks_are_replaced),
        HARNESS_TEST(who_waits_for_drain_hears_of_the_end),
        HARNESS_TEST(above_the_cap_nothing_is_accepted),
        HARNESS_TEST(at_the_mark_it_is_full),
        HARNESS_TEST(who_was_refused_is_told_to_go_on),
    };
    return HARNESS_MAIN("channel_marks", tests, NULL, argc, argv);
}
