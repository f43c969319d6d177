/* The allocator hook. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "impl/mem.h"

struct log {
    size_t mallocs;
    size_t reallocs;
    size_t frees;
    void *user;
};

static struct log seen;

static void *log_malloc(size_t size, void *user) {
    seen.mallocs++;
    seen.user = user;
    return malloc(size);
}

static void *log_realloc(void *memory, size_t size, void *user) {
    seen.reallocs++;
    seen.user = user;
    return realloc(memory, size);
}

static void log_free(void *memory, void *user) {
    seen.frees++;
    seen.user = user;
    free(memory);
}

static fer_allocator log_allocator(void *user) {
    fer_allocator allocator = FER_ALLOCATOR_INIT;
    allocator.malloc = log_malloc;
    allocator.realloc = log_realloc;
    allocator.free = log_free;
    allocator.user = user;
    memset(&seen, 0, sizeof seen);
    return allocator;
}

static void all_calls_reach_the_allocator(void **state) {
    (void)state;
    int mark;
    fer_allocator allocator = log_allocator(&mark);
    assert_int_equal(fer_set_allocator(&allocator), FER_OK);
    /* It was copied. */
    memset(&allocator, 0, sizeof allocator);

    char *memory = fer__zalloc(8);
    assert_non_null(memory);
    assert_ptr_equal(seen.user, &mark);
    assert_memory_equal(memory, "\0\0\0\0\0\0\0\0", 8);
    memcpy(memory, "1234567", 8);
    memory = fer__realloc(memory, 4096);
    assert_non_null(memory);
    assert_string_equal(memory, "1234567");
    assert_int_equal(fer__mem_live(), 1);
    char *second = fer__realloc(NULL, 1);
    assert_non_null(second);
    assert_int_equal(fer__mem_live(), 2);
    fer__free(memory);
    fer__free(second);
    fer__free(NULL);
    assert_int_equal(fer__mem_live(), 0);
    assert_int_equal(seen.mallocs, 2);
    assert_int_equal(seen.reallocs, 1);
    assert_int_equal(seen.frees, 2);

    assert_int_equal(fer_set_allocator(NULL), FER_OK);
    fer__free(fer__malloc(1));
    assert_int_equal(seen.mallocs, 2);
    harness_install_allocator();
}

static void the_allocator_stays_while_memory_is_live(void **state) {
    (void)state;
    fer_allocator allocator = log_allocator(NULL);
    void *memory = fer__malloc(1);
    assert_non_null(memory);
    assert_int_equal(fer_set_allocator(&allocator), FER_EBUSY);
    assert_string_not_equal(fer_status_detail(), "");
    assert_int_equal(fer_set_allocator(NULL), FER_EBUSY);
    fer__free(memory);
    assert_int_equal(seen.mallocs + seen.frees, 0);
    assert_int_equal(fer_set_allocator(&allocator), FER_OK);
    harness_install_allocator();
}

static void bad_allocators_are_refused(void **state) {
    (void)state;
    const fer_allocator good = log_allocator(NULL);
    for (int i = 0; i < 6; i++) {
        fer_allocator bad = good;
        switch (i) {
        case 0: bad.struct_size = 0; break;
        case 1: bad.struct_size = sizeof bad - 1; break;
        case 2: bad.flags = 1; break;
        case 3: bad.malloc = NULL; break;
        case 4: bad.realloc = NULL; break;
        default: bad.free = NULL; break;
        }
        assert_int_equal(fer_set_allocator(&bad), FER_EINVAL);
        assert_string_not_equal(fer_status_detail(), "");
    }
    fer__free(fer__malloc(1));
    assert_int_equal(seen.mallocs, 0);
}

static void a_longer_structure_is_taken(void **state) {
    (void)state;
    /* From a program that was built with headers of a later version. */
    struct {
        fer_allocator known;
        void *later[2];
    } longer = {log_allocator(NULL), {NULL, &longer}};
    longer.known.struct_size = sizeof longer;
    /* It asks for something that this version does not have. */
    assert_int_equal(fer_set_allocator(&longer.known), FER_EINVAL);
    longer.later[1] = NULL;
    assert_int_equal(fer_set_allocator(&longer.known), FER_OK);
    fer__free(fer__malloc(1));
    assert_int_equal(seen.mallocs, 1);
    harness_install_allocator();
}

static void a_failed_allocation_is_not_live(void **state) {
    (void)state;
    char *memory = fer__malloc(4);
    assert_non_null(memory);
    memcpy(memory, "abc", 4);
    harness_fail_allocation(1);
    assert_null(fer__malloc(1));
    assert_true(harness_allocation_failed());
    harness_fail_allocation(1);
    assert_null(fer__zalloc(1));
    harness_fail_allocation(1);
    assert_null(fer__realloc(memory, 100));
    assert_string_equal(memory, "abc");
    assert_int_equal(fer__mem_live(), 1);
    fer__free(memory);
}

enum { THREADS = 2, CHANGES = 100 };

static atomic_int stop;
static atomic_size_t foreign;

/* Marks what it gives out, so that memory of another allocator is noticed. */
static const uint64_t mark[2] = {0x66657272756c6521, 0x6d61726b6d61726b};

static void *marked_malloc(size_t size, void *user) {
    char *memory = malloc(sizeof mark + size);
    if (memory == NULL || user != &foreign)
        abort();
    memcpy(memory, mark, sizeof mark);
    return memory + sizeof mark;
}

static void *marked_realloc(void *memory, size_t size, void *user) {
    (void)memory;
    (void)size;
    (void)user;
    abort();
}

static void marked_free(void *memory, void *user) {
    char *start = (char *)memory - sizeof mark;
    if (memcmp(start, mark, sizeof mark) != 0 || user != &foreign)
        atomic_fetch_add(&foreign, 1);
    free(start);
}

static void *churn(void *user) {
    (void)user;
    while (!atomic_load(&stop)) {
        char *memory = fer__malloc(16);
        if (memory == NULL)
            abort();
        memset(memory, 1, 16);
        fer__free(memory);
        /* So that there are moments without live memory. */
        sched_yield();
    }
    return NULL;
}

static void threads_never_see_half_an_allocator(void **state) {
    (void)state;
    fer_allocator marked = {sizeof marked, 0, marked_malloc, marked_realloc, marked_free, &foreign};
    pthread_t threads[THREADS];
    atomic_store(&stop, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (size_t changes = 0; changes < CHANGES;) {
        fer_status status = fer_set_allocator(changes % 2 == 0 ? &marked : NULL);
        if (status == FER_OK)
            changes++;
        else if (status != FER_EBUSY)
            break;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&foreign), 0);
    assert_int_equal(fer__mem_live(), 0);
    harness_install_allocator();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(all_calls_reach_the_allocator),
        HARNESS_TEST(the_allocator_stays_while_memory_is_live),
        HARNESS_TEST(bad_allocators_are_refused),
        HARNESS_TEST(a_longer_structure_is_taken),
        HARNESS_TEST(a_failed_allocation_is_not_live),
        HARNESS_TEST(threads_never_see_half_an_allocator),
    };
    return HARNESS_MAIN("mem", tests, NULL, argc, argv);
}
