/* Channels: pressure. Pausing, floods, and what steady traffic costs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { PART = 64 * 1024 };

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
        HARNESS_TEST(nothing_is_lost_while_paused),
        HARNESS_TEST(the_end_waits_while_paused),
        HARNESS_TEST(a_flood_leaves_room_for_others),
        HARNESS_TEST(completions_that_send_again_leave_room_for_others),
        HARNESS_TEST(steady_traffic_allocates_nothing),
    };
    const harness_helper helpers[] = {{"flood", flood}, {NULL, NULL}};
    return HARNESS_MAIN("channel_flow", tests, helpers, argc, argv);
}
