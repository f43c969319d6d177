/**
 * Runs a loop together with what the library does not know of: signals, standard input and a limit on
 * the time in which nothing happens.
 */
#ifndef FERRULE_TOOL_RUNNER_H
#define FERRULE_TOOL_RUNNER_H

#include <stdint.h>

#include "ferrule.h"

struct runner {
    fer_loop *loop;
    void *user;                       /**< passed to the functions below */
    void (*on_interrupt)(void *user); /**< Ctrl-C or SIGTERM: start to end. Called once */
    void (*on_timeout)(void *user);   /**< nothing happened for `timeout_ms`: start to end */
    void (*on_input)(void *user);     /**< standard input can be read */
    int (*wants_input)(void *user);   /**< whether to look at standard input; may be NULL */
    int64_t timeout_ms;               /**< negative: none */
    int64_t deadline_ms;              /**< when it is up */
    int signal_fd;                    /**< readable after a signal */
    int timed_out;
};

/** Make the loop and take over SIGINT and SIGTERM. 0 after a complaint. One runner a process. */
int runner_open(struct runner *runner);

/** Run until nothing on the loop is open any more. 0 after a complaint. */
int runner_run(struct runner *runner);

/** Something happened: the time without progress starts again. */
void runner_progress(struct runner *runner);

/** Close and free the loop. 0 after a complaint. */
int runner_close(struct runner *runner);

/** The signal that told the process to end, or 0. */
int runner_signal(void);

#endif
