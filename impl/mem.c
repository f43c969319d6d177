#include "mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

static void *default_malloc(size_t size, void *user) {
    (void)user;
    return malloc(size);
}

static void *default_realloc(void *memory, size_t size, void *user) {
    (void)user;
    return realloc(memory, size);
}

static void default_free(void *memory, void *user) {
    (void)user;
    free(memory);
}

static const fer_allocator default_allocator = {
    sizeof(fer_allocator), 0, default_malloc, default_realloc, default_free, NULL};

static fer_allocator current = {sizeof(fer_allocator), 0,   default_malloc, default_realloc,
                                default_free,          NULL};

/*
 * How many allocations are live, and SWITCHING while the allocator changes. It changes only when none
 * is live, and who allocates counts first and looks at the allocator then: so nobody sees half of one.
 */
static atomic_size_t live;
#define SWITCHING (SIZE_MAX - SIZE_MAX / 2)

static void count_up(void) {
    while ((atomic_fetch_add(&live, 1) & SWITCHING) != 0) {
        /* The other thread is copying one structure. */
        atomic_fetch_sub(&live, 1);
        while ((atomic_load(&live) & SWITCHING) != 0) {
        }
    }
}

static void count_down(void) {
    atomic_fetch_sub(&live, 1);
}

void *fer__malloc(size_t size) {
    count_up();
    void *memory = current.malloc(size, current.user);
    if (memory == NULL)
        count_down();
    return memory;
}

void *fer__zalloc(size_t size) {
    void *memory = fer__malloc(size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *fer__realloc(void *memory, size_t size) {
    if (memory == NULL)
        return fer__malloc(size);
    /* The old memory is live, so the allocator cannot change now. */
    return current.realloc(memory, size, current.user);
}

void fer__free(void *memory) {
    if (memory == NULL)
        return;
    current.free(memory, current.user);
    count_down();
}

size_t fer__mem_live(void) {
    return atomic_load(&live) & ~SWITCHING;
}

fer_status fer__mem_set_allocator(const fer_allocator *allocator) {
    if (allocator == NULL)
        allocator = &default_allocator;
    else if (allocator->flags != 0)
        return fer__fail(FER_EINVAL, "fer_allocator: unknown flag in 0x%lx",
                         (unsigned long)allocator->flags);
    else if (allocator->malloc == NULL || allocator->realloc == NULL || allocator->free == NULL)
        return fer__fail(FER_EINVAL, "fer_allocator: malloc, realloc and free must all be given");

    size_t none = 0;
    if (!atomic_compare_exchange_strong(&live, &none, SWITCHING))
        return fer__fail(FER_EBUSY, "%lu allocations of the present allocator are in use",
                         (unsigned long)(none & ~SWITCHING));
    current = *allocator;
    atomic_fetch_and(&live, ~SWITCHING);
    return FER_OK;
}
