/* Lanes with a raw socket at the other end, that does wrong, or goes away. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "impl/channel.h"

enum { KIB = 1024, MIB = 1 << 20, LARGE = 256 * 1024, CONTROL = FER__LANE_CONTROL };

/** A channel whose other end is a raw socket that says that it takes lanes. */
static void open_with_lanes(solo *half, const fer_channel_options *options) {
    uint8_t hello[HELLO_SIZE];
    uint8_t answer[HELLO_SIZE];
    memcpy(answer, hello_bytes, sizeof answer);
    answer[HELLO_SIZE - 13] = 1;
    solo_meet(half, options, hello, answer);
    assert_int_equal(hello[HELLO_SIZE - 13] & 1, 1);
}

enum { RING = 1 * MIB };

/* Memory as a lane is made of, or not quite. */
static int region(size_t size, int seals, uint8_t **memory) {
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    *memory = mmap(NULL, CONTROL + RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*memory, MAP_FAILED);
    return fd;
}

typedef enum misdeed {
    NOTHING,
    NO_DESCRIPTOR,
    NO_MEMORY_AT_ALL,
    NOT_SEALED,
    WRONG_SIZE,
    TOO_SMALL,
    TOO_LARGE,
    TWICE,
    NO_LANE,
    BEHIND_THE_END,
    ACROSS_THE_END,
    A_ROUND_AHEAD,
    BACKWARDS,
    NO_BYTES,
    TOO_MANY_BYTES,
    HALF_A_FRAME,
    BYTES_IN_A_LANE,
    TOO_LONG_A_MESSAGE,
    MISDEEDS
} misdeed;

static void tell_lane(const solo *half, misdeed deed, int fd) {
    uint8_t frame[FER__NOTE_MAX];
    uint64_t ring = RING;
    size_t size;
    if (deed == WRONG_SIZE)
        ring = RING / 2;
    if (deed == TOO_SMALL)
        ring = CONTROL;
    if (deed == TOO_LARGE)
        ring = (uint64_t)1 << 40;
    size = fer__lane_encode(ring, frame);
    if (deed == NO_DESCRIPTOR)
        raw_send(half->peer, frame, size);
    else
        raw_send_handles(half->peer, frame, size, &fd, 1);
}

static void tell_bytes(const solo *half, misdeed deed) {
    uint8_t frame[FER__NOTE_MAX];
    uint64_t position = 0;
    uint32_t count = 11;
    if (deed == BEHIND_THE_END)
        position = (uint64_t)5 * RING;
    if (deed == ACROSS_THE_END)
        position = RING - 4;
    if (deed == A_ROUND_AHEAD)
        position = RING;
    if (deed == NO_BYTES)
        count = 0;
    if (deed == TOO_MANY_BYTES)
        count = RING + 1;
    if (deed == HALF_A_FRAME)
        count = 10;
    if (deed == BYTES_IN_A_LANE)
        count = FER__NOTE_MAX;
    raw_send(half->peer, frame, fer__bytes_encode(position, count, frame));
    if (deed == BACKWARDS)
        raw_send(half->peer, frame, fer__bytes_encode(position, count, frame));
}

static void do_it(misdeed deed) {
    static const uint8_t message[] = {2, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c'};
    const int seals = deed == NOT_SEALED ? F_SEAL_GROW : F_SEAL_SHRINK | F_SEAL_GROW;
    solo half;
    inbox box = {0};
    uint8_t *memory = NULL;
    int fd = region(CONTROL + RING, seals, &memory);
    open_with_lanes(&half, NULL);
    assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    memcpy(memory + CONTROL, message, sizeof message);
    if (deed == BYTES_IN_A_LANE)
        (void)fer__bytes_encode(0, 11, memory + CONTROL);
    if (deed == TOO_LONG_A_MESSAGE)
        memset(memory + CONTROL + 4, 0xff, 4);
    if (deed == NO_MEMORY_AT_ALL) {
        int file = open("/dev/null", O_RDWR | O_CLOEXEC);
        tell_lane(&half, deed, file);
        assert_int_equal(close(file), 0);
    } else if (deed != NO_LANE) {
        tell_lane(&half, deed, fd);
    }
    if (deed == TWICE)
        tell_lane(&half, deed, fd);
    if (deed != TWICE && deed > TOO_LARGE)
        tell_bytes(&half, deed);
    if (deed == NOTHING) {
        tell_bytes(&half, deed);
        run_until_count(half.loop, &box.count, 1);
        assert_memory_equal(box.bytes, "abc", 3);
        /* The room was given back. */
        assert_int_equal(atomic_load((_Atomic uint64_t *)(void *)memory), 11);
    } else {
        harness_run_until(half.loop, &box.end.calls);
        if (box.end.status != (deed == TOO_LONG_A_MESSAGE ? FER_EMSGSIZE : FER_EPROTO))
            fail_msg("misdeed %d: %s", (int)deed, fer_status_name(box.end.status));
        assert_string_not_equal(box.end.detail, "");
        assert_int_equal(box.count, deed == BACKWARDS ? 1 : 0);
    }
    raw_close(half.peer);
    solo_close(&half);
    inbox_free(&box);
    assert_int_equal(munmap(memory, CONTROL + RING), 0);
    assert_int_equal(close(fd), 0);
}

static void no_misdeed_gets_through(void **state) {
    (void)state;
    for (int deed = NOTHING; deed < MISDEEDS; deed++)
        do_it((misdeed)deed);
}

/* Who takes handles does not take them over a lane: their order is that of the socket. */
static void handles_do_not_come_over_a_lane(void **state) {
    (void)state;
    static const uint8_t frames[] = {FER__FRAME_HANDLE,  0, 0, 0, 0, 0, 0, 1, FER_KIND_OTHER,
                                     FER__FRAME_MESSAGE, 1, 0, 0, 0, 0, 0, 1, 'a'};
    enum { HANDLE = 9, MESSAGE = sizeof frames - HANDLE };
    /* Both of them in the lane; only the message. */
    for (int with_handle = 1; with_handle >= 0; with_handle--) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        solo half;
        inbox box = {0};
        uint8_t *memory = NULL;
        uint8_t note_on_it[FER__NOTE_MAX + FER__NATIVE_HEADER] = {0};
        const int fd = region(CONTROL + RING, F_SEAL_SHRINK | F_SEAL_GROW, &memory);
        const uint8_t *from = with_handle ? frames : frames + HANDLE;
        const size_t size = with_handle ? sizeof frames : MESSAGE;
        options.max_handles = 1;
        open_with_lanes(&half, &options);
        assert_int_equal(fer_channel_receive(half.channel, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        memcpy(memory + CONTROL, from, size);
        tell_lane(&half, NOTHING, fd);
        if (!with_handle)
            raw_send_handles(half.peer, frames, HANDLE, &fd, 1);
        size_t noted_size = fer__bytes_encode(0, (uint32_t)size, note_on_it);
        /* An empty message behind it, so that the descriptor may belong to something. */
        note_on_it[noted_size] = FER__FRAME_MESSAGE;
        noted_size += FER__NATIVE_HEADER;
        if (with_handle)
            raw_send_handles(half.peer, note_on_it, noted_size, &fd, 1);
        else
            raw_send(half.peer, note_on_it, noted_size);
        harness_run_until(half.loop, &box.end.calls);
        assert_int_equal(box.end.status, FER_EPROTO);
        assert_non_null(strstr(box.end.detail, "lane"));
        assert_int_equal(box.count, 0);
        raw_close(half.peer);
        solo_close(&half);
        inbox_free(&box);
        assert_int_equal(munmap(memory, CONTROL + RING), 0);
        assert_int_equal(close(fd), 0);
    }
}

/* Read a channel's frames as a peer with lanes does, that stores nonsense where it gives room back. */
static void a_scribbling_receiver_harms_itself(void **state) {
    (void)state;
    enum { MESSAGES = 60, SIZE = 100 * KIB };
    solo half;
    uint8_t *data = filled(SIZE, 7);
    uint8_t *lane = NULL;
    size_t count = 0;
    size_t from_lane = 0;
    noted sent = {0};
    open_with_lanes(&half, NULL);
    for (int i = 0; i < MESSAGES; i++) {
        const fer_bytes whole = piece(data, SIZE);
        assert_int_equal(fer_channel_send(half.channel, &whole, 1, NULL, 0,
                                          i == MESSAGES - 1 ? note_sent : NULL, &sent),
                         FER_OK);
    }
    while (count < MESSAGES) {
        uint8_t head[8];
        uint8_t note[FER__BYTES_PAYLOAD];
        uint64_t position = 0;
        run_beside(half.loop, half.peer, POLLIN);
        if (recv(half.peer, head, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
            continue;
        if (recv(half.peer, head, 1, MSG_PEEK) == 1 && head[0] == FER__FRAME_LANE) {
            char room[CMSG_SPACE(sizeof(int))];
            uint8_t frame[16];
            struct iovec iov = {frame, sizeof frame};
            struct msghdr got = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = room,
                                 .msg_controllen = sizeof room};
            int fd = -1;
            assert_int_equal(recvmsg(half.peer, &got, 0), sizeof frame);
            memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&got)), sizeof fd);
            assert_int_equal(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK, F_SEAL_SHRINK);
            lane = mmap(NULL, CONTROL + FER__LANE_RING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            assert_ptr_not_equal(lane, MAP_FAILED);
            assert_int_equal(close(fd), 0);
            continue;
        }
        raw_receive_beside(half.loop, half.peer, head, sizeof head);
        if (head[0] == FER__FRAME_BYTES) {
            raw_receive_beside(half.loop, half.peer, note, sizeof note);
            assert_non_null(lane);
            uint32_t size = fer__bytes_decode(note, &position);
            const uint8_t *at = lane + CONTROL + position % FER__LANE_RING;
            for (const uint8_t *end = at + size; at < end; at += 8 + SIZE, count++, from_lane++)
                assert_filled(at + 8, SIZE, 7);
            /* More than was ever sent. */
            memset(lane, 0xff, 8);
        } else {
            static uint8_t body[SIZE];
            assert_int_equal(head[0], FER__FRAME_MESSAGE);
            raw_receive_beside(half.loop, half.peer, body, SIZE);
            assert_filled(body, SIZE, 7);
            count++;
        }
    }
    assert_true(from_lane >= 1);
    assert_true(from_lane < MESSAGES);
    harness_run_until(half.loop, &sent.calls);
    assert_int_equal(sent.status, FER_OK);
    assert_int_equal(munmap(lane, CONTROL + FER__LANE_RING), 0);
    raw_close(half.peer);
    solo_close(&half);
    free(data);
}

/* Send, and drop at the peer what comes through the socket, until there is a lane. */
static void send_until_lane(const solo *half) {
    static uint8_t room[MIB];
    uint8_t *data = filled(LARGE, 1);
    while (half->channel->out.lane == NULL) {
        assert_int_equal(send_bytes(half->channel, data, LARGE), FER_OK);
        do {
            while (raw_try_receive(half->peer, room, sizeof room) > 0)
                continue;
            assert_int_equal(fer_loop_step(half->loop, 0), FER_OK);
        } while (!fer__sendq_is_empty(&half->channel->out));
    }
    while (raw_try_receive(half->peer, room, sizeof room) > 0)
        continue;
    free(data);
}

/* The note cannot be written: the message was not accepted, so nobody hears of it a second time. */
static void what_fails_at_once_has_no_completion(void **state) {
    (void)state;
    enum { SIZE = 100 * KIB };
    solo half;
    noted sent = {0};
    uint64_t unsent = 1;
    uint8_t *data = filled(SIZE, 3);
    const fer_bytes whole = piece(data, SIZE);
    fer_channel_stats before = FER_CHANNEL_STATS_INIT;
    fer_channel_stats after = FER_CHANNEL_STATS_INIT;
    open_with_lanes(&half, NULL);
    send_until_lane(&half);
    raw_close(half.peer);
    assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(fer_channel_get_stats(half.channel, &before), FER_OK);
    const fer_status status = fer_channel_send(half.channel, &whole, 1, NULL, 0, note_sent, &sent);
    assert_true(status == FER_EPIPE || status == FER_ECONNRESET);
    assert_int_equal(fer_loop_step(half.loop, 0), FER_OK);
    assert_int_equal(fer_channel_get_stats(half.channel, &after), FER_OK);
    assert_int_equal(after.messages_out, before.messages_out);
    assert_int_equal(after.queued, 0);
    assert_int_equal(fer_channel_unsent(half.channel, &unsent), FER_OK);
    assert_int_equal(unsent, 0);
    solo_close(&half);
    assert_int_equal(sent.calls, 0);
    free(data);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(no_misdeed_gets_through),
        HARNESS_TEST(handles_do_not_come_over_a_lane),
        HARNESS_TEST(a_scribbling_receiver_harms_itself),
        HARNESS_TEST(what_fails_at_once_has_no_completion),
    };
    return HARNESS_MAIN("lane_bad", tests, NULL, argc, argv);
}
