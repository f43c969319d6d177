/* Channels that are sent more than anybody takes: messages, and handles. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

enum { MIB = 1 << 20 };

static const char *place_of(int place) {
    if (place == 1)
        return "fifo:";
    return place == 2 ? "tcp:127.0.0.1:0" : address_of(FIXTURE_SOCKET);
}

/** Counts what comes. */
typedef struct counter {
    size_t messages;
    size_t handles;
    noted end;
} counter;

static void count_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                           size_t count, void *user) {
    counter *to = user;
    assert_non_null(channel);
    if (status != FER_OK)
        note(&to->end, status);
    to->messages += count;
    for (size_t i = 0; i < count; i++)
        to->handles += messages[i].handle_count;
}

/* The reader does not read: the sender is told, first to wait and then no, and memory has its bound. */
static void tiny_messages_and_a_slow_reader(void **state) {
    (void)state;
    enum { HIGH_WATER = 64 * 1024, HARD_CAP = MIB };
    for (int i = 0; i < 6; i++) {
        fer_channel_options options = options_of((fer_wire)(i % 2));
        counter to = {0, 0, {0}};
        noted drained = {0};
        size_t sent = 0;
        size_t told_at = 0;
        fer_status status = FER_OK;
        duo ends;
        options.high_water = HIGH_WATER;
        options.hard_cap = HARD_CAP;
        duo_open_at(&ends, place_of(i / 2), &options, &options);
        assert_int_equal(fer_channel_on_drain(ends.client, note_drain, &drained, NULL), FER_OK);
        const harness_memory before = harness_memory_now();
        while (status == FER_OK) {
            status = send_bytes(ends.client, "x", 1);
            sent += status == FER_OK;
            if (told_at == 0 && !fer_channel_is_writable(ends.client))
                told_at = sent;
            if (sent % 4096 == 0)
                assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
        }
        assert_int_equal(status, FER_EAGAIN);
        assert_in_range(told_at, 1, sent - 1);
        assert_int_equal(drained.calls, 0);
        /* The bytes of both marks, in blocks that are kept for later. */
        assert_true(harness_memory_now().bytes - before.bytes <
                    (size_t)HARD_CAP + (size_t)4 * 65536);
        assert_int_equal(fer_channel_receive(ends.served, count_messages, &to, NULL), FER_OK);
        run_until_count(ends.loop, &to.messages, sent);
        harness_run_until(ends.loop, &drained.calls);
        assert_true(fer_channel_is_writable(ends.client));
        assert_int_equal(send_bytes(ends.client, "x", 1), FER_OK);
        run_until_count(ends.loop, &to.messages, sent + 1);
        duo_close(&ends);
    }
}

/* Messages with handles that wait take no more memory than others. */
static void waiting_handles_are_small(void **state) {
    (void)state;
    enum { MESSAGES = 300 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    static uint8_t large[8 * MIB];
    counter to = {0, 0, {0}};
    const fer_bytes filler = {large, sizeof large};
    noted sent = {0};
    fer_fd fds[2] = {0, 2};
    duo ends;
    options.max_handles = 2;
    duo_open(&ends, &options, &options);
    /* Nobody receives, and this stays where it is. */
    assert_int_equal(fer_channel_send(ends.client, &filler, 1, NULL, 0, note_sent, &sent), FER_OK);
    const harness_memory before = harness_memory_now();
    for (int i = 0; i < MESSAGES; i++) {
        const fer_bytes whole = {"some", (size_t)i % 5};
        assert_int_equal(
            fer_channel_send_fds(ends.client, &whole, 1, fds, 1 + (size_t)i % 2, NULL, NULL),
            FER_OK);
        assert_int_equal(send_text(ends.client, "none"), FER_OK);
    }
    assert_int_equal(sent.calls, 0);
    assert_true(harness_memory_now().bytes - before.bytes < (size_t)MESSAGES * 1024);
    assert_int_equal(fer_channel_receive(ends.served, count_messages, &to, NULL), FER_OK);
    run_until_count(ends.loop, &to.messages, 1 + 2 * MESSAGES);
    assert_int_equal(to.handles, MESSAGES + MESSAGES / 2);
    assert_int_equal(sent.calls, 1);
    duo_close(&ends);
}

/* A message with as many handles as its frames say. Returns its size. */
static size_t frames_of(size_t handles, uint8_t *out) {
    static const uint8_t handle[] = {3, 0, 0, 0, 0, 0, 0, 1, 0};
    static const uint8_t message[] = {2, 0, 0, 0, 0, 0, 0, 1, 'x'};
    size_t size = 0;
    for (size_t i = 0; i < handles; i++, size += sizeof handle)
        memcpy(out + size, handle, sizeof handle);
    memcpy(out + size, message, sizeof message);
    out[size + 1] = (uint8_t)handles;
    return size + sizeof message;
}

/* As much of the flood as the kernel takes. Returns how many messages it was. */
static size_t flood(int fd, const uint8_t *bytes, size_t size, size_t handles) {
    static const int standard[] = {0, 2, 0, 2};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof standard)];
    } control;
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message;
    size_t count = 0;
    ssize_t sent;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * handles);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int) * handles);
    memcpy(CMSG_DATA(&control.header), standard, sizeof(int) * handles);
    while ((sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
        assert_int_equal(sent, size);
        count++;
    }
    /* Who is not privileged may have only so many under way. */
    assert_true(errno == EAGAIN || errno == ETOOMANYREFS);
    return count;
}

/* Handles that nobody asked for, or more than were asked for: whoever sends them is cut off, every time. */
static void handles_never_asked_for(void **state) {
    (void)state;
    enum { LEAST = 100000 };
    for (uint32_t taken = 0; taken < 4; taken += 3) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        uint8_t bytes[64];
        const size_t handles = taken + 1;
        const size_t size = frames_of(handles, bytes);
        const size_t open_before = harness_count_descriptors();
        options.max_handles = taken;
        for (size_t sent = 0; sent < LEAST / 2;) {
            counter to = {0, 0, {0}};
            solo half;
            solo_open(&half, &options);
            sent += flood(half.peer, bytes, size, handles);
            assert_int_equal(fer_channel_receive(half.channel, count_messages, &to, NULL), FER_OK);
            harness_run_until(half.loop, &to.end.calls);
            assert_int_equal(to.end.status, FER_EPROTO);
            assert_int_equal(to.messages, 0);
            solo_close(&half);
            raw_close(half.peer);
        }
        assert_int_equal(harness_count_descriptors(), open_before);
    }
}

/* Those that were asked for, and that nobody takes. */
static void handles_that_nobody_takes(void **state) {
    (void)state;
    enum { MESSAGES = 100000, OPEN = 64 };
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    uint8_t bytes[64];
    counter to = {0, 0, {0}};
    solo half;
    options.max_handles = 2;
    solo_open(&half, &options);
    assert_int_equal(fer_channel_receive(half.channel, count_messages, &to, NULL), FER_OK);
    const size_t size = frames_of(2, bytes);
    for (size_t sent = 0; sent < MESSAGES;) {
        sent += flood(half.peer, bytes, size, 2);
        run_until_count(half.loop, &to.messages, sent);
        assert_true(harness_count_descriptors() < OPEN);
    }
    assert_int_equal(to.handles, 2 * to.messages);
    solo_close(&half);
    raw_close(half.peer);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(tiny_messages_and_a_slow_reader),
        HARNESS_TEST(waiting_handles_are_small),
        HARNESS_TEST(handles_never_asked_for),
        HARNESS_TEST(handles_that_nobody_takes),
    };
    return HARNESS_MAIN("channel_flood", tests, NULL, argc, argv);
}
