/* Channels and servers that are ended inside each of their callbacks, in every way. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { CLOSE, ABORT, DROP, ALL, WAYS };

/** What the callbacks get: an end of a channel, and how to end it. */
typedef struct scene {
    duo ends;
    fer_channel **victim; /* of `ends` */
    int way;
    int calls;
    fer_status status; /* of the callback */
    noted closed;
    noted again;
    noted finalized;
    noted sent;
} scene;

/* More than any kernel takes at once. */
static uint8_t large[16 << 20];

/* Where the server of a scene is. */
static const char *place;

static void end_victim(scene *at) {
    fer_channel *channel = *at->victim;
    switch (at->way) {
    case CLOSE:
        assert_int_equal(fer_channel_close(channel, note_closed, &at->closed), FER_OK);
        break;
    case ABORT:
        assert_int_equal(fer_channel_abort(channel), FER_OK);
        assert_int_equal(fer_channel_close(channel, note_closed, &at->closed), FER_OK);
        break;
    case DROP: *at->victim = NULL; break;
    default:
        assert_int_equal(fer_loop_close_objects(fer_channel_loop(channel)), FER_OK);
        assert_int_equal(fer_channel_close(channel, note_closed, &at->closed), FER_OK);
        break;
    }
    if (at->way != DROP)
        assert_int_equal(send_text(channel, "x"), FER_ECLOSED);
    else
        fer_channel_unref(channel);
    assert_int_equal(at->closed.calls, 0);
}

static void act(scene *at, fer_status status) {
    at->status = status;
    if (at->calls++ == 0)
        end_victim(at);
}

/* Each of the callbacks. */

static void act_connected(fer_channel *channel, fer_status status, void *user) {
    scene *at = user;
    at->ends.client = channel;
    act(at, status);
}

static void act_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                         size_t count, void *user) {
    scene *at = user;
    assert_non_null(channel);
    /* After the end that was made in the first call, one more tells of it. */
    if (at->calls > 0)
        assert_int_equal(status, FER_ECANCELED);
    else
        act(at, status);
    /* What was delivered is there until the call returns. */
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(messages[i].data, "message", 7);
}

static void act_sent(fer_channel *channel, fer_status status, void *user) {
    assert_non_null(channel);
    act(user, status);
}

static void act_drain(fer_channel *channel, void *user) {
    assert_non_null(channel);
    act(user, FER_OK);
}

static void act_posted(fer_loop *loop, fer_status status, void *user) {
    assert_non_null(loop);
    act(user, status);
}

static void act_finalized(void *user) {
    act(user, FER_OK);
}

static void act_closed(fer_channel *channel, fer_status status, void *user) {
    scene *at = user;
    assert_non_null(channel);
    act(at, status);
}

static void scene_finalized(void *user) {
    scene *at = user;
    note(&at->finalized, FER_OK);
}

/* A scene begins with both ends open, and ends with everything closed. */

static void begin(scene *at, int way, int served) {
    memset(at, 0, sizeof *at);
    at->way = way;
    duo_open_at(&at->ends, place != NULL ? place : address_of("s"), NULL, NULL);
    at->victim = served ? &at->ends.served : &at->ends.client;
}

static void finish(scene *at, fer_status status) {
    harness_run_until(at->ends.loop, &at->calls);
    if (at->way == ABORT || at->way == ALL)
        harness_run_until(at->ends.loop, &at->closed.calls);
    duo_close(&at->ends);
    assert_int_equal(at->calls, 1);
    assert_int_equal(at->status, status);
    assert_int_equal(at->closed.calls, at->way != DROP);
}

static void inside_messages(void **state) {
    (void)state;
    scene at;
    for (int way = 0; way < WAYS; way++) {
        begin(&at, way, 1);
        assert_int_equal(fer_channel_receive(at.ends.served, act_messages, &at, scene_finalized),
                         FER_OK);
        for (int i = 0; i < 10; i++)
            assert_int_equal(send_text(at.ends.client, "message"), FER_OK);
        finish(&at, FER_OK);
        assert_int_equal(at.finalized.calls, 1);
    }
}

/* The last message, the goodbye and the end come in one read. */
static void inside_the_end_of_messages(void **state) {
    (void)state;
    static const fer_status expected[2] = {FER_EOF, FER_ECONNRESET};
    scene at;
    for (int way = 0; way < WAYS; way++) {
        for (int dies = 0; dies < 2; dies++) {
            begin(&at, way, 1);
            if (dies)
                assert_int_equal(fer_channel_abort(at.ends.client), FER_OK);
            else
                assert_int_equal(fer_channel_close(at.ends.client, NULL, NULL), FER_OK);
            assert_int_equal(
                fer_channel_receive(at.ends.served, act_messages, &at, scene_finalized), FER_OK);
            finish(&at, expected[dies]);
            assert_int_equal(at.finalized.calls, 1);

            begin(&at, way, 1);
            assert_int_equal(send_text(at.ends.client, "message"), FER_OK);
            if (dies)
                assert_int_equal(fer_channel_abort(at.ends.client), FER_OK);
            else
                assert_int_equal(fer_channel_close(at.ends.client, NULL, NULL), FER_OK);
            assert_int_equal(
                fer_channel_receive(at.ends.served, act_messages, &at, scene_finalized), FER_OK);
            finish(&at, FER_OK);
            assert_int_equal(at.finalized.calls, 1);
        }
    }
}

static void inside_sent(void **state) {
    (void)state;
    scene at;
    for (int way = 0; way < WAYS; way++) {
        const fer_bytes bytes = {"message", 7};
        const fer_bytes more = {large, sizeof large};
        begin(&at, way, 0);
        assert_int_equal(fer_channel_send(at.ends.client, &bytes, 1, NULL, 0, act_sent, &at),
                         FER_OK);
        assert_int_equal(fer_channel_send(at.ends.client, &bytes, 1, NULL, 0, note_sent, &at.sent),
                         FER_OK);
        assert_int_equal(fer_channel_send(at.ends.client, &more, 1, NULL, 0, note_sent, &at.sent),
                         FER_OK);
        assert_int_equal(at.calls, 0);
        finish(&at, FER_OK);
        assert_int_equal(at.sent.calls, 2);
    }
}

static void inside_drain(void **state) {
    (void)state;
    scene at;
    inbox box = {0};
    for (int way = 0; way < WAYS; way++) {
        memset(&box, 0, sizeof box);
        begin(&at, way, 0);
        assert_int_equal(fer_channel_on_drain(at.ends.client, act_drain, &at, scene_finalized),
                         FER_OK);
        assert_int_equal(send_bytes(at.ends.client, large, sizeof large), FER_OK);
        assert_int_equal(fer_channel_receive(at.ends.served, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        finish(&at, FER_OK);
        assert_int_equal(at.finalized.calls, 1);
        inbox_free(&box);
    }
}

static void inside_a_post(void **state) {
    (void)state;
    scene at;
    for (int way = 0; way < WAYS; way++) {
        begin(&at, way, 0);
        assert_int_equal(fer_channel_receive(at.ends.client, act_messages, &at, scene_finalized),
                         FER_OK);
        assert_int_equal(fer_loop_post(at.ends.loop, act_posted, &at), FER_OK);
        finish(&at, FER_OK);
        assert_int_equal(at.finalized.calls, 1);
    }
}

/* A finalizer runs when its callback is replaced, or at the end. */
static void inside_a_finalizer(void **state) {
    (void)state;
    scene at;
    noted end = {0};
    for (int way = 0; way < WAYS; way++) {
        begin(&at, way, 0);
        assert_int_equal(fer_channel_on_drain(at.ends.client, note_drain, &at, act_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_on_drain(at.ends.client, note_drain, &at, NULL), FER_OK);
        assert_int_equal(at.calls, 1);
        finish(&at, FER_OK);

        /* Of the receiver, when the peer is gone: its last call came before. */
        begin(&at, way, 0);
        inbox box = {0};
        assert_int_equal(fer_channel_receive(at.ends.client, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_set_data(at.ends.client, &end, NULL), FER_OK);
        assert_int_equal(fer_channel_on_drain(at.ends.client, note_drain, &at, act_finalized),
                         FER_OK);
        assert_int_equal(fer_channel_abort(at.ends.client), FER_OK);
        at.way = way == DROP ? ABORT : way;
        finish(&at, FER_OK);
        assert_int_equal(box.end.status, FER_ECANCELED);
    }
}

static void inside_the_close(void **state) {
    (void)state;
    scene at;
    for (int way = 0; way < WAYS; way++) {
        begin(&at, way, 0);
        assert_int_equal(fer_channel_abort(at.ends.client), FER_OK);
        assert_int_equal(fer_channel_close(at.ends.client, act_closed, &at), FER_OK);
        assert_int_equal(fer_channel_close(at.ends.client, note_closed, &at.again), FER_OK);
        finish(&at, FER_ECANCELED);
        assert_int_equal(at.again.calls, 1);
    }
}

/* Opening. */

static void accept_only(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    scene *at = user;
    assert_ptr_equal(server, at->ends.server);
    assert_true(status == FER_OK || status == FER_ECONNRESET);
    at->ends.served = channel;
}

static void inside_connected(void **state) {
    (void)state;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.connect_timeout_ms = 1;
    for (int way = 0; way < WAYS; way++) {
        for (int listens = 0; listens < 2; listens++) {
            scene at;
            fer_channel *made = NULL;
            const char *where = place != NULL ? place : address_of("s");
            char address[512] = "pipe:/nowhere";
            size_t size = sizeof address;
            memset(&at, 0, sizeof at);
            at.way = way;
            at.victim = &at.ends.client;
            assert_int_equal(fer_loop_new(&at.ends.loop), FER_OK);
            if (listens)
                assert_int_equal(fer_server_listen(at.ends.loop, where, NULL, accept_only, &at,
                                                   NULL, &at.ends.server),
                                 FER_OK);
            if (listens)
                assert_int_equal(fer_server_address(at.ends.server, address, &size), FER_OK);
            assert_int_equal(
                fer_channel_connect(at.ends.loop, address, &options, act_connected, &at, &made),
                FER_OK);
            finish(&at, listens ? FER_OK : FER_ENOENT);
        }
    }
}

typedef struct host {
    int way; /* what the callback ends: the channel, the server, both, or nothing is held any more */
    int calls;
    fer_server *server;
    noted closed;
    noted server_closed;
    noted finalized;
} host;

static void host_finalized(void *user) {
    host *at = user;
    note(&at->finalized, FER_OK);
}

static void act_on_channel(fer_server *server, fer_status status, fer_channel *channel,
                           void *user) {
    host *at = user;
    assert_ptr_equal(server, at->server);
    assert_int_equal(status, FER_OK);
    assert_int_equal(at->finalized.calls, 0);
    at->calls++;
    if (at->way == 0 || at->way == 2)
        assert_int_equal(fer_channel_close(channel, note_closed, &at->closed), FER_OK);
    fer_channel_unref(channel);
    if (at->way == 1 || at->way == 2)
        assert_int_equal(fer_server_close(server, note_server_closed, &at->server_closed), FER_OK);
    if (at->way == 3)
        fer_server_unref(server);
    assert_int_equal(at->finalized.calls, 0);
}

static void inside_the_callback_of_a_server(void **state) {
    (void)state;
    enum { CLIENTS = 5 };
    for (int way = 0; way < 4; way++) {
        fer_loop *loop = NULL;
        fer_channel *clients[CLIENTS];
        noted connected[CLIENTS];
        host at;
        memset(&at, 0, sizeof at);
        memset(connected, 0, sizeof connected);
        at.way = way;
        assert_int_equal(fer_loop_new(&loop), FER_OK);
        assert_int_equal(fer_server_listen(loop, address_of("s"), NULL, act_on_channel, &at,
                                           host_finalized, &at.server),
                         FER_OK);
        for (int i = 0; i < CLIENTS; i++)
            assert_int_equal(fer_channel_connect(loop, address_of("s"), NULL, note_connected,
                                                 &connected[i], &clients[i]),
                             FER_OK);
        for (int i = 0; i < CLIENTS; i++) {
            harness_run_until(loop, &connected[i].calls);
            /* Those that a server left behind were reset. */
            assert_true(connected[i].status == FER_OK || connected[i].status == FER_ECONNRESET);
        }
        harness_run_until(loop, way == 0 ? &at.calls : &at.finalized.calls);
        for (int i = 0; i < CLIENTS; i++)
            fer_channel_unref(clients[i]);
        if (way != 3)
            fer_server_unref(at.server);
        end_loop(loop);
        assert_int_equal(at.finalized.calls, 1);
        assert_int_equal(at.server_closed.calls, way == 1 || way == 2);
        assert_true(way == 0 || at.calls == 1);
        assert_int_equal(at.closed.calls, way == 0 || way == 2 ? at.calls : 0);
    }
}

/* The same over what is not a pipe. */

#define ELSEWHERE(test)                         \
    static void test##_on_fifos(void **state) { \
        place = "fifo:";                        \
        test(state);                            \
        place = NULL;                           \
    }                                           \
    static void test##_on_tcp(void **state) {   \
        place = "tcp:127.0.0.1:0";              \
        test(state);                            \
        place = NULL;                           \
    }

ELSEWHERE(inside_messages)
ELSEWHERE(inside_the_end_of_messages)
ELSEWHERE(inside_sent)
ELSEWHERE(inside_drain)
ELSEWHERE(inside_a_post)
ELSEWHERE(inside_a_finalizer)
ELSEWHERE(inside_the_close)
ELSEWHERE(inside_connected)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(inside_messages),
        HARNESS_TEST(inside_messages_on_fifos),
        HARNESS_TEST(inside_messages_on_tcp),
        HARNESS_TEST(inside_the_end_of_messages),
        HARNESS_TEST(inside_the_end_of_messages_on_fifos),
        HARNESS_TEST(inside_the_end_of_messages_on_tcp),
        HARNESS_TEST(inside_sent),
        HARNESS_TEST(inside_sent_on_fifos),
        HARNESS_TEST(inside_sent_on_tcp),
        HARNESS_TEST(inside_drain),
        HARNESS_TEST(inside_drain_on_fifos),
        HARNESS_TEST(inside_drain_on_tcp),
        HARNESS_TEST(inside_a_post),
        HARNESS_TEST(inside_a_post_on_fifos),
        HARNESS_TEST(inside_a_post_on_tcp),
        HARNESS_TEST(inside_a_finalizer),
        HARNESS_TEST(inside_a_finalizer_on_fifos),
        HARNESS_TEST(inside_a_finalizer_on_tcp),
        HARNESS_TEST(inside_the_close),
        HARNESS_TEST(inside_the_close_on_fifos),
        HARNESS_TEST(inside_the_close_on_tcp),
        HARNESS_TEST(inside_connected),
        HARNESS_TEST(inside_connected_on_fifos),
        HARNESS_TEST(inside_connected_on_tcp),
        HARNESS_TEST(inside_the_callback_of_a_server),
    };
    return HARNESS_MAIN("channel_inside", tests, NULL, argc, argv);
}
