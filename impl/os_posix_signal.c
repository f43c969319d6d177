/* Signals that wait for a moment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "status.h"

_Static_assert(sizeof(sigset_t) <= sizeof(fer__signals), "a set of signals fits in there");

static sigset_t set_of(const fer__signals *signals) {
    sigset_t set;
    memcpy(&set, signals, sizeof set);
    return set;
}

void fer__os_hold_signals(fer__signals *before) {
    /* These are about what the thread itself does, and cannot wait. */
    static const int own[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t held;
    sigset_t present;
    size_t i;
    sigfillset(&held);
    for (i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&held, own[i]);
    (void)pthread_sigmask(SIG_BLOCK, &held, &present);
    memcpy(before, &present, sizeof present);
}

void fer__os_release_signals(const fer__signals *before) {
    const sigset_t set = set_of(before);
    (void)pthread_sigmask(SIG_SETMASK, &set, NULL);
}

fer_status fer__os_deliver_signals(const fer__signals *before) {
    static const struct timespec none = {0, 0};
    const sigset_t set = set_of(before);
    int saved = errno;
    int interrupted = pselect(0, NULL, NULL, NULL, &none, &set) < 0 && errno == EINTR;
    fer__os_release_signals(before);
    return fer__os_finish(saved, interrupted ? EINTR : 0);
}
