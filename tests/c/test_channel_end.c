/* Channels: how they end. Goodbye, death, close, abort, and closing inside every callback. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { MIB = 1 << 20 };

static uint8_t large[8 * MIB];

static const uint8_t goodbye[2][8] = {{4, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0}};
static const size_t goodbye_size[2] = {8, 4};

/* Goodbye, death and the end of the stream are three things. */

static void a_goodbye_is_no_death_and_no_message(void **state) {
    (void)state;
    static const fer_status expected[2][2] = {{FER_EOF, FER_ECONNRESET}, {FER_EOF, FER_EOF}};
    for (int wire = 0; wire < 2; wire++) {
        for (int dies = 0; dies < 2; dies++) {
            const fer_channel_options options = options_of((fer_wire)wire);
            solo half;
            inbox box = {0};
            noted finalized = {0};
            solo_open(&half, &options);
            assert_int_equal(
                fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized), FER_OK);
            if (!dies)
                raw_send(half.peer, goodbye[wire], goodbye_size[wire]);
            raw_close(half.peer);
            harness_run_until(half.loop, &box.end.calls);
            assert_int_equal(box.end.status, expected[wire][dies]);
            assert_int_equal(box.count, 0);
            assert_int_equal(box.finalized.calls, 1);
            /* A receiver that comes now is told the same. */
            memset(&box, 0, sizeof box);
            assert_int_equal(
                fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized), FER_OK);
            assert_int_equal(box.end.calls, 0);
            harness_run_until(half.loop, &box.end.calls);
            assert_int_equal(box.end.status, expected[wire][dies]);
            assert_false(fer_channel_is_writable(half.channel));
            assert_int_not_equal(send_text(half.channel, "x"), FER_OK);
            solo_close(&half);
            assert_int_equal(finalized.calls, 0);
            inbox_free(&box);
        }
    }
}

/* Who says goodbye still reads; a sender learns that nobody takes its messages. */
static void after_the_peers_goodbye_sending_is_refused(void **state) {
    (void)state;
    solo half;
    inbox box = {0};
    noted refused = {0};
    noted closed = {0};
    uint8_t answer[8];
    const fer_bytes bytes = {"x", 1};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    raw_send(half.peer, goodbye[0], 8);
    harness_run_until(half.loop, &box.end.calls);
    assert_int_equal(box.end.status, FER_EOF);
    assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &refused),
                     FER_EPIPE);
    assert_false(fer_channel_is_writable(half.channel));
    /* It was answered. */
    raw_receive(half.peer, answer, 8);
    assert_memory_equal(answer, goodbye[0], 8);
    assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
    harness_run_until(half.loop, &closed.calls);
    assert_int_equal(closed.status, FER_OK);
    solo_close(&half);
    raw_close(half.peer);
    assert_int_equal(refused.calls, 0);
}

static void answer(fer_channel *channel, fer_status status, const fer_message *messages,
                   size_t count, void *user) {
    if (status == FER_OK)
        assert_int_equal(send_bytes(channel, messages[count - 1].data, 1), FER_OK);
    else
        note(user, status);
}

/* The answer to a goodbye says that the receiver had everything, so it comes behind its replies. */
static void replies_go_out_before_the_goodbye_is_answered(void **state) {
    (void)state;
    static const char last[] = "\2\0\0\0\0\0\0\4last\4\0\0\0\0\0\0\0";
    uint8_t got[17];
    noted end = {0};
    solo half;
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, answer, &end, NULL), FER_OK);
    raw_send(half.peer, last, 20);
    harness_run_until(half.loop, &end.calls);
    assert_int_equal(end.status, FER_EOF);
    raw_receive_beside(half.loop, half.peer, got, sizeof got);
    assert_memory_equal(got, "\2\0\0\0\0\0\0\1l\4\0\0\0\0\0\0\0", 17);
    solo_close(&half);
    raw_close(half.peer);

    fer_channel *channel = NULL;
    fer_message message;
    int raw = sync_and_raw(&channel, NULL);
    raw_send(raw, last, 20);
    assert_int_equal(fer_sync_receive(channel, -1, &message), FER_OK);
    /* Nothing has left yet. */
    assert_int_equal(raw_try_receive(raw, got, 1), -1);
    const fer_bytes bytes = {"l", 1};
    assert_int_equal(fer_sync_send(channel, &bytes, 1, -1), FER_OK);
    assert_int_equal(fer_sync_receive(channel, -1, &message), FER_EOF);
    raw_receive(raw, got, sizeof got);
    assert_memory_equal(got, "\2\0\0\0\0\0\0\1l\4\0\0\0\0\0\0\0", 17);
    assert_int_equal(fer_sync_send(channel, &bytes, 1, -1), FER_EPIPE);
    fer_channel_unref(channel);
    raw_close(raw);
}

/* Close flushes everything, and reports. */
static void close_waits_until_the_peer_has_everything(void **state) {
    (void)state;
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        solo half;
        noted sent[3] = {{0}, {0}, {0}};
        noted closed[2] = {{0}, {0}};
        const size_t header = wire == 0 ? 8 : 4;
        uint8_t *got = malloc(sizeof large + header);
        solo_open(&half, &options);
        fill(large, sizeof large, 5);
        const fer_bytes bytes = {large, sizeof large};
        for (int i = 0; i < 3; i++)
            assert_int_equal(
                fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent[i]), FER_OK);
        assert_int_equal(fer_channel_close(half.channel, note_closed, &closed[0]), FER_OK);
        assert_true(fer_channel_is_closing(half.channel));
        assert_int_equal(send_text(half.channel, "late"), FER_ECLOSED);
        /* Who has closed need not hold it. */
        fer_channel_ref(half.channel);
        fer_channel_unref(half.channel);
        for (int i = 0; i < 3; i++) {
            raw_receive_beside(half.loop, half.peer, got, sizeof large + header);
            assert_memory_equal(got, wire == 0 ? "\2\0\0\0\0\200\0\0" : "\0\200\0\0", header);
            assert_memory_equal(got + header, large, sizeof large);
        }
        raw_receive_beside(half.loop, half.peer, got, goodbye_size[wire]);
        assert_memory_equal(got, goodbye[wire], goodbye_size[wire]);
        assert_int_equal(raw_try_receive(half.peer, got, 1), -1);
        for (int i = 0; i < 3; i++)
            harness_run_until(half.loop, &sent[i].calls);
        assert_int_equal(closed[0].calls, 0);
        assert_int_equal(fer_channel_close(half.channel, note_closed, &closed[1]), FER_OK);
        /* What comes after its own goodbye is of no interest, and the peer's ends the wait. */
        raw_send(half.peer, wire == 0 ? "\2\0\0\0\0\0\0\1x" : "\0\0\0\1x", header + 1);
        raw_send(half.peer, goodbye[wire], goodbye_size[wire]);
        harness_run_until(half.loop, &closed[0].calls);
        harness_run_until(half.loop, &closed[1].calls);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(sent[i].calls, 1);
            assert_int_equal(sent[i].status, FER_OK);
            assert_true(sent[i].when < closed[0].when);
        }
        assert_int_equal(closed[0].status, FER_OK);
        assert_int_equal(closed[1].status, FER_OK);
        assert_true(closed[0].when < closed[1].when);
        assert_int_equal(raw_drain(half.peer), 0);
        solo_close(&half);
        raw_close(half.peer);
        free(got);
    }
}

static void a_close_that_is_not_answered_times_out(void **state) {
    (void)state;
    enum { LIMIT_MS = 30 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.close_timeout_ms = LIMIT_MS;
    for (int full = 0; full < 2; full++) {
        solo half;
        noted sent = {0};
        noted closed = {0};
        solo_open(&half, &options);
        const fer_bytes bytes = {large, full ? sizeof large : 10};
        assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent),
                         FER_OK);
        const int64_t start = now_ms();
        assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
        harness_run_until(half.loop, &closed.calls);
        assert_true(now_ms() - start >= LIMIT_MS);
        assert_int_equal(closed.status, FER_ETIMEDOUT);
        assert_int_equal(sent.calls, 1);
        assert_int_equal(sent.status, full ? FER_ECANCELED : FER_OK);
        assert_true(sent.when < closed.when);
        solo_close(&half);
        raw_close(half.peer);
    }
}

static void a_close_ends_with_the_peer(void **state) {
    (void)state;
    solo half;
    noted sent = {0};
    noted closed = {0};
    const fer_bytes bytes = {large, sizeof large};
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent), FER_OK);
    assert_int_equal(fer_channel_close(half.channel, note_closed, &closed), FER_OK);
    raw_close(half.peer);
    harness_run_until(half.loop, &closed.calls);
    assert_true(closed.status == FER_EPIPE || closed.status == FER_ECONNRESET);
    assert_int_equal(sent.calls, 1);
    assert_int_equal(sent.status, closed.status);
    solo_close(&half);
}

static void both_ends_may_close_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        duo ends;
        noted closed[2] = {{0}, {0}};
        duo_open(&ends, NULL, NULL);
        /* With something on its way that nobody will read. */
        assert_int_equal(send_bytes(ends.client, large, (size_t)i * 100000), FER_OK);
        assert_int_equal(send_bytes(ends.served, large, (size_t)i * 100000), FER_OK);
        assert_int_equal(fer_channel_close(ends.client, note_closed, &closed[0]), FER_OK);
        assert_int_equal(fer_channel_close(ends.served, note_closed, &closed[1]), FER_OK);
        harness_run_until(ends.loop, &closed[0].calls);
        harness_run_until(ends.loop, &closed[1].calls);
        assert_int_equal(closed[0].status, FER_OK);
        assert_int_equal(closed[1].status, FER_OK);
        duo_close(&ends);
    }
}

/* Abort. */

static void abort_ends_at_once(void **state) {
    (void)state;
    solo half;
    inbox box = {0};
    noted sent = {0};
    noted drained = {0};
    noted closed[2] = {{0}, {0}};
    const fer_bytes bytes = {large, sizeof large};
    for (int closing = 0; closing < 2; closing++) {
        memset(&sent, 0, sizeof sent);
        memset(&drained, 0, sizeof drained);
        memset(closed, 0, sizeof closed);
        memset(&box, 0, sizeof box);
        solo_open(&half, NULL);
        assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_on_drain(half.channel, note_drain, &drained, note_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_send(half.channel, &bytes, 1, NULL, 0, note_sent, &sent),
                         FER_OK);
        /* Also while a close waits. */
        if (closing)
            assert_int_equal(fer_channel_close(half.channel, note_closed, &closed[0]), FER_OK);
        assert_int_equal(fer_channel_abort(half.channel), FER_OK);
        assert_int_equal(fer_channel_abort(half.channel), FER_OK);
        assert_int_equal(sent.calls + box.end.calls + closed[0].calls, 0);
        assert_int_equal(fer_channel_close(half.channel, note_closed, &closed[1]), FER_OK);
        harness_run_until(half.loop, &closed[1].calls);
        assert_int_equal(closed[0].calls, closing);
        assert_int_equal(closed[1].status, FER_ECANCELED);
        assert_int_equal(sent.calls, 1);
        assert_int_equal(sent.status, FER_ECANCELED);
        assert_int_equal(box.end.calls, 1);
        assert_int_equal(box.end.status, FER_ECANCELED);
        assert_int_equal(box.finalized.calls, 1);
        assert_int_equal(drained.calls, 1);
        assert_true(sent.when < closed[1].when && box.end.when < closed[1].when);
        assert_true(box.finalized.when < closed[1].when && drained.when < closed[1].when);
        /* No goodbye. */
        size_t got = raw_drain(half.peer);
        assert_true(got < sizeof large);
        raw_close(half.peer);
        solo_close(&half);
    }
}

static void a_channel_that_connects_can_be_ended(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        fer_loop *loop = NULL;
        fer_channel *channel = NULL;
        noted connected = {0};
        noted closed = {0};
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_channel_connect(loop, address_of("none"), NULL, note_connected,
                                             &connected, &channel),
                         FER_OK);
        /* It cannot be used yet. */
        assert_int_equal(send_text(channel, "x"), FER_ENOTCONN);
        assert_int_equal(fer_channel_receive(channel, inbox_messages, &closed, note_finalized),
                         FER_ENOTCONN);
        assert_int_equal(closed.calls, 1);
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        if (how == 0)
            assert_int_equal(fer_channel_close(channel, note_closed, &closed), FER_OK);
        else if (how == 1)
            assert_int_equal(fer_channel_abort(channel), FER_OK);
        fer_channel_unref(channel);
        assert_int_equal(fer_loop_run(loop), FER_OK);
        assert_int_equal(connected.calls, 1);
        assert_int_equal(connected.status, FER_ECANCELED);
        assert_int_equal(closed.calls, how == 0 ? 2 : 1);
        assert_true(how != 0 || (closed.status == FER_ECANCELED && closed.when > connected.when));
        end_loop(loop);
    }
}

/* Another process. */

/* Sends what is more than the kernel's buffers take, closes and is gone. */
static int send_and_leave(int argc, char **argv) {
    fer_channel *channel = NULL;
    uint8_t *data = filled(300000, 3);
    const fer_bytes bytes = {data, 300000};
    fer_status status = fer_sync_connect(argv[1], NULL, HARNESS_PATIENCE_MS, &channel);
    (void)argc;
    for (int i = 0; i < 5 && status == FER_OK; i++)
        status = fer_sync_send(channel, &bytes, 1, -1);
    if (status == FER_OK)
        status = fer_sync_close(channel, HARNESS_PATIENCE_MS);
    fer_channel_unref(channel);
    free(data);
    return status == FER_OK ? 0 : 1;
}

/* Sends a whole message and the beginning of another, says so, and hangs. */
static int hang_inside_a_message(int argc, char **argv) {
    int fd = raw_connect(argv[1]);
    char line[16];
    (void)argc;
    raw_send(fd, hello_bytes, HELLO_SIZE);
    raw_send(fd, "\2\0\0\0\0\0\0\5whole", 13);
    raw_send(fd, "\2\0\0\0\0\2\0\0half", 12);
    harness_say("ready");
    (void)harness_hear(line, sizeof line);
    return 1;
}

typedef struct outcome {
    fer_channel *channel;
    inbox box;
} outcome;

static void take_outcome(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    outcome *one = user;
    assert_non_null(server);
    assert_int_equal(status, FER_OK);
    one->channel = channel;
    assert_int_equal(fer_channel_receive(channel, inbox_messages, &one->box, inbox_finalized),
                     FER_OK);
}

static void serve_child(const char *helper, outcome *one, int kill_it) {
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    harness_child child;
    char line[16];
    const char *arguments[] = {kill_it ? harness_path("c") : address_of("c"), NULL};
    memset(one, 0, sizeof *one);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_server_listen(loop, address_of("c"), NULL, take_outcome, one, NULL, &server), FER_OK);
    harness_spawn(&child, helper, -1, arguments);
    if (kill_it) {
        harness_read_line(&child, line, sizeof line);
        assert_string_equal(line, "ready");
        run_until_count(loop, &one->box.count, 1);
        assert_int_equal(one->box.end.calls, 0);
        assert_int_equal(kill(child.pid, SIGKILL), 0);
    }
    harness_run_until(loop, &one->box.end.calls);
    assert_int_equal(harness_wait(&child), kill_it ? -SIGKILL : 0);
    fer_channel_unref(one->channel);
    fer_server_unref(server);
    end_loop(loop);
}

static void a_process_that_sends_and_leaves_loses_nothing(void **state) {
    (void)state;
    outcome one;
    serve_child("send_and_leave", &one, 0);
    assert_int_equal(one.box.end.status, FER_EOF);
    assert_int_equal(one.box.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_filled(one.box.bytes + i * 300000, 300000, 3);
    inbox_free(&one.box);
}

static void a_process_killed_inside_a_message_is_a_reset(void **state) {
    (void)state;
    outcome one;
    serve_child("hang_inside_a_message", &one, 1);
    assert_int_equal(one.box.end.status, FER_ECONNRESET);
    assert_int_equal(one.box.count, 1);
    assert_memory_equal(one.box.bytes, "whole", 5);
    inbox_free(&one.box);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_goodbye_is_no_death_and_no_message),
        HARNESS_TEST(after_the_peers_goodbye_sending_is_refused),
        HARNESS_TEST(replies_go_out_before_the_goodbye_is_answered),
        HARNESS_TEST(close_waits_until_the_peer_has_everything),
        HARNESS_TEST(a_close_that_is_not_answered_times_out),
        HARNESS_TEST(a_close_ends_with_the_peer),
        HARNESS_TEST(both_ends_may_close_at_once),
        HARNESS_TEST(abort_ends_at_once),
        HARNESS_TEST(a_channel_that_connects_can_be_ended),
        HARNESS_TEST(a_process_that_sends_and_leaves_loses_nothing),
        HARNESS_TEST(a_process_killed_inside_a_message_is_a_reset),
    };
    const harness_helper helpers[] = {{"send_and_leave", send_and_leave},
                                      {"hang_inside_a_message", hang_inside_a_message},
                                      {NULL, NULL}};
    return HARNESS_MAIN("channel_end", tests, helpers, argc, argv);
}
