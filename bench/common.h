/**
 * What the benchmark's programs share: arguments, the clock, and the check of what arrives. README.md
 * describes the arguments and the output.
 */
#ifndef FERRULE_BENCH_COMMON_H
#define FERRULE_BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

/** How often a driver looks at the clock, in messages; a power of two. */
enum { CLOCK_EVERY = 16 };

struct task {
    const char *path;
    int serves;
    int streams; /**< the second of the program's two modes */
    size_t size; /**< of each message */
    double seconds;
};

/** What was received or sent. */
struct tally {
    uint64_t count;
    double started; /**< when the first message came or went; 0 before */
};

/** Parse the arguments of a program with two modes; ends the process when they are wrong. */
void task_parse(struct task *task, int argc, char **argv, const char *turns, const char *streams);

double now(void);

/** Print why, and end the process. */
_Noreturn void die(const char *what, const char *why);
_Noreturn void die_errno(const char *what);

/** Put the number of a message into its first bytes. */
void stamp(void *payload, uint64_t number);

/** Count a received message; ends the process when its size or number is wrong. */
void tally_add(struct tally *tally, const struct task *task, const void *payload, size_t size);

/** The server listens. */
void print_ready(void);

/** The last line. */
void print_result(const struct task *task, uint64_t count, double seconds);

/** The last line of a program that counts, instead of print_result(). */
void print_counted(const struct task *task, uint64_t count, uint64_t allocations);

/** malloc(3) that ends the process when there is none; the memory is touched already. */
void *take_memory(size_t size);

#endif
