/**
 * Bytes in, messages out: the receiving half of a channel without its I/O.
 *
 * Small messages are handed on where the read buffer has them. A message that is larger than what a
 * read brought gets memory of its own, which grows with the bytes that arrive and never with the length
 * that the peer claims; later reads go straight into it.
 */
#ifndef FER_IMPL_INTAKE_H
#define FER_IMPL_INTAKE_H

#include "ferrule/channel.h"
#include "frame.h"
#include "os.h"
#include "pool.h"

/** What one read brought. The messages point into the read buffer, one perhaps into `body`. */
typedef struct fer__batch {
    fer_message *messages;
    size_t count;
    size_t room;
    uint8_t *body; /**< to be given back to the pool after delivery */
    size_t body_size;
} fer__batch;

typedef struct fer__intake {
    uint8_t header[FER__HEADER_MAX];
    uint8_t header_have;
    uint8_t in_payload; /**< `current` is decoded, its payload is not all there */
    uint8_t skipping;   /**< the payload is of no interest */
    fer__header current;
    uint8_t *body;
    size_t capacity;
    size_t have;    /**< bytes of the payload that are there, or were skipped */
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
 * messages before the goodbye or the error are in the batch.
 */
fer_status fer__intake_feed(fer__intake *intake, fer__pool *pool, fer_wire wire,
                            const fer__limits *limits, size_t size, fer__batch *batch);

/** Whether the stream is inside a frame. */
int fer__intake_is_inside(const fer__intake *intake);

/** Give back what the intake holds. */
void fer__intake_drop(fer__intake *intake, fer__pool *pool);

#endif
