/* No memory: the n-th allocation fails, for every n, once or from then on. */
#include <stdio.h>
#include <string.h>

#include "scenarios.h"

typedef struct run {
    const scenario *one;
    outcome last;
} run;

static void run_scenario(void *context) {
    run *at = context;
    memset(&at->last, 0, sizeof at->last);
    at->one->run(&at->last);
    /* Everything succeeds, or says that it did not. */
    if (!harness_allocation_failed())
        assert_int_equal(at->last.status, FER_OK);
    else if (at->last.status == FER_OK)
        assert_true(at->last.complete);
}

static void each(size_t (*each_allocation)(harness_scenario scenario, void *context)) {
    for (const scenario *one = scenarios; one->name != NULL; one++) {
        run at = {one, {0, FER_OK}};
        size_t rounds = each_allocation(run_scenario, &at);
        assert_true(rounds > 0);
        assert_int_equal(at.last.status, FER_OK);
        assert_true(at.last.complete);
    }
}

static void one_allocation_fails(void **state) {
    (void)state;
    each(harness_each_allocation);
}

static void all_allocations_fail_from_one_on(void **state) {
    (void)state;
    each(harness_each_shortage);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(one_allocation_fails),
        HARNESS_TEST(all_allocations_fail_from_one_on),
    };
    return HARNESS_MAIN("faults", tests, NULL, argc, argv);
}
