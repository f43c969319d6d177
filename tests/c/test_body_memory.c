/* Large messages in memory that the program gives: what comes there, who has it, and what becomes of the rest. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "impl/channel.h"

enum { KIB = 1024, LEAST = 32 * KIB, LARGE = 700 * KIB };

/** Memory that is counted, and that can run out. */
typedef struct counted {
    size_t live;
    size_t resized;
    size_t released;
    size_t left; /**< of further requests that are granted */
} counted;

static void *allocate(size_t size, void *user) {
    counted *of = user;
    if (of->left == 0)
        return NULL;
    of->left--;
    of->live++;
    return malloc(size);
}

static void *resize(void *memory, size_t size, void *user) {
    counted *of = user;
    if (of->left == 0)
        return NULL;
    of->left--;
    of->resized++;
    return realloc(memory, size);
}

static void release(void *memory, void *user) {
    counted *of = user;
    of->released++;
    of->live--;
    free(memory);
}

static fer_body_memory memory_of(counted *of) {
    fer_body_memory memory = FER_BODY_MEMORY_INIT;
    memory.least = LEAST;
    memory.allocate = allocate;
    memory.resize = resize;
    memory.release = release;
    memory.user = of;
    of->left = SIZE_MAX;
    return memory;
}

/* Some for the read buffer, some for the lane, some too large for it. */
static size_t size_of(size_t number) {
    static const size_t sizes[] = {64, LEAST - 1, LEAST, 100000, 300000, LARGE, 2500000, 1};
    return sizes[number % 8];
}

/** A receiver that takes every other message that it can. */
typedef struct taker {
    counted memory;
    size_t count;
    size_t took;
    size_t copied;
    noted end;
} taker;

static void look_at(taker *to, fer_channel *channel, const fer_message *message) {
    const size_t size = size_of(to->count);
    void *memory = NULL;
    assert_int_equal(message->size, size);
    assert_filled(message->data, size, (unsigned)to->count);
    if (to->count++ % 2 == 0)
        return;
    if (fer_message_take_data(channel, message, &memory) == FER_ENOENT) {
        assert_null(memory);
        to->copied++;
        return;
    }
    assert_true(size >= LEAST);
    assert_ptr_equal(memory, message->data);
    assert_int_equal(fer_message_take_data(channel, message, &memory), FER_EALREADY);
    to->took++;
    to->memory.live--;
    free(memory);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    taker *to = user;
    if (status != FER_OK)
        note(&to->end, status);
    for (size_t i = 0; i < count; i++)
        look_at(to, channel, &messages[i]);
}

static void send_number(fer_channel *channel, size_t number) {
    uint8_t *data = filled(size_of(number), (unsigned)number);
    assert_int_equal(send_bytes(channel, data, size_of(number)), FER_OK);
    free(data);
}

static void large_payloads_are_where_they_were_wanted(void **state) {
    (void)state;
    enum { MESSAGES = 160 };
    for (int round = 0; round < 4; round++) {
        const int is_inline = round % 2;
        const int is_cold = round / 2;
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        taker to = {0};
        fer_body_memory memory = memory_of(&to.memory);
        duo ends;
        options.flags = is_inline ? FER_CHANNEL_INLINE : 0;
        memory.flags = is_cold ? FER_BODY_MEMORY_COLD : 0;
        duo_open(&ends, &options, &options);
        assert_int_equal(fer_channel_set_body_memory(ends.served, &memory), FER_OK);
        assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
        for (size_t i = 0; i < MESSAGES; i++) {
            send_number(ends.client, i);
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        }
        run_until_count(ends.loop, &to.count, MESSAGES);
        assert_int_equal(ends.served->in.lane != NULL, !is_inline);
        assert_true(to.took > 0 && to.copied > 0);
        assert_true(to.memory.released > 0 && to.memory.resized > 0);
        assert_int_equal(to.memory.live, 0);
        assert_int_equal(to.end.calls, 0);
        duo_close(&ends);
    }
}

/** A receiver that takes all that it can, the last one first, and tries each twice. */
typedef struct backward {
    counted memory;
    size_t count;
    size_t most; /**< taken in one call */
    noted end;
} backward;

static void take_backward(fer_channel *channel, fer_status status, const fer_message *messages,
                          size_t count, void *user) {
    backward *to = user;
    size_t took = 0;
    if (status != FER_OK)
        note(&to->end, status);
    for (size_t i = count; i-- > 0;) {
        void *memory = NULL;
        const fer_status first = fer_message_take_data(channel, &messages[i], &memory);
        assert_filled(messages[i].data, messages[i].size, 4);
        if (first == FER_ENOENT)
            continue;
        assert_int_equal(first, FER_OK);
        assert_ptr_equal(memory, messages[i].data);
        assert_int_equal(fer_message_take_data(channel, &messages[i], &memory), FER_EALREADY);
        free(memory);
        to->memory.live--;
        took++;
    }
    to->count += count;
    to->most = took > to->most ? took : to->most;
}

static void they_may_be_taken_in_any_order(void **state) {
    (void)state;
    enum { TURNS = 30, IN_A_TURN = 5 };
    backward to = {0};
    const fer_body_memory memory = memory_of(&to.memory);
    uint8_t *data = filled(LEAST, 4);
    duo ends;
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_set_body_memory(ends.served, &memory), FER_OK);
    assert_int_equal(fer_channel_receive(ends.served, take_backward, &to, NULL), FER_OK);
    for (size_t turn = 1; turn <= TURNS; turn++) {
        for (size_t i = 0; i < IN_A_TURN; i++)
            assert_int_equal(send_bytes(ends.client, data, LEAST), FER_OK);
        run_until_count(ends.loop, &to.count, turn * IN_A_TURN);
    }
    assert_true(to.most > 1);
    assert_int_equal(to.memory.live, 0);
    assert_int_equal(to.end.calls, 0);
    duo_close(&ends);
    free(data);
}

static void a_blocking_channel_has_it_too(void **state) {
    (void)state;
    taker to = {0};
    const fer_body_memory memory = memory_of(&to.memory);
    fer_channel *channels[2];
    sync_pair(channels, NULL);
    assert_int_equal(fer_channel_set_body_memory(channels[1], &memory), FER_OK);
    for (size_t i = 0; i < 30; i++) {
        uint8_t *data = filled(size_of(i), (unsigned)i);
        const fer_bytes whole = piece(data, size_of(i));
        fer_message message = {0};
        fer_status status = fer_sync_send(channels[0], &whole, 1, 0);
        /* What the kernel does not take leaves with the next call. */
        assert_true(status == FER_OK || status == FER_ETIMEDOUT);
        while (status == FER_ETIMEDOUT) {
            fer_status come = fer_sync_receive(channels[1], 0, &message);
            if (come == FER_OK)
                break;
            assert_int_equal(come, FER_ETIMEDOUT);
            status = fer_sync_flush(channels[0], 0);
        }
        if (status == FER_OK)
            assert_int_equal(fer_sync_receive(channels[1], -1, &message), FER_OK);
        look_at(&to, channels[1], &message);
        free(data);
    }
    assert_true(to.took > 0);
    assert_int_equal(fer_sync_close(channels[0], 0), FER_ETIMEDOUT);
    assert_int_equal(fer_channel_abort(channels[1]), FER_OK);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    assert_int_equal(to.memory.live, 0);
}

static void without_memory_the_channel_ends(void **state) {
    (void)state;
    for (size_t granted = 0; granted < 12; granted++) {
        taker to = {0};
        const fer_body_memory memory = memory_of(&to.memory);
        duo ends;
        duo_open(&ends, NULL, NULL);
        assert_int_equal(fer_channel_set_body_memory(ends.served, &memory), FER_OK);
        to.memory.left = granted;
        assert_int_equal(fer_channel_receive(ends.served, on_messages, &to, NULL), FER_OK);
        for (size_t i = 0; i < 24 && fer_channel_is_writable(ends.client); i++) {
            send_number(ends.client, i);
            assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        }
        harness_run_until(ends.loop, &to.end.calls);
        assert_int_equal(to.end.status, FER_ENOMEM);
        assert_int_equal(to.memory.live, 0);
        duo_close(&ends);
    }
}

static void the_beginning_of_a_message_is_released(void **state) {
    (void)state;
    taker to = {0};
    const fer_body_memory memory = memory_of(&to.memory);
    static uint8_t part[8 + LARGE / 2] = {2, 0, 0, 0, 0, 10, 0xf0, 0};
    solo half;
    solo_open(&half, NULL);
    assert_int_equal(fer_channel_set_body_memory(half.channel, &memory), FER_OK);
    assert_int_equal(fer_channel_receive(half.channel, on_messages, &to, NULL), FER_OK);
    raw_send_beside(half.loop, half.peer, part, sizeof part);
    while (to.memory.live == 0)
        assert_int_equal(fer_loop_step(half.loop, -1), FER_OK);
    raw_close(half.peer);
    harness_run_until(half.loop, &to.end.calls);
    assert_int_equal(to.end.status, FER_ECONNRESET);
    assert_int_equal(to.memory.live, 0);
    assert_int_equal(to.memory.released, 1);
    solo_close(&half);
}

static void choose_too_late(fer_channel *channel, fer_status status, const fer_message *messages,
                            size_t count, void *user) {
    taker to = {0};
    const fer_body_memory memory = memory_of(&to.memory);
    void *taken = &to;
    const fer_message strange = {"text", 4, NULL, 0};
    if (status != FER_OK)
        return;
    assert_true(count > 0);
    assert_int_equal(fer_channel_set_body_memory(channel, &memory), FER_EALREADY);
    assert_int_equal(fer_message_take_data(channel, &messages[0], &taken), FER_ENOENT);
    assert_int_equal(fer_message_take_data(channel, &strange, &taken), FER_ENOENT);
    assert_int_equal(fer_message_take_data(channel, NULL, &taken), FER_EINVAL);
    assert_int_equal(fer_message_take_data(channel, &messages[0], NULL), FER_EINVAL);
    assert_ptr_equal(taken, &to);
    note(user, FER_OK);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    taker to = {0};
    noted came = {0};
    duo ends;
    const fer_body_memory right = memory_of(&to.memory);
    fer_body_memory wrong[7];
    duo_open(&ends, NULL, NULL);
    for (int i = 0; i < 7; i++)
        wrong[i] = right;
    wrong[0].struct_size = 4;
    wrong[1].flags = 2;
    wrong[2].least = 0;
    wrong[3].allocate = NULL;
    wrong[4].resize = NULL;
    wrong[5].release = NULL;
    wrong[6].struct_size = 0;
    for (int i = 0; i < 7; i++)
        assert_int_equal(fer_channel_set_body_memory(ends.client, &wrong[i]), FER_EINVAL);
    assert_int_equal(fer_channel_set_body_memory(ends.client, NULL), FER_EINVAL);
    assert_int_equal(fer_channel_set_body_memory(ends.client, &right), FER_OK);
    assert_int_equal(fer_channel_set_body_memory(ends.client, &right), FER_EALREADY);
    assert_int_equal(fer_channel_receive(ends.served, choose_too_late, &came, NULL), FER_OK);
    assert_int_equal(send_text(ends.client, "text"), FER_OK);
    harness_run_until(ends.loop, &came.calls);
    duo_close(&ends);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(large_payloads_are_where_they_were_wanted),
        HARNESS_TEST(they_may_be_taken_in_any_order),
        HARNESS_TEST(a_blocking_channel_has_it_too),
        HARNESS_TEST(without_memory_the_channel_ends),
        HARNESS_TEST(the_beginning_of_a_message_is_released),
        HARNESS_TEST(what_is_wrong_is_said),
    };
    return HARNESS_MAIN("body_memory", tests, NULL, argc, argv);
}
