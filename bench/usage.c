#include "usage.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

static size_t allocated;
static uint64_t calls;

void check(fer_status status, const char *what) {
    if (status != FER_OK) {
        fprintf(stderr, "bench: %s\n", fer_status_detail());
        die(what, fer_status_text(status));
    }
}

static void *count_malloc(size_t size, void *user) {
    void *memory = malloc(size);

    (void)user;
    calls++;
    allocated += malloc_usable_size(memory);
    return memory;
}

static void *count_realloc(void *memory, size_t size, void *user) {
    size_t old = malloc_usable_size(memory);
    void *grown = realloc(memory, size);

    (void)user;
    calls++;
    if (grown != NULL) {
        allocated += malloc_usable_size(grown) - old;
    }
    return grown;
}

static void count_free(void *memory, void *user) {
    (void)user;
    allocated -= malloc_usable_size(memory);
    free(memory);
}

struct usage usage_now(void) {
    struct mallinfo2 info = mallinfo2();
    struct usage usage;
    unsigned long resident;
    char line[128];
    char *end;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        die_errno("/proc/self/statm");
    }
    /* The second number is what is resident, in pages. */
    strtoul(line, &end, 10);
    resident = strtoul(end, NULL, 10);
    fclose(file);
    usage.allocator = allocated;
    usage.malloc = info.uordblks + info.hblkhd;
    usage.resident = resident * (size_t)sysconf(_SC_PAGESIZE);
    return usage;
}

void usage_allow_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die_errno("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die_errno("setrlimit");
    }
}

void usage_start(void) {
    fer_allocator allocator = FER_ALLOCATOR_INIT;

    usage_allow_descriptors();
    allocator.malloc = count_malloc;
    allocator.realloc = count_realloc;
    allocator.free = count_free;
    check(fer_set_allocator(&allocator), "allocator");
}

uint64_t usage_calls(void) {
    return calls;
}

/* A line of /proc/self/status, in bytes. */
static size_t status_bytes(const char *name) {
    size_t length = strlen(name);
    size_t found = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");

    if (file == NULL) {
        die_errno("/proc/self/status");
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, length) == 0) {
            found = (size_t)strtoull(line + length, NULL, 10) * 1024;
        }
    }
    fclose(file);
    return found;
}

size_t usage_reset_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0) {
        die_errno("/proc/self/clear_refs");
    }
    return status_bytes("VmRSS:");
}

size_t usage_peak(void) {
    return status_bytes("VmHWM:");
}

void usage_print(const struct usage *before, size_t count) {
    struct usage after = usage_now();

    printf("{\"count\": %zu, \"allocator\": %zu, \"malloc\": %zu, \"resident\": %zu}\n", count,
           after.allocator - before->allocator, after.malloc - before->malloc,
           after.resident - before->resident);
    fflush(stdout);
    /* The other side has not measured yet. Its end of input tells when both may end. */
    while (getchar() != EOF) {
    }
}

double usage_processor(void) {
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void usage_end(void) {
    if (allocated != 0) {
        die("leak", "the library did not give back all of its memory");
    }
}
