#include "frame.h"

#include <string.h>

#include "status.h"

static const uint8_t magic[8] = {'F', 'E', 'R', 'R', 'U', 'L', 'E', '\n'};

static void put_u16(uint8_t *out, uint16_t value) {
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)(value & 0xff);
}

static void put_u32(uint8_t *out, uint32_t value) {
    put_u16(out, (uint16_t)(value >> 16));
    put_u16(out + 2, (uint16_t)(value & 0xffff));
}

static void put_u64(uint8_t *out, uint64_t value) {
    put_u32(out, (uint32_t)(value >> 32));
    put_u32(out + 4, (uint32_t)(value & 0xffffffff));
}

static uint16_t get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t get_u32(const uint8_t *bytes) {
    return (uint32_t)get_u16(bytes) << 16 | get_u16(bytes + 2);
}

static uint64_t get_u64(const uint8_t *bytes) {
    return (uint64_t)get_u32(bytes) << 32 | get_u32(bytes + 4);
}

size_t fer__header_encode(fer_wire wire, const fer__header *header, uint8_t *out) {
    if (wire == FER_WIRE_PLAIN) {
        put_u32(out, header->length);
        return FER__PLAIN_HEADER;
    }
    out[0] = header->kind;
    out[1] = header->handles;
    put_u16(out + 2, 0);
    put_u32(out + 4, header->length);
    return FER__NATIVE_HEADER;
}

static fer_status check_message(const fer__header *header, const fer__limits *limits) {
    if (header->handles > limits->max_handles)
        return fer__fail(FER_EPROTO, "a message with %u handles came, %u are taken",
                         (unsigned)header->handles, (unsigned)limits->max_handles);
    if (header->length > limits->max_message)
        return fer__fail(FER_EMSGSIZE, "a message of %lu bytes came, %llu are taken",
                         (unsigned long)header->length, (unsigned long long)limits->max_message);
    return FER_OK;
}

static fer_status check_length(const char *frame, uint32_t length, uint32_t least, uint32_t most) {
    if (length >= least && length <= most)
        return FER_OK;
    return fer__fail(FER_EPROTO, "a %s frame of %lu bytes came, %lu to %lu are allowed", frame,
                     (unsigned long)length, (unsigned long)least, (unsigned long)most);
}

/* Frames that only the handshake, the end and handles need. `kind` is below FER__FRAME_SKIPPABLE. */
static fer_status check_control(const fer__header *header, const fer__limits *limits) {
    if (header->kind < FER__FRAME_HELLO || header->kind > FER__FRAME_BYTES ||
        (header->kind > FER__FRAME_GOODBYE && !limits->lanes))
        return fer__fail(FER_EPROTO, "a frame of the unknown kind %u came", (unsigned)header->kind);
    if (header->handles != 0)
        return fer__fail(FER_EPROTO, "a frame of kind %u says that it has handles",
                         (unsigned)header->kind);
    if (header->kind == FER__FRAME_HELLO)
        return check_length("HELLO", header->length, FER__HELLO_SIZE, FER__HELLO_MAX);
    if (header->kind == FER__FRAME_GOODBYE)
        return check_length("GOODBYE", header->length, 0, 0);
    if (header->kind == FER__FRAME_LANE)
        return check_length("LANE", header->length, FER__LANE_PAYLOAD, FER__LANE_PAYLOAD);
    if (header->kind == FER__FRAME_BYTES)
        return check_length("BYTES", header->length, FER__BYTES_PAYLOAD, FER__BYTES_PAYLOAD);
    if (limits->max_handles == 0)
        return fer__fail(FER_EPROTO, "a handle came, none are taken");
    return check_length("HANDLE", header->length, 1, FER__HANDLE_PAYLOAD_MAX);
}

static fer_status decode_native(const uint8_t *bytes, const fer__limits *limits,
                                fer__header *header) {
    header->kind = bytes[0];
    header->handles = bytes[1];
    header->length = get_u32(bytes + 4);
    if (header->kind >= FER__FRAME_SKIPPABLE) {
        /* Its sender gives the second to fourth byte their meaning. */
        header->handles = 0;
        return check_length("skippable", header->length, 0, FER__SKIP_MAX);
    }
    if (get_u16(bytes + 2) != 0)
        return fer__fail(FER_EPROTO, "the reserved field of a frame of kind %u is not 0",
                         (unsigned)header->kind);
    if (header->kind == FER__FRAME_MESSAGE)
        return check_message(header, limits);
    return check_control(header, limits);
}

fer_status fer__header_decode(fer_wire wire, const uint8_t *bytes, const fer__limits *limits,
                              fer__header *header) {
    if (wire != FER_WIRE_PLAIN)
        return decode_native(bytes, limits, header);
    header->handles = 0;
    header->length = get_u32(bytes);
    header->kind = header->length == 0 ? FER__FRAME_GOODBYE : FER__FRAME_MESSAGE;
    return header->length == 0 ? FER_OK : check_message(header, limits);
}

static size_t encode_note(uint8_t kind, uint32_t length, uint8_t *out) {
    const fer__header header = {kind, 0, length};
    return fer__header_encode(FER_WIRE_NATIVE, &header, out);
}

size_t fer__lane_encode(uint64_t size, uint8_t *out) {
    size_t at = encode_note(FER__FRAME_LANE, FER__LANE_PAYLOAD, out);
    put_u64(out + at, size);
    return at + FER__LANE_PAYLOAD;
}

size_t fer__bytes_encode(uint64_t position, uint32_t size, uint8_t *out) {
    size_t at = encode_note(FER__FRAME_BYTES, FER__BYTES_PAYLOAD, out);
    put_u64(out + at, position);
    put_u32(out + at + 8, size);
    return at + FER__BYTES_PAYLOAD;
}

uint64_t fer__lane_decode(const uint8_t *payload) {
    return get_u64(payload);
}

uint32_t fer__bytes_decode(const uint8_t *payload, uint64_t *position) {
    *position = get_u64(payload);
    return get_u32(payload + 8);
}

size_t fer__hello_encode(const fer__hello *hello, uint8_t *out) {
    const fer__header header = {FER__FRAME_HELLO, 0, FER__HELLO_SIZE};
    uint8_t *payload = out + fer__header_encode(FER_WIRE_NATIVE, &header, out);
    memcpy(payload, magic, sizeof magic);
    put_u16(payload + 8, hello->version_min);
    put_u16(payload + 10, hello->version_max);
    put_u32(payload + 12, hello->features);
    put_u64(payload + 16, hello->max_message);
    put_u32(payload + 24, hello->max_handles);
    return FER__NATIVE_HEADER + FER__HELLO_SIZE;
}

fer_status fer__hello_check_start(const uint8_t *bytes, size_t size) {
    /* Bytes that have not come are taken to be right. */
    static const uint8_t right[FER__NATIVE_HEADER] = {FER__FRAME_HELLO, 0, 0, 0, 0, 0, 0,
                                                      FER__HELLO_SIZE};
    uint8_t header[FER__NATIVE_HEADER];
    if (size == 0)
        return FER_OK;
    if (size > sizeof header)
        size = sizeof header;
    memcpy(header, right, sizeof header);
    memcpy(header, bytes, size);
    /* Of the length, the low byte may be anything while the one before it is not 0. */
    if (size == FER__NATIVE_HEADER - 1 && header[6] != 0)
        header[7] = 0;
    uint32_t length = get_u32(header + 4);
    if (memcmp(header, right, 4) == 0 && length >= FER__HELLO_SIZE && length <= FER__HELLO_MAX)
        return FER_OK;
    return fer__fail(FER_EPROTO, "the first bytes of the peer are not a HELLO; if it speaks the "
                                 "plain wire, use wire=plain here");
}

fer_status fer__hello_decode(const uint8_t *payload, size_t size, fer__hello *hello,
                             uint32_t *version) {
    if (size < FER__HELLO_SIZE || size > FER__HELLO_MAX)
        return fer__fail(FER_EPROTO, "a HELLO of %lu bytes", (unsigned long)size);
    if (memcmp(payload, magic, sizeof magic) != 0)
        return fer__fail(FER_EPROTO, "the HELLO of the peer does not begin with the magic bytes; "
                                     "if it speaks the plain wire, use wire=plain here");
    hello->version_min = get_u16(payload + 8);
    hello->version_max = get_u16(payload + 10);
    hello->features = get_u32(payload + 12);
    hello->max_message = get_u64(payload + 16);
    hello->max_handles = get_u32(payload + 24);
    if (hello->version_min > hello->version_max)
        return fer__fail(FER_EPROTO, "the HELLO of the peer has a version range from %u to %u",
                         (unsigned)hello->version_min, (unsigned)hello->version_max);
    if (hello->version_min > FER__WIRE_VERSION || hello->version_max < FER__WIRE_VERSION)
        return fer__fail(FER_EVERSION,
                         "the peer speaks versions %u to %u of the native wire, this side %u",
                         (unsigned)hello->version_min, (unsigned)hello->version_max,
                         (unsigned)FER__WIRE_VERSION);
    *version = FER__WIRE_VERSION;
    return FER_OK;
}

fer_status fer__hello_check_secret(const fer__hello *hello, size_t size, int has_secret) {
    int wants = (hello->features & FER__FEATURE_SECRET) != 0;
    if (wants && size < FER__HELLO_SIZE + FER__NONCE_SIZE)
        return fer__fail(FER_EPROTO, "a HELLO without its random bytes");
    if (wants && !has_secret)
        return fer__fail(FER_EACCES, "the peer asks for a secret");
    if (!wants && has_secret)
        return fer__fail(FER_EACCES, "the peer has no secret");
    return FER_OK;
}
