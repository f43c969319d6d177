/**
 * What a process uses: for the programs that count more than messages.
 */
#ifndef FERRULE_BENCH_USAGE_H
#define FERRULE_BENCH_USAGE_H

#include <stddef.h>
#include <stdint.h>

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

/** Let this process have as many descriptors as it may. */
void usage_allow_descriptors(void);

/** Have the most that is resident counted from now on; how much it is now, in bytes. */
size_t usage_reset_peak(void);

/** The most bytes that were resident since then. */
size_t usage_peak(void);

/** Have the library's memory counted, and as many descriptors as there may be. Once, at first. */
void usage_start(void);

/** Seconds of the processor that this process has had. */
double usage_processor(void);

/** How often the library asked its allocator for memory since then. */
uint64_t usage_calls(void);

struct usage usage_now(void);

/** Print what `count` objects added since `before`, and wait for the end of the standard input. */
void usage_print(const struct usage *before, size_t count);

/** End the process if the library has not given all of its memory back. */
void usage_end(void);

#endif
