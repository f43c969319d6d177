/* The frame around a test: its directory, its limits, and the census before and after it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "impl/mem.h"

enum { DESCRIPTORS = 4096, TEST_SECONDS = 240 };

void harness_begin_count(void);
const char *harness_program(void);

static char directory[64];
static unsigned char open_before[DESCRIPTORS];
static size_t live_before;

static void list_descriptors(unsigned char *open) {
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        open[fd] = fcntl(fd, F_GETFD) >= 0;
}

size_t harness_count_descriptors(void) {
    unsigned char open[DESCRIPTORS];
    size_t count = 0;
    list_descriptors(open);
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        count += open[fd];
    return count;
}

static void describe_descriptor(int fd, char *text, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, text, room - 1);
    text[size > 0 ? size : 0] = '\0';
}

/** Say which descriptors are open that were not, or the reverse. Returns how many. */
static int compare_descriptors(void) {
    unsigned char open[DESCRIPTORS];
    char what[256];
    int different = 0;
    list_descriptors(open);
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (open[fd] == open_before[fd])
            continue;
        different++;
        describe_descriptor(fd, what, sizeof what);
        print_error("descriptor %d (%s) was %s\n", fd, what,
                    open[fd] ? "left open" : "closed by the test, which did not open it");
    }
    return different;
}

/** Remove what the test left, one level deep and below. Returns how many files there were. */
static int empty_directory(const char *path) {
    char child[512];
    int count = 0;
    DIR *listing = opendir(path);
    if (listing == NULL)
        return 1;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        int used = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        print_error("the file %s was left\n", child);
        if (used < 0 || (size_t)used >= sizeof child)
            continue;
        if (unlink(child) != 0 && (errno == EISDIR || errno == EPERM)) {
            count += empty_directory(child);
            (void)rmdir(child);
        }
    }
    closedir(listing);
    return count;
}

static void too_long(int signal_number) {
    static const char text[] = "the test took too long\n";
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(99);
}

int harness_setup(void **state) {
    *state = NULL;
    snprintf(directory, sizeof directory, "/tmp/fer-test-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    list_descriptors(open_before);
    live_before = fer__mem_live();
    harness_begin_count();
    alarm(TEST_SECONDS);
    return 0;
}

int harness_teardown(void **state) {
    (void)state;
    alarm(0);
    harness_fail_allocation(0);
    int bad = compare_descriptors();
    size_t live = fer__mem_live();
    if (live != live_before) {
        print_error("%lu allocations are live, %lu were before\n", (unsigned long)live,
                    (unsigned long)live_before);
        bad++;
    }
    if (harness_memory_now().live != live) {
        print_error("the allocator has %lu live allocations, the library counts %lu\n",
                    (unsigned long)harness_memory_now().live, (unsigned long)live);
        bad++;
    }
    bad += empty_directory(directory);
    if (rmdir(directory) != 0)
        bad++;
    return bad == 0 ? 0 : -1;
}

static const char *program;

void harness_start(int argc, char **argv) {
    program = argc > 0 ? argv[0] : "";
    signal(SIGPIPE, SIG_DFL);
    signal(SIGALRM, too_long);
    harness_install_allocator();
    /* With the first loop of a process libuv opens descriptors that it keeps. */
    fer_loop *loop = NULL;
    if (fer_loop_new(&loop) == FER_OK && fer_loop_close(loop) == FER_OK)
        fer_loop_unref(loop);
}

const char *harness_program(void) {
    return program;
}

const char *harness_directory(void) {
    return directory;
}

const char *harness_path(const char *name) {
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    int used = snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    assert_in_range(used, 1, sizeof paths[0] - 1);
    return path;
}

static size_t each_failure(harness_scenario scenario, void *context, void (*arm)(size_t n)) {
    for (size_t n = 1;; n++) {
        unsigned char before[DESCRIPTORS];
        unsigned char after[DESCRIPTORS];
        size_t live = fer__mem_live();
        list_descriptors(before);
        arm(n);
        scenario(context);
        int failed = harness_allocation_failed();
        harness_fail_allocation(0);
        list_descriptors(after);
        if (fer__mem_live() != live || memcmp(before, after, sizeof before) != 0)
            fail_msg("with allocation %lu failing, %lu allocations or a descriptor were left",
                     (unsigned long)n, (unsigned long)(fer__mem_live() - live));
        if (!failed)
            return n - 1;
    }
}

size_t harness_each_allocation(harness_scenario scenario, void *context) {
    return each_failure(scenario, context, harness_fail_allocation);
}

size_t harness_each_shortage(harness_scenario scenario, void *context) {
    return each_failure(scenario, context, harness_fail_allocations);
}

void harness_run_until(fer_loop *loop, const int *flag) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const time_t end = now.tv_sec + HARNESS_PATIENCE_MS / 1000;
    while (!*flag) {
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end)
            fail_msg("what was waited for did not come");
    }
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

uint8_t *harness_bytes(const char *digits, size_t *size) {
    uint8_t *bytes = malloc(strlen(digits) / 2 + 1);
    size_t count = 0;
    assert_non_null(bytes);
    for (const char *at = digits; *at != '\0'; at++) {
        if (*at == ' ')
            continue;
        int high = digit_of(at[0]);
        int low = high < 0 ? -1 : digit_of(at[1]);
        if (low < 0)
            fail_msg("\"%s\" are not hexadecimal digits in pairs", digits);
        bytes[count++] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
        at++;
    }
    *size = count;
    return bytes;
}
