/**
 * Deadlines: one timer of the loop serves all of them.
 */
#ifndef FER_IMPL_DEADLINE_H
#define FER_IMPL_DEADLINE_H

#include <stdint.h>

#include "ferrule/types.h"
#include "list.h"

/** Something to do when a time has come. Lives in its owner. */
typedef struct fer__deadline {
    fer__link link; /**< in loop->deadlines, the earliest first */
    int64_t at;     /**< of the clock of fer__os_now() */
    uint8_t unheld; /**< waiting for it does not keep the loop alive */
    void (*expired)(struct fer__deadline *deadline);
} fer__deadline;

/** The time `ms` from now, by fer__os_now(). Negative, which means never, for a negative `ms`. */
int64_t fer__deadline_after(int64_t ms);

void fer__deadline_init(fer__deadline *deadline, void (*expired)(fer__deadline *deadline));

/** Set, or move, a deadline to `ms` from now. Negative: never. */
void fer__deadline_set(fer_loop *loop, fer__deadline *deadline, int64_t ms);

void fer__deadline_clear(fer_loop *loop, fer__deadline *deadline);

/** Whether waiting for it keeps the loop alive; that of a new one does. */
void fer__deadline_hold(fer_loop *loop, fer__deadline *deadline, int hold);

/** Milliseconds to the earliest one; -1 when there is none. */
int64_t fer__deadline_next(const fer_loop *loop);

/** Run what has expired. */
void fer__deadline_run(fer_loop *loop);

#endif
