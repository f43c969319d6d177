/* Watches: one descriptor that speaks for many, for programs that wait by themselves. */
#include "os_posix.h"

#include <errno.h>
#include <string.h>

#include "status.h"

#ifdef __linux__

#include <sys/epoll.h>
#include <sys/timerfd.h>

enum { MS_A_SECOND = 1000, NS_A_MS = 1000000 };

static int add(fer__fd set, fer__fd fd, int how, uint32_t events) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events |= (events & FER__WAIT_READ) != 0 ? (uint32_t)EPOLLIN : 0u;
    event.events |= (events & FER__WAIT_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0u;
    event.data.fd = fd;
    if (epoll_ctl(set, how, fd, &event) == 0)
        return 0;
    /* The kernel has no memory for as many: it is not about a disk. */
    return errno == ENOSPC ? ENOMEM : errno;
}

fer_status fer__os_watch_open(fer__watch *watch) {
    int saved = errno;
    int number = 0;
    fer__watch made = FER__WATCH_INIT;
    made.fd = epoll_create1(EPOLL_CLOEXEC);
    if (made.fd >= 0)
        made.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (made.fd < 0 || made.timer < 0)
        number = errno;
    else
        number = add(made.fd, made.timer, EPOLL_CTL_ADD, FER__WAIT_READ);
    if (number == 0)
        *watch = made;
    else
        fer__os_watch_close(&made);
    return fer__os_finish(saved, number);
}

void fer__os_watch_close(fer__watch *watch) {
    fer__os_close(watch->fd);
    fer__os_close(watch->timer);
    watch->fd = FER__NO_FD;
    watch->timer = FER__NO_FD;
}

fer_status fer__os_watch_set(const fer__watch *watch, fer__fd fd, uint32_t before,
                             uint32_t events) {
    int saved = errno;
    int how = before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    return fer__os_finish(saved, add(watch->fd, fd, events == 0 ? EPOLL_CTL_DEL : how, events));
}

fer_status fer__os_watch_time(const fer__watch *watch, int64_t ms) {
    int saved = errno;
    struct itimerspec when;
    /* All zero means never. */
    memset(&when, 0, sizeof when);
    if (ms == 0) {
        when.it_value.tv_nsec = 1;
    } else if (ms > 0) {
        when.it_value.tv_sec = (time_t)(ms / MS_A_SECOND);
        when.it_value.tv_nsec = (long)(ms % MS_A_SECOND) * NS_A_MS;
    }
    return fer__os_finish(saved, timerfd_settime(watch->timer, 0, &when, NULL) == 0 ? 0 : errno);
}

#else

fer_status fer__os_watch_open(fer__watch *watch) {
    (void)watch;
    return fer__fail(FER_ENOTSUP, "this system has no descriptor that speaks for many");
}

void fer__os_watch_close(fer__watch *watch) {
    (void)watch;
}

fer_status fer__os_watch_set(const fer__watch *watch, fer__fd fd, uint32_t before,
                             uint32_t events) {
    (void)watch;
    (void)fd;
    (void)before;
    (void)events;
    return fer__fail_plain(FER_ENOTSUP);
}

fer_status fer__os_watch_time(const fer__watch *watch, int64_t ms) {
    (void)watch;
    (void)ms;
    return fer__fail_plain(FER_ENOTSUP);
}

#endif
