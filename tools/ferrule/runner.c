#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static volatile sig_atomic_t caught_signal;
static int wake_fd = -1;

/* Only what is allowed in a signal handler. SA_RESETHAND makes a second Ctrl-C end the process at
 * once, should it be stuck in a write to a slow terminal. */
static void on_signal(int number) {
    int saved = errno;
    ssize_t ignored;

    caught_signal = number;
    /* The pipe is non-blocking; when it is full, it is readable already. */
    ignored = write(wake_fd, "", 1);
    (void)ignored;
    errno = saved;
}

/* Someone who starts the command with a signal ignored (nohup, a background job) wants it so. */
static int catch_signal(int number) {
    struct sigaction action;
    struct sigaction present;

    if (sigaction(number, NULL, &present) != 0) {
        return 0;
    }
    if (present.sa_handler == SIG_IGN) {
        return 1;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
}

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int runner_signal(void) {
    return caught_signal;
}

int runner_open(struct runner *runner) {
    int fds[2];
    fer_status status;

    if (pipe(fds) != 0) {
        report_errno(errno, "pipe");
        return 0;
    }
    runner->signal_fd = fds[0];
    wake_fd = fds[1];
    for (int i = 0; i < 2; i++) {
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0) {
            report_errno(errno, "fcntl");
            return 0;
        }
    }
    if (!catch_signal(SIGINT) || !catch_signal(SIGTERM)) {
        report_errno(errno, "sigaction");
        return 0;
    }
    status = fer_loop_new(&runner->loop);
    if (status != FER_OK) {
        report_status(status, "loop");
        return 0;
    }
    runner_progress(runner);
    return 1;
}

void runner_progress(struct runner *runner) {
    if (runner->timeout_ms >= 0) {
        runner->deadline_ms = now_ms() + runner->timeout_ms;
    }
}

/* How long poll(2) may wait, in milliseconds; negative: without limit. */
static int wait_time(const struct runner *runner, int64_t loop_timeout) {
    int64_t wait = loop_timeout;

    if (runner->timeout_ms >= 0 && !runner->timed_out) {
        int64_t left = runner->deadline_ms - now_ms();

        left = left > 0 ? left : 0;
        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait > 1000000 ? 1000000 : (int)wait;
}

static void check_deadline(struct runner *runner) {
    if (runner->timeout_ms >= 0 && !runner->timed_out && now_ms() >= runner->deadline_ms) {
        runner->timed_out = 1;
        runner->on_timeout(runner->user);
    }
}

static int wait_once(struct runner *runner) {
    struct pollfd fds[3];
    nfds_t count = 2;
    int64_t timeout = -1;
    int fd = -1;
    fer_status status = fer_loop_fd(runner->loop, &fd);

    if (status == FER_OK) {
        status = fer_loop_timeout(runner->loop, &timeout);
    }
    if (status != FER_OK) {
        report_status(status, "loop");
        return 0;
    }
    memset(fds, 0, sizeof fds);
    fds[0].fd = fd;
    fds[0].events = POLLIN;
    fds[1].fd = runner->signal_fd;
    fds[1].events = POLLIN;
    if (runner->wants_input != NULL && runner->wants_input(runner->user)) {
        fds[2].fd = STDIN_FILENO;
        fds[2].events = POLLIN;
        count = 3;
    }
    if (poll(fds, count, wait_time(runner, timeout)) < 0 && errno != EINTR) {
        report_errno(errno, "poll");
        return 0;
    }
    if (fds[1].revents != 0) {
        char byte;

        /* One byte a signal; a second signal does not come here. */
        if (read(runner->signal_fd, &byte, 1) == 1) {
            runner->on_interrupt(runner->user);
            return 1;
        }
    }
    if (count == 3 && fds[2].revents != 0) {
        runner->on_input(runner->user);
    }
    check_deadline(runner);
    return 1;
}

int runner_run(struct runner *runner) {
    for (;;) {
        fer_status status = fer_loop_step(runner->loop, 0);

        if (status != FER_OK) {
            report_status(status, "loop");
            return 0;
        }
        if (!fer_loop_is_alive(runner->loop)) {
            return 1;
        }
        if (!wait_once(runner)) {
            return 0;
        }
    }
}

int runner_close(struct runner *runner) {
    fer_status status;

    if (runner->loop == NULL) {
        return 1;
    }
    status = fer_loop_close(runner->loop);
    fer_loop_unref(runner->loop);
    runner->loop = NULL;
    if (status != FER_OK) {
        report_status(status, "close the loop");
        return 0;
    }
    return 1;
}
