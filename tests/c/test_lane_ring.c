/* The ring of a lane, with both sides in one program and no socket between them. */
#include <string.h>

#include "harness.h"
#include "impl/lane.h"

enum { KIB = 1024, MIB = 1024 * 1024, PIECES = 64 };

/** A piece of which the receiver was told. */
typedef struct told {
    uint64_t position;
    size_t size;
    uint8_t mark;
} told;

/** Both sides, and what is between them. */
typedef struct ring {
    fer__lane_out *out;
    fer__lane_in *in;
    told pieces[PIECES];
    size_t first;
    size_t count;
    uint8_t mark; /**< of the next piece */
} ring;

static void ring_open(ring *both) {
    memset(both, 0, sizeof *both);
    assert_int_equal(fer__lane_make(&both->out), FER_OK);
    assert_int_equal(fer__lane_open(both->out->fd, FER__LANE_RING, &both->in), FER_OK);
}

static void ring_close(ring *both) {
    fer__lane_close(both->in);
    fer__lane_unmake(both->out);
}

/* Whether there was room for a piece of so many bytes. */
static int put(ring *both, size_t size) {
    fer__lane_out *out = both->out;
    told *piece = &both->pieces[(both->first + both->count) % PIECES];
    if (both->count == PIECES || !fer__lane_begin(out, size, size))
        return 0;
    memset(fer__lane_at(out), both->mark, size);
    *piece = (told){out->position, size, both->mark++};
    both->count++;
    out->size = size;
    fer__lane_end(out);
    return 1;
}

/* Take the oldest piece: it is as it was put there. */
static void take(ring *both) {
    const told piece = both->pieces[both->first];
    const uint8_t *bytes = NULL;
    assert_int_equal(fer__lane_find(both->in, piece.position, piece.size, &bytes), FER_OK);
    for (size_t i = 0; i < piece.size; i += i % KIB == 0 && i + KIB < piece.size ? KIB : 1)
        assert_int_equal(bytes[i], piece.mark);
    fer__lane_take(both->in, piece.position, piece.size);
    both->first = (both->first + 1) % PIECES;
    both->count--;
}

/* After the receiver had everything, the sender has the whole ring again, and not only one piece of it. */
static void an_empty_ring_has_room_for_as_much_as_a_new_one(void **state) {
    (void)state;
    enum { SIZE = MIB + 8 };
    ring both;
    size_t most = 0;
    ring_open(&both);
    while (put(&both, SIZE))
        most++;
    assert_int_equal(most, FER__LANE_RING / SIZE);
    for (size_t filled = 0; filled <= most; filled++) {
        while (both.count > 0)
            take(&both);
        for (size_t i = 0; i < filled; i++)
            assert_true(put(&both, SIZE));
    }
    assert_false(put(&both, SIZE));
    ring_close(&both);
}

/* It begins again where the memory is in the caches. */
static void an_empty_ring_is_filled_from_its_beginning(void **state) {
    (void)state;
    ring both;
    ring_open(&both);
    for (int i = 0; i < 20; i++) {
        assert_true(put(&both, (size_t)300 * KIB));
        assert_int_equal(both.pieces[both.first].position % FER__LANE_RING, 0);
        take(&both);
    }
    ring_close(&both);
}

static void no_piece_is_overwritten_before_it_is_taken(void **state) {
    (void)state;
    enum { TURNS = 3000 };
    uint32_t seed = 7;
    size_t in_vain = 0;
    ring both;
    ring_open(&both);
    for (int i = 0; i < TURNS; i++) {
        seed = seed * 1664525u + 1013904223u;
        const size_t size = 1 + (seed >> 8) % (seed >> 30 == 0 ? 2 * MIB : 100 * KIB);
        in_vain += !put(&both, size);
        /* Now fewer are taken than put, now more. */
        for (uint32_t taken = (seed >> 4) % (i % 200 < 100 ? 2 : 4); taken > 0 && both.count > 0;
             taken--)
            take(&both);
    }
    assert_true(in_vain > 0 && in_vain < TURNS / 2);
    while (both.count > 0)
        take(&both);
    ring_close(&both);
}

/* Neither more than was sent, nor less than was taken before, gives room that is not there. */
static void positions_that_cannot_be_give_no_room(void **state) {
    (void)state;
    ring both;
    ring_open(&both);
    uint64_t *freed = (uint64_t *)(void *)both.in->control;
    assert_true(put(&both, MIB));
    *freed = both.out->position + 1;
    assert_false(put(&both, KIB));
    *freed = UINT64_MAX;
    assert_false(put(&both, KIB));
    *freed = 0;
    take(&both);
    while (put(&both, MIB)) {
    }
    /* Here the ring was begun again: all of it is full, whatever is said of what was before. */
    *freed = 0;
    assert_false(put(&both, KIB + MIB));
    *freed = 1;
    assert_false(put(&both, KIB + MIB));
    ring_close(&both);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(an_empty_ring_has_room_for_as_much_as_a_new_one),
        HARNESS_TEST(an_empty_ring_is_filled_from_its_beginning),
        HARNESS_TEST(no_piece_is_overwritten_before_it_is_taken),
        HARNESS_TEST(positions_that_cannot_be_give_no_room),
    };
    return HARNESS_MAIN("lane_ring", tests, NULL, argc, argv);
}
