/**
 * A lane: shared memory in which the larger part of a channel's bytes travels beside the socket.
 *
 * Each direction may have one. Its sender makes it, and passes it in a LANE frame. From then on, where
 * many bytes wait to be written and they begin and end with a frame, the sender copies them into the
 * lane, and the socket carries a BYTES frame in their place, which says where they are. So order, end and
 * death of the channel stay the socket's. The receiver copies the bytes out before it looks at them: the
 * peer could change them under its eyes.
 *
 * The memory is a page for control, then a ring. Positions in the ring only grow; a position's place
 * is its remainder by the size of the ring. A piece never goes over the end. When the receiver has everything, the
 * sender leaves out the rest of the ring and begins it again. The receiver stores, in the
 * first 8 bytes of the control page, the position up to which the sender may use the ring again. When
 * there is no room, even after a moment, bytes go through the socket.
 */
#ifndef FER_IMPL_LANE_H
#define FER_IMPL_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "os.h"

enum {
    FER__LANE_CONTROL = 4096, /**< bytes of the control page */
    FER__LANE_RING = 4 << 20, /**< bytes of the ring that this library makes: two of the largest */
    FER__LANE_RING_MIN = 64 << 10, /**< and takes */
    FER__LANE_RING_MAX = 64 << 20,
    FER__LANE_LEAST = 32 << 10,    /**< fewer bytes go through the socket */
    FER__LANE_LARGEST = 2 << 20,   /**< and so do more in one piece */
    FER__LANE_PIECE = 256 << 10,   /**< so many are in a piece, unless a frame is larger */
    FER__LANE_STAGE = 32 << 10,    /**< bytes that gather before they are copied into the lane */
    FER__LANE_WORTH_IT = 512 << 10 /**< bytes that a channel has sent before it makes a lane */
};

/** The sender's side. Bytes are put into a piece, and a note is sent on each piece. */
typedef struct fer__lane_out {
    uint8_t *memory;
    fer__fd fd;        /**< until it is passed */
    uint64_t position; /**< of the open piece, or of the next one at the earliest */
    uint64_t from;     /**< where the ring was begun again last: what is before was taken */
    size_t size;       /**< bytes in the open piece, staged ones included; 0: none is open */
    uint8_t *stage;    /**< FER__LANE_STAGE bytes in which small messages gather */
    size_t staged;     /**< how many of them are not in the lane yet */
    size_t room;       /**< bytes for which it has room, those included */
    size_t waiting;    /**< bytes of which the peer has not been told, those included */
    size_t noted;      /**< bytes of the notes that wait */
    uint64_t stuck; /**< up to here the receiver had made room when a wait for more was in vain */
    struct fer__segment
        *note; /**< for the note on the open piece, or on the next; may be NULL then */
} fer__lane_out;

/** The receiver's side. */
typedef struct fer__lane_in {
    uint8_t *control;
    const uint8_t *ring;
    size_t size;    /**< of the ring */
    uint64_t taken; /**< the position up to which bytes were copied out */
} fer__lane_in;

/** Whether this system has what lanes are made of, and this process has not taken too many. */
int fer__lane_is_possible(void);

/** Make a lane. FER_ENOMEM, also for too many; FER_EMFILE; FER_ENFILE; FER_ENOTSUP. */
fer_status fer__lane_make(fer__lane_out **lane);
void fer__lane_unmake(fer__lane_out *lane);

/** Open a piece with room for `least` bytes, and for up to `most` if there is so much. 0 when there is not. */
int fer__lane_begin(fer__lane_out *lane, size_t least, size_t most);

/**
 * As fer__lane_begin(), but give the receiver a moment to make room: not longer than the kernel would need to copy
 * as much, and only if it does something. It must have been told of everything before.
 */
int fer__lane_wait(fer__lane_out *lane, size_t least, size_t most);

/**
 * Where the next bytes of a large message go: into the open piece. What was staged is copied there first.
 *
 * Small messages are staged, because a processor is slow at writing parts of a line that another one has, and fast at
 * writing whole lines.
 */
uint8_t *fer__lane_at(fer__lane_out *lane);

/** End the open piece: the peer may be told of it. */
void fer__lane_end(fer__lane_out *lane);

/** Take a lane that came as a descriptor, which stays the caller's. FER_EPROTO; FER_ENOMEM. */
fer_status fer__lane_open(fer__fd fd, uint64_t size, fer__lane_in **lane);
void fer__lane_close(fer__lane_in *lane);

/** Where bytes are that the peer says it has put at a position. FER_EPROTO when they cannot be there. */
fer_status fer__lane_find(const fer__lane_in *lane, uint64_t position, size_t size,
                          const uint8_t **bytes);

/** They were copied out: give the room back. */
void fer__lane_take(fer__lane_in *lane, uint64_t position, size_t size);

#endif
