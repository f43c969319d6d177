/* Copies of much, from and to everywhere in their pages. */
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "impl/copy.h"
#include "impl/mem.h"

typedef void copier(void *to, const void *from, size_t size);

/* A copy of `size` bytes from and to these places of their pages, with nothing before and behind it touched. */
static void check_copy(copier *copy, uint8_t *to, const uint8_t *from, size_t size) {
    enum { AROUND = 64 };
    memset(to - AROUND, 0xee, size + (size_t)2 * AROUND);
    copy(to, from, size);
    assert_memory_equal(to, from, size);
    for (size_t i = 1; i <= AROUND; i++) {
        assert_int_equal(to[-(ptrdiff_t)i], 0xee);
        assert_int_equal(to[size + i - 1], 0xee);
    }
}

static void copies_are_exact_at_every_distance(void **state) {
    enum { PAGE = 4096, MOST = 3 * PAGE, NEAR = 66 };
    static const size_t sizes[] = {0, 1, 63, 64, 65, 127, 128, 129, 1024, 1025, 4095, 4096, 8200};
    static copier *const copiers[] = {fer__copy, fer__copy_cold};
    (void)state;
    uint8_t *from = fer__malloc((size_t)2 * PAGE + MOST);
    uint8_t *to = fer__malloc((size_t)2 * PAGE + MOST);
    assert_non_null(from);
    assert_non_null(to);
    for (size_t i = 0; i < (size_t)2 * PAGE + MOST; i++)
        from[i] = (uint8_t)(i * 7 + i / 251);
    /* The beginnings of pages, so that the distances in them are these. */
    uint8_t *source = from + PAGE - (uintptr_t)from % PAGE;
    uint8_t *target = to + PAGE - (uintptr_t)to % PAGE;
    for (size_t apart = 0; apart <= NEAR; apart++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t n = 0; n < sizeof copiers / sizeof *copiers; n++) {
                check_copy(copiers[n], target + NEAR + apart, source + NEAR, sizes[i]);
                check_copy(copiers[n], target + NEAR, source + apart, sizes[i]);
            }
        }
    }
    fer__free(from);
    fer__free(to);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(copies_are_exact_at_every_distance),
    };
    return HARNESS_MAIN("copy", tests, NULL, argc, argv);
}
