/* Lanes: large messages in shared memory, beside the socket that keeps their order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "impl/channel.h"

enum { LARGE = 256 * 1024 };

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Small ones, large ones, and ones that go through the socket for their size. */
static size_t random_size(uint32_t *seed) {
    static const size_t most[] = {64, 2000, 40000, 200000, 2200000};
    return 1 + next_random(seed) % most[next_random(seed) % 5];
}

/** A receiver that checks what comes, and now and then wants no more for a while. */
typedef struct checker {
    fer_channel *channel;
    uint32_t seed;
    size_t count;
    int pauses;
    noted end;
} checker;

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    checker *to = user;
    if (status != FER_OK) {
        note(&to->end, status);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t size = random_size(&to->seed);
        assert_int_equal(messages[i].size, size);
        assert_filled(messages[i].data, size, (unsigned)to->count++);
    }
    if (to->pauses > 0 && to->count % 3 == 0)
        assert_int_equal(fer_channel_pause(channel), FER_OK);
}

static void everything_comes_in_order(void **state) {
    (void)state;
    enum { MESSAGES = 300 };
    for (int pauses = 0; pauses < 2; pauses++) {
        duo ends;
        checker to[2] = {{0}, {0}};
        uint32_t seeds[2] = {1, 2};
        duo_open(&ends, NULL, NULL);
        fer_channel *const channels[2] = {ends.client, ends.served};
        for (int side = 0; side < 2; side++) {
            to[side].seed = seeds[1 - side];
            to[side].pauses = pauses;
            assert_int_equal(fer_channel_receive(channels[side], on_messages, &to[side], NULL),
                             FER_OK);
        }
        for (int i = 0; i < MESSAGES; i++) {
            for (int side = 0; side < 2; side++) {
                const size_t size = random_size(&seeds[side]);
                uint8_t *data = filled(size, (unsigned)i);
                assert_int_equal(send_bytes(channels[side], data, size), FER_OK);
                free(data);
            }
            if (i % 7 == 0)
                assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
            for (int side = 0; side < 2 && pauses; side++)
                assert_int_equal(fer_channel_resume(channels[side]), FER_OK);
        }
        while (to[0].count < MESSAGES || to[1].count < MESSAGES) {
            for (int side = 0; side < 2; side++)
                assert_int_equal(fer_channel_resume(channels[side]), FER_OK);
            assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
        }
        assert_non_null(ends.client->out.lane);
        assert_non_null(ends.served->in.lane);
        duo_close(&ends);
    }
}

/* Completions, each after its bytes may be used again, and handles that go through the socket between. */
static void completions_and_handles_keep_their_place(void **state) {
    (void)state;
    enum { MESSAGES = 120 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    static noted sent[MESSAGES];
    duo ends;
    checker to = {0};
    uint32_t seed = 5;
    options.max_handles = 1;
    to.seed = 5;
    duo_open(&ends, &options, &options);
    memset(sent, 0, sizeof sent);
    assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
    for (int i = 0; i < MESSAGES; i++) {
        const size_t size = random_size(&seed);
        uint8_t *data = filled(size, (unsigned)i);
        const fer_bytes whole = piece(data, size);
        const fer_fd fd = STDERR_FILENO;
        assert_int_equal(
            fer_channel_send_fds(ends.client, &whole, 1, &fd, i % 5 == 0, note_sent, &sent[i]),
            FER_OK);
        harness_run_until(ends.loop, &sent[i].calls);
        assert_int_equal(sent[i].status, FER_OK);
        memset(data, 0, size);
        free(data);
    }
    while (to.count < MESSAGES)
        assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
    assert_non_null(ends.client->out.lane);
    duo_close(&ends);
}

/* Many in a turn, with and without completions, small ones that gather behind large ones, and a flush in the middle. */
static void completions_of_one_turn_come_in_order(void **state) {
    (void)state;
    enum { TURNS = 20, IN_A_TURN = 60, FLUSH = IN_A_TURN / 2, LAST = IN_A_TURN - 3 };
    static noted sent[IN_A_TURN];
    static uint8_t *data[IN_A_TURN];
    duo ends;
    checker to = {0};
    uint32_t seed = 21;
    to.seed = 21;
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        noted flushed = {0};
        int last = 0;
        memset(sent, 0, sizeof sent);
        for (unsigned i = 0; i < IN_A_TURN; i++) {
            const size_t size = random_size(&seed);
            data[i] = filled(size, turn * IN_A_TURN + i);
            const fer_bytes whole = piece(data[i], size);
            assert_int_equal(fer_channel_send(ends.client, &whole, 1, NULL, 0,
                                              i % 3 == 0 ? note_sent : NULL, &sent[i]),
                             FER_OK);
            if (i == FLUSH)
                assert_int_equal(fer_channel_flush(ends.client, note_sent, &flushed), FER_OK);
        }
        while (to.count < (size_t)(turn + 1) * IN_A_TURN || sent[LAST].calls == 0)
            assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
        assert_int_equal(flushed.calls, 1);
        for (unsigned i = 0; i < IN_A_TURN; i++) {
            assert_int_equal(sent[i].calls, i % 3 == 0);
            assert_true(i % 3 != 0 || sent[i].when > last);
            last = i % 3 == 0 ? sent[i].when : last;
            assert_true(i % 3 != 0 || (i <= FLUSH) == (sent[i].when < flushed.when));
            free(data[i]);
        }
    }
    assert_non_null(ends.client->out.lane);
    duo_close(&ends);
}

/* All of it waits in the kernel: one read brings notes, and descriptors that belong to what is behind them. */
static void handles_wait_behind_notes(void **state) {
    (void)state;
    enum { ROUNDS = 8 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    duo ends;
    checker to = {0};
    uint32_t seed = 11;
    const fer_fd fd = STDERR_FILENO;
    unsigned number = 0;
    options.max_handles = 1;
    to.seed = 11;
    duo_open(&ends, &options, &options);
    assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(fer_channel_resume(ends.served), FER_OK);
        while (to.count < number)
            assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
        assert_int_equal(fer_channel_pause(ends.served), FER_OK);
        for (int i = 0; i < 6; i++, number++) {
            const size_t size = random_size(&seed);
            uint8_t *data = filled(size, number);
            const fer_bytes whole = piece(data, size);
            assert_int_equal(
                fer_channel_send_fds(ends.client, &whole, 1, &fd, (size_t)i % 2, NULL, NULL),
                FER_OK);
            free(data);
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        }
    }
    assert_non_null(ends.client->out.lane);
    assert_int_equal(fer_channel_resume(ends.served), FER_OK);
    while (to.count < number)
        assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
    duo_close(&ends);
}

static void a_close_delivers_what_is_in_the_lane(void **state) {
    (void)state;
    duo ends;
    checker to = {0};
    uint32_t seed = 9;
    noted closed = {0};
    to.seed = 9;
    duo_open(&ends, NULL, NULL);
    for (int i = 0; i < 40; i++) {
        const size_t size = random_size(&seed);
        uint8_t *data = filled(size, (unsigned)i);
        assert_int_equal(send_bytes(ends.client, data, size), FER_OK);
        free(data);
    }
    assert_int_equal(fer_channel_close(ends.client, note_closed, &closed), FER_OK);
    assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
    harness_run_until(ends.loop, &closed.calls);
    assert_int_equal(closed.status, FER_OK);
    assert_int_equal(to.count, 40);
    assert_int_equal(to.end.status, FER_EOF);
    duo_close(&ends);
}

static int echo(int argc, char **argv) {
    fer_channel *channel = NULL;
    fer_message message;
    fer_status status;
    if (argc < 2)
        return 2;
    status = fer_sync_connect(argv[1], NULL, HARNESS_PATIENCE_MS, &channel);
    while (status == FER_OK) {
        status = fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message);
        if (status == FER_OK) {
            const fer_bytes whole = piece(message.data, message.size);
            status = fer_sync_send(channel, &whole, 1, -1);
        }
    }
    if (channel != NULL && fer_sync_close(channel, -1) != FER_OK)
        status = FER_EPROTO;
    fer_channel_unref(channel);
    return status == FER_EOF ? 0 : 1;
}

static void blocking_channels_have_lanes_too(void **state) {
    (void)state;
    char address[256];
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    fer_message message;
    harness_child child;
    uint32_t seed = 3;
    snprintf(address, sizeof address, "%s", address_of("s"));
    const char *const arguments[] = {address, NULL};
    assert_int_equal(fer_sync_listen(address, NULL, &server), FER_OK);
    harness_spawn(&child, "echo", -1, arguments);
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_OK);
    for (int i = 0; i < 200; i++) {
        const size_t size = random_size(&seed);
        uint8_t *data = filled(size, (unsigned)i);
        const fer_bytes whole = piece(data, size);
        assert_int_equal(fer_sync_send(channel, &whole, 1, -1), FER_OK);
        assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
        assert_int_equal(message.size, size);
        assert_memory_equal(message.data, data, size);
        free(data);
    }
    assert_non_null(channel->out.lane);
    assert_non_null(channel->in.lane);
    assert_int_equal(fer_sync_close(channel, -1), FER_OK);
    fer_channel_unref(channel);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_server_unref(server);
    assert_int_equal(harness_wait(&child), 0);
}

static void send_large(duo *ends, int count, inbox *box) {
    uint8_t *data = filled(LARGE, 1);
    assert_int_equal(fer_channel_receive(ends->served, inbox_messages, box, inbox_finalized),
                     FER_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(send_bytes(ends->client, data, LARGE), FER_OK);
        run_until_count(ends->loop, &box->count, (size_t)i + 1);
        assert_filled(box->bytes + box->size - LARGE, LARGE, 1);
        box->size = 0;
    }
    free(data);
}

static void who_wants_none_has_none(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.flags = FER_CHANNEL_INLINE;
    for (int side = 0; side < 2; side++) {
        duo ends;
        duo_open(&ends, side == 0 ? &options : NULL, side == 1 ? &options : NULL);
        inbox box = {0};
        send_large(&ends, 20, &box);
        assert_null(ends.client->out.lane);
        duo_close(&ends);
        inbox_free(&box);
    }
}

static void without_a_descriptor_all_goes_on(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    duo_open(&ends, NULL, NULL);
    take_descriptors_away();
    send_large(&ends, 20, &box);
    give_descriptors_back();
    assert_null(ends.client->out.lane);
    duo_close(&ends);
    inbox_free(&box);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(everything_comes_in_order),
        HARNESS_TEST(completions_and_handles_keep_their_place),
        HARNESS_TEST(completions_of_one_turn_come_in_order),
        HARNESS_TEST(handles_wait_behind_notes),
        HARNESS_TEST(a_close_delivers_what_is_in_the_lane),
        HARNESS_TEST(blocking_channels_have_lanes_too),
        HARNESS_TEST(who_wants_none_has_none),
        HARNESS_TEST(without_a_descriptor_all_goes_on),
    };
    const harness_helper helpers[] = {{"echo", echo}, {NULL, NULL}};
    return HARNESS_MAIN("lane", tests, helpers, argc, argv);
}
