/* What is counted of a channel: both ways, on both faces, and to the end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

static fer_channel_stats stats_of(const fer_channel *channel) {
    fer_channel_stats stats = FER_CHANNEL_STATS_INIT;
    assert_int_equal(fer_channel_get_stats(channel, &stats), FER_OK);
    assert_int_equal(stats.struct_size, sizeof stats);
    assert_int_equal(stats.flags, 0);
    return stats;
}

static void assert_in(const fer_channel *channel, uint64_t messages, uint64_t bytes,
                      uint64_t handles) {
    const fer_channel_stats stats = stats_of(channel);
    assert_int_equal(stats.messages_in, messages);
    assert_int_equal(stats.bytes_in, bytes);
    assert_int_equal(stats.handles_in, handles);
}

static void assert_out(const fer_channel *channel, uint64_t messages, uint64_t bytes,
                       uint64_t handles) {
    const fer_channel_stats stats = stats_of(channel);
    assert_int_equal(stats.messages_out, messages);
    assert_int_equal(stats.bytes_out, bytes);
    assert_int_equal(stats.handles_out, handles);
}

static void each_message_is_counted_once(void **state) {
    (void)state;
    /* Empty, gathered, written at once, larger than a read, over shared memory. */
    static const size_t sizes[] = {1, 100, 9000, 70000, 300000, 600000, 600000, 600000, 5};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    const char *const addresses[] = {address_of("s"), "tcp:127.0.0.1:0", "fifo:"};
    for (size_t i = 0; i < 6; i++) {
        const fer_channel_options options = options_of(i % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE);
        uint64_t bytes = 0;
        inbox box = {0};
        duo pair;
        duo_open_at(&pair, addresses[i / 2], &options, &options);
        assert_int_equal(fer_channel_receive(pair.served, inbox_messages, &box, NULL), FER_OK);
        assert_in(pair.served, 0, 0, 0);
        assert_out(pair.client, 0, 0, 0);
        for (size_t n = 0; n < COUNT; n++) {
            uint8_t *data = filled(sizes[n], 1);
            assert_int_equal(send_bytes(pair.client, data, sizes[n]), FER_OK);
            bytes += sizes[n];
            assert_out(pair.client, n + 1, bytes, 0);
            free(data);
        }
        run_until_count(pair.loop, &box.count, COUNT);
        assert_in(pair.served, COUNT, bytes, 0);
        assert_int_equal(stats_of(pair.client).queued, 0);
        /* Neither what was refused, nor the goodbye. */
        assert_int_equal(
            fer_channel_send(pair.client, &(fer_bytes){"x", SIZE_MAX / 2}, 1, NULL, 0, NULL, NULL),
            FER_EMSGSIZE);
        noted closed = {0};
        assert_int_equal(fer_channel_close(pair.client, note_closed, &closed), FER_OK);
        harness_run_until(pair.loop, &closed.calls);
        /* They stay what they were. */
        assert_out(pair.client, COUNT, bytes, 0);
        assert_in(pair.client, 0, 0, 0);
        assert_in(pair.served, COUNT, bytes, 0);
        assert_out(pair.served, 0, 0, 0);
        duo_close(&pair);
        inbox_free(&box);
    }
}

/* A message that is not whole is none. */
static void a_part_of_a_message_is_not_counted(void **state) {
    (void)state;
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    inbox box = {0};
    solo half;
    solo_open(&half, &plain);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, NULL), FER_OK);
    raw_send(half.peer, "\0\0\0\3abc\0\0\0\5de", 13);
    run_until_count(half.loop, &box.count, 1);
    assert_in(half.channel, 1, 3, 0);
    raw_close(half.peer);
    harness_run_until(half.loop, &box.end.calls);
    assert_in(half.channel, 1, 3, 0);
    solo_close(&half);
    inbox_free(&box);
}

static void drop_handles(fer_channel *channel, fer_status status, const fer_message *messages,
                         size_t count, void *user) {
    size_t *seen = user;
    (void)channel;
    (void)messages;
    *seen += status == FER_OK ? count : 0;
}

static void handles_are_counted_whether_taken_or_not(void **state) {
    (void)state;
    fer_channel_options takes = FER_CHANNEL_OPTIONS_INIT;
    const fer_fd fds[4] = {0, 1, 0, 1};
    size_t seen = 0;
    duo pair;
    takes.max_handles = 4;
    duo_open(&pair, NULL, &takes);
    assert_int_equal(fer_channel_receive(pair.served, drop_handles, &seen, NULL), FER_OK);
    for (size_t n = 0; n <= 4; n++)
        assert_int_equal(
            fer_channel_send_fds(pair.client, &(fer_bytes){"fds", 3}, 1, fds, n, NULL, NULL),
            FER_OK);
    assert_int_equal(
        fer_channel_send_fds(pair.client, &(fer_bytes){"fds", 3}, 1, (fer_fd[5]){0}, 5, NULL, NULL),
        FER_ENOTSUP);
    run_until_count(pair.loop, &seen, 5);
    assert_out(pair.client, 5, 15, 10);
    assert_in(pair.served, 5, 15, 10);
    duo_close(&pair);
}

/* Each time that the queue goes above the mark, and not each message that finds it there. */
static void each_flood_is_counted_once(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    uint8_t *data = filled(100000, 1);
    solo half;
    noted drained = {0};
    options.high_water = 200000;
    options.flags = FER_CHANNEL_INLINE;
    solo_open(&half, &options);
    assert_int_equal(fer_channel_on_drain(half.channel, note_drain, &drained, NULL), FER_OK);
    for (int round = 1; round <= 3; round++) {
        size_t size = 0;
        drained.calls = 0;
        while (stats_of(half.channel).queued < 1000000)
            assert_int_equal(send_bytes(half.channel, data, 100000), FER_OK);
        assert_false(fer_channel_is_writable(half.channel));
        assert_int_equal(stats_of(half.channel).high_water_hits, round);
        fer_channel_info info = FER_CHANNEL_INFO_INIT;
        assert_int_equal(fer_channel_get_info(half.channel, &info), FER_OK);
        assert_int_equal(stats_of(half.channel).queued, info.queued);
        while (!drained.calls) {
            char rest[65536];
            ssize_t got = raw_try_receive(half.peer, rest, sizeof rest);
            size += got > 0 ? (size_t)got : 0;
            assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
        }
        assert_true(size > 0);
    }
    raw_close(half.peer);
    solo_close(&half);
    free(data);
}

/* What waits in shared memory has not reached the peer. */
static void what_waits_in_shared_memory_is_queued(void **state) {
    (void)state;
    enum { SIZE = 100000, COUNT = 60 };
    uint8_t *data = filled(SIZE, 1);
    uint64_t unsent = 0;
    uint64_t sent = 0;
    duo pair;
    duo_open(&pair, NULL, NULL);
    /* Nobody receives: the socket fills up, then the ring, then the queue. */
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(send_bytes(pair.client, data, SIZE), FER_OK);
        assert_int_equal(fer_loop_step(pair.loop, 0), FER_OK);
    }
    sent = (uint64_t)COUNT * (SIZE + 8);
    assert_int_equal(fer_channel_unsent(pair.client, &unsent), FER_OK);
    assert_int_equal(stats_of(pair.client).queued, unsent);
    assert_true(unsent <= sent);
    assert_int_equal(fer_channel_abort(pair.client), FER_OK);
    uint64_t after = 0;
    assert_int_equal(fer_channel_unsent(pair.client, &after), FER_OK);
    assert_int_equal(after, unsent);
    assert_int_equal(stats_of(pair.client).queued, 0);
    /* The peer gets all but that: whole messages. */
    inbox box = {0};
    assert_int_equal(fer_channel_receive(pair.served, inbox_messages, &box, NULL), FER_OK);
    harness_run_until(pair.loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_ECONNRESET);
    assert_true(box.count * (SIZE + 8) + unsent <= sent);
    assert_true((box.count + 1) * (SIZE + 8) + unsent >= sent - 64);
    duo_close(&pair);
    inbox_free(&box);
    free(data);
}

static void the_blocking_face_counts_the_same(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channels[2];
    fer_message message;
    const size_t large = 4u << 20;
    uint8_t *data = filled(large, 1);
    const fer_fd fds[2] = {0, 1};
    options.max_handles = 2;
    sync_pair(channels, &options);
    assert_int_equal(fer_sync_send(channels[0], &(fer_bytes){"one", 3}, 1, 1000), FER_OK);
    assert_int_equal(fer_sync_send_fds(channels[0], &(fer_bytes){"two", 3}, 1, fds, 2, 1000),
                     FER_OK);
    assert_out(channels[0], 2, 6, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fer_sync_receive(channels[1], 1000, &message), FER_OK);
    assert_in(channels[1], 2, 6, 2);
    assert_int_equal(stats_of(channels[0]).high_water_hits, 0);
    /* More than the kernel takes, and than the mark allows. */
    assert_int_equal(fer_sync_send(channels[0], &(fer_bytes){data, large}, 1, 0), FER_ETIMEDOUT);
    assert_out(channels[0], 3, 6 + large, 2);
    assert_int_equal(stats_of(channels[0]).high_water_hits, 1);
    assert_true(stats_of(channels[0]).queued > 0);
    /* Refused: it is not counted. */
    assert_int_equal(fer_sync_send(channels[0], &(fer_bytes){"no", 2}, 1, 0), FER_EAGAIN);
    assert_out(channels[0], 3, 6 + large, 2);
    fer_status status;
    do {
        status = fer_sync_receive(channels[1], 0, &message);
        (void)fer_sync_flush(channels[0], 0);
    } while (status == FER_ETIMEDOUT);
    assert_int_equal(status, FER_OK);
    assert_in(channels[1], 3, 6 + large, 2);
    assert_int_equal(fer_channel_abort(channels[0]), FER_OK);
    assert_out(channels[0], 3, 6 + large, 2);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    free(data);
}

static void a_structure_of_another_size_is_told_apart(void **state) {
    (void)state;
    struct {
        fer_channel_stats stats;
        uint64_t behind;
    } later;
    duo pair;
    duo_open(&pair, NULL, NULL);
    memset(&later, 0xaa, sizeof later);
    later.stats.struct_size = sizeof later.stats - 1;
    assert_int_equal(fer_channel_get_stats(pair.client, &later.stats), FER_EINVAL);
    later.stats.struct_size = sizeof later;
    assert_int_equal(fer_channel_get_stats(pair.client, &later.stats), FER_OK);
    assert_int_equal(later.stats.struct_size, sizeof later);
    assert_int_equal(later.behind, 0xaaaaaaaaaaaaaaaau);
    assert_int_equal(later.stats.messages_out, 0);
    assert_int_equal(fer_channel_get_stats(pair.client, NULL), FER_EINVAL);
    duo_close(&pair);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(each_message_is_counted_once),
        HARNESS_TEST(a_part_of_a_message_is_not_counted),
        HARNESS_TEST(handles_are_counted_whether_taken_or_not),
        HARNESS_TEST(each_flood_is_counted_once),
        HARNESS_TEST(what_waits_in_shared_memory_is_queued),
        HARNESS_TEST(the_blocking_face_counts_the_same),
        HARNESS_TEST(a_structure_of_another_size_is_told_apart),
    };
    return HARNESS_MAIN("stats", tests, NULL, argc, argv);
}
