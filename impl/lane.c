#include "lane.h"

#include <stdatomic.h>

#include "copy.h"
#include "mem.h"
#include "status.h"

enum {
    MADE_MAX = 128,   /* so many that this process makes, of a ring each */
    COPIED_IN_NS = 4, /* bytes that the kernel copies in a nanosecond, or less */
    TAKEN_MAX = 8192  /* and takes: two of its mappings each, of which it may have some 65,000 */
};

static atomic_int made_lanes;
static atomic_int taken_lanes;

int fer__lane_is_possible(void) {
    return fer__os_has_regions() &&
           atomic_load_explicit(&taken_lanes, memory_order_relaxed) < TAKEN_MAX;
}

static int count_made(void) {
    if (atomic_fetch_add_explicit(&made_lanes, 1, memory_order_relaxed) < MADE_MAX)
        return 1;
    atomic_fetch_sub_explicit(&made_lanes, 1, memory_order_relaxed);
    return 0;
}

/* The word that the receiver stores, and the sender loads. */
static _Atomic uint64_t *free_up_to(uint8_t *control) {
    return (_Atomic uint64_t *)(void *)control;
}

/* The sender. */

fer_status fer__lane_make(fer__lane_out **lane) {
    fer__lane_out *made;
    fer_status status;
    if (!count_made())
        return fer__fail(FER_ENOMEM, "the process has made too many lanes");
    made = fer__zalloc(sizeof *made + FER__LANE_STAGE);
    status = made == NULL ? fer__fail_plain(FER_ENOMEM)
                          : fer__os_make_region(FER__LANE_CONTROL + FER__LANE_RING, &made->fd,
                                                &made->memory);
    if (made != NULL && status == FER_OK) {
        made->stage = (uint8_t *)(made + 1);
        made->stuck = UINT64_MAX;
        *lane = made;
        return FER_OK;
    }
    fer__free(made);
    atomic_fetch_sub_explicit(&made_lanes, 1, memory_order_relaxed);
    return status;
}

void fer__lane_unmake(fer__lane_out *lane) {
    if (lane == NULL)
        return;
    fer__os_unmap(lane->memory, FER__LANE_CONTROL + FER__LANE_RING);
    fer__os_close(lane->fd);
    fer__free(lane);
    atomic_fetch_sub_explicit(&made_lanes, 1, memory_order_relaxed);
}

int fer__lane_begin(fer__lane_out *lane, size_t least, size_t most) {
    uint64_t freed = atomic_load_explicit(free_up_to(lane->memory), memory_order_acquire);
    uint64_t place = lane->position % FER__LANE_RING;
    uint64_t at = lane->position;
    uint64_t room;
    /* What a peer stores there that cannot be leaves no room. */
    if (freed > at)
        return 0;
    /* The receiver has it all: begin again where the memory is in the caches. What is left out is free, too. */
    if (freed == at && place != 0)
        lane->from = at + (FER__LANE_RING - place);
    if (place + least > FER__LANE_RING || lane->from > at) {
        at += FER__LANE_RING - place;
        place = 0;
    }
    if (freed < lane->from)
        freed = lane->from;
    if (at - freed >= FER__LANE_RING)
        return 0;
    room = FER__LANE_RING - (at - freed);
    if (room > FER__LANE_RING - place)
        room = FER__LANE_RING - place;
    if (room < least)
        return 0;
    lane->position = at;
    lane->room = room < most ? (size_t)room : most;
    return 1;
}

int fer__lane_wait(fer__lane_out *lane, size_t least, size_t most) {
    const int64_t until = fer__os_now_ns() + (int64_t)(most / COPIED_IN_NS);
    while (!fer__lane_begin(lane, least, most)) {
        uint64_t freed = atomic_load_explicit(free_up_to(lane->memory), memory_order_relaxed);
        if (freed == lane->stuck)
            return 0;
        if (fer__os_now_ns() >= until) {
            lane->stuck = freed;
            return 0;
        }
        fer__os_yield();
    }
    return 1;
}

uint8_t *fer__lane_at(fer__lane_out *lane) {
    uint8_t *at = lane->memory + FER__LANE_CONTROL + lane->position % FER__LANE_RING + lane->size;
    fer__copy(at - lane->staged, lane->stage, lane->staged);
    lane->staged = 0;
    return at;
}

void fer__lane_end(fer__lane_out *lane) {
    (void)fer__lane_at(lane);
    lane->position += lane->size;
    lane->size = 0;
    lane->room = 0;
}

/* The receiver. */

fer_status fer__lane_open(fer__fd fd, uint64_t size, fer__lane_in **lane) {
    fer__lane_in *opened;
    fer_status status = FER_OK;
    if (size < FER__LANE_RING_MIN || size > FER__LANE_RING_MAX || size % FER__LANE_CONTROL != 0)
        return fer__fail(FER_EPROTO, "a lane of %llu bytes came", (unsigned long long)size);
    opened = fer__zalloc(sizeof *opened);
    if (opened == NULL) {
        status = fer__fail_plain(FER_ENOMEM);
    } else {
        uint8_t *ring = NULL;
        status = fer__os_map_region(fd, FER__LANE_CONTROL + (size_t)size, FER__LANE_CONTROL,
                                    &opened->control, &ring);
        opened->ring = ring;
        opened->size = (size_t)size;
    }
    if (status != FER_OK) {
        fer__free(opened);
        return status;
    }
    /* The peer was told that it may: here nothing is refused any more. */
    atomic_fetch_add_explicit(&taken_lanes, 1, memory_order_relaxed);
    *lane = opened;
    return FER_OK;
}

void fer__lane_close(fer__lane_in *lane) {
    if (lane == NULL)
        return;
    fer__os_unmap(lane->control, FER__LANE_CONTROL);
    fer__os_unmap((uint8_t *)(uintptr_t)lane->ring, lane->size);
    fer__free(lane);
    atomic_fetch_sub_explicit(&taken_lanes, 1, memory_order_relaxed);
}

fer_status fer__lane_find(const fer__lane_in *lane, uint64_t position, size_t size,
                          const uint8_t **bytes) {
    uint64_t place = position % lane->size;
    /* It may have left out the end of the ring, and never more than one round. */
    if (position < lane->taken || position - lane->taken >= lane->size || size == 0 ||
        size > lane->size - place)
        return fer__fail(FER_EPROTO, "bytes are said to be where the lane cannot have them");
    *bytes = lane->ring + place;
    return FER_OK;
}

void fer__lane_take(fer__lane_in *lane, uint64_t position, size_t size) {
    lane->taken = position + size;
    atomic_store_explicit(free_up_to(lane->control), lane->taken, memory_order_release);
}
