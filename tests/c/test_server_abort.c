/* Servers: the end of all channels at once. */
#include <stdlib.h>
#include <string.h>

#include "crowd.h"

static void aborting_waits_for_nobody(void **state) {
    (void)state;
    enum { CLIENTS = 20, LARGE = 4 << 20 };
    /* While it is open, closed, or drained in vain. */
    for (int way = 0; way < 3; way++) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        fer_channel *clients[CLIENTS];
        noted gone[CLIENTS];
        noted ended[2] = {{0}, {0}};
        crowd all;
        memset(gone, 0, sizeof gone);
        options.close_timeout_ms = -1;
        crowd_open(&all, address_of("s"), &options);
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = crowd_join(&all, NULL);
        int silent = raw_connect(harness_path("s"));
        assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
        /* The clients do not receive, so that this would be waited for for ever. */
        uint8_t *large = filled(LARGE, 1);
        for (int i = 0; i < CLIENTS; i += 5)
            assert_int_equal(send_bytes(all.served[i], large, LARGE), FER_OK);
        free(large);
        if (way == 1) {
            assert_int_equal(fer_server_close(all.server, note_server_closed, &ended[0]), FER_OK);
            harness_run_until(all.loop, &ended[0].calls);
        }
        if (way == 2) {
            assert_int_equal(fer_server_drain(all.server, note_server_closed, &ended[0]), FER_OK);
            for (int i = 0; i < 3; i++)
                assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
            assert_int_equal(ended[0].calls, 0);
        }
        for (int i = 0; i < CLIENTS; i++)
            assert_int_equal(fer_channel_close(all.served[i], note_closed, &gone[i]), FER_OK);
        assert_int_equal(fer_server_count(all.server), CLIENTS);
        assert_int_equal(fer_server_abort(all.server), FER_OK);
        assert_true(fer_server_is_closing(all.server));
        assert_int_equal(fer_server_close(all.server, note_server_closed, &ended[1]), FER_OK);
        (void)raw_drain_beside(all.loop, silent);
        raw_close(silent);
        harness_run_until(all.loop, &ended[1].calls);
        assert_int_equal(ended[0].calls, way == 0 ? 0 : 1);
        /* It is told when all of them are gone. */
        assert_int_equal(fer_server_count(all.server), 0);
        for (int i = 0; i < CLIENTS; i++) {
            assert_int_equal(gone[i].calls, 1);
            assert_int_equal(gone[i].status, FER_ECANCELED);
            assert_true(gone[i].when < ended[1].when);
            fer_channel_unref(clients[i]);
        }
        assert_int_equal(fer_server_abort(all.server), FER_OK);
        crowd_close(&all);
    }
}

static void abort_inside(fer_channel *channel, fer_status status, const fer_message *messages,
                         size_t count, void *user) {
    crowd *all = user;
    (void)messages;
    if (count == 0) {
        assert_int_equal(status, FER_ECANCELED);
        return;
    }
    assert_int_equal(fer_server_abort(all->server), FER_OK);
    assert_true(fer_channel_is_closing(channel));
}

static void a_server_can_be_aborted_inside_of_callbacks(void **state) {
    (void)state;
    inbox boxes[3];
    noted ended = {0};
    fer_channel *clients[3];
    crowd all;
    memset(boxes, 0, sizeof boxes);
    crowd_open(&all, address_of("s"), NULL);
    for (int i = 0; i < 3; i++) {
        clients[i] = crowd_join(&all, NULL);
        assert_int_equal(fer_channel_receive(clients[i], inbox_messages, &boxes[i], NULL), FER_OK);
    }
    assert_int_equal(fer_channel_receive(all.served[1], abort_inside, &all, NULL), FER_OK);
    assert_int_equal(send_text(clients[1], "stop"), FER_OK);
    for (int i = 0; i < 3; i++) {
        harness_run_until(all.loop, &boxes[i].end.calls);
        assert_int_equal(boxes[i].end.status, FER_ECONNRESET);
        fer_channel_unref(clients[i]);
        inbox_free(&boxes[i]);
    }
    assert_int_equal(fer_server_drain(all.server, note_server_closed, &ended), FER_OK);
    harness_run_until(all.loop, &ended.calls);
    crowd_close(&all);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(aborting_waits_for_nobody),
        HARNESS_TEST(a_server_can_be_aborted_inside_of_callbacks),
    };
    return HARNESS_MAIN("server_abort", tests, NULL, argc, argv);
}
