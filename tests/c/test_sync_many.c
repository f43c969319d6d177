/* The blocking face: many messages by one call. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "stock.h"

enum { MANY = STOCK, ROUNDS = 4 };

#define KIB ((size_t)1024)

static void expect_stock(fer_channel *channel, const stock *of, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fer_message message;
        assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
        assert_int_equal(message.size, of->messages[i].size);
        if (message.size > 0)
            assert_memory_equal(message.data, of->messages[i].data, message.size);
    }
}

/** Sends the same again and again, in a thread of its own. */
typedef struct sender {
    fer_channel *channel;
    const stock *what;
    size_t accepted[ROUNDS];
    fer_status status;
} sender;

static void *send_rounds(void *user) {
    sender *one = user;
    for (int i = 0; i < ROUNDS && one->status == FER_OK; i++)
        one->status = fer_sync_send_many(one->channel, one->what->messages, MANY,
                                         HARNESS_PATIENCE_MS, &one->accepted[i]);
    return NULL;
}

static void exchange(const fer_channel_options *options, const size_t *sizes, size_t kinds) {
    fer_channel *channels[2];
    stock all;
    pthread_t thread;
    stock_make(&all, sizes, kinds);
    sync_pair(channels, options);
    sender one = {channels[0], &all, {0}, FER_OK};
    assert_int_equal(pthread_create(&thread, NULL, send_rounds, &one), 0);
    for (int i = 0; i < ROUNDS; i++)
        expect_stock(channels[1], &all, MANY);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(one.status, FER_OK);
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(one.accepted[i], MANY);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    free(all.memory);
}

static void messages_of_all_sizes_arrive(void **state) {
    (void)state;
    static const size_t small[] = {64};
    static const size_t middle[] = {1, 1000, 8000};
    static const size_t mixed[] = {1, 64, 300, 8191, 8192, 8193, 3, 40 * KIB, 7, 1, 2, 300 * KIB};
    for (int how = 0; how < 3; how++) {
        fer_channel_options options = options_of(how == 0 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE);
        options.flags = how == 1 ? FER_CHANNEL_INLINE : 0;
        exchange(&options, small, 1);
        exchange(&options, middle, sizeof middle / sizeof middle[0]);
        exchange(&options, mixed, sizeof mixed / sizeof mixed[0]);
        /* Marks that are hit all the time change nothing. */
        options.high_water = 4 * KIB;
        options.hard_cap = 10 * KIB;
        exchange(&options, middle, sizeof middle / sizeof middle[0]);
    }
}

static void what_is_refused_is_told(void **state) {
    (void)state;
    static const size_t sizes[] = {10, 20, 30, 40};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_channel *channels[2];
    stock all;
    size_t accepted = 7;
    stock_make(&all, sizes, sizeof sizes / sizeof sizes[0]);
    options.max_message = 30;
    sync_pair(channels, &options);
    assert_int_equal(fer_sync_send_many(channels[0], all.messages, 8, -1, &accepted), FER_EMSGSIZE);
    assert_int_equal(accepted, 3);
    assert_string_not_equal(fer_status_detail(), "");
    expect_stock(channels[1], &all, 3);
    assert_int_equal(fer_sync_send_many(channels[0], all.messages + 3, 2, -1, &accepted),
                     FER_EMSGSIZE);
    assert_int_equal(accepted, 0);
    const fer_bytes missing[2] = {{"x", 1}, {NULL, 1}};
    accepted = 7;
    assert_int_equal(fer_sync_send_many(channels[0], missing, 2, -1, &accepted), FER_EINVAL);
    assert_int_equal(accepted, 0);
    assert_int_equal(fer_sync_send_many(channels[0], NULL, 1, -1, &accepted), FER_EINVAL);
    assert_int_equal(fer_sync_send_many(channels[0], all.messages, 1, -1, NULL), FER_EINVAL);
    assert_int_equal(fer_sync_send_many(channels[0], NULL, 0, -1, &accepted), FER_OK);
    assert_int_equal(fer_sync_send_many(channels[0], all.messages, 1, -1, &accepted), FER_OK);
    assert_int_equal(accepted, 1);
    expect_stock(channels[1], &all, 1);
    fer_channel_unref(channels[1]);
    assert_int_equal(fer_sync_send_many(channels[0], all.messages, 1, -1, &accepted), FER_EPIPE);
    /* Now it is known before. */
    assert_int_equal(fer_sync_send_many(channels[0], all.messages, 1, -1, &accepted), FER_EPIPE);
    assert_int_equal(accepted, 0);
    fer_channel_unref(channels[0]);
    free(all.memory);
}

/* A peer that does not read: what was accepted goes later, and nothing twice. */
static void out_of_time(void **state) {
    (void)state;
    static const size_t sizes[] = {1000, 8000, 40 * KIB};
    for (int wire = 0; wire < 2; wire++) {
        const fer_channel_options options = options_of((fer_wire)wire);
        fer_channel *channels[2];
        stock all;
        size_t accepted = 0;
        size_t sent = 0;
        size_t received = 0;
        fer_status status;
        stock_make(&all, sizes, sizeof sizes / sizeof sizes[0]);
        sync_pair(channels, &options);
        status = fer_sync_send_many(channels[0], all.messages, MANY, 20, &accepted);
        assert_int_equal(status, FER_ETIMEDOUT);
        assert_in_range(accepted, 1, MANY - 1);
        sent = accepted;
        assert_int_equal(fer_sync_send_many(channels[0], all.messages + sent, 1, 0, &accepted),
                         FER_EAGAIN);
        assert_int_equal(accepted, 0);
        while (received < MANY) {
            fer_message message;
            if (sent < MANY) {
                status =
                    fer_sync_send_many(channels[0], all.messages + sent, MANY - sent, 0, &accepted);
                assert_true(status == FER_OK || status == FER_ETIMEDOUT || status == FER_EAGAIN);
                sent += accepted;
            } else {
                status = fer_sync_flush(channels[0], 0);
                assert_true(status == FER_OK || status == FER_ETIMEDOUT);
            }
            assert_int_equal(fer_sync_receive(channels[1], HARNESS_PATIENCE_MS, &message), FER_OK);
            assert_int_equal(message.size, all.messages[received].size);
            assert_memory_equal(message.data, all.messages[received].data, message.size);
            received++;
        }
        assert_int_equal(sent, MANY);
        fer_channel_unref(channels[0]);
        fer_channel_unref(channels[1]);
        free(all.memory);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(messages_of_all_sizes_arrive),
        HARNESS_TEST(what_is_refused_is_told),
        HARNESS_TEST(out_of_time),
    };
    return HARNESS_MAIN("sync_many", tests, NULL, argc, argv);
}
