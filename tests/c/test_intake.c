/* Bytes in, messages out: the wire vectors cut at every position, and messages larger than a read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "impl/intake.h"
#include "impl/mem.h"
#include "vectors.h"

/** What receives, without a socket. */
struct receiver {
    fer__intake intake;
    fer__pool pool;
    fer__batch batch;
    fer_wire wire;
    fer__limits limits;
};

static void receiver_start(struct receiver *receiver, fer_wire wire, fer__limits limits) {
    memset(receiver, 0, sizeof *receiver);
    receiver->wire = wire;
    receiver->limits = limits;
}

static void receiver_end(struct receiver *receiver) {
    fer__intake_drop(&receiver->intake, &receiver->pool);
    fer__intake_free(&receiver->intake);
    fer__pool_give_body(&receiver->pool, receiver->batch.body, receiver->batch.body_size);
    fer__free(receiver->batch.messages);
    fer__free(receiver->batch.passed);
    fer__pool_free(&receiver->pool);
}

/* One read: as many of the bytes as there is room for. Returns the status; the batch has the messages. */
static fer_status feed(struct receiver *receiver, const uint8_t *bytes, size_t size,
                       size_t *taken) {
    struct iovec places[2];
    size_t count = 0;
    size_t done = 0;
    fer_status status = fer__intake_room(&receiver->intake, &receiver->pool, places, &count);
    *taken = 0;
    if (status != FER_OK)
        return status;
    assert_in_range(count, 1, 2);
    for (size_t i = 0; i < count; i++) {
        size_t n = size - done < places[i].iov_len ? size - done : places[i].iov_len;
        assert_true(places[i].iov_len > 0);
        memcpy(places[i].iov_base, bytes + done, n);
        done += n;
    }
    *taken = done;
    return fer__intake_feed(&receiver->intake, &receiver->pool, receiver->wire, &receiver->limits,
                            done, &receiver->batch);
}

static void deliver(struct receiver *receiver, vector_events *events) {
    fer__batch *batch = &receiver->batch;
    for (size_t i = 0; i < batch->count; i++)
        vector_saw_message(events, batch->messages[i].data, batch->messages[i].size,
                           batch->messages[i].handle_count);
    fer__batch_clear(batch, &receiver->pool);
}

static fer_status feed_all(struct receiver *receiver, const uint8_t *bytes, size_t size,
                           vector_events *events) {
    fer_status status = FER_OK;
    while (size > 0 && status == FER_OK) {
        size_t taken;
        status = feed(receiver, bytes, size, &taken);
        deliver(receiver, events);
        bytes += taken;
        size -= taken;
    }
    return status;
}

/* Descriptors that came with the read that is fed next. */
static fer_status add_riders(struct receiver *receiver, size_t count) {
    fer__fd fds[VECTOR_RIDERS];
    for (size_t i = 0; i < count; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    return count == 0 ? FER_OK
                      : fer__intake_add_fds(&receiver->intake, &receiver->limits, fds, count);
}

/** What the receiver makes of the stream when it comes in pieces: up to `cut`, then of `step` bytes. */
static void replay(const wire_vector *vector, size_t start, size_t cut, size_t step) {
    struct receiver receiver;
    vector_events *events = vector_events_new();
    fer_status status = FER_OK;
    size_t riders = 0;
    receiver_start(&receiver, vector->wire, vector->limits);
    if (vector->wire == FER_WIRE_NATIVE) {
        fer__hello hello;
        uint32_t version = 0;
        assert_int_equal(fer__hello_decode(vector->bytes + FER__NATIVE_HEADER,
                                           start - FER__NATIVE_HEADER, &hello, &version),
                         FER_OK);
        vector_saw_hello(events, version, hello.max_message, hello.max_handles);
    }
    for (size_t at = start; at < vector->size && status == FER_OK;) {
        size_t size = at < cut ? cut - at : step;
        if (size > vector->size - at)
            size = vector->size - at;
        size = vector_piece(vector, at, at + size, &riders);
        fer_status trouble = add_riders(&receiver, riders);
        status = feed_all(&receiver, vector->bytes + at, size, events);
        if (trouble != FER_OK)
            status = trouble;
        at += size;
    }
    if (status == FER_OK) {
        int orderly = vector->wire == FER_WIRE_PLAIN && !fer__intake_is_inside(&receiver.intake);
        status = orderly ? FER_EOF : FER_ECONNRESET;
    }
    vector_saw_end(events, status);
    vector_events_compare(events, vector);
    receiver_end(&receiver);
}

/* Where the frames behind the handshake begin; 0 when the handshake fails. */
static size_t after_hello(const wire_vector *vector) {
    fer__header header;
    fer__hello hello;
    uint32_t version;
    if (vector->size < FER__NATIVE_HEADER ||
        fer__hello_check_start(vector->bytes, vector->size) != FER_OK ||
        fer__header_decode(vector->wire, vector->bytes, &vector->limits, &header) != FER_OK ||
        vector->size - FER__NATIVE_HEADER < header.length ||
        fer__hello_decode(vector->bytes + FER__NATIVE_HEADER, header.length, &hello, &version) !=
            FER_OK ||
        fer__hello_check_secret(&hello, header.length, 0) != FER_OK)
        return 0;
    return FER__NATIVE_HEADER + header.length;
}

static void the_vectors_hold_wherever_they_are_cut(void **state) {
    (void)state;
    vector_file *file = vectors_open();
    size_t replayed = 0;
    for (size_t i = 0; i < vectors_count(file); i++) {
        wire_vector vector;
        vectors_get(file, i, &vector);
        size_t start = vector.wire == FER_WIRE_NATIVE ? after_hello(&vector) : 0;
        int opens = vector.wire == FER_WIRE_PLAIN || start > 0;
        /* One that takes no handles lets the kernel drop them, and is told so. */
        if (opens && (vector.ride_count == 0 || vector.limits.max_handles > 0)) {
            for (size_t cut = start; cut <= vector.size; cut++)
                replay(&vector, start, cut, vector.size);
            for (size_t step = 1; step <= 9; step++)
                replay(&vector, start, start, step);
            replayed++;
        }
        vector_free(&vector);
    }
    vectors_close(file);
    assert_in_range(replayed, 40, 1000);
}

/* A stream of messages of these sizes, the content of which depends on the place. */
static uint8_t *stream_of(const size_t *sizes, size_t count, size_t *size) {
    *size = 0;
    for (size_t i = 0; i < count; i++)
        *size += FER__NATIVE_HEADER + sizes[i];
    uint8_t *bytes = malloc(*size);
    uint8_t *at = bytes;
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        const fer__header header = {FER__FRAME_MESSAGE, 0, (uint32_t)sizes[i]};
        at += fer__header_encode(FER_WIRE_NATIVE, &header, at);
        for (size_t j = 0; j < sizes[i]; j++)
            *at++ = (uint8_t)(i * 31 + j * 7 + (j >> 8));
    }
    return bytes;
}

static void assert_message(const fer_message *message, size_t index, size_t size) {
    const uint8_t *bytes = message->data;
    assert_int_equal(message->size, size);
    for (size_t j = 0; j < size; j++) {
        if (bytes[j] != (uint8_t)(index * 31 + j * 7 + (j >> 8)))
            fail_msg("byte %lu of message %lu is wrong", (unsigned long)j, (unsigned long)index);
    }
}

static const size_t large[] = {0,
                               1,
                               FER__READ_SIZE - 9,
                               FER__READ_SIZE - 8,
                               3,
                               262144,
                               FER__READ_SIZE + 1,
                               1000000,
                               65536,
                               65537,
                               5000000,
                               0,
                               262136,
                               7};
enum { LARGE = sizeof large / sizeof large[0] };

static void large_messages_come_whole_in_any_pieces(void **state) {
    (void)state;
    static const size_t steps[] = {1000003, 262144, 65536, 65535, 4096, 997};
    size_t size;
    uint8_t *bytes = stream_of(large, LARGE, &size);
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        struct receiver receiver;
        size_t seen = 0;
        receiver_start(&receiver, FER_WIRE_NATIVE, (fer__limits){5000000, 0, 0});
        for (size_t at = 0; at < size;) {
            size_t piece = size - at < steps[s] ? size - at : steps[s];
            size_t taken;
            assert_int_equal(feed(&receiver, bytes + at, piece, &taken), FER_OK);
            at += taken;
            for (size_t i = 0; i < receiver.batch.count; i++, seen++)
                assert_message(&receiver.batch.messages[i], seen, large[seen]);
            receiver.batch.count = 0;
            fer__pool_give_body(&receiver.pool, receiver.batch.body, receiver.batch.body_size);
            receiver.batch.body = NULL;
        }
        assert_int_equal(seen, LARGE);
        assert_false(fer__intake_is_inside(&receiver.intake));
        receiver_end(&receiver);
    }
    free(bytes);
}

/* A peer that claims 4 GiB and sends little gets little memory. */
static void memory_grows_with_what_came(void **state) {
    (void)state;
    struct receiver receiver;
    const fer__header header = {FER__FRAME_MESSAGE, 0, UINT32_MAX};
    uint8_t bytes[FER__NATIVE_HEADER];
    static uint8_t block[65536];
    size_t sent = 0;
    size_t taken;
    receiver_start(&receiver, FER_WIRE_NATIVE, (fer__limits){UINT32_MAX, 0, 0});
    fer__header_encode(FER_WIRE_NATIVE, &header, bytes);
    assert_int_equal(feed(&receiver, bytes, sizeof bytes, &taken), FER_OK);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(feed(&receiver, block, sizeof block, &taken), FER_OK);
        sent += taken;
        assert_true(harness_memory_now().bytes <= FER__READ_SIZE + 65536 + 2 * sent + 8192);
    }
    assert_true(harness_memory_now().largest <= FER__READ_SIZE + 2 * sent);
    assert_true(fer__intake_is_inside(&receiver.intake));
    receiver_end(&receiver);
}

static void nothing_is_allocated_for_what_is_refused(void **state) {
    (void)state;
    struct receiver receiver;
    const fer__header header = {FER__FRAME_MESSAGE, 0, 1001};
    uint8_t bytes[FER__NATIVE_HEADER];
    size_t taken;
    receiver_start(&receiver, FER_WIRE_NATIVE, (fer__limits){1000, 0, 0});
    fer__header_encode(FER_WIRE_NATIVE, &header, bytes);
    assert_int_equal(feed(&receiver, bytes, 7, &taken), FER_OK);
    harness_memory before = harness_memory_now();
    assert_int_equal(feed(&receiver, bytes + 7, 1, &taken), FER_EMSGSIZE);
    assert_int_equal(harness_memory_now().calls, before.calls);
    receiver_end(&receiver);
}

static void take_large_stream(void *context) {
    const size_t *sizes = context;
    struct receiver receiver;
    size_t size;
    uint8_t *bytes = stream_of(sizes, 4, &size);
    fer_status status = FER_OK;
    size_t seen = 0;
    receiver_start(&receiver, FER_WIRE_NATIVE, (fer__limits){5000000, 0, 0});
    for (size_t at = 0; at < size && status == FER_OK;) {
        size_t piece = size - at < 100000 ? size - at : 100000;
        size_t taken;
        status = feed(&receiver, bytes + at, piece, &taken);
        at += taken;
        for (size_t i = 0; i < receiver.batch.count; i++, seen++)
            assert_message(&receiver.batch.messages[i], seen, sizes[seen]);
        receiver.batch.count = 0;
        fer__pool_give_body(&receiver.pool, receiver.batch.body, receiver.batch.body_size);
        receiver.batch.body = NULL;
    }
    assert_true(status == FER_ENOMEM || (status == FER_OK && seen == 4));
    receiver_end(&receiver);
    free(bytes);
}

static void a_lack_of_memory_is_a_status(void **state) {
    (void)state;
    size_t sizes[4] = {10, 700000, 1, 300000};
    assert_in_range(harness_each_allocation(take_large_stream, sizes), 4, 100);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(the_vectors_hold_wherever_they_are_cut),
        HARNESS_TEST(large_messages_come_whole_in_any_pieces),
        HARNESS_TEST(memory_grows_with_what_came),
        HARNESS_TEST(nothing_is_allocated_for_what_is_refused),
        HARNESS_TEST(a_lack_of_memory_is_a_status),
    };
    return HARNESS_MAIN("intake", tests, NULL, argc, argv);
}
