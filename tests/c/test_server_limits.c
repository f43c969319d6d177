/* How much clients can make a server hold, and how it ends with all of them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "crowd.h"

/* Channels. */

static void a_full_server_takes_others_when_one_leaves(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        const fer_channel_options options = options_of(i % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE);
        fer_channel *clients[3];
        crowd all;
        crowd_open(&all, i < 2 ? address_of("s") : "tcp:127.0.0.1:0", &options);
        assert_int_equal(fer_server_set_limits(all.server, 2, 0), FER_OK);
        clients[0] = crowd_join(&all, &options);
        clients[1] = crowd_join(&all, &options);
        assert_int_equal(fer_server_count(all.server), 2);
        assert_int_equal(crowd_refuse(&all, &options, FER_EBUSY), i % 2 ? FER_EOF : FER_ECONNRESET);
        assert_string_equal(all.detail, "2 channels are open");
        fer_channel_unref(clients[0]);
        /* The server's end is open until it is closed there. */
        assert_int_equal(crowd_refuse(&all, &options, FER_EBUSY), i % 2 ? FER_EOF : FER_ECONNRESET);
        fer_channel_unref(all.served[0]);
        all.served[0] = all.served[--all.count];
        while (fer_server_count(all.server) > 1)
            assert_int_equal(fer_loop_step(all.loop, 1000), FER_OK);
        clients[0] = crowd_join(&all, &options);
        assert_int_equal(fer_server_set_limits(all.server, 3, 0), FER_OK);
        clients[2] = crowd_join(&all, &options);
        /* Fewer than are open: those stay. */
        assert_int_equal(fer_server_set_limits(all.server, 1, 0), FER_OK);
        assert_int_equal(fer_server_count(all.server), 3);
        (void)crowd_refuse(&all, &options, FER_EBUSY);
        for (int n = 0; n < 3; n++)
            fer_channel_unref(clients[n]);
        crowd_close(&all);
    }
}

static void many_at_once_are_not_more_than_allowed(void **state) {
    (void)state;
    enum { COME = 40, MAY = 7 };
    fer_channel *clients[COME];
    noted connected[COME];
    crowd all;
    memset(connected, 0, sizeof connected);
    crowd_open(&all, address_of("s"), NULL);
    assert_int_equal(fer_server_set_limits(all.server, MAY, 0), FER_OK);
    for (int i = 0; i < COME; i++)
        clients[i] = crowd_call(&all, NULL, &connected[i]);
    while (all.count + all.failures < COME)
        assert_int_equal(fer_loop_step(all.loop, 1000), FER_OK);
    assert_int_equal(all.count, MAY);
    assert_int_equal(all.failure, FER_EBUSY);
    assert_int_equal(fer_server_count(all.server), MAY);
    for (int i = 0; i < COME; i++) {
        harness_run_until(all.loop, &connected[i].calls);
        fer_channel_unref(clients[i]);
    }
    crowd_close(&all);
}

/* Who only connects takes no place from those that speak. */
static void silent_clients_do_not_fill_a_server(void **state) {
    (void)state;
    enum { SILENT = 20 };
    int silent[SILENT];
    crowd all;
    crowd_open(&all, address_of("s"), NULL);
    assert_int_equal(fer_server_set_limits(all.server, 2, 0), FER_OK);
    for (int i = 0; i < SILENT; i++)
        silent[i] = raw_connect(harness_path("s"));
    fer_channel *one = crowd_join(&all, NULL);
    fer_channel *other = crowd_join(&all, NULL);
    assert_int_equal(all.failures, 0);
    (void)crowd_refuse(&all, NULL, FER_EBUSY);
    for (int i = 0; i < SILENT; i++)
        raw_close(silent[i]);
    fer_channel_unref(one);
    fer_channel_unref(other);
    crowd_close(&all);
}

/* Half-open. */

static void the_oldest_silent_client_makes_room(void **state) {
    (void)state;
    int silent[4];
    uint8_t hello[HELLO_SIZE];
    crowd all;
    crowd_open(&all, address_of("s"), NULL);
    assert_int_equal(fer_server_set_limits(all.server, 0, 3), FER_OK);
    for (int i = 0; i < 4; i++) {
        silent[i] = raw_connect(harness_path("s"));
        raw_receive_beside(all.loop, silent[i], hello, sizeof hello);
    }
    crowd_await_failures(&all, 1);
    assert_int_equal(all.failure, FER_ECONNABORTED);
    assert_string_equal(all.detail, "too many clients have not said hello");
    assert_int_equal(raw_drain_beside(all.loop, silent[0]), 0);
    /* The others may still say it. */
    for (int i = 1; i < 4; i++)
        raw_send(silent[i], hello_bytes, HELLO_SIZE);
    run_until_count(all.loop, &all.count, 3);
    assert_int_equal(all.failures, 1);
    for (int i = 0; i < 4; i++)
        raw_close(silent[i]);
    crowd_close(&all);
}

static void a_thousand_silent_clients_hold_nobody_up(void **state) {
    (void)state;
    enum { SILENT = 1000, GOOD = 20 };
    static int silent[SILENT];
    fer_channel *good[GOOD];
    size_t dropped = 0;
    crowd all;
    for (int round = 0; round < 2; round++) {
        const char *address = round == 0 ? address_of("s") : "tcp:127.0.0.1:0";
        crowd_open(&all, address, NULL);
        for (int i = 0; i < SILENT; i++) {
            silent[i] = round == 0 ? raw_connect(harness_path("s")) : raw_connect_tcp(all.address);
            /* Some begin, and do not go on. */
            raw_send(silent[i], hello_bytes, (size_t)i % HELLO_SIZE);
            if (i % (SILENT / GOOD) == 0)
                good[i / (SILENT / GOOD)] = crowd_join(&all, NULL);
            else if (i % 10 == 0)
                assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
        }
        crowd_await_failures(&all, SILENT - 128);
        assert_int_equal(all.failure, FER_ECONNABORTED);
        assert_int_equal(all.count, GOOD);
        for (int i = 0; i < GOOD; i++) {
            inbox box = {0};
            assert_int_equal(fer_channel_receive(good[i], inbox_messages, &box, inbox_finalized),
                             FER_OK);
            assert_int_equal(send_text(all.served[i], "still here"), FER_OK);
            run_until_count(all.loop, &box.count, 1);
            fer_channel_unref(good[i]);
            harness_run_until(all.loop, &box.end.calls);
            inbox_free(&box);
        }
        assert_int_equal(all.failures, SILENT - 128);
        for (int i = 0; i < SILENT; i++)
            raw_close(silent[i]);
        /* The rest are seen to have gone. */
        crowd_await_failures(&all, SILENT);
        dropped += all.failures;
        crowd_close(&all);
    }
    assert_int_equal(dropped, 2 * SILENT);
}

/* Deciding. */

typedef struct gate {
    crowd *all;
    int calls;
    int way;
    noted finalized;
    noted closed;
} gate;

static int end_it(fer_server *server, const fer_credentials *who, void *user) {
    gate *one = user;
    assert_int_equal(one->finalized.calls, 0);
    assert_int_equal(who->struct_size, sizeof *who);
    one->calls++;
    switch (one->way) {
    case 0:
        assert_int_equal(fer_server_close(server, note_server_closed, &one->closed), FER_OK);
        break;
    case 1:
        assert_int_equal(fer_server_drain(server, note_server_closed, &one->closed), FER_OK);
        break;
    case 2: assert_int_equal(fer_loop_close_objects(one->all->loop), FER_OK); break;
    case 3:
        fer_server_unref(server);
        one->all->server = NULL;
        break;
    default: assert_int_equal(fer_server_on_allow(server, NULL, NULL, NULL), FER_OK); break;
    }
    return 1;
}

static void gate_finalized(void *user) {
    gate *one = user;
    note(&one->finalized, FER_OK);
}

/* Whoever decides may end the server, which drops the client that it was asked about. */
static void who_decides_may_end_the_server(void **state) {
    (void)state;
    for (int way = 0; way < 5; way++) {
        gate one = {NULL, 0, way, {0}, {0}};
        crowd all;
        int raw[3];
        crowd_open(&all, address_of("s"), NULL);
        one.all = &all;
        assert_int_equal(fer_server_on_allow(all.server, end_it, &one, gate_finalized), FER_OK);
        for (int i = 0; i < 3; i++)
            raw[i] = raw_connect(harness_path("s"));
        harness_run_until(all.loop, &one.finalized.calls);
        assert_int_equal(one.calls, 1);
        if (way < 2)
            harness_run_until(all.loop, &one.closed.calls);
        if (way < 4) {
            assert_int_equal(fer_loop_run(all.loop), FER_OK);
            assert_int_equal(all.count + all.failures, 0);
            for (int i = 0; i < 3; i++)
                assert_int_equal(raw_drain(raw[i]), 0);
        }
        for (int i = 0; i < 3; i++)
            raw_close(raw[i]);
        crowd_close(&all);
        assert_int_equal(one.finalized.calls, 1);
    }
}

typedef struct blocking_gate {
    fer_server *server;
    int calls;
    fer_status statuses[4];
    noted finalized;
} blocking_gate;

static int drop_it(fer_server *server, const fer_credentials *who, void *user) {
    blocking_gate *one = user;
    fer_channel *channel = NULL;
    (void)who;
    one->calls++;
    one->statuses[0] = fer_server_close(server, NULL, NULL);
    one->statuses[1] = fer_server_set_limits(server, 0, 1);
    one->statuses[2] = fer_server_on_allow(server, NULL, NULL, NULL);
    one->statuses[3] = fer_sync_accept(server, 0, &channel);
    fer_server_unref(one->server);
    one->server = NULL;
    return 1;
}

static void blocking_gate_finalized(void *user) {
    blocking_gate *one = user;
    note(&one->finalized, FER_OK);
}

static void who_decides_may_drop_a_blocking_server(void **state) {
    (void)state;
    blocking_gate one = {NULL, 0, {FER_OK, FER_OK, FER_OK, FER_OK}, {0}};
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    one.server = server;
    assert_int_equal(fer_server_on_allow(server, drop_it, &one, blocking_gate_finalized), FER_OK);
    int silent = raw_connect(harness_path("s"));
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_ECLOSED);
    assert_null(channel);
    assert_int_equal(one.calls, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(one.statuses[i], FER_EBUSY);
    assert_int_equal(one.finalized.calls, 1);
    (void)raw_drain(silent);
    raw_close(silent);
}

/* Draining. */

static void draining_waits_for_all_channels(void **state) {
    (void)state;
    enum { CLIENTS = 100 };
    static fer_channel *clients[CLIENTS];
    static inbox boxes[CLIENTS];
    static noted left[CLIENTS];
    static const char text[] = "the last word";
    noted drained[2] = {{0}, {0}};
    crowd all;
    memset(boxes, 0, sizeof boxes);
    memset(left, 0, sizeof left);
    crowd_open(&all, address_of("s"), NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = crowd_join(&all, NULL);
    int silent = raw_connect(harness_path("s"));
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(send_text(all.served[i], text), FER_OK);
    assert_int_equal(fer_server_count(all.server), CLIENTS);
    assert_int_equal(fer_server_drain(all.server, note_server_closed, &drained[0]), FER_OK);
    assert_int_equal(fer_server_drain(all.server, note_server_closed, &drained[1]), FER_OK);
    assert_true(fer_server_is_closing(all.server));
    assert_int_equal(all.finalized.calls, 1);
    /* Nobody finds it any more, and who had not said hello is dropped. */
    (void)raw_drain_beside(all.loop, silent);
    raw_close(silent);
    assert_int_equal(fer_server_count(all.server), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(fer_channel_is_closing(all.served[i]));
        /* As long as one has not said goodbye, it is not over. */
        assert_int_equal(drained[0].calls, 0);
        assert_int_equal(fer_channel_receive(clients[i], inbox_messages, &boxes[i], NULL), FER_OK);
        harness_run_until(all.loop, &boxes[i].end.calls);
        assert_int_equal(boxes[i].end.status, FER_EOF);
        assert_int_equal(boxes[i].count, 1);
        assert_int_equal(boxes[i].size, strlen(text));
        fer_channel_unref(clients[i]);
        inbox_free(&boxes[i]);
    }
    harness_run_until(all.loop, &drained[0].calls);
    harness_run_until(all.loop, &drained[1].calls);
    assert_int_equal(fer_server_count(all.server), 0);
    crowd_close(&all);
}

/* One that was closed before has channels left to drain. */
static void a_closed_server_can_be_drained(void **state) {
    (void)state;
    for (int late = 0; late < 2; late++) {
        noted closed = {0};
        noted drained = {0};
        noted gone = {0};
        inbox box = {0};
        crowd all;
        crowd_open(&all, address_of("s"), NULL);
        fer_channel *client = crowd_join(&all, NULL);
        assert_int_equal(fer_server_close(all.server, note_server_closed, &closed), FER_OK);
        if (late)
            harness_run_until(all.loop, &closed.calls);
        assert_int_equal(fer_server_drain(all.server, note_server_closed, &drained), FER_OK);
        assert_int_equal(fer_channel_close(all.served[0], note_closed, &gone), FER_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
        assert_int_equal(drained.calls, 0);
        assert_int_equal(fer_channel_receive(client, inbox_messages, &box, NULL), FER_OK);
        harness_run_until(all.loop, &drained.calls);
        assert_int_equal(gone.status, FER_OK);
        harness_run_until(all.loop, &gone.calls);
        assert_int_equal(closed.calls, 1);
        /* With nothing left to wait for, too. */
        drained.calls = 0;
        assert_int_equal(fer_server_drain(all.server, note_server_closed, &drained), FER_OK);
        assert_int_equal(drained.calls, 0);
        harness_run_until(all.loop, &drained.calls);
        assert_int_equal(fer_server_drain(all.server, NULL, NULL), FER_OK);
        fer_channel_unref(client);
        crowd_close(&all);
        inbox_free(&box);
    }
}

/* Inside of callbacks. */

typedef struct drainer {
    crowd *all;
    noted drained;
    fer_status end;
} drainer;

static void drain_on_message(fer_channel *channel, fer_status status, const fer_message *messages,
                             size_t count, void *user) {
    drainer *one = user;
    (void)channel;
    (void)messages;
    if (status != FER_OK) {
        one->end = status;
        return;
    }
    assert_int_equal(count, 1);
    assert_int_equal(fer_server_drain(one->all->server, note_server_closed, &one->drained), FER_OK);
    /* Nothing holds up the end any more. */
    assert_int_equal(fer_channel_abort(channel), FER_OK);
}

static drainer *greeting;

static void drain_on_channel(crowd *all, fer_channel *channel) {
    (void)channel;
    if (all->count == 3)
        assert_int_equal(fer_server_drain(all->server, note_server_closed, &greeting->drained),
                         FER_OK);
}

static void a_server_can_be_drained_inside_of_callbacks(void **state) {
    (void)state;
    for (int way = 0; way < 2; way++) {
        drainer one = {NULL, {0}, FER_OK};
        fer_channel *clients[3];
        inbox boxes[3];
        crowd all;
        memset(boxes, 0, sizeof boxes);
        crowd_open(&all, address_of("s"), NULL);
        one.all = &all;
        greeting = &one;
        all.greet = way == 0 ? drain_on_channel : NULL;
        for (int i = 0; i < 3; i++) {
            clients[i] = crowd_join(&all, NULL);
            assert_int_equal(fer_channel_receive(clients[i], inbox_messages, &boxes[i], NULL),
                             FER_OK);
        }
        if (way == 1) {
            assert_int_equal(fer_channel_receive(all.served[1], drain_on_message, &one, NULL),
                             FER_OK);
            assert_int_equal(send_text(clients[1], "enough"), FER_OK);
        }
        harness_run_until(all.loop, &one.drained.calls);
        for (int i = 0; i < 3; i++) {
            harness_run_until(all.loop, &boxes[i].end.calls);
            /* Also of the one that was aborted: its goodbye was said before. */
            assert_int_equal(boxes[i].end.status, FER_EOF);
            fer_channel_unref(clients[i]);
            inbox_free(&boxes[i]);
        }
        assert_int_equal(one.end, way == 1 ? FER_ECANCELED : FER_OK);
        assert_int_equal(fer_server_count(all.server), 0);
        crowd_close(&all);
    }
}

static void what_a_blocking_server_does_not_have_is_refused(void **state) {
    (void)state;
    fer_server *server = NULL;
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    assert_int_equal(fer_server_drain(server, NULL, NULL), FER_ENOTSUP);
    assert_int_equal(fer_server_abort(server), FER_ENOTSUP);
    assert_int_equal(fer_server_abort(NULL), FER_EINVAL);
    assert_int_equal(fer_server_set_limits(server, 1, 0), FER_ENOTSUP);
    assert_int_equal(fer_server_set_limits(server, 0, 5), FER_OK);
    assert_int_equal(fer_server_count(server), 0);
    assert_int_equal(fer_server_count(NULL), 0);
    fer_server_unref(server);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_full_server_takes_others_when_one_leaves),
        HARNESS_TEST(many_at_once_are_not_more_than_allowed),
        HARNESS_TEST(silent_clients_do_not_fill_a_server),
        HARNESS_TEST(the_oldest_silent_client_makes_room),
        HARNESS_TEST(a_thousand_silent_clients_hold_nobody_up),
        HARNESS_TEST(who_decides_may_end_the_server),
        HARNESS_TEST(who_decides_may_drop_a_blocking_server),
        HARNESS_TEST(draining_waits_for_all_channels),
        HARNESS_TEST(a_closed_server_can_be_drained),
        HARNESS_TEST(a_server_can_be_drained_inside_of_callbacks),
        HARNESS_TEST(what_a_blocking_server_does_not_have_is_refused),
    };
    return HARNESS_MAIN("server_limits", tests, NULL, argc, argv);
}
