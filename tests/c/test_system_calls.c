/* What traffic costs in system calls. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "system_calls.h"

enum { FRAME = 8 + 64 };

static const uint8_t data[64];

static void settle(fer_loop *loop) {
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
}

static void receive_exactly(int fd, size_t size) {
    uint8_t *bytes = malloc(size + 1);
    raw_receive(fd, bytes, size);
    assert_int_equal(raw_try_receive(fd, bytes, 1), -1);
    free(bytes);
}

static void a_message_on_an_idle_channel_is_one_write(void **state) {
    (void)state;
    solo half;
    solo_open(&half, NULL);
    for (int i = 0; i < 5; i++) {
        settle(half.loop);
        system_watch(NULL);
        assert_int_equal(send_bytes(half.channel, data, sizeof data), FER_OK);
        assert_int_equal(system_count(CALL_sendmsg), 1);
        /* Header and payload are not joined by a copy. */
        assert_true(system_sent_from(data));
        /* It has left before the loop runs. */
        system_unwatch();
        receive_exactly(half.peer, FRAME);
        system_watch(NULL);
        settle(half.loop);
        assert_int_equal(system_count(CALL_sendmsg) + system_count(CALL_recvmsg), 0);
        system_unwatch();
    }
    solo_close(&half);
    raw_close(half.peer);
}

static void messages_of_one_turn_leave_together(void **state) {
    (void)state;
    solo half;
    noted sent[100];
    const fer_bytes bytes = {data, sizeof data};
    solo_open(&half, NULL);
    for (int with_callbacks = 0; with_callbacks < 2; with_callbacks++) {
        memset(sent, 0, sizeof sent);
        settle(half.loop);
        system_watch(NULL);
        for (int i = 0; i < 100; i++)
            assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0,
                                              with_callbacks ? note_sent : NULL, &sent[i]),
                             FER_OK);
        assert_int_equal(system_count(CALL_sendmsg), 1);
        settle(half.loop);
        assert_int_equal(system_count(CALL_sendmsg), 2);
        system_unwatch();
        receive_exactly(half.peer, (size_t)100 * FRAME);
        for (int i = 0; i < 100; i++)
            assert_int_equal(sent[i].calls, with_callbacks);
    }
    solo_close(&half);
    raw_close(half.peer);
}

static void much_that_gathers_leaves_sooner(void **state) {
    (void)state;
    enum { SIZE = 4096, MESSAGES = 40, TOTAL = MESSAGES * (SIZE + 8) };
    static uint8_t page[SIZE];
    solo half;
    solo_open(&half, NULL);
    settle(half.loop);
    system_watch(NULL);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(send_bytes(half.channel, page, SIZE), FER_OK);
    const size_t before = system_count(CALL_sendmsg);
    /* At 64 KiB. */
    assert_int_equal(before, 1 + (TOTAL - SIZE) / 65536);
    settle(half.loop);
    assert_int_equal(system_count(CALL_sendmsg), before + 1);
    system_unwatch();
    receive_exactly(half.peer, TOTAL);
    solo_close(&half);
    raw_close(half.peer);
}

static void large_messages_are_sent_from_where_they_are(void **state) {
    (void)state;
    solo half;
    noted sent = {0};
    uint8_t *large = filled(1 << 20, 1);
    const fer_bytes bytes = {large, 1 << 20};
    solo_open(&half, NULL);
    settle(half.loop);
    /* Also behind others, which are then written with it. */
    for (int behind = 0; behind < 2; behind++) {
        sent.calls = 0;
        system_watch(NULL);
        for (int i = 0; i < behind * 3; i++)
            assert_int_equal(send_bytes(half.channel, data, sizeof data), FER_OK);
        assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent),
                         FER_OK);
        assert_int_equal(system_count(CALL_sendmsg), behind + 1);
        assert_true(system_sent_from(large));
        system_unwatch();
        uint8_t *got = malloc((1 << 20) + 8 + 3 * FRAME);
        raw_receive_beside(half.loop, half.peer, got, (1 << 20) + 8 + (size_t)behind * 3 * FRAME);
        free(got);
        harness_run_until(half.loop, &sent.calls);
        settle(half.loop);
    }
    solo_close(&half);
    raw_close(half.peer);
    free(large);
}

static void many_messages_are_one_read_and_one_call(void **state) {
    (void)state;
    enum { MESSAGES = 1000 };
    static uint8_t frames[MESSAGES][FRAME];
    solo half;
    inbox box = {0};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    settle(half.loop);
    for (int i = 0; i < MESSAGES; i++) {
        frames[i][0] = 2;
        frames[i][7] = 64;
    }
    for (int round = 1; round <= 3; round++) {
        raw_send(half.peer, frames, sizeof frames);
        system_watch(NULL);
        run_until_count(half.loop, &box.count, (size_t)MESSAGES * (size_t)round);
        assert_int_equal(system_count(CALL_recvmsg), 1);
        assert_int_equal(box.batches, round);
        system_unwatch();
    }
    solo_close(&half);
    raw_close(half.peer);
    inbox_free(&box);
}

static void a_goodbye_leaves_with_what_is_before_it(void **state) {
    (void)state;
    solo half;
    noted closed = {0};
    solo_open(&half, NULL);
    settle(half.loop);
    system_watch(NULL);
    for (int i = 0; i < 10; i++)
        assert_int_equal(send_bytes(half.channel, data, sizeof data), FER_OK);
    assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
    settle(half.loop);
    assert_int_equal(system_count(CALL_sendmsg), 2);
    system_unwatch();
    receive_exactly(half.peer, 10 * FRAME + 8);
    raw_send(half.peer, "\4\0\0\0\0\0\0\0", 8);
    harness_run_until(half.loop, &closed.calls);
    solo_close(&half);
    raw_close(half.peer);
}

static void blocking_calls_are_one_call_each(void **state) {
    (void)state;
    fer_channel *channel = NULL;
    fer_message message;
    const fer_bytes bytes = {data, sizeof data};
    int raw = sync_and_raw(&channel, NULL);
    for (int i = 0; i < 5; i++) {
        system_watch(NULL);
        assert_int_equal(fer_sync_send(channel, &bytes, 1, HARNESS_PATIENCE_MS), FER_OK);
        assert_int_equal(system_count(CALL_sendmsg), 1);
        assert_true(system_sent_from(data));
        assert_int_equal(system_count(CALL_poll) + system_count(CALL_recvmsg), 0);
        system_unwatch();
        receive_exactly(raw, FRAME);
        raw_send(raw, "\2\0\0\0\0\0\0\1a\2\0\0\0\0\0\0\1b", 18);
        system_watch(NULL);
        for (int j = 0; j < 2; j++)
            assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
        assert_int_equal(system_count(CALL_recvmsg), 1);
        assert_int_equal(system_count(CALL_poll), 0);
        assert_true(system_count(CALL_setsockopt) <= (i == 0));
        system_unwatch();
    }
    fer_channel_unref(channel);
    raw_close(raw);
}

static void blocking_messages_by_one_call_leave_together(void **state) {
    (void)state;
    enum { MESSAGES = 600 };
    fer_channel *channel = NULL;
    fer_bytes messages[MESSAGES];
    size_t accepted = 0;
    int raw = sync_and_raw(&channel, NULL);
    for (int i = 0; i < MESSAGES; i++)
        messages[i] = (fer_bytes){data, sizeof data};
    system_watch(NULL);
    assert_int_equal(fer_sync_send_many(channel, messages, MESSAGES, -1, &accepted), FER_OK);
    assert_int_equal(system_count(CALL_sendmsg), 1);
    assert_int_equal(system_count(CALL_poll), 0);
    system_unwatch();
    assert_int_equal(accepted, MESSAGES);
    receive_exactly(raw, (size_t)MESSAGES * FRAME);
    fer_channel_unref(channel);
    raw_close(raw);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_message_on_an_idle_channel_is_one_write),
        HARNESS_TEST(messages_of_one_turn_leave_together),
        HARNESS_TEST(much_that_gathers_leaves_sooner),
        HARNESS_TEST(large_messages_are_sent_from_where_they_are),
        HARNESS_TEST(many_messages_are_one_read_and_one_call),
        HARNESS_TEST(a_goodbye_leaves_with_what_is_before_it),
        HARNESS_TEST(blocking_calls_are_one_call_each),
        HARNESS_TEST(blocking_messages_by_one_call_leave_together),
    };
    return HARNESS_MAIN("system_calls", tests, NULL, argc, argv);
}
