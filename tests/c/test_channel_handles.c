/* Handles with messages: together or not at all, in order, counted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "impl/channel.h"

enum { MIB = 1 << 20, CAP = FER_MESSAGE_HANDLES_MAX };

/* Every descriptor that is passed here is the read end of a pipe in which its number waits. */

static int numbered(int number) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], &number, sizeof number), sizeof number);
    assert_int_equal(close(fds[1]), 0);
    return fds[0];
}

static int number_of(int fd) {
    int number = -1;
    assert_int_equal(read(fd, &number, sizeof number), sizeof number);
    return number;
}

/** What a receiver has seen. */
typedef struct seen {
    size_t count;       /**< messages */
    size_t sizes[64];   /**< of each */
    size_t handles[64]; /**< of each */
    int next;           /**< the number of the next handle */
    int take;           /**< whether to take them */
    noted end;
} seen;

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    seen *all = user;
    if (status != FER_OK) {
        note(&all->end, status);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (all->count < 64) {
            all->sizes[all->count] = messages[i].size;
            all->handles[all->count] = messages[i].handle_count;
        }
        all->count++;
        assert_true(messages[i].handle_count > 0 || messages[i].handles == NULL);
        for (size_t n = 0; n < messages[i].handle_count && all->take; n++) {
            fer_fd fd = -1;
            assert_int_equal(messages[i].handles[n].kind, FER_KIND_OTHER);
            assert_int_equal(fcntl((int)messages[i].handles[n].fd, F_GETFD) & FD_CLOEXEC,
                             FD_CLOEXEC);
            assert_int_equal(fer_message_take_fd(channel, &messages[i], n, &fd), FER_OK);
            assert_int_equal(messages[i].handles[n].fd, -1);
            assert_int_equal(fer_message_take_fd(channel, &messages[i], n, &fd), FER_EALREADY);
            assert_int_equal(number_of((int)fd), all->next++);
            assert_int_equal(close((int)fd), 0);
        }
    }
}

static fer_channel_options taking(uint32_t handles) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.max_handles = handles;
    return options;
}

static void open_and_receive(duo *ends, seen *all, uint32_t cap) {
    const fer_channel_options options = taking(cap);
    memset(all, 0, sizeof *all);
    all->take = 1;
    duo_open(ends, NULL, &options);
    assert_int_equal(fer_channel_receive(ends->served, on_messages, all, NULL), FER_OK);
}

/* Pass `count` numbered descriptors, which this side closes at once. */
static fer_status pass(fer_channel *channel, const void *data, size_t size, int *number,
                       size_t count, noted *sent) {
    const fer_bytes whole = {data, size};
    fer_fd fds[CAP + 1] = {0};
    fer_status status;
    for (size_t i = 0; i < count; i++)
        fds[i] = numbered((*number)++);
    status =
        fer_channel_send_fds(channel, &whole, 1, fds, count, sent == NULL ? NULL : note_sent, sent);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(close((int)fds[i]), 0);
    return status;
}

static void handles_come_with_their_message(void **state) {
    (void)state;
    static const struct {
        size_t size;
        size_t handles;
    } script[] = {{5, 0}, {3, 1}, {5, 0}, {0, 2}, {0, 0}, {MIB, 1}, {1, CAP}, {2, CAP}, {9, 0}};
    enum { STEPS = sizeof script / sizeof script[0], ROUNDS = 3 };
    uint8_t *data = filled(MIB, 1);
    duo ends;
    seen all;
    int number = 0;
    open_and_receive(&ends, &all, CAP);
    /* In one turn, so that most of them wait in the queue. */
    for (int i = 0; i < STEPS * ROUNDS; i++)
        assert_int_equal(pass(ends.client, data, script[i % STEPS].size, &number,
                              script[i % STEPS].handles, NULL),
                         FER_OK);
    run_until_count(ends.loop, &all.count, (size_t)STEPS * ROUNDS);
    for (int i = 0; i < STEPS * ROUNDS; i++) {
        assert_int_equal(all.sizes[i], script[i % STEPS].size);
        assert_int_equal(all.handles[i], script[i % STEPS].handles);
    }
    assert_int_equal(all.next, number);
    duo_close(&ends);
    free(data);
}

static void a_completion_keeps_bytes_and_handles(void **state) {
    (void)state;
    uint8_t *data = filled((size_t)4 * MIB, 1);
    duo ends;
    seen all;
    int number = 0;
    noted sent[3] = {{0}, {0}, {0}};
    open_and_receive(&ends, &all, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pass(ends.client, data, (size_t)4 * MIB, &number, 2, &sent[i]), FER_OK);
    run_until_count(ends.loop, &all.count, 3);
    for (int i = 0; i < 3; i++) {
        harness_run_until(ends.loop, &sent[i].calls);
        assert_int_equal(sent[i].status, FER_OK);
    }
    assert_int_equal(all.next, 6);
    duo_close(&ends);
    free(data);
}

static void handles_become_handles(void **state) {
    (void)state;
    duo ends;
    seen all;
    fer_handle *pipes[2];
    open_and_receive(&ends, &all, 1);
    all.take = 0;
    pipe_pair(ends.loop, pipes);
    const fer_bytes whole = {"x", 1};
    assert_int_equal(fer_channel_send(ends.client, &whole, 1, &pipes[0], 1, NULL, NULL), FER_OK);
    /* The sender's stays usable. */
    assert_int_equal(fer_handle_is_closing(pipes[0]), 0);
    run_until_count(ends.loop, &all.count, 1);
    assert_int_equal(all.handles[0], 1);
    fer_handle_unref(pipes[0]);
    fer_handle_unref(pipes[1]);
    duo_close(&ends);
}

/** Takes a handle as an object of the loop. */
typedef struct taker {
    fer_handle *handle;
    int calls;
} taker;

static void on_taken(fer_channel *channel, fer_status status, const fer_message *messages,
                     size_t count, void *user) {
    taker *to = user;
    fer_handle *none = NULL;
    fer_fd fd = -1;
    if (status != FER_OK)
        return;
    assert_int_equal(count, 1);
    assert_int_equal(messages[0].handle_count, 2);
    assert_int_equal(messages[0].handles[0].kind, FER_KIND_PIPE);
    assert_int_equal(fer_message_take(channel, messages, 0, &to->handle), FER_OK);
    assert_int_equal(fer_handle_kind(to->handle), FER_KIND_PIPE);
    assert_int_equal(fer_message_take(channel, messages, 0, &none), FER_EALREADY);
    assert_int_equal(fer_message_take(channel, messages, 1, &none), FER_EKIND);
    assert_int_equal(fer_message_take(channel, messages, 2, &none), FER_EINVAL);
    const fer_passed strange_handle = {0, FER_KIND_PIPE};
    const fer_message strange = {"x", 1, &strange_handle, 1};
    assert_int_equal(fer_message_take(channel, &strange, 0, &none), FER_EINVAL);
    assert_int_equal(fer_message_take_fd(channel, messages, 2, &fd), FER_EINVAL);
    assert_int_equal(fer_message_take_fd(channel, NULL, 0, &fd), FER_EINVAL);
    assert_int_equal(fer_message_take_fd(channel, messages, 1, NULL), FER_EINVAL);
    assert_null(none);
    to->calls++;
}

static void a_handle_goes_on_working(void **state) {
    (void)state;
    const fer_channel_options options = taking(2);
    duo ends;
    taker to = {NULL, 0};
    fer_handle *pipes[2];
    fer_fd fds[2];
    inbox box = {0};
    duo_open(&ends, NULL, &options);
    assert_int_equal(fer_channel_receive(ends.served, on_taken, &to, NULL), FER_OK);
    pipe_pair(ends.loop, pipes);
    assert_int_equal(fer_handle_fileno(pipes[0], &fds[0]), FER_OK);
    fds[1] = numbered(0);
    assert_int_equal(fer_channel_send_fds(ends.client, NULL, 0, fds, 2, NULL, NULL), FER_OK);
    assert_int_equal(close((int)fds[1]), 0);
    fer_handle_unref(pipes[0]);
    harness_run_until(ends.loop, &to.calls);
    assert_int_equal(fer_stream_read_start(pipes[1], inbox_read, &box, inbox_finalized), FER_OK);
    const fer_bytes text = {"through", 7};
    assert_int_equal(fer_stream_write(to.handle, &text, 1, NULL, NULL), FER_OK);
    run_until_count(ends.loop, &box.size, 7);
    assert_memory_equal(box.bytes, "through", 7);
    fer_handle_unref(to.handle);
    fer_handle_unref(pipes[1]);
    duo_close(&ends);
    inbox_free(&box);
}

static void what_cannot_be_passed_is_refused(void **state) {
    (void)state;
    duo ends;
    seen all;
    int number = 0;
    fer_handle *handle = NULL;
    fer_handle *foreign = NULL;
    fer_handle *pair[2];
    fer_loop *other = NULL;
    fer_fd bad = 10000;
    const fer_bytes whole = {"x", 1};
    open_and_receive(&ends, &all, 2);
    /* The peer asked for two; the client for none. */
    assert_int_equal(pass(ends.client, "x", 1, &number, 3, NULL), FER_ENOTSUP);
    assert_int_equal(pass(ends.client, "x", 1, &number, CAP + 1, NULL), FER_EINVAL);
    assert_int_equal(pass(ends.served, "x", 1, &number, 1, NULL), FER_ENOTSUP);
    assert_int_equal(fer_channel_send_fds(ends.client, &whole, 1, &bad, 1, NULL, NULL), FER_EBADF);
    bad = -1;
    assert_int_equal(fer_channel_send_fds(ends.client, &whole, 1, &bad, 1, NULL, NULL), FER_EBADF);
    assert_int_equal(fer_channel_send_fds(ends.client, &whole, 1, NULL, 1, NULL, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_new(ends.loop, 0, &handle), FER_OK);
    assert_int_equal(fer_channel_send(ends.client, &whole, 1, &handle, 1, NULL, NULL), FER_EBADF);
    assert_int_equal(fer_handle_close(handle, NULL, NULL), FER_OK);
    assert_int_equal(fer_channel_send(ends.client, &whole, 1, &handle, 1, NULL, NULL), FER_ECLOSED);
    fer_handle_unref(handle);
    assert_int_equal(fer_loop_new(&other), FER_OK);
    pipe_pair(other, pair);
    foreign = pair[0];
    assert_int_equal(fer_channel_send(ends.client, &whole, 1, &foreign, 1, NULL, NULL), FER_EINVAL);
    fer_handle_unref(pair[0]);
    fer_handle_unref(pair[1]);
    end_loop(other);
    /* None of it was sent. */
    number = 0;
    assert_int_equal(pass(ends.client, "x", 1, &number, 2, NULL), FER_OK);
    run_until_count(ends.loop, &all.count, 1);
    assert_int_equal(all.next, 2);
    duo_close(&ends);
}

static void only_a_pipe_with_the_native_wire_carries_them(void **state) {
    (void)state;
    static const char *const addresses[] = {"fifo:", "tcp:127.0.0.1:0"};
    fer_channel_options options = taking(1);
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    noted unexpected = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fer_server_listen(loop, addresses[i], &options, NULL, NULL, NULL, &server),
                         FER_EINVAL);
    assert_int_equal(fer_channel_connect(loop, "tcp:127.0.0.1:1", &options, note_connected,
                                         &unexpected, &channel),
                     FER_ENOTSUP);
    assert_int_equal(
        fer_channel_connect(loop, "fifo:/a,/b", &options, note_connected, &unexpected, &channel),
        FER_ENOTSUP);
    options.wire = FER_WIRE_PLAIN;
    assert_int_equal(
        fer_channel_connect(loop, address_of("s"), &options, note_connected, &unexpected, &channel),
        FER_ENOTSUP);
    end_loop(loop);
    /* Nor does a channel there send them. */
    duo ends;
    int number = 0;
    options = options_of(FER_WIRE_PLAIN);
    duo_open(&ends, &options, &options);
    assert_int_equal(pass(ends.client, "x", 1, &number, 1, NULL), FER_ENOTSUP);
    duo_close(&ends);
    assert_int_equal(unexpected.calls, 0);
}

/* A peer that does not keep to the rules. */

static const uint8_t frame_handle[] = {3, 0, 0, 0, 0, 0, 0, 1, 1};

typedef struct offence {
    const char *what;
    const uint8_t *bytes;
    size_t size;
    size_t handles; /**< that ride on the first byte */
    fer_status status;
} offence;

static void rules_are_kept(void **state) {
    (void)state;
    static const uint8_t message0[] = {2, 0, 0, 0, 0, 0, 0, 1, 'a'};
    static const uint8_t message1[] = {2, 1, 0, 0, 0, 0, 0, 1, 'a'};
    static const uint8_t handle_message0[] = {3, 0, 0, 0, 0, 0, 0, 1, 1,
                                              2, 0, 0, 0, 0, 0, 0, 1, 'a'};
    static const uint8_t handle_message2[] = {3, 0, 0, 0, 0, 0, 0, 1, 1,
                                              2, 2, 0, 0, 0, 0, 0, 1, 'a'};
    static const uint8_t handle_goodbye[] = {3, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t long_handle[] = {3, 0, 0, 0, 0, 0, 0, 65};
    static const uint8_t empty_handle[] = {3, 0, 0, 0, 0, 0, 0, 0};
    static const offence offences[] = {
        {"a descriptor on a message without a count", message0, sizeof message0, 1, FER_EPROTO},
        {"a count and nothing before it", message1, sizeof message1, 0, FER_EPROTO},
        {"a count, its descriptor, and no frame", message1, sizeof message1, 1, FER_EPROTO},
        {"a frame without a descriptor", frame_handle, sizeof frame_handle, 0, FER_EPROTO},
        {"a count that is too small", handle_message0, sizeof handle_message0, 1, FER_EPROTO},
        {"a count that is too large", handle_message2, sizeof handle_message2, 1, FER_EPROTO},
        {"more descriptors than asked for", frame_handle, sizeof frame_handle, 3, FER_EPROTO},
        {"a goodbye in place of the message", handle_goodbye, sizeof handle_goodbye, 1, FER_EPROTO},
        {"a frame that is too long", long_handle, sizeof long_handle, 1, FER_EPROTO},
        {"a frame without a payload", empty_handle, sizeof empty_handle, 1, FER_EPROTO},
    };
    for (size_t i = 0; i < sizeof offences / sizeof offences[0]; i++) {
        const fer_channel_options options = taking(2);
        solo ends;
        seen all;
        int fds[3];
        memset(&all, 0, sizeof all);
        solo_open(&ends, &options);
        assert_int_equal(fer_channel_receive(ends.channel, on_messages, &all, NULL), FER_OK);
        for (int n = 0; n < 3; n++)
            fds[n] = numbered(n);
        if (offences[i].handles > 0)
            raw_send_handles(ends.peer, offences[i].bytes, offences[i].size, fds,
                             offences[i].handles);
        else
            raw_send(ends.peer, offences[i].bytes, offences[i].size);
        harness_run_until(ends.loop, &all.end.calls);
        if (all.end.status != offences[i].status)
            fail_msg("%s: %s", offences[i].what, fer_status_name(all.end.status));
        assert_string_not_equal(all.end.detail, "");
        /* A message that says that it has no handles is whole without them. */
        assert_int_equal(all.count, offences[i].bytes == message0);
        for (int n = 0; n < 3; n++)
            assert_int_equal(close(fds[n]), 0);
        raw_close(ends.peer);
        solo_close(&ends);
    }
}

/* The same conversation, cut into two writes at every position. */
static void every_cut_is_whole_again(void **state) {
    (void)state;
    /* plain, 1 handle, plain, 2 handles, empty, 1 handle */
    static const uint8_t script[] = {2, 0, 0, 0, 0, 0, 0, 1, 'a',           /* 0 */
                                     3, 0, 0, 0, 0, 0, 0, 1, 4,             /* 9: a handle */
                                     2, 1, 0, 0, 0, 0, 0, 2, 'b', 'b',      /* 18 */
                                     2, 0, 0, 0, 0, 0, 0, 1, 'c',           /* 28 */
                                     3, 0, 0, 0, 0, 0, 0, 2, 4,   0,        /* 37: a handle */
                                     3, 0, 0, 0, 0, 0, 0, 1, 4,             /* 47: a handle */
                                     2, 2, 0, 0, 0, 0, 0, 1, 'd',           /* 56 */
                                     2, 0, 0, 0, 0, 0, 0, 0,                /* 65 */
                                     3, 0, 0, 0, 0, 0, 0, 1, 4,             /* 73: a handle */
                                     2, 1, 0, 0, 0, 0, 0, 3, 'e', 'e', 'e', /* 82 */
                                     4, 0, 0, 0, 0, 0, 0, 0};               /* 93 */
    static const size_t rides[] = {9, 37, 47, 73};
    static const size_t wanted_sizes[] = {1, 2, 1, 1, 0, 3};
    static const size_t wanted_handles[] = {0, 1, 0, 2, 0, 1};
    for (size_t cut = 0; cut <= sizeof script; cut++) {
        const fer_channel_options options = taking(2);
        solo ends;
        seen all;
        size_t at = 0;
        size_t ride = 0;
        memset(&all, 0, sizeof all);
        all.take = 1;
        solo_open(&ends, &options);
        assert_int_equal(fer_channel_receive(ends.channel, on_messages, &all, NULL), FER_OK);
        while (at < sizeof script) {
            size_t to = sizeof script;
            int with = ride < 4 && at == rides[ride];
            size_t next = ride + (with ? 1u : 0u);
            if (next < 4)
                to = rides[next];
            if (at < cut && cut < to)
                to = cut;
            if (with) {
                int fd = numbered((int)ride);
                raw_send_handles(ends.peer, script + at, to - at, &fd, 1);
                assert_int_equal(close(fd), 0);
                ride++;
            } else {
                raw_send(ends.peer, script + at, to - at);
            }
            at = to;
            if (at == cut) {
                for (int i = 0; i < 3; i++)
                    assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
            }
        }
        harness_run_until(ends.loop, &all.end.calls);
        assert_int_equal(all.end.status, FER_EOF);
        assert_int_equal(all.count, 6);
        for (int i = 0; i < 6; i++) {
            assert_int_equal(all.sizes[i], wanted_sizes[i]);
            assert_int_equal(all.handles[i], wanted_handles[i]);
        }
        assert_int_equal(all.next, 4);
        raw_close(ends.peer);
        solo_close(&ends);
    }
}

static void nothing_is_left_of_what_nobody_takes(void **state) {
    (void)state;
    enum { MESSAGES = 2000, EACH = 8 };
    duo ends;
    seen all;
    int number = 0;
    open_and_receive(&ends, &all, EACH);
    all.take = 0;
    for (int i = 0; i < MESSAGES; i++) {
        noted sent = {0};
        assert_int_equal(pass(ends.client, "x", 1, &number, EACH, &sent), FER_OK);
        harness_run_until(ends.loop, &sent.calls);
        assert_int_equal(sent.status, FER_OK);
    }
    run_until_count(ends.loop, &all.count, MESSAGES);
    duo_close(&ends);
}

static void handles_that_wait_tell_the_sender(void **state) {
    (void)state;
    duo ends;
    int number = 0;
    int sent = 0;
    const fer_channel_options options = taking(1);
    duo_open(&ends, NULL, &options);
    /* Nobody receives: once the kernel takes no more, few of them are enough. */
    while (fer_channel_is_writable(ends.client)) {
        assert_int_equal(pass(ends.client, "x", 1, &number, 1, NULL), FER_OK);
        sent += ends.client->out.rides > 0;
    }
    assert_in_range(sent, 100, 200);
    assert_int_equal(fer_channel_abort(ends.client), FER_OK);
    duo_close(&ends);
}

static void waiting_handles_are_closed_with_the_channel(void **state) {
    (void)state;
    uint8_t *data = filled((size_t)8 * MIB, 1);
    duo ends;
    int number = 0;
    noted sent = {0};
    const fer_channel_options options = taking(4);
    duo_open(&ends, NULL, &options);
    /* Nobody receives: the second waits. */
    assert_int_equal(pass(ends.client, data, (size_t)8 * MIB, &number, 4, NULL), FER_OK);
    assert_int_equal(pass(ends.client, "x", 1, &number, 4, &sent), FER_OK);
    assert_int_equal(fer_channel_abort(ends.client), FER_OK);
    harness_run_until(ends.loop, &sent.calls);
    assert_int_equal(sent.status, FER_ECANCELED);
    duo_close(&ends);
    free(data);
}

static void no_descriptor_left_ends_the_channel(void **state) {
    (void)state;
    duo ends;
    seen all;
    int number = 0;
    open_and_receive(&ends, &all, 4);
    assert_int_equal(pass(ends.client, "x", 1, &number, 4, NULL), FER_OK);
    take_descriptors_away();
    while (all.end.calls == 0 && fer_loop_step(ends.loop, 1000) == FER_OK)
        continue;
    give_descriptors_back();
    assert_int_equal(all.end.status, FER_EMFILE);
    assert_int_equal(all.count, 0);
    duo_close(&ends);
}

static void blocking_channels_carry_them(void **state) {
    (void)state;
    const fer_channel_options options = taking(CAP);
    fer_channel *channels[2];
    fer_message message;
    fer_fd fds[CAP];
    fer_fd fd = -1;
    const fer_bytes whole = {"x", 1};
    sync_pair(channels, &options);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CAP; i++)
            fds[i] = numbered(i);
        assert_int_equal(fer_sync_send_fds(channels[0], &whole, 1, fds, CAP, -1), FER_OK);
        assert_int_equal(fer_sync_send_fds(channels[0], NULL, 0, fds, 1, -1), FER_OK);
        for (int i = 0; i < CAP; i++)
            assert_int_equal(close((int)fds[i]), 0);
        assert_int_equal(fer_sync_receive(channels[1], -1, &message), FER_OK);
        assert_int_equal(message.handle_count, CAP);
        /* The others are closed by the next receive. */
        for (size_t i = 0; i < CAP; i += 7) {
            assert_int_equal(fer_message_take_fd(channels[1], &message, i, &fd), FER_OK);
            assert_int_equal(number_of((int)fd), (int)i);
            assert_int_equal(close((int)fd), 0);
        }
        fer_handle *handle = NULL;
        assert_int_equal(fer_message_take(channels[1], &message, 1, &handle), FER_ENOTSUP);
        assert_int_equal(fer_sync_receive(channels[1], -1, &message), FER_OK);
        assert_int_equal(message.handle_count, 1);
        assert_int_equal(message.size, 0);
    }
    assert_int_equal(fer_sync_send_fds(channels[0], NULL, 0, NULL, 1, -1), FER_EINVAL);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(handles_come_with_their_message),
        HARNESS_TEST(a_completion_keeps_bytes_and_handles),
        HARNESS_TEST(handles_become_handles),
        HARNESS_TEST(a_handle_goes_on_working),
        HARNESS_TEST(what_cannot_be_passed_is_refused),
        HARNESS_TEST(only_a_pipe_with_the_native_wire_carries_them),
        HARNESS_TEST(rules_are_kept),
        HARNESS_TEST(every_cut_is_whole_again),
        HARNESS_TEST(nothing_is_left_of_what_nobody_takes),
        HARNESS_TEST(handles_that_wait_tell_the_sender),
        HARNESS_TEST(waiting_handles_are_closed_with_the_channel),
        HARNESS_TEST(no_descriptor_left_ends_the_channel),
        HARNESS_TEST(blocking_channels_carry_them),
    };
    return HARNESS_MAIN("channel_handles", tests, NULL, argc, argv);
}
