/* The calls, wrapped. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include <uv.h>

enum { MOST_PARTS = 1024 };

static atomic_size_t counts[CALL_COUNT];
static atomic_size_t happened;
static atomic_int watching;
static fault present;
static const void *sent_from[8];

void system_watch(const fault *fault_wanted) {
    static const fault none = {-1, 0, 0, 0, 0};
    for (int i = 0; i < CALL_COUNT; i++)
        atomic_store(&counts[i], 0);
    atomic_store(&happened, 0);
    present = fault_wanted != NULL ? *fault_wanted : none;
    atomic_store(&watching, 1);
}

size_t system_unwatch(void) {
    atomic_store(&watching, 0);
    return atomic_load(&happened);
}

size_t system_count(int call) {
    return atomic_load(&counts[call]);
}

int system_sent_from(const void *data) {
    for (size_t i = 0; i < sizeof sent_from / sizeof sent_from[0]; i++) {
        if (sent_from[i] == data)
            return 1;
    }
    return 0;
}

/** Count a call. Returns whether the fault happens to it. */
static int is_hit(int call) {
    if (!atomic_load(&watching))
        return 0;
    const size_t number = atomic_fetch_add(&counts[call], 1) + 1;
    if (call != present.call || number < present.first)
        return 0;
    if (number != present.first &&
        (present.every == 0 || (number - present.first) % present.every != 0))
        return 0;
    atomic_fetch_add(&happened, 1);
    return 1;
}

static int fails(int call) {
    if (!is_hit(call))
        return 0;
    errno = present.error;
    return 1;
}

/** Make `message` shorter, with its pieces in `parts`. */
static void shorten(struct msghdr *message, struct iovec *parts) {
    /* Sizes of all sorts, the small ones more often. */
    const size_t number = atomic_load(&happened);
    size_t left = present.size != 0 ? present.size : number * number * number % 7919 + 1;
    size_t used = 0;
    for (; used < (size_t)message->msg_iovlen && used < MOST_PARTS && left > 0; used++) {
        parts[used] = message->msg_iov[used];
        if (parts[used].iov_len > left)
            parts[used].iov_len = left;
        left -= parts[used].iov_len;
    }
    message->msg_iov = parts;
    message->msg_iovlen = used;
}

#define WRAPPED(type, name, parameters) \
    type __real_##name parameters;      \
    type __wrap_##name parameters;      \
    type __wrap_##name parameters

/** What is to be transferred of the pieces, if that is hit; -1 when it fails. Else `parts` unchanged. */
static int limit(int call, const struct iovec **parts, int *count, struct iovec *room) {
    struct msghdr message;
    if (!is_hit(call))
        return 0;
    if (present.error != 0) {
        errno = present.error;
        return -1;
    }
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)*parts;
    message.msg_iovlen = (size_t)*count;
    shorten(&message, room);
    *parts = room;
    *count = (int)message.msg_iovlen;
    return 0;
}

WRAPPED(ssize_t, readv, (int fd, const struct iovec *parts, int count)) {
    struct iovec room[MOST_PARTS];
    return limit(CALL_readv, &parts, &count, room) != 0 ? -1 : __real_readv(fd, parts, count);
}

WRAPPED(ssize_t, writev, (int fd, const struct iovec *parts, int count)) {
    struct iovec room[MOST_PARTS];
    return limit(CALL_writev, &parts, &count, room) != 0 ? -1 : __real_writev(fd, parts, count);
}

WRAPPED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags)) {
    struct iovec parts[MOST_PARTS];
    struct msghdr shorter = *message;
    /* A raw peer of the tests, which waits. */
    if ((flags & MSG_DONTWAIT) == 0)
        return __real_sendmsg(fd, message, flags);
    if (atomic_load(&watching)) {
        memset(sent_from, 0, sizeof sent_from);
        for (size_t i = 0; i < (size_t)message->msg_iovlen && i < 8; i++)
            sent_from[i] = message->msg_iov[i].iov_base;
    }
    if (is_hit(CALL_sendmsg)) {
        if (present.error != 0) {
            errno = present.error;
            return -1;
        }
        shorten(&shorter, parts);
    }
    return __real_sendmsg(fd, &shorter, flags);
}

WRAPPED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags)) {
    struct iovec parts[MOST_PARTS];
    struct iovec *own_parts = message->msg_iov;
    size_t own_count = (size_t)message->msg_iovlen;
    if (is_hit(CALL_recvmsg)) {
        if (present.error != 0) {
            errno = present.error;
            return -1;
        }
        shorten(message, parts);
    }
    ssize_t got = __real_recvmsg(fd, message, flags);
    message->msg_iov = own_parts;
    message->msg_iovlen = own_count;
    return got;
}

WRAPPED(int, accept4, (int fd, struct sockaddr *name, socklen_t *size, int flags)) {
    return fails(CALL_accept4) ? -1 : __real_accept4(fd, name, size, flags);
}

WRAPPED(int, connect, (int fd, const struct sockaddr *name, socklen_t size)) {
    return fails(CALL_connect) ? -1 : __real_connect(fd, name, size);
}

WRAPPED(int, socket, (int domain, int type, int protocol)) {
    return fails(CALL_socket) ? -1 : __real_socket(domain, type, protocol);
}

WRAPPED(int, bind, (int fd, const struct sockaddr *name, socklen_t size)) {
    return fails(CALL_bind) ? -1 : __real_bind(fd, name, size);
}

WRAPPED(int, listen, (int fd, int backlog)) {
    return fails(CALL_listen) ? -1 : __real_listen(fd, backlog);
}

WRAPPED(int, shutdown, (int fd, int how)) {
    return fails(CALL_shutdown) ? -1 : __real_shutdown(fd, how);
}

WRAPPED(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size)) {
    return fails(CALL_setsockopt) ? -1 : __real_setsockopt(fd, level, name, value, size);
}

WRAPPED(int, poll, (struct pollfd * fds, nfds_t count, int timeout)) {
    return fails(CALL_poll) ? -1 : __real_poll(fds, count, timeout);
}

WRAPPED(int, epoll_create1, (int flags)) {
    return fails(CALL_epoll_create1) ? -1 : __real_epoll_create1(flags);
}

WRAPPED(int, epoll_ctl, (int set, int how, int fd, struct epoll_event *event)) {
    return fails(CALL_epoll_ctl) ? -1 : __real_epoll_ctl(set, how, fd, event);
}

WRAPPED(int, timerfd_create, (int clock, int flags)) {
    return fails(CALL_timerfd_create) ? -1 : __real_timerfd_create(clock, flags);
}

WRAPPED(int, open, (const char *path, int flags, ...)) {
    va_list more;
    va_start(more, flags);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is started above. */
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    return fails(CALL_open) ? -1 : __real_open(path, flags, mode);
}

WRAPPED(int, mkfifo, (const char *path, mode_t mode)) {
    return fails(CALL_mkfifo) ? -1 : __real_mkfifo(path, mode);
}

WRAPPED(char *, mkdtemp, (char *path)) {
    return fails(CALL_mkdtemp) ? NULL : __real_mkdtemp(path);
}

WRAPPED(int, flock, (int fd, int how)) {
    return fails(CALL_flock) ? -1 : __real_flock(fd, how);
}

WRAPPED(int, fstat, (int fd, struct stat *info)) {
    return fails(CALL_fstat) ? -1 : __real_fstat(fd, info);
}

/* Those of the library are closed on exec from the first moment. */
WRAPPED(int, socketpair, (int domain, int type, int protocol, int fds[2])) {
    if ((type & SOCK_CLOEXEC) != 0 && fails(CALL_socketpair))
        return -1;
    return __real_socketpair(domain, type, protocol, fds);
}

/* Only where it makes a descriptor. */
WRAPPED(int, fcntl, (int fd, int command, ...)) {
    va_list more;
    va_start(more, command);
    long argument = va_arg(more, long);
    va_end(more);
    if (command == F_DUPFD_CLOEXEC && fails(CALL_fcntl))
        return -1;
    return __real_fcntl(fd, command, argument);
}

/* The library asks the kernel itself in this way; all others are raw peers of the tests. */
static int is_question(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK;
}

WRAPPED(ssize_t, send, (int fd, const void *data, size_t size, int flags)) {
    return is_question(fd) && fails(CALL_send) ? -1 : __real_send(fd, data, size, flags);
}

WRAPPED(ssize_t, recv, (int fd, void *data, size_t size, int flags)) {
    return is_question(fd) && fails(CALL_recv) ? -1 : __real_recv(fd, data, size, flags);
}

WRAPPED(int, memfd_create, (const char *name, unsigned flags)) {
    return fails(CALL_memfd_create) ? -1 : __real_memfd_create(name, flags);
}

WRAPPED(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset)) {
    return fails(CALL_mmap) ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

WRAPPED(int, clock_gettime, (clockid_t clock, struct timespec *now)) {
    return fails(CALL_clock_gettime) ? -1 : __real_clock_gettime(clock, now);
}

/* Those of libuv give the error, and not by errno. */

WRAPPED(int, uv_loop_init, (uv_loop_t * loop)) {
    return fails(CALL_uv_loop_init) ? -present.error : __real_uv_loop_init(loop);
}

WRAPPED(int, uv_mutex_init, (uv_mutex_t * mutex)) {
    return fails(CALL_uv_mutex_init) ? -present.error : __real_uv_mutex_init(mutex);
}

WRAPPED(int, uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb cb)) {
    return fails(CALL_uv_async_init) ? -present.error : __real_uv_async_init(loop, async, cb);
}

WRAPPED(int, uv_poll_init, (uv_loop_t * loop, uv_poll_t *poll, int fd)) {
    return fails(CALL_uv_poll_init) ? -present.error : __real_uv_poll_init(loop, poll, fd);
}

WRAPPED(int, uv_poll_start, (uv_poll_t * poll, int events, uv_poll_cb cb)) {
    return fails(CALL_uv_poll_start) ? -present.error : __real_uv_poll_start(poll, events, cb);
}
