/* The wire vectors against a real server, over a real socket, cut at every position. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "harness.h"
#include "vectors.h"

struct replay {
    const wire_vector *vector;
    vector_events *events;
    fer_loop *loop;
    fer_server *server;
    fer_channel *channel;
    int done;
    int finalized;
};

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct replay *replay = user;
    assert_ptr_equal(channel, replay->channel);
    assert_int_equal(replay->done, 0);
    for (size_t i = 0; i < count; i++)
        vector_saw_message(replay->events, messages[i].data, messages[i].size,
                           messages[i].handle_count);
    if (status != FER_OK) {
        vector_saw_end(replay->events, status);
        replay->done = 1;
    }
}

static void on_finalized(void *user) {
    struct replay *replay = user;
    replay->finalized++;
}

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    struct replay *replay = user;
    assert_ptr_equal(server, replay->server);
    assert_int_equal(replay->done, 0);
    if (status != FER_OK) {
        assert_null(channel);
        vector_saw_end(replay->events, status);
        replay->done = 1;
        return;
    }
    replay->channel = channel;
    if (replay->vector->wire == FER_WIRE_NATIVE) {
        fer_channel_info info = FER_CHANNEL_INFO_INIT;
        assert_int_equal(fer_channel_get_info(channel, &info), FER_OK);
        vector_saw_hello(replay->events, info.version, info.peer_max_message,
                         info.peer_max_handles);
    }
    assert_int_equal(fer_channel_receive(channel, on_messages, replay, on_finalized), FER_OK);
}

/*
 * Send a part of the stream, with what rides on it. Where the receiver is done before the end, it may have
 * closed: the rest is then of no interest.
 */
static void send_part(int fd, const wire_vector *vector, size_t at, size_t to) {
    int fds[VECTOR_RIDERS];
    int rider = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(rider >= 0);
    for (size_t i = 0; i < VECTOR_RIDERS; i++)
        fds[i] = rider;
    while (at < to) {
        size_t riders;
        size_t size = vector_piece(vector, at, to, &riders);
        ssize_t sent;
        if (riders == 0)
            sent = send(fd, vector->bytes + at, size, MSG_NOSIGNAL);
        else
            sent = raw_try_send_handles(fd, vector->bytes + at, size, fds, riders);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    raw_close(rider);
}

/** Send the stream in two pieces, the receiver having seen the first before the second is sent. */
static void replay_cut(const wire_vector *vector, fer_loop *loop, const char *path, size_t cut) {
    struct replay replay = {.vector = vector, .loop = loop, .events = vector_events_new()};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    char address[128];
    snprintf(address, sizeof address, "pipe:%s", path);
    options.wire = (int32_t)vector->wire;
    options.max_message = vector->limits.max_message;
    options.max_handles = vector->limits.max_handles;
    assert_int_equal(
        fer_server_listen(loop, address, &options, on_channel, &replay, NULL, &replay.server),
        FER_OK);
    int fd = raw_connect(path);
    send_part(fd, vector, 0, cut);
    /* Accept, and read what is there. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
    send_part(fd, vector, cut, vector->size);
    /* A peer that closes leaves unread what was sent to it, which is a reset; one that only ends is not. */
    if (cut % 2 == 0)
        (void)shutdown(fd, SHUT_WR);
    else
        raw_close(fd);
    harness_run_until(loop, &replay.done);
    if (cut % 2 == 0)
        raw_close(fd);
    vector_events_compare(replay.events, vector);
    assert_int_equal(fer_loop_close_objects(loop), FER_OK);
    fer_channel_unref(replay.channel);
    fer_server_unref(replay.server);
    assert_int_equal(fer_loop_run(loop), FER_OK);
    assert_int_equal(replay.finalized, replay.channel != NULL);
}

static void servers_see_what_the_vectors_say(void **state) {
    (void)state;
    vector_file *file = vectors_open();
    const char *path = harness_path("s");
    fer_loop *loop;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (size_t i = 0; i < vectors_count(file); i++) {
        wire_vector vector;
        vectors_get(file, i, &vector);
        /* The longest need no cut in each byte of what is ignored. */
        size_t step = vector.size > 1024 ? 61 : 1;
        for (size_t cut = 0; cut <= vector.size; cut += step)
            replay_cut(&vector, loop, path, cut);
        vector_free(&vector);
    }
    vectors_close(file);
    assert_int_equal(fer_loop_close(loop), FER_OK);
    fer_loop_unref(loop);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(servers_see_what_the_vectors_say),
    };
    return HARNESS_MAIN("replay", tests, NULL, argc, argv);
}
