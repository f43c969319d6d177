#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

void die_errno(const char *what) {
    die(what, strerror(errno));
}

void task_parse(struct task *task, int argc, char **argv, const char *turns, const char *streams) {
    if (argc != 6) {
        die("usage", "PROGRAM serve|drive PATH MODE SIZE SECONDS");
    }
    if (strcmp(argv[3], turns) != 0 && strcmp(argv[3], streams) != 0) {
        die(argv[3], "not a mode of this program");
    }
    task->serves = strcmp(argv[1], "serve") == 0;
    task->path = argv[2];
    task->streams = strcmp(argv[3], streams) == 0;
    task->size = (size_t)strtoull(argv[4], NULL, 10);
    task->seconds = strtod(argv[5], NULL);
    if (task->size < sizeof(uint64_t) || task->seconds <= 0) {
        die("usage", "SIZE is at least 8, SECONDS above 0");
    }
}

double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void stamp(void *payload, uint64_t number) {
    memcpy(payload, &number, sizeof number);
}

void tally_add(struct tally *tally, const struct task *task, const void *payload, size_t size) {
    uint64_t number = 0;

    if (size != task->size) {
        die("check", "a message of a wrong size");
    }
    memcpy(&number, payload, sizeof number);
    if (number != tally->count) {
        die("check", "a message with a wrong number");
    }
    if (tally->count == 0) {
        tally->started = now();
    }
    tally->count++;
}

void print_ready(void) {
    puts("ready");
    fflush(stdout);
}

void print_result(const struct task *task, uint64_t count, double seconds) {
    printf("{\"count\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n", count,
           count * task->size, seconds);
    fflush(stdout);
}

void print_counted(const struct task *task, uint64_t count, uint64_t allocations) {
    printf("{\"count\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"allocations\": %" PRIu64 "}\n",
           count, count * task->size, allocations);
    fflush(stdout);
}

void *take_memory(size_t size) {
    void *memory = malloc(size);

    if (memory == NULL) {
        die("malloc", "out of memory");
    }
    memset(memory, 'x', size);
    return memory;
}
