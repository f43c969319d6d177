/**
 * What a process uses: for the programs that leave objects idle.
 */
#ifndef FERRULE_BENCH_USAGE_H
#define FERRULE_BENCH_USAGE_H

#include <stddef.h>

#include "ferrule.h"

/** Objects before the measurement starts: what is made once is not counted. */
enum { FIRST = 24 };

/** In bytes. */
struct usage {
    size_t allocator; /**< what the library took from its allocator, as malloc(3) rounds it */
    size_t malloc;    /**< what the process has from malloc(3), libuv's and libc's own included */
    size_t resident;  /**< pages in memory */
};

/** End the process, with the library's words, unless `status` is FER_OK. */
void check(fer_status status, const char *what);

/** Have the library's memory counted, and as many descriptors as there may be. Once, at first. */
void usage_start(void);

struct usage usage_now(void);

/** Print what `count` objects added since `before`, and wait for the end of the standard input. */
void usage_print(const struct usage *before, size_t count);

/** End the process if the library has not given all of its memory back. */
void usage_end(void);

#endif
