/**
 * The frame codec of both wires. Pure: no I/O, no uv, no memory of its own.
 *
 * docs/wire-format.md describes the bytes, tests/vectors/frames.json holds examples.
 */
#ifndef FER_IMPL_FRAME_H
#define FER_IMPL_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ferrule/channel.h"
#include "ferrule/status.h"

enum {
    FER__FRAME_HELLO = 1,   /**< first frame of either side on the native wire */
    FER__FRAME_MESSAGE = 2, /**< a message */
    FER__FRAME_HANDLE = 3,  /**< one passed handle rides on it; payload 1 to 64 bytes, the first of
                               them the handle's fer_kind */
    FER__FRAME_GOODBYE = 4, /**< nothing more will come; payload empty */
    FER__FRAME_LANE = 5,  /**< shared memory; its descriptor rides on it. u64be size of the ring */
    FER__FRAME_BYTES = 6, /**< frames are in the lane: u64be position, u32be size */
    FER__FRAME_PROOF = 7, /**< after a HELLO with FER__FEATURE_SECRET, 32 bytes: see auth.h */
    FER__FRAME_SKIPPABLE =
        128 /**< this kind and those above are skipped by who does not know them */
};

enum {
    FER__HEADER_MAX = 8,          /**< the larger of the two header sizes */
    FER__NATIVE_HEADER = 8,       /**< u8 kind | u8 handles | u16 0 | u32be length */
    FER__PLAIN_HEADER = 4,        /**< u32be length; length 0 is the goodbye */
    FER__LANE_PAYLOAD = 8,        /**< of a LANE frame */
    FER__BYTES_PAYLOAD = 12,      /**< of a BYTES frame */
    FER__BYTES_MAX = 4 << 20,     /**< a BYTES frame that stands for more is a protocol error */
    FER__HELLO_SIZE = 28,         /**< payload of the HELLO that this version sends */
    FER__NONCE_SIZE = 32,         /**< random bytes of a HELLO with a secret, behind the others */
    FER__HELLO_MAX = 4096,        /**< a longer HELLO is a protocol error */
    FER__HANDLE_PAYLOAD_MAX = 64, /**< a longer HANDLE frame is a protocol error */
    FER__SKIP_MAX = 1 << 20,      /**< a longer skippable frame is a protocol error */
    FER__HANDLES_MAX = 64         /**< handles that one message can carry */
};

/** The version of the native wire that this library speaks. */
enum { FER__WIRE_VERSION = 1 };

/** A frame's header, decoded. On the plain wire `kind` is MESSAGE, or GOODBYE for length 0. */
typedef struct fer__header {
    uint8_t kind;
    uint8_t handles; /**< MESSAGE: how many HANDLE frames before it are its own */
    uint32_t length; /**< of the payload, in bytes */
} fer__header;

enum {
    FER__FEATURE_LANES = 1, /**< takes LANE and BYTES frames */
    FER__FEATURE_SECRET = 2 /**< wants a proof; 32 random bytes follow in the HELLO */
};

/**
 * What this side tells the peer, and the reverse. The payload: the 8 bytes "FERRULE\n", then the
 * fields in this order, big-endian. A longer payload is allowed; what follows is ignored.
 */
typedef struct fer__hello {
    uint16_t version_min;
    uint16_t version_max;
    uint32_t features;    /**< FER__FEATURE_*; unknown bits are ignored */
    uint64_t max_message; /**< the largest message taken, in bytes */
    uint32_t max_handles; /**< the most handles taken with a message */
} fer__hello;

/** What the receiver takes. */
typedef struct fer__limits {
    uint64_t max_message;
    uint32_t max_handles;
    uint32_t lanes; /**< whether LANE and BYTES frames are taken */
} fer__limits;

/** How many bytes a header has on `wire`. */
static inline size_t fer__header_size(fer_wire wire) {
    return wire == FER_WIRE_PLAIN ? FER__PLAIN_HEADER : FER__NATIVE_HEADER;
}

/** Encode the header of a message without handles into `out`, likewise: the shortest way for the most frequent frame. */
static inline size_t fer__message_encode(fer_wire wire, uint32_t size, uint8_t *out) {
    uint8_t bytes[FER__NATIVE_HEADER] = {FER__FRAME_MESSAGE,
                                         0,
                                         0,
                                         0,
                                         (uint8_t)(size >> 24),
                                         (uint8_t)(size >> 16),
                                         (uint8_t)(size >> 8),
                                         (uint8_t)size};
    if (wire == FER_WIRE_PLAIN) {
        memcpy(out, bytes + FER__NATIVE_HEADER - FER__PLAIN_HEADER, FER__PLAIN_HEADER);
        return FER__PLAIN_HEADER;
    }
    memcpy(out, bytes, FER__NATIVE_HEADER);
    return FER__NATIVE_HEADER;
}

/** Encode a header into `out`, which has room for fer__header_size(wire). Returns that size. */
size_t fer__header_encode(fer_wire wire, const fer__header *header, uint8_t *out);

/**
 * Decode fer__header_size(wire) bytes, and check them against `limits`.
 *
 * FER_OK; FER_EPROTO for an unknown kind below 128, a reserved field that is not 0, a HELLO,
 * GOODBYE, HANDLE or skippable frame of a wrong length, handles on a frame other than MESSAGE, more
 * handles than taken, or a HANDLE where none are taken; FER_EMSGSIZE for a MESSAGE over the limit.
 * Which frame may come when is for the caller to check.
 */
fer_status fer__header_decode(fer_wire wire, const uint8_t *bytes, const fer__limits *limits,
                              fer__header *header);

/** Encode a LANE frame into `out`, which has room for FER__NOTE_MAX bytes. Returns its size. */
enum { FER__NOTE_MAX = FER__NATIVE_HEADER + FER__BYTES_PAYLOAD };
size_t fer__lane_encode(uint64_t size, uint8_t *out);

/** Encode a BYTES frame, likewise. */
size_t fer__bytes_encode(uint64_t position, uint32_t size, uint8_t *out);

/** Decode the payloads of the two. */
uint64_t fer__lane_decode(const uint8_t *payload);
uint32_t fer__bytes_decode(const uint8_t *payload, uint64_t *position);

/** Encode header and payload of a HELLO into `out` (FER__NATIVE_HEADER + FER__HELLO_SIZE bytes). */
size_t fer__hello_encode(const fer__hello *hello, uint8_t *out);

/**
 * Check that `bytes`, `size` of at most FER__NATIVE_HEADER that came first on a native wire, can be
 * the start of a HELLO. FER_EPROTO, with a detail that suggests the plain wire, when they cannot.
 */
fer_status fer__hello_check_start(const uint8_t *bytes, size_t size);

/**
 * Decode the payload of a HELLO, and agree on a version.
 *
 * FER_OK and the highest common version; FER_EPROTO for wrong magic or size; FER_EVERSION.
 */
fer_status fer__hello_decode(const uint8_t *payload, size_t size, fer__hello *hello,
                             uint32_t *version);

/**
 * Check that both sides have a secret, or none, and that a HELLO of `size` bytes of payload has room for what
 * it says. FER_OK; FER_EACCES; FER_EPROTO.
 */
fer_status fer__hello_check_secret(const fer__hello *hello, size_t size, int has_secret);

#endif
