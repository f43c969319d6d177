/**
 * What all C tests share.
 *
 * A test program is a list of tests and a list of helpers. A test runs in an empty directory of its own,
 * and fails when it leaves an open descriptor, a live allocation of the library or a file behind, or
 * when it takes too long. SIGPIPE has its default action, which ends the program: the library never
 * raises it. A helper is what the same program does as another process.
 *
 * All that waits, waits for an event, and fails the test when the event does not come in
 * HARNESS_PATIENCE_MS. Nothing here but the allocator may be used from a thread of a test's own.
 */
#ifndef FER_TESTS_HARNESS_H
#define FER_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "ferrule.h"

enum { HARNESS_PATIENCE_MS = 60000 };

/* Programs. */

/** A test in the list of a program. `function` is `void function(void **state)`. */
#define HARNESS_TEST(function) \
    { #function, function, harness_setup, harness_teardown, NULL }

/** What the program does when it is started by harness_spawn(); the result is the exit status. */
typedef struct harness_helper {
    const char *name;
    int (*function)(int argc, char **argv);
} harness_helper;

int harness_setup(void **state);
int harness_teardown(void **state);

/** To be returned from main(). `helpers` ends with an entry without a name; NULL for none. */
#define HARNESS_MAIN(group, tests, helpers, argc, argv)  \
    (harness_is_helper((argc), (argv))                   \
         ? harness_run_helper((helpers), (argc), (argv)) \
         : (harness_start((argc), (argv)),               \
            cmocka_run_group_tests_name((group), (tests), NULL, NULL)))

int harness_is_helper(int argc, char **argv);
int harness_run_helper(const harness_helper *helpers, int argc, char **argv);
void harness_start(int argc, char **argv);

/* The directory of the test: an absolute path of less than 40 bytes. It must be empty at the end. */

const char *harness_directory(void);

/** A path in that directory. The text is valid until the 8th call after this one. */
const char *harness_path(const char *name);

/* Memory: what the library allocates goes through these. */

typedef struct harness_memory {
    size_t live;    /**< allocations that were not freed */
    size_t bytes;   /**< in them */
    size_t calls;   /**< of malloc and realloc, since the start of the test */
    size_t largest; /**< request since the start of the test, in bytes */
} harness_memory;

harness_memory harness_memory_now(void);

/** Have the library use the counting allocator again, after a test that chose another. */
void harness_install_allocator(void);

/** Let the `n`-th allocation from now on fail, once; 0 lets none fail. */
void harness_fail_allocation(size_t n);

/** Let the `n`-th allocation from now on fail, and all after it. */
void harness_fail_allocations(size_t n);

/** Whether an allocation failed because of that. */
int harness_allocation_failed(void);

/** Something that must end well, or with a clean error, whichever allocation fails. */
typedef void (*harness_scenario)(void *context);

/**
 * Run `scenario` again and again, letting the first allocation fail, then the second, and so on until
 * none is left to fail. Nothing may stay allocated or open after any round. Returns the rounds with a
 * failure.
 */
size_t harness_each_allocation(harness_scenario scenario, void *context);

/** As harness_each_allocation(), but all allocations after the first that fails do so, too. */
size_t harness_each_shortage(harness_scenario scenario, void *context);

/* Loops. */

/** Step the loop until `*flag` is not 0. */
void harness_run_until(fer_loop *loop, const int *flag);

/* Processes. */

typedef struct harness_child {
    pid_t pid;
    int input;  /**< to its standard input */
    int output; /**< of its standard output */
} harness_child;

/**
 * Start this program again as the helper `name`. `pass` is a descriptor that the helper has as 3, or -1.
 * `arguments` ends with NULL; they are argv[1] and so on of the helper, argv[0] being its name.
 */
void harness_spawn(harness_child *child, const char *name, int pass, const char *const *arguments);

/** Read a line of what the helper says, without the newline. */
void harness_read_line(const harness_child *child, char *line, size_t room);

/** Write text to the helper. */
void harness_tell(const harness_child *child, const char *text);

/** Wait for the end of the helper. Returns its exit status, or minus the signal that ended it. */
int harness_wait(harness_child *child);

/** For helpers: write a line to the parent, or read one; 0 at the end of the input. */
void harness_say(const char *line);
int harness_hear(char *line, size_t room);

/* Raw peers: Unix domain sockets without the library. Those that are made here are non-blocking. */

int raw_listen(const char *path);
int raw_connect(const char *path);
int raw_accept(int listener);
void raw_pair(int fds[2]);
void raw_close(int fd);

/** Wait until the descriptor is readable (POLLIN), writable (POLLOUT) or at its end. */
void raw_wait(int fd, short events);

/** Send all of the bytes. */
void raw_send(int fd, const void *data, size_t size);

/** Send the bytes with descriptors attached to the first of them, in one call. */
void raw_send_handles(int fd, const void *data, size_t size, const int *handles, size_t count);

/** The same to a peer that may be gone: how many bytes were sent, or -1. */
ssize_t raw_try_send_handles(int fd, const void *data, size_t size, const int *handles,
                             size_t count);

/** Receive exactly `size` bytes. */
void raw_receive(int fd, void *data, size_t size);

/** Receive what is there: the number of bytes, 0 at the end of the stream, -1 when nothing is there. */
ssize_t raw_try_receive(int fd, void *data, size_t size);

/** Receive and drop bytes up to the end of the stream. Returns how many there were. */
size_t raw_drain(int fd);

/* Bytes. */

/** The bytes that hexadecimal digits stand for; blanks are skipped. To be freed with free(3). */
uint8_t *harness_bytes(const char *digits, size_t *size);

/** How many descriptors the process has open. */
size_t harness_count_descriptors(void);

#endif
