/* Peers that do not use the library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
#define QUIET MSG_NOSIGNAL
#else
#define QUIET 0
#endif

enum { MOST_HANDLES = 253 };

static void prepare(int fd) {
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

int raw_listen(const char *path) {
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    prepare(fd);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

int raw_connect(const char *path) {
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    prepare(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("cannot connect to %s: %s", path, strerror(errno));
    return fd;
}

int raw_accept(int listener) {
    raw_wait(listener, POLLIN);
    int fd = accept(listener, NULL, NULL);
    prepare(fd);
    return fd;
}

void raw_pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    prepare(fds[0]);
    prepare(fds[1]);
}

void raw_close(int fd) {
    assert_int_equal(close(fd), 0);
}

void raw_wait(int fd, short events) {
    struct pollfd poll_fd = {fd, events, 0};
    int ready;
    do {
        ready = poll(&poll_fd, 1, HARNESS_PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready != 1)
        fail_msg("descriptor %d was not ready in time", fd);
}

void raw_send(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, QUIET | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            raw_wait(fd, POLLOUT);
            continue;
        }
        if (sent < 0)
            fail_msg("cannot send: %s", strerror(errno));
        at += sent;
        size -= (size_t)sent;
    }
}

ssize_t raw_try_send_handles(int fd, const void *data, size_t size, const int *handles,
                             size_t count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * MOST_HANDLES)];
    } control;
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message;
    assert_in_range(count, 1, MOST_HANDLES);
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), handles, sizeof(int) * count);
    raw_wait(fd, POLLOUT);
    return sendmsg(fd, &message, QUIET);
}

void raw_send_handles(int fd, const void *data, size_t size, const int *handles, size_t count) {
    assert_int_equal(raw_try_send_handles(fd, data, size, handles, count), size);
}

ssize_t raw_try_receive(int fd, void *data, size_t size) {
    for (;;) {
        ssize_t got = recv(fd, data, size, MSG_DONTWAIT);
        if (got >= 0)
            return got;
        if (errno == EAGAIN)
            return -1;
        if (errno == ECONNRESET)
            return 0;
        if (errno != EINTR)
            fail_msg("cannot receive: %s", strerror(errno));
    }
}

void raw_receive(int fd, void *data, size_t size) {
    char *at = data;
    while (size > 0) {
        ssize_t got = raw_try_receive(fd, at, size);
        if (got == 0)
            fail_msg("the stream ended with %lu bytes missing", (unsigned long)size);
        if (got < 0) {
            raw_wait(fd, POLLIN);
            continue;
        }
        at += got;
        size -= (size_t)got;
    }
}

size_t raw_drain(int fd) {
    char rest[65536];
    size_t total = 0;
    for (;;) {
        ssize_t got = raw_try_receive(fd, rest, sizeof rest);
        if (got == 0)
            return total;
        if (got < 0)
            raw_wait(fd, POLLIN);
        else
            total += (size_t)got;
    }
}
