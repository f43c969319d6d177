/**
 * Bytes in, messages out: the receiving half of a channel without its I/O.
 *
 * Small messages are handed on where the read buffer has them. A message that is larger than what a
 * read brought gets memory of its own, which grows with the bytes that arrive and never with the length
 * that the peer claims; later reads go straight into it.
 *
 * Descriptors and bytes are two queues. A descriptor comes with the first byte of what it was sent with, or
 * with bytes before that, never later. So each HANDLE frame takes the oldest that no frame took yet, and
 * a message takes as many HANDLE frames as its header counts.
 */
#ifndef FER_IMPL_INTAKE_H
#define FER_IMPL_INTAKE_H

#include "ferrule/message.h"
#include "frame.h"
#include "lane.h"
#include "os.h"
#include "pool.h"

/** A payload in memory that somebody else gave, until it is taken. */
typedef struct fer__given {
    const void *data; /**< stays when it is taken */
    void *memory;     /**< NULL once it is taken */
    void (*release)(void *memory, void *user);
    void *user;
} fer__given;

/** What one read brought. The messages point into the read buffer, one perhaps into `body`. */
typedef struct fer__batch {
    fer_message *messages;
    size_t count;
    size_t room;
    fer_passed *passed; /**< the handles of all messages, one after the other */
    size_t passed_count;
    size_t passed_room;
    uint8_t *body; /**< to be given back to the pool after delivery */
    size_t body_size;
    fer__given *given; /**< the payloads that are in memory of somebody else */
    size_t given_count;
    size_t given_next; /**< behind the last one that was looked up */
    size_t given_room;
} fer__batch;

/**
 * Descriptors that came, and whose message did not yet. The oldest first. There are at most a message's that
 * were claimed, one's that were not, and one's that came with a read that has the frames of the ones before.
 */
typedef struct fer__arrived {
    size_t count;
    size_t claimed;                        /**< how many of them HANDLE frames have taken */
    fer__fd fds[3 * FER__HANDLES_MAX + 1]; /**< one may be a lane */
} fer__arrived;

typedef struct fer__intake {
    uint8_t header[FER__HEADER_MAX];
    uint8_t header_have;
    uint8_t in_payload; /**< `current` is decoded, its payload is not all there */
    uint8_t skipping;   /**< the payload is of no interest */
    fer__header current;
    fer__arrived *arrived;            /**< NULL until the first descriptor came */
    fer__lane_in *lane;               /**< NULL until one came */
    uint8_t note[FER__BYTES_PAYLOAD]; /**< payload of a LANE or BYTES frame */
    uint8_t due;                      /**< what a BYTES frame stands for is to be taken next */
    uint8_t in_lane;                  /**< the bytes that are looked at come from the lane */
    const uint8_t *at;                /**< what was read and not looked at: up to `end` */
    const uint8_t *end;
    uint8_t *rest; /**< where these bytes are, once the read buffer is needed for others */
    size_t rest_room;
    fer_body_memory *memory; /**< where large payloads go; NULL: to the pool's */
    uint8_t *body;
    uint8_t is_given; /**< the body is in memory that `memory` gave */
    size_t capacity;
    size_t have;       /**< bytes of the payload that are there, or were skipped */
    uint64_t messages; /**< that came whole; then their bytes and handles */
    uint64_t bytes;
    uint64_t handles;
    size_t largest; /**< the largest payload that came whole: so much is trusted at once */
} fer__intake;

/**
 * Where the next read should go: one or two places. FER_OK; FER_ENOMEM.
 */
fer_status fer__intake_room(fer__intake *intake, fer__pool *pool, struct iovec iov[2],
                            size_t *count);

/**
 * Take in `size` bytes that were read to where fer__intake_room() said.
 *
 * Whole messages are added to `batch`. FER_OK; FER_EOF after a goodbye; otherwise what is wrong. The
 * messages before the goodbye or the error are in the batch. It may stop before the last byte, so that
 * what came over a lane is delivered before more memory is needed: see fer__intake_has_more().
 */
fer_status fer__intake_feed(fer__intake *intake, fer__pool *pool, fer_wire wire,
                            const fer__limits *limits, size_t size, fer__batch *batch);

/** Whether fer__intake_go_on() is to be called, with an empty batch, before more is read. */
int fer__intake_has_more(const fer__intake *intake);
fer_status fer__intake_go_on(fer__intake *intake, fer__pool *pool, fer_wire wire,
                             const fer__limits *limits, fer__batch *batch);

/**
 * Take in descriptors, which are the intake's from now on, that came with the bytes that are to be fed next.
 * FER_OK; FER_EPROTO for more than asked for, and FER_ENOMEM: then all are closed.
 */
fer_status fer__intake_add_fds(fer__intake *intake, const fer__limits *limits, const fer__fd *fds,
                               size_t count);

/** Close and release what nobody took of a batch, and forget it. */
void fer__batch_clear(fer__batch *batch, fer__pool *pool);

/** Free a batch that was cleared. */
void fer__batch_free(fer__batch *batch);

/** Choose where large payloads go: the structure is copied. FER_EALREADY; FER_ENOMEM. */
fer_status fer__intake_set_memory(fer__intake *intake, const fer_body_memory *memory);

/** Take the memory that the payload at `data` is in. FER_ENOENT; FER_EALREADY. */
fer_status fer__batch_take_given(fer__batch *batch, const void *data, void **memory);

/** Whether the stream is inside a frame. */
int fer__intake_is_inside(const fer__intake *intake);

/** Free what messages of a batch may point into: after fer__intake_drop(), once nobody looks at them. */
void fer__intake_free(fer__intake *intake);

/** Give back what the intake holds of what has not been delivered. */
void fer__intake_drop(fer__intake *intake, fer__pool *pool);

#endif
