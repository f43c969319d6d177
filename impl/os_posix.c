/* Sockets, reading and writing, waiting, the clock, and the mark of the process. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"
#include "status.h"

fer_status fer__os_finish(int saved, int number) {
    errno = saved;
    return number == 0 ? FER_OK : fer__fail_plain(fer__status_from_errno(number));
}

int fer__os_switch_nonblocking(fer__fd fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
        return errno;
    return 0;
}

static int refuse_sigpipe(fer__fd fd) {
#ifdef SO_NOSIGPIPE
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0)
        return errno;
#else
    (void)fd;
#endif
    return 0;
}

#ifndef __linux__
/* Give a new socket what Linux gives it when it is made. */
int fer__os_prepare(fer__fd fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return errno;
    int number = fer__os_switch_nonblocking(fd, 1);
    return number != 0 ? number : refuse_sigpipe(fd);
}
#endif

int fer__os_open_socket(fer__fd *fd) {
#ifdef __linux__
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *fd < 0 ? errno : 0;
#else
    *fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (*fd < 0)
        return errno;
    int number = fer__os_prepare(*fd);
    if (number != 0) {
        close(*fd);
        *fd = FER__NO_FD;
    }
    return number;
#endif
}

fer_status fer__os_socket_pipe(fer__fd *fd) {
    int saved = errno;
    return fer__os_finish(saved, fer__os_open_socket(fd));
}

fer_status fer__os_socket_pair(fer__fd fds[2]) {
    int saved = errno;
    int number = 0;
#ifdef __linux__
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        number = errno;
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        number = errno;
    } else {
        number = fer__os_prepare(fds[0]);
        if (number == 0)
            number = fer__os_prepare(fds[1]);
        if (number != 0) {
            close(fds[0]);
            close(fds[1]);
        }
    }
#endif
    if (number != 0)
        fds[0] = fds[1] = FER__NO_FD;
    return fer__os_finish(saved, number);
}

void fer__os_close(fer__fd fd) {
    if (fd == FER__NO_FD)
        return;
    int saved = errno;
    /* After EINTR the descriptor is gone on Linux; to close it again could hit another thread's. */
    close(fd);
    errno = saved;
}

fer_status fer__os_check_pipe(fer__fd fd) {
    int saved = errno;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return fer__os_finish(saved, errno);
    if (type != SOCK_STREAM)
        return fer__os_finish(saved, EPROTOTYPE);
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } name;
    memset(&name, 0, sizeof name);
    size = sizeof name;
    if (getsockname(fd, &name.any, &size) != 0)
        return fer__os_finish(saved, errno);
    if (name.any.sa_family != AF_UNIX)
        return fer__os_finish(saved, EPROTOTYPE);
    return fer__os_finish(saved, refuse_sigpipe(fd));
}

int fer__os_is_listening(fer__fd fd) {
    int saved = errno;
    int listening = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
        listening = 0;
    errno = saved;
    return listening != 0;
}

void fer__os_want_send_buffer(fer__fd fd, int wanted) {
    int saved = errno;
    int present = 0;
    socklen_t size = sizeof present;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &present, &size) == 0 && present < wanted)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    errno = saved;
}

int fer__os_get_nonblocking(fer__fd fd) {
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    errno = saved;
    return flags < 0 ? -1 : (flags & O_NONBLOCK) != 0;
}

fer_status fer__os_set_nonblocking(fer__fd fd, int on) {
    int saved = errno;
    return fer__os_finish(saved, fer__os_switch_nonblocking(fd, on));
}

fer_status fer__os_listen(fer__fd fd, int backlog) {
    int saved = errno;
    return fer__os_finish(saved, listen(fd, backlog) != 0 ? errno : 0);
}

static int accept_now(fer__fd listener, fer__fd *fd) {
    do {
#ifdef __linux__
        *fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
        *fd = accept(listener, NULL, NULL);
#endif
        /* A client that went away again is not worth a word; the next may be there. */
    } while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (*fd < 0) {
        *fd = FER__NO_FD;
        return errno;
    }
#ifndef __linux__
    int number = fer__os_prepare(*fd);
    if (number != 0) {
        close(*fd);
        *fd = FER__NO_FD;
        return number;
    }
#endif
    return 0;
}

fer_status fer__os_accept(fer__fd listener, fer__fd *fd) {
    int saved = errno;
    *fd = FER__NO_FD;
    int flags = fcntl(listener, F_GETFL);
    if (flags < 0)
        return fer__os_finish(saved, errno);
    if ((flags & O_NONBLOCK) != 0)
        return fer__os_finish(saved, accept_now(listener, fd));
    /* Somebody else who has this listener may take the connection first: then there is a wait. */
    int number = fer__os_switch_nonblocking(listener, 1);
    if (number == 0) {
        number = accept_now(listener, fd);
        (void)fer__os_switch_nonblocking(listener, 0);
    }
    return fer__os_finish(saved, number);
}

fer_status fer__os_socket_error(fer__fd fd) {
    int saved = errno;
    int number = 0;
    socklen_t size = sizeof number;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    return fer__os_finish(saved, number);
}

fer_status fer__os_shutdown_write(fer__fd fd) {
    int saved = errno;
    return fer__os_finish(saved, shutdown(fd, SHUT_WR) != 0 ? errno : 0);
}

static struct msghdr message_of(const struct iovec *parts, size_t count) {
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)parts;
    if (count > FER__IOV_MAX)
        count = FER__IOV_MAX;
#ifdef __GLIBC__
    message.msg_iovlen = count;
#else
    message.msg_iovlen = (int)count;
#endif
    return message;
}

fer_status fer__os_send(fer__fd fd, const struct iovec *parts, size_t count, size_t *written) {
    int saved = errno;
    *written = 0;
    const struct msghdr message = message_of(parts, count);
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, FER__SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        /* No memory for the kernel's buffers is a state that passes, as a full queue is. */
        return fer__os_finish(saved, errno == ENOBUFS ? EAGAIN : errno);
    *written = (size_t)sent;
    return FER_OK;
}

/*
 * Whether the kernel had something else to tell than descriptors. A socket that somebody set up to
 * give the sender's credentials has every message truncated, since we take none.
 */
static int tells_credentials(fer__fd fd) {
#ifdef __linux__
    static const int options[] = {
        SO_PASSCRED,
        SO_PASSSEC,
#ifdef SO_PASSPIDFD
        SO_PASSPIDFD,
#endif
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int on = 0;
        socklen_t size = sizeof on;
        if (getsockopt(fd, SOL_SOCKET, options[i], &on, &size) == 0 && on)
            return 1;
    }
#else
    (void)fd;
#endif
    return 0;
}

static int has_room(const struct iovec *parts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            return 1;
    }
    return 0;
}

static fer_status receive(fer__fd fd, const struct iovec *parts, size_t count, size_t *got,
                          uint32_t *flags, int how, int retry) {
    int saved = errno;
    *got = 0;
    *flags = 0;
    /* Without a control buffer the kernel closes descriptors that come, and says so. */
    struct msghdr message = message_of(parts, count);
    ssize_t received;
    do {
        received = recvmsg(fd, &message, how);
    } while (received < 0 && errno == EINTR && retry);
    if (received < 0)
        return fer__os_finish(saved, errno);
    if ((message.msg_flags & MSG_CTRUNC) != 0 && !tells_credentials(fd))
        *flags = FER__RECV_TRUNCATED;
    errno = saved;
    *got = (size_t)received;
    if (received == 0 && has_room(parts, count))
        return fer__fail_plain(FER_EOF);
    return FER_OK;
}

fer_status fer__os_recv(fer__fd fd, const struct iovec *parts, size_t count, size_t *got,
                        uint32_t *flags) {
    return receive(fd, parts, count, got, flags, MSG_DONTWAIT, 1);
}

fer_status fer__os_recv_blocking(fer__fd fd, const struct iovec *parts, size_t count, size_t *got,
                                 uint32_t *flags) {
    return receive(fd, parts, count, got, flags, 0, 0);
}

fer_status fer__os_set_receive_timeout(fer__fd fd, int64_t timeout_ms) {
    struct timeval limit;
    int saved = errno;
    limit.tv_sec = (time_t)(timeout_ms / 1000);
    limit.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000;
    return fer__os_finish(
        saved, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ? errno : 0);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t fer__os_now(void) {
    int saved = errno;
    int64_t now = now_ms();
    errno = saved;
    return now;
}

int64_t fer__os_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint32_t fer__os_switches(void) {
    struct rusage usage;
#ifdef RUSAGE_THREAD
    int failed = getrusage(RUSAGE_THREAD, &usage);
#else
    int failed = getrusage(RUSAGE_SELF, &usage);
#endif
    return failed ? 0 : (uint32_t)usage.ru_nivcsw;
}

void fer__os_yield(void) {
    (void)sched_yield();
}

static int wait_for(struct pollfd *polls, size_t count, int64_t timeout_ms) {
    int64_t start = timeout_ms > INT_MAX ? now_ms() : 0;
    int64_t end = timeout_ms > INT64_MAX - start ? INT64_MAX : start + timeout_ms;
    for (;;) {
        /* poll(2) takes an int; a longer time is waited for in pieces. */
        int piece = timeout_ms < 0 ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
        int ready = poll(polls, (nfds_t)count, piece);
        if (ready != 0)
            return ready < 0 ? errno : 0;
        if (timeout_ms <= INT_MAX)
            return ETIMEDOUT;
        timeout_ms = end - now_ms();
        if (timeout_ms < 0)
            timeout_ms = 0;
    }
}

fer_status fer__os_wait(fer__wait *waits, size_t count, int64_t timeout_ms) {
    enum { FEW = 16 };
    int saved = errno;
    struct pollfd few[FEW];
    struct pollfd *polls = few;
    if (count > FEW) {
        if (count > SIZE_MAX / sizeof *polls ||
            (polls = fer__malloc(count * sizeof *polls)) == NULL)
            return fer__os_finish(saved, ENOMEM);
    }
    for (size_t i = 0; i < count; i++) {
        waits[i].ready = 0;
        polls[i].fd = waits[i].fd;
        polls[i].revents = 0;
        polls[i].events = 0;
        if ((waits[i].events & FER__WAIT_READ) != 0)
            polls[i].events |= POLLIN;
        if ((waits[i].events & FER__WAIT_WRITE) != 0)
            polls[i].events |= POLLOUT;
    }
    int number = wait_for(polls, count, timeout_ms);
    for (size_t i = 0; i < count && number == 0; i++) {
        if ((polls[i].revents & POLLIN) != 0)
            waits[i].ready |= FER__WAIT_READ;
        if ((polls[i].revents & POLLOUT) != 0)
            waits[i].ready |= FER__WAIT_WRITE;
        if ((polls[i].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
            waits[i].ready |= waits[i].events;
    }
    if (polls != few)
        fer__free(polls);
    /* poll(2) gives EINVAL for more descriptors than the process may have. */
    return fer__os_finish(saved, number == EINVAL ? ENOMEM : number);
}

_Atomic uint64_t fer__os_mark;
static pthread_mutex_t mark_lock = PTHREAD_MUTEX_INITIALIZER;

static void count_fork(void) {
    atomic_fetch_add(&fer__os_mark, 1);
}

uint64_t fer__os_process_mark(void) {
    uint64_t present = atomic_load_explicit(&fer__os_mark, memory_order_relaxed);
    if (present != 0)
        return present;
    int saved = errno;
    pthread_mutex_lock(&mark_lock);
    if (atomic_load(&fer__os_mark) == 0 && pthread_atfork(NULL, NULL, count_fork) == 0)
        atomic_store(&fer__os_mark, 1);
    present = atomic_load(&fer__os_mark);
    pthread_mutex_unlock(&mark_lock);
    errno = saved;
    return present;
}
