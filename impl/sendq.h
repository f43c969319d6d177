/**
 * The send queue of a stream or channel: what the kernel has not taken yet.
 *
 * Small messages are gathered in blocks of 64 KiB; large ones are referred to where they are, if their
 * owner keeps them until a completion. Header and payload are never joined just to be written.
 * Completions are tied to the bytes by their distance from the start of the stream.
 *
 * Where much is sent and there is a lane, frames go into a piece of it instead, and when that ends, a
 * note of it joins the queue: what is before and behind it keeps its place.
 */
#ifndef FER_IMPL_SENDQ_H
#define FER_IMPL_SENDQ_H

#include <stddef.h>
#include <stdint.h>

#include "ferrule/types.h"
#include "frame.h"
#include "lane.h"
#include "os.h"
#include "pool.h"

enum {
    FER__FLUSH_AT =
        64 * 1024, /**< queued bytes that are written without waiting for the turn's end */
    FER__COPY_MAX =
        8 * 1024 /**< a piece up to this size is copied even if it could be referred to */
};

/** Duplicates of descriptors that wait. */
typedef struct fer__riders {
    size_t count;
    fer__fd fds[];
} fer__riders;

/** A run of bytes that waits. A node of the pool. */
typedef struct fer__segment {
    struct fer__segment *next;
    const uint8_t *data;
    size_t size;
    uint8_t *block; /**< goes with the segment; NULL when a later one has it, or there is none */
    size_t room;    /**< bytes free behind the data, in the block */
    fer__riders *riders;         /**< descriptors that ride on the first byte; NULL when none do */
    uint32_t stands_for;         /**< of a note: bytes in the lane; otherwise 0 */
    uint8_t note[FER__NOTE_MAX]; /**< where the bytes of a note are */
} fer__segment;

/** A completion that waits. A node of the pool. */
typedef struct fer__sent {
    struct fer__sent *next;
    uint64_t end; /**< position in the stream after the last byte that it waits for */
    void (*cb)(void);
    void *user;
} fer__sent;

typedef struct fer__sendq {
    fer__segment *head;
    fer__segment *tail;
    fer__sent *sent_head;
    fer__sent *sent_tail;
    size_t
        queued; /**< bytes that wait for the socket, without those at the end that `at` knows of */
    uint64_t written;    /**< bytes that the socket has taken */
    fer__lane_out *lane; /**< NULL when there is none */
    uint8_t *at;         /**< where small messages are gathered: see fer__sendq_room(); or NULL */
    uint32_t room;       /**< how many bytes there may be there */
    uint32_t rides;      /**< descriptors that wait */
    int is_fifo;         /**< the descriptor is that of a FIFO, not of a socket */
} fer__sendq;

/** How fer__sendq_push() goes about it. */
enum {
    FER__PUSH_NOW = 1,   /**< write what there is, then this, at once */
    FER__PUSH_REFER = 2, /**< the bytes stay until the completion */
    FER__PUSH_LAZY = 4, /**< with NOW: what is in the lane may wait until more of it has gathered */
    FER__PUSH_LANE = 8, /**< whole frames, which go into the lane if there is room */
    FER__PUSH_WAIT =
        16 /**< with LANE: wait a moment for room; not while the socket takes no more */
};

/**
 * Accept the pieces as a whole, or nothing on an error.
 *
 * A piece of up to FER__COPY_MAX bytes is always copied when it must wait; a header may be on the
 * caller's stack.
 * FER_OK; FER_ENOMEM; with FER__PUSH_NOW or FER__PUSH_WAIT what fer__os_send() gives, except FER_EAGAIN. `cb`
 * NULL wants no completion; after an error there is none, and what is queued can only be dropped unless that
 * was FER_ENOMEM.
 */
fer_status fer__sendq_push(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                           const struct iovec *parts, size_t count, unsigned how, void (*cb)(void),
                           void *user);

/**
 * As fer__sendq_push(), except that nothing is written now when something waits, and let descriptors ride
 * on the first byte. They stay the caller's: when they must wait, duplicates do. FER_EMFILE, FER_ETOOMANYREFS: nothing was
 * accepted.
 */
fer_status fer__sendq_pass(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                           const struct iovec *parts, size_t count, unsigned how,
                           const fer__fd *fds, size_t fd_count, void (*cb)(void), void *user);

/**
 * Let up to `most` bytes be gathered behind what waits, by fer__sendq_room(), until anything else is done with
 * the queue. Without something that waits, nothing is.
 */
void fer__sendq_open(fer__sendq *queue, size_t most);

/** Room for `size` bytes behind what waits, which wait from now on; NULL when there is not as much. */
static inline uint8_t *fer__sendq_room(fer__sendq *queue, size_t size) {
    uint8_t *at = queue->at;
    if (size > queue->room)
        return NULL;
    queue->at += size;
    queue->room -= (uint32_t)size;
    return at;
}

/** Whether nothing waits. */
static inline int fer__sendq_is_empty(const fer__sendq *queue) {
    return queue->queued == 0 && (queue->lane == NULL || queue->lane->size == 0);
}

/** Write until the queue is empty (FER_OK) or the kernel takes no more (FER_EAGAIN). */
fer_status fer__sendq_write(fer__sendq *queue, fer__pool *pool, fer__fd fd);

/** The next completion that is due; NULL when none is. With `all`, also those that are not. */
fer__sent *fer__sendq_take_sent(fer__sendq *queue, int all);

/** Whether a completion is due. */
int fer__sendq_has_sent(const fer__sendq *queue);

/** Copy what is referred to, so that its owner may have it back. */
fer_status fer__sendq_own(fer__sendq *queue, fer__pool *pool);

/** How many bytes wait. Those in the lane do as long as the peer has not been told of them. */
uint64_t fer__sendq_waiting(const fer__sendq *queue);

/** Forget the bytes that wait; completions stay. */
void fer__sendq_drop(fer__sendq *queue, fer__pool *pool);

#endif
