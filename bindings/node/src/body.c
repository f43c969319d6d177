#define _GNU_SOURCE /* mremap(2) */

#include "body.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "ferrule/channel.h"
#include "value.h"

enum {
    /** From here on a payload is received into its Buffer. */
    LEAST = 32 * 1024,
    /**
     * Larger ones end as external Buffers. The engine's own memory is cheaper: the collector looks at it more often,
     * nothing has to be called back, and a program can give it to a worker.
     */
    MOST_OF_ENGINE = 2 * 1024 * 1024,
    /** Of what the collector frees at a time, malloc(3) keeps this and more. */
    KEPT_FREE = 24 * 1024 * 1024,
};

/**
 * Have malloc(3) keep free memory for the next messages.
 *
 * The GNU one maps large blocks, and gives back what becomes free at its end. Both cost more than the copy of
 * the payload, since the system clears each page that it gives. It does so with less once it has seen a large
 * block come back, unless the user of the program chose otherwise.
 */
static void keep_free_memory(fer_node_env *state) {
    if (!state->keeps_memory) {
        /* The compiler may leave out a block that nobody looks at. */
        void *volatile block = malloc(KEPT_FREE);
        free(block);
        state->keeps_memory = true;
    }
}

/** There is no Buffer: the channel tells that there is no memory. */
static void forget_exception(napi_env env) {
    bool pending = false;
    napi_value error = NULL;
    FER_NODE_MUST(napi_is_exception_pending(env, &pending));
    if (pending) {
        FER_NODE_MUST(napi_get_and_clear_last_exception(env, &error));
    }
}

static napi_status make_buffer(napi_env env, fer_node_body *body) {
    napi_value buffer = NULL;
    FER_NODE_TRY(napi_create_buffer(env, body->size, &body->memory, &buffer));
    return napi_create_reference(env, buffer, 1, &body->buffer);
}

/** Memory of the engine's. */
static bool get_from_engine(fer_node_env *state, fer_node_body *body) {
    napi_handle_scope scope = NULL;
    keep_free_memory(state);
    FER_NODE_MUST(napi_open_handle_scope(state->env, &scope));
    bool made = make_buffer(state->env, body) == napi_ok;
    if (!made) {
        forget_exception(state->env);
    }
    FER_NODE_MUST(napi_close_handle_scope(state->env, scope));
    return made;
}

/*
 * Memory that grows without being copied: that of a payload of which nobody knows yet how much will come must not be
 * there twice. malloc(3) does so only with blocks that it maps.
 */

static void *map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(void *memory, size_t size) {
    /* It fails only for what is not mapped. */
    (void)munmap(memory, size);
}

static void *remap(void *memory, size_t size, size_t wanted) {
#ifdef MREMAP_MAYMOVE
    void *moved = mremap(memory, size, wanted, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : moved;
#else
    void *moved = map(wanted);
    if (moved != NULL) {
        memcpy(moved, memory, size < wanted ? size : wanted);
        unmap(memory, size);
    }
    return moved;
#endif
}

static void drop_memory(napi_env env, const fer_node_body *body) {
    if (body->buffer != NULL) {
        FER_NODE_MUST(napi_delete_reference(env, body->buffer));
    } else {
        unmap(body->memory, body->size);
    }
}

/** The link to the body at `memory`; the last link when there is none. Few are under way. */
static fer_node_body **find(fer_node_object *object, const void *memory) {
    fer_node_body **link = &object->bodies;
    while (*link != NULL && (*link)->memory != memory) {
        link = &(*link)->next;
    }
    return link;
}

static void *allocate(size_t size, void *user) {
    fer_node_object *object = user;
    fer_node_body *body = calloc(1, sizeof *body);
    if (body == NULL) {
        return NULL;
    }
    body->size = size;
    if (size > MOST_OF_ENGINE) {
        body->memory = map(size);
    } else if (!get_from_engine(object->state, body)) {
        body->memory = NULL;
    }
    if (body->memory == NULL) {
        free(body);
        return NULL;
    }
    *find(object, NULL) = body;
    return body->memory;
}

static void *resize(void *memory, size_t size, void *user) {
    fer_node_object *object = user;
    fer_node_body *body = *find(object, memory);
    void *moved = body->buffer == NULL ? remap(memory, body->size, size) : map(size);
    if (moved == NULL) {
        return NULL;
    }
    if (body->buffer != NULL) {
        memcpy(moved, memory, body->size < size ? body->size : size);
        drop_memory(object->state->env, body);
        body->buffer = NULL;
    }
    body->memory = moved;
    body->size = size;
    return moved;
}

static void release(void *memory, void *user) {
    fer_node_object *object = user;
    fer_node_body **link = find(object, memory);
    fer_node_body *body = *link;
    *link = body->next;
    drop_memory(object->state->env, body);
    free(body);
}

fer_status fer_node_body_use(fer_node_object *object) {
    fer_body_memory memory = FER_BODY_MEMORY_INIT;
    /* What the collector freed last was written some 32 MiB ago. */
    memory.flags = FER_BODY_MEMORY_COLD;
    memory.least = LEAST;
    memory.allocate = allocate;
    memory.resize = resize;
    memory.release = release;
    memory.user = object;
    fer_status status = fer_channel_set_body_memory(object->channel, &memory);
    return status == FER_EALREADY ? FER_OK : status;
}

static void on_collected(napi_env env, void *data, void *hint) {
    (void)env;
    unmap(data, (size_t)(uintptr_t)hint);
}

/** The Buffer of memory that was mapped, which is its own from then on, or goes. */
static napi_status make_from_mapped(napi_env env, const fer_node_env *state,
                                    const fer_node_body *body, napi_value *buffer) {
    napi_status status = napi_no_external_buffers_allowed;
    if (body->size > MOST_OF_ENGINE && !state->refuses_external) {
        void *hint = (void *)(uintptr_t)body->size;
        status =
            napi_create_external_buffer(env, body->size, body->memory, on_collected, hint, buffer);
    }
    if (status == napi_no_external_buffers_allowed) {
        status = napi_create_buffer_copy(env, body->size, body->memory, NULL, buffer);
        unmap(body->memory, body->size);
    } else if (status == napi_pending_exception || status == napi_cannot_run_js) {
        /* The environment ends: it did not look at the memory. After other failures it calls back. */
        unmap(body->memory, body->size);
    }
    return status;
}

napi_status fer_node_body_take(napi_env env, fer_node_object *object, const fer_message *message,
                               napi_value *buffer) {
    void *memory = NULL;
    *buffer = NULL;
    fer_node_body **link = find(object, message->data);
    fer_node_body *body = *link;
    if (body == NULL || body->size != message->size ||
        fer_message_take_data(object->channel, message, &memory) != FER_OK) {
        return napi_ok;
    }
    *link = body->next;
    napi_status status = napi_ok;
    if (body->buffer != NULL) {
        status = napi_get_reference_value(env, body->buffer, buffer);
        drop_memory(env, body);
    } else {
        status = make_from_mapped(env, object->state, body, buffer);
    }
    free(body);
    return status;
}

napi_value fer_node_body_external(napi_env env, napi_callback_info info) {
    size_t argc = 1;
    napi_value argv[1] = {NULL};
    bool allowed = true;
    fer_node_env *state = fer_node_env_get(env);
    if (state == NULL) {
        return NULL;
    }
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL), NULL);
    if (fer_node_get_bool(env, argv[0], &allowed)) {
        state->refuses_external = !allowed;
    }
    return NULL;
}
