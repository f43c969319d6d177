/* Channels: flush tells when the kernel has all, and what is sent holds the loop. */
#include <stdlib.h>

#include "fixture.h"

enum { LARGE = 4 << 20 };

static uint8_t large[LARGE];
static uint8_t got[LARGE + 8];

static void an_idle_channel_is_flushed_already(void **state) {
    (void)state;
    solo half;
    noted flushed = {0};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed), FER_OK);
    assert_int_equal(flushed.calls, 0);
    harness_run_until(half.loop, &flushed.calls);
    assert_int_equal(flushed.status, FER_OK);
    /* What the kernel took at once is had, too. */
    assert_int_equal(send_text(half.channel, "at once"), FER_OK);
    assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed), FER_OK);
    assert_int_equal(flushed.calls, 1);
    assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(flushed.calls, 2);
    raw_receive_beside(half.loop, half.peer, got, 8 + 7);
    assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(flushed.calls, 2);
    assert_int_equal(fer_channel_flush(half.channel, NULL, NULL), FER_EINVAL);
    solo_close(&half);
    raw_close(half.peer);
}

/* In turn with the completions of messages, on both wires. */
static void a_flush_waits_for_what_was_sent_before(void **state) {
    (void)state;
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        const size_t header = wire == 0 ? 8 : 4;
        solo half;
        noted sent = {0};
        noted flushed[2] = {{0}, {0}};
        const fer_bytes bytes = {large, sizeof large};
        fer_channel_info info = FER_CHANNEL_INFO_INIT;
        solo_open(&half, &options);
        fill(large, sizeof large, 3);
        assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent),
                         FER_OK);
        assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed[0]), FER_OK);
        assert_int_equal(send_bytes(half.channel, large, sizeof large), FER_OK);
        assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed[1]), FER_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        assert_int_equal(sent.calls + flushed[0].calls + flushed[1].calls, 0);
        raw_receive_beside(half.loop, half.peer, got, sizeof large + header);
        harness_run_until(half.loop, &flushed[0].calls);
        assert_filled(got + header, sizeof large, 3);
        assert_int_equal(flushed[0].status, FER_OK);
        assert_true(sent.when < flushed[0].when);
        assert_int_equal(flushed[1].calls, 0);
        raw_receive_beside(half.loop, half.peer, got, sizeof large + header);
        harness_run_until(half.loop, &flushed[1].calls);
        assert_int_equal(flushed[1].status, FER_OK);
        assert_int_equal(fer_channel_get_info(half.channel, &info), FER_OK);
        assert_int_equal(info.queued, 0);
        solo_close(&half);
        assert_int_equal(sent.calls + flushed[0].calls + flushed[1].calls, 3);
        raw_close(half.peer);
    }
}

static void a_flush_writes_what_a_cork_holds_back(void **state) {
    (void)state;
    solo half;
    noted flushed = {0};
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_cork(half.channel), FER_OK);
    assert_int_equal(send_text(half.channel, "held back"), FER_OK);
    assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed), FER_OK);
    harness_run_until(half.loop, &flushed.calls);
    assert_int_equal(flushed.status, FER_OK);
    raw_receive_beside(half.loop, half.peer, got, 8 + 9);
    /* The cork is still in. */
    assert_int_equal(send_text(half.channel, "again"), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(fer_channel_get_info(half.channel, &info), FER_OK);
    assert_int_equal(info.queued, 8 + 5);
    solo_close(&half);
    raw_close(half.peer);
}

/* What ends a channel, and what a flush that waits is told. */
static void a_flush_is_told_how_the_channel_ended(void **state) {
    (void)state;
    enum { ABORT, PEER_DIES, CLOSE_IN_VAIN, WAYS };
    for (int way = 0; way < WAYS; way++) {
        solo half;
        noted flushed = {0};
        noted closed = {0};
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        options.close_timeout_ms = 20;
        solo_open(&half, &options);
        assert_int_equal(send_bytes(half.channel, large, sizeof large), FER_OK);
        assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed), FER_OK);
        if (way == ABORT)
            assert_int_equal(fer_channel_abort(half.channel), FER_OK);
        else if (way == PEER_DIES)
            raw_close(half.peer);
        else
            assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
        assert_int_equal(flushed.calls, 0);
        harness_run_until(half.loop, &flushed.calls);
        if (way == PEER_DIES)
            assert_true(flushed.status == FER_EPIPE || flushed.status == FER_ECONNRESET);
        else
            assert_int_equal(flushed.status, FER_ECANCELED);
        /* Sending is over: there is nothing left to wait for. */
        assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed),
                         way == PEER_DIES ? flushed.status : FER_ECLOSED);
        if (way == CLOSE_IN_VAIN) {
            harness_run_until(half.loop, &closed.calls);
            assert_true(flushed.when < closed.when);
        }
        solo_close(&half);
        assert_int_equal(flushed.calls, 1);
        if (way != PEER_DIES)
            raw_close(half.peer);
    }
}

static void a_close_flushes_first(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    noted flushed = {0};
    noted closed = {0};
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(send_bytes(ends.client, large, sizeof large), FER_OK);
    assert_int_equal(fer_channel_flush(ends.client, note_sent, &flushed), FER_OK);
    assert_int_equal(fer_channel_close(ends.client, note_closed, &closed), FER_OK);
    harness_run_until(ends.loop, &closed.calls);
    assert_int_equal(closed.status, FER_OK);
    assert_int_equal(flushed.calls, 1);
    assert_int_equal(flushed.status, FER_OK);
    assert_true(flushed.when < closed.when);
    assert_int_equal(box.size, sizeof large);
    duo_close(&ends);
    inbox_free(&box);
}

/* Much goes through shared memory, whose notes the kernel has before the bytes are read. */
static void a_flush_knows_of_lanes(void **state) {
    (void)state;
    enum { PIECE = 64 * 1024, PIECES = 64 };
    duo ends;
    inbox box = {0};
    noted flushed[PIECES] = {{0}};
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(send_bytes(ends.client, large, PIECE), FER_OK);
        assert_int_equal(fer_channel_flush(ends.client, note_sent, &flushed[i]), FER_OK);
        assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
    }
    harness_run_until(ends.loop, &flushed[PIECES - 1].calls);
    run_until_count(ends.loop, &box.count, PIECES);
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(flushed[i].calls, 1);
        assert_int_equal(flushed[i].status, FER_OK);
        assert_true(i == 0 || flushed[i - 1].when < flushed[i].when);
    }
    duo_close(&ends);
    inbox_free(&box);
}

static void a_channel_may_hold_the_loop_only_to_send(void **state) {
    (void)state;
    solo half;
    inbox box = {0};
    noted flushed = {0};
    noted closed = {0};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    assert_int_equal(fer_channel_hold_loop(half.channel, FER_CHANNEL_HOLD_SENDING), FER_OK);
    assert_int_equal(fer_loop_run(half.loop), FER_OK);
    /* The kernel takes it at once. */
    assert_int_equal(send_text(half.channel, "a"), FER_OK);
    assert_int_equal(fer_loop_run(half.loop), FER_OK);
    /* What waits for the end of the turn holds it, and so does what waits for the peer. */
    assert_int_equal(send_text(half.channel, "b"), FER_OK);
    assert_int_equal(send_text(half.channel, "c"), FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    assert_int_equal(fer_loop_run(half.loop), FER_OK);
    raw_receive(half.peer, got, (size_t)3 * 9);
    assert_int_equal(send_bytes(half.channel, large, sizeof large), FER_OK);
    assert_int_equal(fer_channel_flush(half.channel, note_sent, &flushed), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    assert_int_equal(fer_channel_hold_loop(half.channel, FER_CHANNEL_HOLD_NEVER), FER_OK);
    assert_false(fer_loop_is_alive(half.loop));
    assert_int_equal(fer_channel_hold_loop(half.channel, FER_CHANNEL_HOLD_SENDING), FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    raw_receive_beside(half.loop, half.peer, got, sizeof large + 8);
    assert_int_equal(fer_loop_run(half.loop), FER_OK);
    assert_int_equal(flushed.calls, 1);
    /* It receives all the same, while something else holds the loop. */
    assert_int_equal(fer_channel_hold_loop(half.channel, FER_CHANNEL_HOLD_WAITING), FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    raw_send(half.peer, "\2\0\0\0\0\0\0\1x", 9);
    run_until_count(half.loop, &box.count, 1);
    assert_int_equal(fer_channel_hold_loop(half.channel, FER_CHANNEL_HOLD_SENDING), FER_OK);
    assert_false(fer_loop_is_alive(half.loop));
    for (int wrong = -1; wrong < 4; wrong += 4)
        assert_int_equal(fer_channel_hold_loop(half.channel, wrong), FER_EINVAL);
    /* A close holds it. */
    assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
    assert_true(fer_loop_is_alive(half.loop));
    raw_receive_beside(half.loop, half.peer, got, 8);
    raw_send(half.peer, "\4\0\0\0\0\0\0\0", 8);
    assert_int_equal(fer_loop_run(half.loop), FER_OK);
    assert_int_equal(closed.status, FER_OK);
    solo_close(&half);
    raw_close(half.peer);
    inbox_free(&box);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(an_idle_channel_is_flushed_already),
        HARNESS_TEST(a_flush_waits_for_what_was_sent_before),
        HARNESS_TEST(a_flush_writes_what_a_cork_holds_back),
        HARNESS_TEST(a_flush_is_told_how_the_channel_ended),
        HARNESS_TEST(a_close_flushes_first),
        HARNESS_TEST(a_flush_knows_of_lanes),
        HARNESS_TEST(a_channel_may_hold_the_loop_only_to_send),
    };
    return HARNESS_MAIN("channel_flush", tests, NULL, argc, argv);
}
