/**
 * What a send queue is made of: segments with their blocks and descriptors, and the reserve that they come
 * from. Only impl/sendq*.c see it.
 */
#ifndef FER_IMPL_SENDQ_STORE_H
#define FER_IMPL_SENDQ_STORE_H

#include "sendq.h"

/** Memory set aside before anything is written, so that no failure can come in the middle. */
typedef struct fer__reserve {
    fer__segment *segments; /**< linked by next; each has its block, if it is to have one */
    fer__sent *sent;
} fer__reserve;

/** Duplicate all of them, or none. FER_ENOMEM, FER_EMFILE. */
fer_status fer__riders_make(const fer__fd *fds, size_t count, fer__riders **out);

/** Close them; NULL does nothing. */
void fer__riders_free(fer__riders *riders);

/** Set aside one more segment, with a block or without. 0 when there is no memory: give the reserve back. */
int fer__reserve_add(fer__pool *pool, fer__reserve *reserve, int with_block);

/** Set aside a completion. 0 when there is no memory. */
int fer__reserve_sent(fer__pool *pool, fer__reserve *reserve);

/**
 * Set aside what the pieces need when the kernel takes nothing of them. 0 when there is no memory: give the
 * reserve back.
 */
int fer__reserve_make(const fer__sendq *queue, fer__pool *pool, const struct iovec *parts,
                      size_t count, unsigned how, fer__reserve *reserve);

/** Give back what was not used. */
void fer__reserve_give(fer__pool *pool, fer__reserve *reserve);

/** Whether a piece of that size is copied when it must wait, and not referred to. */
int fer__sendq_is_copied(size_t size, unsigned how);

/** What was gathered becomes part of the queue, and no more is gathered. */
void fer__sendq_fold(fer__sendq *queue);

/** Put a segment at the end of the queue. */
void fer__sendq_link(fer__sendq *queue, fer__segment *segment);

/**
 * Put the pieces, which are whole frames of `size` bytes, into the lane, behind everything else; with `wait` as
 * fer__lane_wait() does. 0 when there is no room. There must be a lane, and what was gathered must be folded.
 */
int fer__sendq_fill(fer__sendq *queue, fer__pool *pool, const struct iovec *parts, size_t count,
                    size_t size, int wait);

/** End the open piece of the lane, if there is one, with a note on it. What was gathered must be folded. */
void fer__sendq_note(fer__sendq *queue);

/** Queue a copy of the bytes. */
void fer__sendq_copy(fer__sendq *queue, fer__reserve *reserve, const uint8_t *data, size_t size);

/** Queue the pieces, without their first `skip` bytes. */
void fer__sendq_append(fer__sendq *queue, fer__reserve *reserve, const struct iovec *parts,
                       size_t count, unsigned how, size_t skip);

/**
 * Let what comes next begin a segment, in the rest of the last block: small messages with descriptors would
 * otherwise take a block each. Takes one segment without a block.
 */
void fer__sendq_split(fer__sendq *queue, fer__reserve *reserve);

/** Fill `iov` with the front of the queue, up to where the next descriptors ride; returns how many it are. */
size_t fer__sendq_gather(const fer__sendq *queue, struct iovec *iov, size_t room);

/** The kernel took `size` bytes from the front of the queue. */
void fer__sendq_consume(fer__sendq *queue, fer__pool *pool, size_t size);

#endif
