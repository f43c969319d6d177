/* The frame codec, with examples of its own and with the wire vectors. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "harness.h"
#include "impl/frame.h"
#include "vectors.h"

static const fer__limits plenty = {UINT32_MAX, 64, 0};

static fer_status decode(const char *digits, fer__limits limits, fer__header *header) {
    size_t size;
    uint8_t *bytes = harness_bytes(digits, &size);
    assert_int_equal(size, FER__NATIVE_HEADER);
    fer_status status = fer__header_decode(FER_WIRE_NATIVE, bytes, &limits, header);
    free(bytes);
    return status;
}

static void native_headers_are_as_written(void **state) {
    (void)state;
    static const struct {
        fer__header header;
        uint8_t bytes[8];
    } examples[] = {
        {{FER__FRAME_HELLO, 0, 28}, {1, 0, 0, 0, 0, 0, 0, 28}},
        {{FER__FRAME_MESSAGE, 0, 0}, {2, 0, 0, 0, 0, 0, 0, 0}},
        {{FER__FRAME_MESSAGE, 64, 0x01020304}, {2, 64, 0, 0, 1, 2, 3, 4}},
        {{FER__FRAME_MESSAGE, 1, UINT32_MAX}, {2, 1, 0, 0, 255, 255, 255, 255}},
        {{FER__FRAME_HANDLE, 0, 64}, {3, 0, 0, 0, 0, 0, 0, 64}},
        {{FER__FRAME_GOODBYE, 0, 0}, {4, 0, 0, 0, 0, 0, 0, 0}},
    };
    assert_int_equal(fer__header_size(FER_WIRE_NATIVE), 8);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        uint8_t out[FER__HEADER_MAX];
        fer__header back;
        assert_int_equal(fer__header_encode(FER_WIRE_NATIVE, &examples[i].header, out), 8);
        assert_memory_equal(out, examples[i].bytes, 8);
        assert_int_equal(fer__header_decode(FER_WIRE_NATIVE, out, &plenty, &back), FER_OK);
        assert_int_equal(back.kind, examples[i].header.kind);
        assert_int_equal(back.handles, examples[i].header.handles);
        assert_int_equal(back.length, examples[i].header.length);
    }
}

static void plain_headers_are_a_length(void **state) {
    (void)state;
    const fer__header message = {FER__FRAME_MESSAGE, 0, 0x0a0b0c0d};
    const fer__header goodbye = {FER__FRAME_GOODBYE, 0, 0};
    uint8_t out[FER__HEADER_MAX] = {0};
    fer__header back;
    assert_int_equal(fer__header_size(FER_WIRE_PLAIN), 4);
    assert_int_equal(fer__header_encode(FER_WIRE_PLAIN, &message, out), 4);
    assert_memory_equal(out, "\x0a\x0b\x0c\x0d\0", 5);
    assert_int_equal(fer__header_decode(FER_WIRE_PLAIN, out, &plenty, &back), FER_OK);
    assert_int_equal(back.kind, FER__FRAME_MESSAGE);
    assert_int_equal(back.handles, 0);
    assert_int_equal(back.length, 0x0a0b0c0d);
    assert_int_equal(fer__header_encode(FER_WIRE_PLAIN, &goodbye, out), 4);
    assert_memory_equal(out, "\0\0\0\0", 4);
    assert_int_equal(fer__header_decode(FER_WIRE_PLAIN, out, &plenty, &back), FER_OK);
    assert_int_equal(back.kind, FER__FRAME_GOODBYE);
}

static void lengths_have_limits(void **state) {
    (void)state;
    fer__header header;
    const fer__limits small = {1000, 0, 0};
    const fer__limits large = {(uint64_t)UINT32_MAX + 1, 0, 0};
    uint8_t plain[4] = {0, 0, 3, 0xe8};
    assert_int_equal(decode("02000000 000003e8", small, &header), FER_OK);
    assert_int_equal(decode("02000000 000003e9", small, &header), FER_EMSGSIZE);
    assert_non_null(strstr(fer_status_detail(), "1001"));
    assert_non_null(strstr(fer_status_detail(), "1000"));
    assert_int_equal(decode("02000000 ffffffff", small, &header), FER_EMSGSIZE);
    assert_int_equal(decode("02000000 ffffffff", large, &header), FER_OK);
    assert_int_equal(fer__header_decode(FER_WIRE_PLAIN, plain, &small, &header), FER_OK);
    plain[3]++;
    assert_int_equal(fer__header_decode(FER_WIRE_PLAIN, plain, &small, &header), FER_EMSGSIZE);

    assert_int_equal(decode("01000000 0000001b", plenty, &header), FER_EPROTO);
    assert_int_equal(decode("01000000 0000001c", plenty, &header), FER_OK);
    assert_int_equal(decode("01000000 00001000", plenty, &header), FER_OK);
    assert_int_equal(decode("01000000 00001001", plenty, &header), FER_EPROTO);
    assert_int_equal(decode("03000000 00000000", plenty, &header), FER_EPROTO);
    assert_int_equal(decode("03000000 00000001", plenty, &header), FER_OK);
    assert_int_equal(decode("03000000 00000040", plenty, &header), FER_OK);
    assert_int_equal(decode("03000000 00000041", plenty, &header), FER_EPROTO);
    assert_int_equal(decode("04000000 00000001", plenty, &header), FER_EPROTO);
    assert_int_equal(decode("80000000 00100000", small, &header), FER_OK);
    assert_int_equal(decode("80000000 00100001", small, &header), FER_EPROTO);
}

static void handles_have_limits(void **state) {
    (void)state;
    fer__header header;
    const fer__limits none = {100, 0, 0};
    const fer__limits three = {100, 3, 0};
    assert_int_equal(decode("02010000 00000000", none, &header), FER_EPROTO);
    assert_int_equal(decode("02030000 00000000", three, &header), FER_OK);
    assert_int_equal(header.handles, 3);
    assert_int_equal(decode("02040000 00000000", three, &header), FER_EPROTO);
    assert_int_equal(decode("03000000 00000001", none, &header), FER_EPROTO);
    assert_int_equal(decode("03010000 00000001", three, &header), FER_EPROTO);
    assert_int_equal(decode("04010000 00000000", three, &header), FER_EPROTO);
    assert_int_equal(decode("01010000 0000001c", three, &header), FER_EPROTO);
}

/* Every kind, with good and bad fields beside it. */
static void kinds_are_known_or_skipped_or_wrong(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        static const uint8_t lengths[] = {0, 28, 1, 1};
        uint8_t bytes[8] = {(uint8_t)kind, 0, 0, 0, 0, 0, 0, 0};
        fer__header header;
        int known = kind >= 1 && kind <= 4;
        if (known)
            bytes[7] = lengths[kind % 4];
        fer_status status = fer__header_decode(FER_WIRE_NATIVE, bytes, &plenty, &header);
        assert_int_equal(status, known || kind >= 128 ? FER_OK : FER_EPROTO);
        if (status == FER_OK)
            assert_int_equal(header.kind, kind);
        for (int i = 2; i < 4; i++) {
            bytes[i] = 1;
            status = fer__header_decode(FER_WIRE_NATIVE, bytes, &plenty, &header);
            assert_int_equal(status, kind >= 128 ? FER_OK : FER_EPROTO);
            bytes[i] = 0;
        }
        bytes[1] = 255;
        status = fer__header_decode(FER_WIRE_NATIVE, bytes, &plenty, &header);
        assert_int_equal(status, kind >= 128 ? FER_OK : FER_EPROTO);
    }
}

static void a_hello_is_as_written(void **state) {
    (void)state;
    const fer__hello hello = {1, 0x0203, 0x04050607, 0x08090a0b0c0d0e0f, 0x10111213};
    static const uint8_t expected[36] = {1,   0,   0,   0,    0,  0,  0,  28, 'F', 'E', 'R', 'R',
                                         'U', 'L', 'E', '\n', 0,  1,  2,  3,  4,   5,   6,   7,
                                         8,   9,   10,  11,   12, 13, 14, 15, 16,  17,  18,  19};
    uint8_t out[FER__NATIVE_HEADER + FER__HELLO_SIZE];
    fer__hello back;
    uint32_t version = 0;
    assert_int_equal(fer__hello_encode(&hello, out), sizeof out);
    assert_memory_equal(out, expected, sizeof out);
    assert_int_equal(fer__hello_decode(out + 8, 28, &back, &version), FER_OK);
    assert_int_equal(version, 1);
    assert_int_equal(back.version_min, hello.version_min);
    assert_int_equal(back.version_max, hello.version_max);
    assert_int_equal(back.features, hello.features);
    assert_true(back.max_message == hello.max_message);
    assert_int_equal(back.max_handles, hello.max_handles);
    const fer__hello most = {0, UINT16_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX};
    fer__hello_encode(&most, out);
    assert_int_equal(fer__hello_decode(out + 8, 28, &back, &version), FER_OK);
    assert_true(back.max_message == UINT64_MAX);
}

static void versions_must_meet(void **state) {
    (void)state;
    static const struct {
        uint16_t min;
        uint16_t max;
        fer_status status;
    } ranges[] = {
        {1, 1, FER_OK},       {0, 1, FER_OK},       {1, 2, FER_OK},     {0, 65535, FER_OK},
        {0, 0, FER_EVERSION}, {2, 2, FER_EVERSION}, {2, 1, FER_EPROTO}, {1, 0, FER_EPROTO},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const fer__hello hello = {ranges[i].min, ranges[i].max, 0, 1, 0};
        uint8_t out[FER__NATIVE_HEADER + FER__HELLO_SIZE];
        fer__hello back;
        uint32_t version;
        fer__hello_encode(&hello, out);
        assert_int_equal(fer__hello_decode(out + 8, 28, &back, &version), ranges[i].status);
    }
}

/* Each byte of the magic matters, at each length; other bytes come from the version. */
static void bad_hellos_are_refused(void **state) {
    (void)state;
    const fer__hello hello = {1, 1, 0, 1, 0};
    uint8_t out[FER__NATIVE_HEADER + FER__HELLO_MAX + 1] = {0};
    fer__hello back;
    uint32_t version;
    fer__hello_encode(&hello, out);
    for (size_t i = 8; i < 16; i++) {
        out[i] ^= 0x20;
        assert_int_equal(fer__hello_decode(out + 8, 28, &back, &version), FER_EPROTO);
        assert_non_null(strstr(fer_status_detail(), "wire=plain"));
        out[i] ^= 0x20;
    }
    for (size_t size = 0; size < FER__HELLO_SIZE; size++)
        assert_int_equal(fer__hello_decode(out + 8, size, &back, &version), FER_EPROTO);
    assert_int_equal(fer__hello_decode(out + 8, 28, &back, &version), FER_OK);
    assert_int_equal(fer__hello_decode(out + 8, FER__HELLO_MAX, &back, &version), FER_OK);
    assert_int_equal(fer__hello_decode(out + 8, FER__HELLO_MAX + 1, &back, &version), FER_EPROTO);
}

/* What a start allows is what some whole header allows. */
static void the_start_of_a_hello_is_known_early(void **state) {
    (void)state;
    static const uint16_t lengths[] = {28, 29, 255, 256, 257, 4095, 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t header[8] = {
            1, 0, 0, 0, 0, 0, (uint8_t)(lengths[i] >> 8), (uint8_t)(lengths[i] & 255)};
        for (size_t size = 0; size <= sizeof header; size++)
            assert_int_equal(fer__hello_check_start(header, size), FER_OK);
    }
    assert_int_equal(fer__hello_check_start(NULL, 0), FER_OK);
    /* One wrong byte is seen as soon as it is there. */
    for (size_t at = 0; at < 8; at++) {
        uint8_t header[8] = {1, 0, 0, 0, 0, 0, 0, 28};
        header[at] = at == 6 ? 0x11 : at == 7 ? 27 : (uint8_t)(header[at] + 1);
        for (size_t size = 0; size <= sizeof header; size++)
            assert_int_equal(fer__hello_check_start(header, size), size > at ? FER_EPROTO : FER_OK);
        assert_non_null(strstr(fer_status_detail(), "wire=plain"));
    }
    static const uint8_t most[8] = {1, 0, 0, 0, 0, 0, 0x10, 1};
    assert_int_equal(fer__hello_check_start(most, 7), FER_OK);
    assert_int_equal(fer__hello_check_start(most, 8), FER_EPROTO);
}

/* A decoder as simple as can be, which sees a whole stream at once. */
static void walk(const wire_vector *vector, vector_events *events) {
    const uint8_t *at = vector->bytes;
    const uint8_t *end = at + vector->size;
    const size_t header_size = fer__header_size(vector->wire);
    fer_status status = FER_OK;
    if (vector->wire == FER_WIRE_NATIVE) {
        size_t size = vector->size < 8 ? vector->size : 8;
        fer__header header;
        fer__hello hello;
        uint32_t version;
        status = fer__hello_check_start(at, size);
        if (status == FER_OK && size == 8)
            status = fer__header_decode(vector->wire, at, &vector->limits, &header);
        if (status == FER_OK && (size < 8 || (size_t)(end - at) - 8 < header.length))
            status = FER_ECONNRESET;
        if (status == FER_OK)
            status = fer__hello_decode(at + 8, header.length, &hello, &version);
        if (status == FER_OK)
            status = fer__hello_check_secret(&hello, header.length, 0);
        if (status == FER_OK) {
            vector_saw_hello(events, version, hello.max_message, hello.max_handles);
            at += 8 + header.length;
        }
    }
    while (status == FER_OK) {
        fer__header header;
        if ((size_t)(end - at) < header_size) {
            int orderly = at == end && vector->wire == FER_WIRE_PLAIN;
            status = orderly ? FER_EOF : FER_ECONNRESET;
            break;
        }
        status = fer__header_decode(vector->wire, at, &vector->limits, &header);
        at += header_size;
        if (status == FER_OK && header.kind == FER__FRAME_HELLO)
            status = FER_EPROTO;
        if (status == FER_OK && header.kind == FER__FRAME_GOODBYE)
            status = FER_EOF;
        if (status == FER_OK && (size_t)(end - at) < header.length)
            status = FER_ECONNRESET;
        if (status != FER_OK)
            break;
        if (header.kind == FER__FRAME_MESSAGE)
            vector_saw_message(events, at, header.length, header.handles);
        at += header.length;
    }
    vector_saw_end(events, status);
}

static void the_vectors_hold(void **state) {
    (void)state;
    vector_file *file = vectors_open();
    size_t seen = 0;
    for (size_t i = 0; i < vectors_count(file); i++) {
        wire_vector vector;
        vectors_get(file, i, &vector);
        /* Whether descriptors came is not to be seen in the bytes. */
        if (!vector.needs_handles && vector.ride_count == 0) {
            vector_events *events = vector_events_new();
            walk(&vector, events);
            vector_events_compare(events, &vector);
            seen++;
        }
        vector_free(&vector);
    }
    vectors_close(file);
    assert_in_range(seen, 60, 1000);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(native_headers_are_as_written),
        HARNESS_TEST(plain_headers_are_a_length),
        HARNESS_TEST(lengths_have_limits),
        HARNESS_TEST(handles_have_limits),
        HARNESS_TEST(kinds_are_known_or_skipped_or_wrong),
        HARNESS_TEST(a_hello_is_as_written),
        HARNESS_TEST(versions_must_meet),
        HARNESS_TEST(bad_hellos_are_refused),
        HARNESS_TEST(the_start_of_a_hello_is_known_early),
        HARNESS_TEST(the_vectors_hold),
    };
    return HARNESS_MAIN("frame", tests, NULL, argc, argv);
}
