/* The allocator of the tests: it counts, and fails when told to. */
#include "harness.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Stands before what is given out; keeps the alignment of malloc(3). */
union prefix {
    size_t size;
    max_align_t alignment;
};

static atomic_size_t live;
static atomic_size_t bytes;
static atomic_size_t calls;
static atomic_size_t largest;
static atomic_size_t fail_at; /* value of `calls` at which to fail; 0 for never */
static atomic_int fail_on;    /* and all after it */
static atomic_int failed;

void harness_begin_count(void);

void harness_begin_count(void) {
    atomic_store(&calls, 0);
    atomic_store(&largest, 0);
    harness_fail_allocation(0);
}

static void fail_from(size_t n, int on) {
    atomic_store(&failed, 0);
    atomic_store(&fail_on, on);
    atomic_store(&fail_at, n == 0 ? 0 : atomic_load(&calls) + n);
}

void harness_fail_allocation(size_t n) {
    fail_from(n, 0);
}

void harness_fail_allocations(size_t n) {
    fail_from(n, 1);
}

int harness_allocation_failed(void) {
    return atomic_load(&failed);
}

/** Count a request. Returns 0 when it is to fail. */
static int request(size_t size) {
    size_t number = atomic_fetch_add(&calls, 1) + 1;
    size_t most = atomic_load(&largest);
    while (size > most && !atomic_compare_exchange_weak(&largest, &most, size)) {
    }
    const size_t at = atomic_load(&fail_at);
    if (at != 0 && (number == at || (number > at && atomic_load(&fail_on)))) {
        atomic_store(&failed, 1);
        return 0;
    }
    return size <= SIZE_MAX - sizeof(union prefix);
}

static void *count_malloc(size_t size, void *user) {
    union prefix *prefix;
    (void)user;
    if (!request(size) || (prefix = malloc(sizeof *prefix + size)) == NULL)
        return NULL;
    prefix->size = size;
    atomic_fetch_add(&live, 1);
    atomic_fetch_add(&bytes, size);
    return prefix + 1;
}

static void *count_realloc(void *memory, size_t size, void *user) {
    if (memory == NULL)
        return count_malloc(size, user);
    union prefix *prefix = (union prefix *)memory - 1;
    size_t before = prefix->size;
    if (!request(size) || (prefix = realloc(prefix, sizeof *prefix + size)) == NULL)
        return NULL;
    prefix->size = size;
    atomic_fetch_add(&bytes, size - before);
    return prefix + 1;
}

static void count_free(void *memory, void *user) {
    (void)user;
    if (memory == NULL)
        return;
    union prefix *prefix = (union prefix *)memory - 1;
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&bytes, prefix->size);
    free(prefix);
}

void harness_install_allocator(void) {
    fer_allocator allocator = FER_ALLOCATOR_INIT;
    allocator.malloc = count_malloc;
    allocator.realloc = count_realloc;
    allocator.free = count_free;
    if (fer_set_allocator(&allocator) != FER_OK) {
        print_error("the allocator of the tests was refused: %s\n", fer_status_detail());
        exit(98);
    }
}

harness_memory harness_memory_now(void) {
    harness_memory now = {atomic_load(&live), atomic_load(&bytes), atomic_load(&calls),
                          atomic_load(&largest)};
    return now;
}
