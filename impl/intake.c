#include "intake.h"

#include <string.h>

#include "mem.h"
#include "status.h"

enum {
    TRUSTED = 64 * 1024, /* bytes that any peer may claim */
    FIRST_BATCH = 64
};

/* How large the body may be made now. */
static size_t allowance(const fer__intake *intake, size_t have) {
    size_t allowed = TRUSTED;
    if (allowed < intake->largest)
        allowed = intake->largest;
    if (allowed < 2 * have)
        allowed = 2 * have;
    return allowed < intake->current.length ? allowed : intake->current.length;
}

static size_t body_end(const fer__intake *intake) {
    return intake->capacity < intake->current.length ? intake->capacity : intake->current.length;
}

static fer_status grow(fer__intake *intake) {
    size_t size = allowance(intake, intake->have);
    uint8_t *body = fer__realloc(intake->body, size);
    if (body == NULL)
        return fer__fail(FER_ENOMEM, "no memory for a message of %u bytes",
                         (unsigned)intake->current.length);
    intake->body = body;
    intake->capacity = size;
    return FER_OK;
}

fer_status fer__intake_room(fer__intake *intake, fer__pool *pool, struct iovec iov[2],
                            size_t *count) {
    uint8_t *buffer = fer__pool_read_buffer(pool);
    size_t n = 0;
    if (buffer == NULL)
        return fer__fail_plain(FER_ENOMEM);
    if (intake->in_payload && !intake->skipping) {
        fer_status status = FER_OK;
        if (intake->have == body_end(intake))
            status = grow(intake);
        if (status != FER_OK)
            return status;
        iov[n].iov_base = intake->body + intake->have;
        iov[n++].iov_len = body_end(intake) - intake->have;
    }
    /* Behind a body that is not at its end yet, nothing can follow. */
    if (n == 0 || body_end(intake) == intake->current.length) {
        iov[n].iov_base = buffer;
        iov[n++].iov_len = FER__READ_SIZE;
    }
    *count = n;
    return FER_OK;
}

static fer_status emit(fer__batch *batch, const void *data, size_t size) {
    fer_message *message;
    if (batch->count == batch->room) {
        size_t room = batch->room == 0 ? (size_t)FIRST_BATCH : 2 * batch->room;
        fer_message *messages = fer__realloc(batch->messages, room * sizeof *messages);
        if (messages == NULL)
            return fer__fail(FER_ENOMEM, "no memory to list the messages of one read");
        batch->messages = messages;
        batch->room = room;
    }
    message = &batch->messages[batch->count++];
    message->data = data;
    message->size = size;
    message->handles = NULL;
    message->handle_count = 0;
    return FER_OK;
}

/* The body is complete: hand it on, with its memory. */
static fer_status emit_body(fer__intake *intake, fer__batch *batch) {
    fer_status status = emit(batch, intake->body, intake->have);
    batch->body = intake->body;
    batch->body_size = intake->capacity;
    intake->largest = intake->have > intake->largest ? intake->have : intake->largest;
    intake->body = NULL;
    intake->capacity = 0;
    intake->in_payload = 0;
    return status;
}

/* The payload goes on beyond this read: put its beginning into memory of its own. */
static fer_status begin_body(fer__intake *intake, fer__pool *pool, const uint8_t *data,
                             size_t size) {
    intake->in_payload = 1;
    intake->skipping = 0;
    intake->have = size;
    intake->body = fer__pool_body(pool, allowance(intake, size), &intake->capacity);
    if (intake->body == NULL) {
        intake->in_payload = 0;
        return fer__fail(FER_ENOMEM, "no memory for a message of %u bytes",
                         (unsigned)intake->current.length);
    }
    memcpy(intake->body, data, size);
    return FER_OK;
}

/* Take a payload, or its beginning, off the front of the bytes. */
static fer_status take_payload(fer__intake *intake, fer__pool *pool, const uint8_t **at,
                               const uint8_t *end, fer__batch *batch) {
    size_t there = (size_t)(end - *at);
    const uint8_t *data = *at;
    if (intake->current.length > there) {
        *at = end;
        return begin_body(intake, pool, data, there);
    }
    *at += intake->current.length;
    return emit(batch, data, intake->current.length);
}

static void skip(fer__intake *intake, const uint8_t **at, const uint8_t *end) {
    size_t there = (size_t)(end - *at);
    size_t left = intake->current.length - intake->have;
    size_t n = there < left ? there : left;
    *at += n;
    intake->have += n;
    intake->in_payload = intake->have < intake->current.length;
    intake->skipping = intake->in_payload;
}

/* A header is complete: see what its frame is. */
static fer_status begin_frame(fer__intake *intake, fer__pool *pool, const uint8_t **at,
                              const uint8_t *end, fer__batch *batch) {
    switch (intake->current.kind) {
    case FER__FRAME_MESSAGE: return take_payload(intake, pool, at, end, batch);
    case FER__FRAME_GOODBYE: return fer__fail_plain(FER_EOF);
    case FER__FRAME_HELLO: return fer__fail(FER_EPROTO, "a second HELLO came");
    case FER__FRAME_HANDLE: return fer__fail(FER_EPROTO, "a handle came that was not asked for");
    default: break;
    }
    intake->in_payload = 1;
    intake->skipping = 1;
    intake->have = 0;
    skip(intake, at, end);
    return FER_OK;
}

static fer_status parse(fer__intake *intake, fer__pool *pool, fer_wire wire,
                        const fer__limits *limits, const uint8_t *at, const uint8_t *end,
                        fer__batch *batch) {
    size_t header_size = fer__header_size(wire);
    fer_status status = FER_OK;
    if (intake->skipping)
        skip(intake, &at, end);
    while (status == FER_OK && at < end) {
        const uint8_t *header = at;
        if (intake->header_have == 0 && (size_t)(end - at) >= header_size) {
            at += header_size;
        } else {
            intake->header[intake->header_have++] = *at++;
            if (intake->header_have < header_size)
                continue;
            header = intake->header;
            intake->header_have = 0;
        }
        status = fer__header_decode(wire, header, limits, &intake->current);
        if (status == FER_OK)
            status = begin_frame(intake, pool, &at, end, batch);
    }
    return status;
}

fer_status fer__intake_feed(fer__intake *intake, fer__pool *pool, fer_wire wire,
                            const fer__limits *limits, size_t size, fer__batch *batch) {
    const uint8_t *buffer = pool->read_buffer;
    if (intake->in_payload && !intake->skipping) {
        size_t left = body_end(intake) - intake->have;
        size_t n = size < left ? size : left;
        fer_status status = FER_OK;
        intake->have += n;
        size -= n;
        if (intake->have == intake->current.length)
            status = emit_body(intake, batch);
        if (status != FER_OK)
            return status;
    }
    return parse(intake, pool, wire, limits, buffer, buffer + size, batch);
}

int fer__intake_is_inside(const fer__intake *intake) {
    return intake->in_payload || intake->header_have > 0;
}

void fer__intake_drop(fer__intake *intake, fer__pool *pool) {
    fer__pool_give_body(pool, intake->body, intake->capacity);
    intake->body = NULL;
    intake->in_payload = 0;
    intake->header_have = 0;
}
