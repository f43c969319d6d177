/* Helpers: this program as another process. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "impl/mem.h"

const char *harness_program(void);

static const char helper_mark[] = "--helper";

enum { MOST_ARGUMENTS = 16, PASSED = 3, LEAK_STATUS = 97 };

int harness_is_helper(int argc, char **argv) {
    return argc > 2 && strcmp(argv[1], helper_mark) == 0;
}

int harness_run_helper(const harness_helper *helpers, int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    /* A helper whose test is gone must not stay. */
    alarm(HARNESS_PATIENCE_MS / 1000 * 2);
    harness_install_allocator();
    for (; helpers != NULL && helpers->name != NULL; helpers++) {
        if (strcmp(helpers->name, argv[2]) != 0)
            continue;
        int status = helpers->function(argc - 2, argv + 2);
        if (status == 0 && fer__mem_live() != 0) {
            fprintf(stderr, "helper %s: %lu allocations are live at the end\n", argv[2],
                    (unsigned long)fer__mem_live());
            status = LEAK_STATUS;
        }
        return status;
    }
    fprintf(stderr, "there is no helper %s\n", argv[2]);
    return 96;
}

static void make_pipe(int fds[2]) {
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[1], F_SETFD, FD_CLOEXEC), 0);
}

/* In the new process: only calls that are safe after a fork with threads. */
static void become_helper(int input, int output, int pass, char *const *arguments) {
    /* Copies above all targets first, so that no target is closed before it is copied. */
    int in = fcntl(input, F_DUPFD_CLOEXEC, PASSED + 1);
    int out = fcntl(output, F_DUPFD_CLOEXEC, PASSED + 1);
    int passed = pass < 0 ? -1 : fcntl(pass, F_DUPFD_CLOEXEC, PASSED + 1);
    if (in >= 0 && out >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        (pass < 0 || dup2(passed, PASSED) >= 0))
        execv(arguments[0], arguments);
    _exit(95);
}

static void find_program(char *path, size_t room) {
#ifdef __linux__
    ssize_t size = readlink("/proc/self/exe", path, room - 1);
    assert_in_range(size, 1, room - 1);
    path[size] = '\0';
#else
    int size = snprintf(path, room, "%s", harness_program());
    assert_in_range(size, 1, room - 1);
#endif
}

void harness_spawn(harness_child *child, const char *name, int pass, const char *const *arguments) {
    char program[4096];
    char *list[MOST_ARGUMENTS + 4];
    int input[2];
    int output[2];
    size_t count = 0;
    find_program(program, sizeof program);
    list[count++] = program;
    list[count++] = (char *)(uintptr_t)helper_mark;
    list[count++] = (char *)(uintptr_t)name;
    for (; arguments != NULL && *arguments != NULL; arguments++) {
        assert_true(count < MOST_ARGUMENTS + 3);
        list[count++] = (char *)(uintptr_t)*arguments;
    }
    list[count] = NULL;
    make_pipe(input);
    make_pipe(output);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0)
        become_helper(input[0], output[1], pass, list);
    close(input[0]);
    close(output[1]);
    child->input = input[1];
    child->output = output[0];
}

void harness_read_line(const harness_child *child, char *line, size_t room) {
    size_t used = 0;
    for (;;) {
        char c;
        raw_wait(child->output, POLLIN);
        ssize_t got = read(child->output, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1)
            fail_msg("the helper ended instead of saying a line");
        if (c == '\n')
            break;
        assert_true(used + 1 < room);
        line[used++] = c;
    }
    line[used] = '\0';
}

void harness_tell(const harness_child *child, const char *text) {
    size_t size = strlen(text);
    while (size > 0) {
        raw_wait(child->input, POLLOUT);
        ssize_t written = write(child->input, text, size);
        assert_true(written > 0);
        text += written;
        size -= (size_t)written;
    }
}

int harness_wait(harness_child *child) {
    int status;
    char rest[256];
    close(child->input);
    /* Its end of the pipe is closed when it ends, whatever way. */
    for (;;) {
        raw_wait(child->output, POLLIN);
        ssize_t got = read(child->output, rest, sizeof rest);
        if (got == 0)
            break;
        assert_true(got > 0 || errno == EINTR);
    }
    close(child->output);
    while (waitpid(child->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    child->pid = 0;
    child->input = child->output = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void harness_say(const char *line) {
    printf("%s\n", line);
    fflush(stdout);
}

int harness_hear(char *line, size_t room) {
    if (fgets(line, (int)room, stdin) == NULL)
        return 0;
    line[strcspn(line, "\n")] = '\0';
    return 1;
}
