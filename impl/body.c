#include "body.h"

#include "copy.h"
#include "mem.h"
#include "status.h"

enum { FIRST_GIVEN = 16 };

int fer__body_begin(fer__intake *intake, fer__pool *pool, size_t size) {
    const fer_body_memory *memory = intake->memory;
    intake->is_given = memory != NULL && intake->current.length >= memory->least;
    if (intake->is_given) {
        intake->body = memory->allocate(size, memory->user);
        intake->capacity = size;
    } else {
        intake->body = fer__pool_body(pool, size, &intake->capacity);
    }
    return intake->body != NULL;
}

int fer__body_resize(fer__intake *intake, size_t size) {
    const fer_body_memory *memory = intake->memory;
    uint8_t *body = intake->is_given ? memory->resize(intake->body, size, memory->user)
                                     : fer__realloc(intake->body, size);
    if (body == NULL)
        return 0;
    intake->body = body;
    intake->capacity = size;
    return 1;
}

void fer__body_fill(fer__intake *intake, const uint8_t *from, size_t size) {
    if (intake->is_given && (intake->memory->flags & FER_BODY_MEMORY_COLD) != 0)
        fer__copy_cold(intake->body, from, size);
    else
        fer__copy(intake->body, from, size);
}

static fer__given *add_given(fer__batch *batch) {
    if (batch->given_count == batch->given_room) {
        size_t room = batch->given_room == 0 ? (size_t)FIRST_GIVEN : 2 * batch->given_room;
        fer__given *given = fer__realloc(batch->given, room * sizeof *given);
        if (given == NULL)
            return NULL;
        batch->given = given;
        batch->given_room = room;
    }
    return &batch->given[batch->given_count++];
}

fer_status fer__body_end(fer__intake *intake, fer__batch *batch) {
    const fer_body_memory *memory = intake->memory;
    fer_status status = FER_OK;
    if (intake->is_given) {
        fer__given *given = add_given(batch);
        if (given == NULL) {
            memory->release(intake->body, memory->user);
            status = fer__fail(FER_ENOMEM, "no memory to list the messages of one read");
        } else {
            *given = (fer__given){intake->body, intake->body, memory->release, memory->user};
        }
    } else {
        batch->body = intake->body;
        batch->body_size = intake->capacity;
    }
    intake->body = NULL;
    intake->capacity = 0;
    return status;
}

void fer__body_drop(fer__intake *intake, fer__pool *pool) {
    const fer_body_memory *memory = intake->memory;
    if (intake->body != NULL && intake->is_given)
        memory->release(intake->body, memory->user);
    else
        fer__pool_give_body(pool, intake->body, intake->capacity);
    intake->body = NULL;
    intake->capacity = 0;
}

fer_status fer__intake_set_memory(fer__intake *intake, const fer_body_memory *memory) {
    if (intake->memory != NULL)
        return fer__fail(FER_EALREADY, "the memory for large messages was chosen");
    if (intake->messages > 0 || intake->body != NULL)
        return fer__fail(FER_EALREADY, "messages have come already");
    intake->memory = fer__malloc(sizeof *intake->memory);
    if (intake->memory == NULL)
        return fer__fail_plain(FER_ENOMEM);
    *intake->memory = *memory;
    return FER_OK;
}

/* Who takes them does so in their order, mostly: look behind the last one first. */
static fer__given *find_given(fer__batch *batch, const void *data) {
    size_t i;
    for (i = 0; i < batch->given_count; i++) {
        size_t at = (batch->given_next + i) % batch->given_count;
        if (batch->given[at].data == data) {
            batch->given_next = at + 1;
            return &batch->given[at];
        }
    }
    return NULL;
}

fer_status fer__batch_take_given(fer__batch *batch, const void *data, void **memory) {
    fer__given *given = find_given(batch, data);
    if (given == NULL)
        return fer__fail_plain(FER_ENOENT);
    if (given->memory == NULL)
        return fer__fail(FER_EALREADY, "the memory of the message was taken");
    *memory = given->memory;
    given->memory = NULL;
    return FER_OK;
}

static void release_given(fer__batch *batch) {
    size_t i;
    for (i = 0; i < batch->given_count; i++) {
        fer__given *given = &batch->given[i];
        if (given->memory != NULL)
            given->release(given->memory, given->user);
    }
    batch->given_count = batch->given_next = 0;
}

void fer__batch_clear(fer__batch *batch, fer__pool *pool) {
    size_t i;
    for (i = 0; i < batch->passed_count; i++)
        fer__os_close((fer__fd)batch->passed[i].fd);
    release_given(batch);
    fer__pool_give_body(pool, batch->body, batch->body_size);
    batch->body = NULL;
    batch->count = 0;
    batch->passed_count = 0;
}

void fer__batch_free(fer__batch *batch) {
    fer__free(batch->messages);
    fer__free(batch->passed);
    fer__free(batch->given);
}
