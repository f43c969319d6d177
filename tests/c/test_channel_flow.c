/* Channels: pressure. Marks, caps, pausing, floods, and what steady traffic costs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

/* Pausing. */

typedef struct pauser {
    inbox box;
    int pauses;
} pauser;

static void pause_each_time(fer_channel *channel, fer_status status, const fer_message *messages,
                            size_t count, void *user) {
    pauser *one = user;
    inbox_messages(channel, status, messages, count, &one->box);
    if (status == FER_OK) {
        assert_int_equal(fer_channel_pause(channel), FER_OK);
        assert_int_equal(fer_channel_pause(channel), FER_OK);
        one->pauses++;
    }
}

static void nothing_is_lost_while_paused(void **state) {
    (void)state;
    enum { MESSAGES = 5000, MOST = 1500 };
    duo ends;
    static pauser one;
    uint8_t *data = filled(MOST, 2);
    size_t at = 0;
    memset(&one, 0, sizeof one);
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_pause(ends.served), FER_ENOTCONN);
    assert_int_equal(fer_channel_resume(ends.served), FER_ENOTCONN);
    assert_int_equal(fer_channel_receive(ends.served, pause_each_time, &one, NULL), FER_OK);
    for (size_t i = 0; i < MESSAGES; i++)
        assert_int_equal(send_bytes(ends.client, data, i * 7 % MOST), FER_OK);
    while (one.box.count < MESSAGES) {
        const int before = one.pauses;
        while (one.pauses == before)
            assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
        /* Paused is paused. */
        for (int i = 0; i < 3; i++)
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        assert_int_equal(one.pauses, before + 1);
        assert_int_equal(fer_channel_resume(ends.served), FER_OK);
        assert_int_equal(fer_channel_resume(ends.served), FER_OK);
    }
    assert_true(one.pauses > 3);
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(one.box.sizes[i], i * 7 % MOST);
        assert_memory_equal(one.box.bytes + at, data, one.box.sizes[i]);
        at += one.box.sizes[i];
    }
    duo_close(&ends);
    inbox_free(&one.box);
    free(data);
}

/* A goodbye, or the end of the peer, waits as messages do. */
static void the_end_waits_while_paused(void **state) {
    (void)state;
    for (int abort_it = 0; abort_it < 2; abort_it++) {
        duo ends;
        inbox box = {0};
        noted closed = {0};
        duo_open(&ends, NULL, NULL);
        assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_pause(ends.served), FER_OK);
        assert_int_equal(send_text(ends.client, "before"), FER_OK);
        assert_int_equal(abort_it ? fer_channel_abort(ends.client)
                                  : fer_channel_close(ends.client, note_closed, &closed),
                         FER_OK);
        for (int i = 0; i < 5; i++)
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        assert_int_equal(box.count + (size_t)box.end.calls, 0);
        assert_int_equal(fer_channel_resume(ends.served), FER_OK);
        harness_run_until(ends.loop, &box.end.calls);
        assert_int_equal(box.count, 1);
        assert_int_equal(box.end.status, abort_it ? FER_ECONNRESET : FER_EOF);
        assert_int_equal(box.finalized.calls, 1);
        duo_close(&ends);
        inbox_free(&box);
    }
}

/* Floods. */

static int flood(int argc, char **argv) {
    fer_channel *channel = NULL;
    fer_status status = fer_sync_connect(argv[1], NULL, HARNESS_PATIENCE_MS, &channel);
    static uint8_t bytes[20000];
    const fer_bytes whole = {bytes, sizeof bytes};
    (void)argc;
    while (status == FER_OK)
        status = fer_sync_send(channel, &whole, 1, -1);
    fer_channel_unref(channel);
    return status == FER_EPIPE || status == FER_ECONNRESET ? 0 : 1;
}

typedef struct flooded {
    fer_channel *channel;
    size_t messages;
    noted end;
} flooded;

static void count_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                           size_t count, void *user) {
    flooded *one = user;
    assert_non_null(channel);
    assert_true(status != FER_OK || messages[count - 1].size == 20000);
    one->messages += count;
    if (status != FER_OK)
        note(&one->end, status);
}

static void take_flood(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    flooded *one = user;
    assert_non_null(server);
    assert_int_equal(status, FER_OK);
    one->channel = channel;
    assert_int_equal(fer_channel_receive(channel, count_messages, one, NULL), FER_OK);
}

static void a_flood_leaves_room_for_others(void **state) {
    (void)state;
    duo ends;
    harness_child child;
    flooded one = {NULL, 0, {0}};
    inbox box = {0};
    fer_server *server = NULL;
    duo_open(&ends, NULL, NULL);
    assert_int_equal(
        fer_server_listen(ends.loop, address_of("f"), NULL, take_flood, &one, NULL, &server),
        FER_OK);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    const char *arguments[] = {address_of("f"), NULL};
    harness_spawn(&child, "flood", -1, arguments);
    run_until_count(ends.loop, &one.messages, 1000);
    const size_t memory = harness_memory_now().bytes;
    for (size_t i = 1; i <= 50; i++) {
        assert_int_equal(send_text(ends.client, "ping"), FER_OK);
        for (int turns = 0; box.count < i; turns++) {
            assert_true(turns < 3);
            assert_int_equal(fer_loop_step(ends.loop, -1), FER_OK);
        }
    }
    /* What floods in does not pile up, whether it is read or not. */
    assert_true(harness_memory_now().bytes <= memory + PART);
    assert_int_equal(fer_channel_pause(one.channel), FER_OK);
    const size_t before = one.messages;
    assert_int_equal(fer_loop_step(ends.loop, 20), FER_OK);
    assert_int_equal(one.messages, before);
    assert_true(harness_memory_now().bytes <= memory + PART);
    assert_int_equal(fer_channel_resume(one.channel), FER_OK);
    run_until_count(ends.loop, &one.messages, before + 1000);
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    harness_run_until(ends.loop, &one.end.calls);
    assert_int_equal(one.end.status, FER_ECONNRESET);
    assert_int_equal(harness_wait(&child), -SIGKILL);
    fer_channel_unref(one.channel);
    fer_server_unref(server);
    duo_close(&ends);
    inbox_free(&box);
}

/* Who sends again as soon as the kernel has the last leaves room, too. */

typedef struct pump {
    size_t sent;
    size_t posted;
    noted written;
} pump;

static const fer_bytes drop_of_water = {"x", 1};

static void send_again(fer_channel *channel, fer_status status, void *user) {
    pump *one = user;
    if (status == FER_OK && ++one->sent < 100000)
        assert_int_equal(fer_channel_send(channel, &drop_of_water, 1, NULL, 0, send_again, one),
                         FER_OK);
}

static void write_again(fer_handle *pipe, fer_status status, void *user) {
    pump *one = user;
    if (status == FER_OK && ++one->sent < 100000)
        assert_int_equal(fer_stream_write(pipe, &drop_of_water, 1, write_again, one), FER_OK);
}

static void post_again(fer_loop *loop, fer_status status, void *user) {
    pump *one = user;
    if (status == FER_OK && ++one->posted < 100)
        assert_int_equal(fer_loop_post(loop, post_again, one), FER_OK);
}

static void completions_that_send_again_leave_room_for_others(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    inbox bytes = {0};
    pump one = {0, 0, {0}};
    fer_handle *pipes[2];
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_send(ends.client, &drop_of_water, 1, NULL, 0, send_again, &one),
                     FER_OK);
    assert_int_equal(fer_loop_post(ends.loop, post_again, &one), FER_OK);
    run_until_count(ends.loop, &one.posted, 100);
    assert_true(one.sent < 100000);
    run_until_count(ends.loop, &box.count, 100000);

    memset(&one, 0, sizeof one);
    pipe_pair(ends.loop, pipes);
    assert_int_equal(fer_stream_read_start(pipes[1], inbox_read, &bytes, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_write(pipes[0], &drop_of_water, 1, write_again, &one), FER_OK);
    assert_int_equal(fer_loop_post(ends.loop, post_again, &one), FER_OK);
    run_until_count(ends.loop, &one.posted, 100);
    assert_true(one.sent < 100000);
    run_until_count(ends.loop, &bytes.size, 100000);
    fer_handle_unref(pipes[0]);
    fer_handle_unref(pipes[1]);
    duo_close(&ends);
    inbox_free(&box);
    inbox_free(&bytes);
}

/* What it costs. */

static void steady_traffic_allocates_nothing(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    noted sent = {0};
    size_t calls = 0;
    static uint8_t data[100000];
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    for (int round = 0; round < 50; round++) {
        if (round == 10)
            calls = harness_memory_now().calls;
        const size_t before = box.count;
        for (size_t i = 0; i < 40; i++) {
            const fer_bytes bytes = {data, i * i * 60};
            assert_int_equal(
                fer_channel_send(ends.client, &bytes, 1, NULL, 0, i % 2 ? note_sent : NULL, &sent),
                FER_OK);
        }
        run_until_count(ends.loop, &box.count, before + 40);
    }
    assert_int_equal(harness_memory_now().calls, calls);
    duo_close(&ends);
    inbox_free(&box);
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
        HARNESS_TEST(nothing_is_lost_while_paused),
        HARNESS_TEST(the_end_waits_while_paused),
        HARNESS_TEST(a_flood_leaves_room_for_others),
        HARNESS_TEST(completions_that_send_again_leave_room_for_others),
        HARNESS_TEST(steady_traffic_allocates_nothing),
    };
    const harness_helper helpers[] = {{"flood", flood}, {NULL, NULL}};
    return HARNESS_MAIN("channel_flow", tests, helpers, argc, argv);
}
