/**
 * Whole uses of the library that end well or with a clean error, whatever fails on the way: for the tests
 * that let the n-th allocation or system call fail.
 *
 * A scenario asserts what must hold in any case: one-shot callbacks come once, what arrives is what was
 * accepted, in order and whole; everything can be closed and the loop ends. What must hold without a
 * failure is for the caller to check.
 */
#ifndef FER_TESTS_SCENARIOS_H
#define FER_TESTS_SCENARIOS_H

#include "fixture.h"

/** What came of a scenario. To be zeroed before each. */
typedef struct outcome {
    int complete;      /**< everything was done, and with success */
    fer_status status; /**< the first failure that was reported */
} outcome;

typedef struct scenario {
    const char *name;
    void (*run)(outcome *outcome);
} scenario;

/** Ends with an entry without a name. */
extern const scenario scenarios[];

/* For the scenarios. */

/** Note a failure. Returns whether there was one. */
int failed(outcome *to, fer_status status);

/** Step the loop until one of the flags is set. */
void wait_for(fer_loop *loop, const int *one, const int *other);

#endif
