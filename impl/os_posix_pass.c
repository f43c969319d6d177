/* Descriptors that ride on bytes, and what a descriptor is. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "status.h"

/** The kernel's name for room for descriptors, aligned as it wants it. */
typedef union control {
    struct cmsghdr align;
    unsigned char room[CMSG_SPACE(sizeof(int) * FER__FDS_MAX)];
} control;

fer_status fer__os_send_fds(fer__fd fd, const struct iovec *parts, size_t count, const fer__fd *fds,
                            size_t fd_count, size_t *written) {
    int saved = errno;
    size_t size = sizeof(int) * fd_count;
    control room;
    struct msghdr message;
    struct cmsghdr *head;
    ssize_t sent;
    *written = 0;
    memset(room.room, 0, CMSG_SPACE(size));
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)parts;
    message.msg_iovlen = count < FER__IOV_MAX ? count : FER__IOV_MAX;
    message.msg_control = room.room;
    message.msg_controllen = CMSG_SPACE(size);
    head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(head), fds, size);
    do {
        sent = sendmsg(fd, &message, FER__SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return fer__os_finish(saved, errno == ENOBUFS ? EAGAIN : errno);
    *written = (size_t)sent;
    errno = saved;
    return FER_OK;
}

/* Take the descriptors out of one control message. */
static void take_fds(const struct cmsghdr *head, fer__fd *fds, size_t *count) {
    size_t there = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const unsigned char *data = CMSG_DATA(head);
    size_t i;
    for (i = 0; i < there; i++) {
        fer__fd fd;
        memcpy(&fd, data + i * sizeof fd, sizeof fd);
        if (*count == FER__FDS_MAX) {
            close(fd);
            continue;
        }
#ifndef MSG_CMSG_CLOEXEC
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
        fds[(*count)++] = fd;
    }
}

fer_status fer__os_recv_fds(fer__fd fd, const struct iovec *parts, size_t count, int may_block,
                            size_t *got, fer__fd *fds, size_t *fd_count) {
    int saved = errno;
    int flags = may_block ? 0 : MSG_DONTWAIT;
    control room;
    struct msghdr message;
    struct cmsghdr *head;
    ssize_t received;
    *got = 0;
    *fd_count = 0;
#ifdef MSG_CMSG_CLOEXEC
    flags |= MSG_CMSG_CLOEXEC;
#endif
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(uintptr_t)parts;
    message.msg_iovlen = count;
    message.msg_control = room.room;
    message.msg_controllen = sizeof room.room;
    do {
        received = recvmsg(fd, &message, flags);
    } while (received < 0 && errno == EINTR && !may_block);
    if (received < 0)
        return fer__os_finish(saved, errno);
    for (head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
            take_fds(head, fds, fd_count);
    }
    errno = saved;
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        while (*fd_count > 0)
            fer__os_close(fds[--*fd_count]);
        return fer__fail(FER_EMFILE, "a handle came that this process has no descriptor for");
    }
    *got = (size_t)received;
    return received == 0 ? fer__fail_plain(FER_EOF) : FER_OK;
}

/* What a descriptor is. */

typedef union name {
    struct sockaddr any;
    struct sockaddr_storage storage;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
} name;

static fer_kind kind_of_socket(int type, int family) {
    if (family == AF_UNIX)
        return type == SOCK_STREAM ? FER_KIND_PIPE : FER_KIND_OTHER;
    if (family != AF_INET && family != AF_INET6)
        return FER_KIND_OTHER;
    if (type == SOCK_STREAM)
        return FER_KIND_TCP;
    return type == SOCK_DGRAM ? FER_KIND_UDP : FER_KIND_OTHER;
}

/* FER_KIND_PIPE stands for any socket whose family is still to be found out. */
static fer_kind kind_by_type(fer__fd fd, int *type) {
    socklen_t size = sizeof *type;
    *type = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &size) == 0)
        return FER_KIND_PIPE;
    return errno == EBADF ? FER_KIND_NONE : FER_KIND_OTHER;
}

fer_kind fer__os_kind_of(fer__fd fd) {
    int saved = errno;
    int type;
    name local;
    socklen_t size = sizeof local;
    fer_kind kind = kind_by_type(fd, &type);
    memset(&local, 0, sizeof local);
    if (kind == FER_KIND_PIPE)
        kind = getsockname(fd, &local.any, &size) == 0 ? kind_of_socket(type, local.any.sa_family)
                                                       : FER_KIND_OTHER;
    errno = saved;
    return kind;
}

int fer__os_is_socket(fer__fd fd) {
    int saved = errno;
    int type = 0;
    socklen_t size = sizeof type;
    int yes = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    errno = saved;
    return yes;
}

static int is_bound(const name *local, socklen_t size) {
    if (local->any.sa_family == AF_INET)
        return local->ip4.sin_port != 0;
    if (local->any.sa_family == AF_INET6)
        return local->ip6.sin6_port != 0;
    return size > offsetof(struct sockaddr_un, sun_path);
}

fer__progress fer__os_progress(fer__fd fd) {
    int saved = errno;
    name where;
    socklen_t size = sizeof where;
    fer__progress progress = FER__SOCKET_NEW;
    memset(&where, 0, sizeof where);
    if (fer__os_is_listening(fd))
        progress = FER__SOCKET_LISTENING;
    else if (getpeername(fd, &where.any, &size) == 0)
        progress = FER__SOCKET_CONNECTED;
    else {
        size = sizeof where;
        if (getsockname(fd, &where.any, &size) == 0 && is_bound(&where, size))
            progress = FER__SOCKET_BOUND;
    }
    errno = saved;
    return progress;
}

fer_kind fer__os_identify(fer__fd fd, fer__progress *progress) {
    int saved = errno;
    int type;
    name peer;
    socklen_t size = sizeof peer;
    fer_kind kind = kind_by_type(fd, &type);
    *progress = FER__SOCKET_NEW;
    memset(&peer, 0, sizeof peer);
    if (kind == FER_KIND_PIPE && getpeername(fd, &peer.any, &size) == 0) {
        *progress = FER__SOCKET_CONNECTED;
        kind = kind_of_socket(type, peer.any.sa_family);
    } else if (kind == FER_KIND_PIPE) {
        *progress = fer__os_progress(fd);
        kind = fer__os_kind_of(fd);
    }
    errno = saved;
    return kind;
}

fer_status fer__os_buffer_size(fer__fd fd, int receive, int32_t *bytes) {
    int saved = errno;
    int value = 0;
    socklen_t size = sizeof value;
    int r = getsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, &value, &size);
    *bytes = value;
    return fer__os_finish(saved, r != 0 ? errno : 0);
}

fer_status fer__os_set_buffer_size(fer__fd fd, int receive, int32_t bytes) {
    int saved = errno;
    int value = bytes;
    int r = setsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, &value, sizeof value);
    return fer__os_finish(saved, r != 0 ? errno : 0);
}

fer_status fer__os_peer_credentials(fer__fd fd, int64_t *pid, uint32_t *uid, uint32_t *gid) {
    int saved = errno;
#if defined(__linux__)
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return fer__os_finish(saved, errno);
    /* A socket that is not connected has nobody there. */
    if (who.pid == 0)
        return fer__os_finish(saved, ENOTCONN);
    *pid = who.pid;
    *uid = who.uid;
    *gid = who.gid;
    return FER_OK;
#elif defined(__APPLE__)
    uid_t user;
    gid_t group;
    pid_t process = -1;
    socklen_t size = sizeof process;
    if (getpeereid(fd, &user, &group) != 0)
        return fer__os_finish(saved, errno);
    if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &process, &size) != 0)
        process = -1;
    errno = saved;
    *pid = process;
    *uid = user;
    *gid = group;
    return FER_OK;
#else
    (void)fd;
    (void)pid;
    (void)uid;
    (void)gid;
    return fer__os_finish(saved, ENOSYS) == FER_OK ? FER_OK : fer__fail_plain(FER_ENOTSUP);
#endif
}

fer_status fer__os_set_cloexec(fer__fd fd) {
    int saved = errno;
    return fer__os_finish(saved, fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ? errno : 0);
}

fer_status fer__os_duplicate(fer__fd fd, fer__fd *copy) {
    int saved = errno;
    *copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fer__os_finish(saved, *copy < 0 ? errno : 0);
}
