#include "intake.h"

#include <string.h>

#include "body.h"
#include "copy.h"
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
    if (fer__body_resize(intake, allowance(intake, intake->have)))
        return FER_OK;
    return fer__fail(FER_ENOMEM, "no memory for a message of %u bytes",
                     (unsigned)intake->current.length);
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

/* Handles. */

static size_t claimed(const fer__intake *intake) {
    return intake->arrived == NULL ? 0 : intake->arrived->claimed;
}

static size_t unclaimed(const fer__intake *intake) {
    return intake->arrived == NULL ? 0 : intake->arrived->count - intake->arrived->claimed;
}

static void close_fds(const fer__fd *fds, size_t count) {
    size_t i;
    for (i = 0; i < count; i++)
        fer__os_close(fds[i]);
}

static fer_status too_many(const fer__limits *limits) {
    return fer__fail(FER_EPROTO, "more handles came than the %u that were asked for",
                     (unsigned)limits->max_handles);
}

/* How many may come together: those of a message, or one lane. */
static size_t most_fds(const fer__intake *intake, const fer__limits *limits) {
    if (limits->max_handles == 0 && limits->lanes && intake->lane == NULL)
        return 1;
    return limits->max_handles;
}

static fer_status keep_fds(fer__intake *intake, const fer__limits *limits, const fer__fd *fds,
                           size_t count) {
    fer__arrived *arrived = intake->arrived;
    /* The bytes that they came with may begin with frames of those before. */
    if (count > most_fds(intake, limits) || unclaimed(intake) > most_fds(intake, limits))
        return too_many(limits);
    if (arrived == NULL) {
        arrived = fer__zalloc(sizeof *arrived);
        if (arrived == NULL)
            return fer__fail(FER_ENOMEM, "no memory to keep a handle that came");
        intake->arrived = arrived;
    }
    memcpy(arrived->fds + arrived->count, fds, count * sizeof *fds);
    arrived->count += count;
    return FER_OK;
}

fer_status fer__intake_add_fds(fer__intake *intake, const fer__limits *limits, const fer__fd *fds,
                               size_t count) {
    fer_status status = keep_fds(intake, limits, fds, count);
    if (status != FER_OK)
        close_fds(fds, count);
    return status;
}

/* A HANDLE frame is complete. */
static fer_status claim(fer__intake *intake, const fer__limits *limits) {
    if (unclaimed(intake) == 0)
        return fer__fail(FER_EPROTO, "a HANDLE frame came without a descriptor");
    if (intake->arrived->claimed == limits->max_handles)
        return fer__fail(FER_EPROTO, "more HANDLE frames came than the %u that were asked for",
                         (unsigned)limits->max_handles);
    intake->arrived->claimed++;
    return FER_OK;
}

/* The bytes of a read are used up: what came with them must have its frame, or the beginning of one. */
static fer_status check_strays(const fer__intake *intake, const fer__limits *limits) {
    int is_inside;
    if (unclaimed(intake) > most_fds(intake, limits))
        return too_many(limits);
    is_inside = intake->in_payload && (intake->current.kind == FER__FRAME_HANDLE ||
                                       intake->current.kind == FER__FRAME_LANE);
    if (unclaimed(intake) == 0 || claimed(intake) > 0 || intake->header_have > 0 || is_inside)
        return FER_OK;
    return fer__fail(FER_EPROTO, "a descriptor came that no HANDLE frame announces");
}

static fer_status reserve_passed(fer__batch *batch, size_t more) {
    size_t room = batch->passed_room;
    fer_passed *passed;
    if (batch->passed_count + more <= room)
        return FER_OK;
    room = 2 * room > batch->passed_count + more ? 2 * room : batch->passed_count + more;
    passed = fer__realloc(batch->passed, room * sizeof *passed);
    if (passed == NULL)
        return fer__fail(FER_ENOMEM, "no memory to list the handles of one read");
    batch->passed = passed;
    batch->passed_room = room;
    return FER_OK;
}

/* Give a message the handles that its HANDLE frames claimed. */
static fer_status move_handles(fer__intake *intake, fer__batch *batch, size_t count) {
    fer__arrived *arrived = intake->arrived;
    fer_status status = reserve_passed(batch, count);
    size_t i;
    if (status != FER_OK)
        return status;
    for (i = 0; i < count; i++) {
        fer_passed *passed = &batch->passed[batch->passed_count++];
        passed->fd = arrived->fds[i];
        passed->kind = fer__os_kind_of(arrived->fds[i]);
    }
    arrived->count -= count;
    arrived->claimed -= count;
    memmove(arrived->fds, arrived->fds + count, arrived->count * sizeof *arrived->fds);
    return FER_OK;
}

/* The list of handles stands where it is now: tell the messages. */
static void link_handles(fer__batch *batch) {
    fer_passed *next = batch->passed;
    size_t i;
    if (batch->passed_count == 0)
        return;
    for (i = 0; i < batch->count; i++) {
        if (batch->messages[i].handle_count > 0)
            batch->messages[i].handles = next;
        next += batch->messages[i].handle_count;
    }
}

/* Messages. */

static fer_status emit(fer__intake *intake, fer__batch *batch, const void *data, size_t size) {
    size_t handles = intake->current.handles;
    fer_message *message;
    if (batch->count == batch->room) {
        size_t room = batch->room == 0 ? (size_t)FIRST_BATCH : 2 * batch->room;
        fer_message *messages = fer__realloc(batch->messages, room * sizeof *messages);
        if (messages == NULL)
            return fer__fail(FER_ENOMEM, "no memory to list the messages of one read");
        batch->messages = messages;
        batch->room = room;
    }
    if (handles > 0) {
        fer_status status = move_handles(intake, batch, handles);
        if (status != FER_OK)
            return status;
    }
    message = &batch->messages[batch->count++];
    message->data = data;
    message->size = size;
    message->handles = NULL;
    message->handle_count = handles;
    intake->messages++;
    intake->bytes += size;
    intake->handles += handles;
    return FER_OK;
}

/* The body is complete: hand it on, with its memory. */
static fer_status emit_body(fer__intake *intake, fer__batch *batch) {
    fer_status status = emit(intake, batch, intake->body, intake->have);
    fer_status ended = fer__body_end(intake, batch);
    intake->largest = intake->have > intake->largest ? intake->have : intake->largest;
    intake->in_payload = 0;
    if (status == FER_OK && ended != FER_OK)
        batch->count--;
    return status == FER_OK ? ended : status;
}

/* The payload goes on beyond this read: put its beginning into memory of its own. */
static fer_status begin_body(fer__intake *intake, fer__pool *pool, const uint8_t *data,
                             size_t size) {
    intake->in_payload = 1;
    intake->skipping = 0;
    intake->have = size;
    if (!fer__body_begin(intake, pool, allowance(intake, size))) {
        intake->in_payload = 0;
        return fer__fail(FER_ENOMEM, "no memory for a message of %u bytes",
                         (unsigned)intake->current.length);
    }
    fer__body_fill(intake, data, size);
    return FER_OK;
}

/* Take a payload, or its beginning, off the front of the bytes. */
static fer_status take_payload(fer__intake *intake, fer__pool *pool, const uint8_t **at,
                               const uint8_t *end, fer__batch *batch) {
    size_t there = (size_t)(end - *at);
    const uint8_t *data = *at;
    if (intake->current.handles != claimed(intake))
        return fer__fail(FER_EPROTO, "a message counts %u handles, and %u came",
                         (unsigned)intake->current.handles, (unsigned)claimed(intake));
    if (intake->current.length > there) {
        *at = end;
        return begin_body(intake, pool, data, there);
    }
    *at += intake->current.length;
    return emit(intake, batch, data, intake->current.length);
}

/* Lanes. */

/* A LANE frame is complete. */
static fer_status open_lane(fer__intake *intake) {
    fer__arrived *arrived = intake->arrived;
    fer_status status;
    if (intake->lane != NULL || claimed(intake) > 0)
        return fer__fail(FER_EPROTO, "a LANE frame came where none can be");
    if (unclaimed(intake) == 0)
        return fer__fail(FER_EPROTO, "a LANE frame came without a descriptor");
    status = fer__lane_open(arrived->fds[0], fer__lane_decode(intake->note), &intake->lane);
    fer__os_close(arrived->fds[0]);
    arrived->count--;
    memmove(arrived->fds, arrived->fds + 1, arrived->count * sizeof *arrived->fds);
    return status;
}

static fer_status parse(fer__intake *intake, fer__pool *pool, fer_wire wire,
                        const fer__limits *limits, const uint8_t **from, const uint8_t *end,
                        fer__batch *batch);

/*
 * Take messages off the front of what is in the lane that go to memory of somebody else: straight to there. A header is
 * copied before it is looked at. `*at` goes along, up to a frame of another kind.
 */
static fer_status take_given(fer__intake *intake, fer__pool *pool, const fer__limits *limits,
                             const uint8_t **at, const uint8_t *end, fer__batch *batch) {
    fer_status status = FER_OK;
    while (status == FER_OK && end - *at >= FER__NATIVE_HEADER && claimed(intake) == 0) {
        size_t there = (size_t)(end - *at) - FER__NATIVE_HEADER;
        fer__header header;
        uint8_t bytes[FER__NATIVE_HEADER];
        memcpy(bytes, *at, sizeof bytes);
        /* What is wrong with it, the usual way says. */
        if (fer__header_decode(FER_WIRE_NATIVE, bytes, limits, &header) != FER_OK ||
            header.kind != FER__FRAME_MESSAGE || header.handles > 0 ||
            header.length < intake->memory->least || header.length > there)
            return FER_OK;
        intake->current = header;
        intake->have = header.length;
        if (!fer__body_begin(intake, pool, header.length))
            return fer__fail(FER_ENOMEM, "no memory for a message of %u bytes",
                             (unsigned)header.length);
        fer__body_fill(intake, *at + FER__NATIVE_HEADER, header.length);
        *at += FER__NATIVE_HEADER + header.length;
        status = emit_body(intake, batch);
    }
    return status;
}

/* Take the frames that a BYTES frame stands for: copy them, then look at them. */
static fer_status take_lane(fer__intake *intake, fer__pool *pool, const fer__limits *limits,
                            fer__batch *batch) {
    uint64_t position = 0;
    size_t size = fer__bytes_decode(intake->note, &position);
    const uint8_t *there = NULL;
    const uint8_t *end;
    const uint8_t *at;
    fer_status status;
    intake->due = 0;
    if (intake->lane == NULL || size > FER__BYTES_MAX)
        return fer__fail(FER_EPROTO, "a BYTES frame came that cannot be");
    status = fer__lane_find(intake->lane, position, size, &there);
    if (status != FER_OK)
        return status;
    end = there + size;
    if (intake->memory != NULL)
        status = take_given(intake, pool, limits, &there, end, batch);
    if (status != FER_OK || there == end) {
        fer__lane_take(intake->lane, position, size);
        return status;
    }
    batch->body = fer__pool_body(pool, (size_t)(end - there), &batch->body_size);
    if (batch->body == NULL)
        return fer__fail(FER_ENOMEM, "no memory for %zu bytes from the lane", size);
    fer__copy(batch->body, there, (size_t)(end - there));
    fer__lane_take(intake->lane, position, size);
    intake->in_lane = 1;
    at = batch->body;
    status = parse(intake, pool, FER_WIRE_NATIVE, limits, &at, at + (end - there), batch);
    intake->in_lane = 0;
    if (status == FER_OK && fer__intake_is_inside(intake))
        return fer__fail(FER_EPROTO, "the bytes in a lane end inside a frame");
    return status;
}

/* A frame of which nothing is delivered is whole. */
static fer_status end_frame(fer__intake *intake, const fer__limits *limits) {
    switch (intake->current.kind) {
    case FER__FRAME_HANDLE: return claim(intake, limits);
    case FER__FRAME_LANE: return open_lane(intake);
    case FER__FRAME_BYTES: intake->due = 1; return FER_OK;
    default: return FER_OK;
    }
}

/* Pass over the payload of a frame that is no message. */
static fer_status skip(fer__intake *intake, const fer__limits *limits, const uint8_t **at,
                       const uint8_t *end) {
    size_t there = (size_t)(end - *at);
    size_t left = intake->current.length - intake->have;
    size_t n = there < left ? there : left;
    if (intake->current.kind == FER__FRAME_LANE || intake->current.kind == FER__FRAME_BYTES)
        memcpy(intake->note + intake->have, *at, n);
    *at += n;
    intake->have += n;
    intake->in_payload = intake->have < intake->current.length;
    intake->skipping = intake->in_payload;
    return intake->in_payload ? FER_OK : end_frame(intake, limits);
}

/* Whether a frame may come over a lane: not with descriptors, nor one about lanes. */
static int may_be_in_lane(const fer__header *header) {
    return header->kind != FER__FRAME_HANDLE && header->kind != FER__FRAME_LANE &&
           header->kind != FER__FRAME_BYTES && header->handles == 0;
}

/* A header is complete: see what its frame is. */
static fer_status begin_frame(fer__intake *intake, fer__pool *pool, const fer__limits *limits,
                              const uint8_t **at, const uint8_t *end, fer__batch *batch) {
    if (intake->in_lane && !may_be_in_lane(&intake->current))
        return fer__fail(FER_EPROTO, "a frame of kind %u with %u handles came over a lane",
                         (unsigned)intake->current.kind, (unsigned)intake->current.handles);
    switch (intake->current.kind) {
    case FER__FRAME_MESSAGE: return take_payload(intake, pool, at, end, batch);
    case FER__FRAME_GOODBYE:
        if (claimed(intake) > 0)
            return fer__fail(FER_EPROTO, "a handle came without its message");
        return fer__fail_plain(FER_EOF);
    case FER__FRAME_HELLO: return fer__fail(FER_EPROTO, "a second HELLO came");
    default: break;
    }
    intake->in_payload = 1;
    intake->skipping = 1;
    intake->have = 0;
    return skip(intake, limits, at, end);
}

/* Look at bytes up to the end, or to a BYTES frame. `from` goes along. */
static fer_status parse(fer__intake *intake, fer__pool *pool, fer_wire wire,
                        const fer__limits *limits, const uint8_t **from, const uint8_t *end,
                        fer__batch *batch) {
    size_t header_size = fer__header_size(wire);
    const uint8_t *at = *from;
    fer_status status = FER_OK;
    if (intake->skipping)
        status = skip(intake, limits, &at, end);
    while (status == FER_OK && at < end && !intake->due) {
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
            status = begin_frame(intake, pool, limits, &at, end, batch);
    }
    *from = at;
    /* Behind what came over a lane there is the rest of the read, which a descriptor may belong to. */
    return status == FER_OK && at == end && !intake->in_lane ? check_strays(intake, limits)
                                                             : status;
}

/* Keep what was not looked at: the read buffer belongs to all channels of the loop. */
static fer_status keep_rest(fer__intake *intake) {
    size_t size = (size_t)(intake->end - intake->at);
    if (size == 0)
        return FER_OK;
    if (size > intake->rest_room) {
        uint8_t *rest = fer__realloc(intake->rest, size);
        if (rest == NULL)
            return fer__fail(FER_ENOMEM, "no memory to keep what was read");
        intake->rest = rest;
        intake->rest_room = size;
    }
    memcpy(intake->rest, intake->at, size);
    intake->at = intake->rest;
    intake->end = intake->rest + size;
    return FER_OK;
}

int fer__intake_has_more(const fer__intake *intake) {
    return intake->due || intake->at < intake->end;
}

/* What came over a lane has memory of its own, of which a batch holds one piece. */
fer_status fer__intake_go_on(fer__intake *intake, fer__pool *pool, fer_wire wire,
                             const fer__limits *limits, fer__batch *batch) {
    fer_status status = FER_OK;
    if (!intake->due)
        status = parse(intake, pool, wire, limits, &intake->at, intake->end, batch);
    if (status == FER_OK && intake->due && batch->body == NULL)
        status = take_lane(intake, pool, limits, batch);
    link_handles(batch);
    return status;
}

fer_status fer__intake_feed(fer__intake *intake, fer__pool *pool, fer_wire wire,
                            const fer__limits *limits, size_t size, fer__batch *batch) {
    fer_status status = FER_OK;
    if (intake->in_payload && !intake->skipping) {
        size_t left = body_end(intake) - intake->have;
        size_t n = size < left ? size : left;
        intake->have += n;
        size -= n;
        if (intake->have == intake->current.length)
            status = emit_body(intake, batch);
    }
    intake->at = pool->read_buffer;
    intake->end = pool->read_buffer + size;
    if (status == FER_OK)
        status = fer__intake_go_on(intake, pool, wire, limits, batch);
    return status == FER_OK ? keep_rest(intake) : status;
}

int fer__intake_is_inside(const fer__intake *intake) {
    return intake->in_payload || intake->header_have > 0;
}

void fer__intake_drop(fer__intake *intake, fer__pool *pool) {
    fer__body_drop(intake, pool);
    intake->in_payload = 0;
    intake->header_have = 0;
    if (intake->arrived != NULL)
        close_fds(intake->arrived->fds, intake->arrived->count);
    fer__free(intake->arrived);
    intake->arrived = NULL;
    fer__lane_close(intake->lane);
    intake->lane = NULL;
    intake->at = intake->end = NULL;
    intake->due = 0;
}

void fer__intake_free(fer__intake *intake) {
    fer__free(intake->memory);
    intake->memory = NULL;
    fer__free(intake->rest);
    intake->rest = NULL;
    intake->rest_room = 0;
}
