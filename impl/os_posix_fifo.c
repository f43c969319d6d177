/* FIFOs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status.h"

enum { MODE = 0600, LOCK_TRIES = 64 };

#define SHOWN(path) FER__SHOWN_PATH, (path)

/* What somebody else made could be read, or replaced, by that somebody. */
static fer_status check_file(const struct stat *info, const char *path) {
    if (!S_ISFIFO(info->st_mode))
        return fer__fail(FER_EPROTOTYPE, "%.*s is no FIFO", SHOWN(path));
    if (info->st_uid != geteuid() && info->st_uid != 0 && geteuid() != 0)
        return fer__fail(FER_EPERM, "the FIFO %.*s belongs to another user", SHOWN(path));
    return FER_OK;
}

static fer_status failed(int number, const char *path) {
    if (number == ELOOP)
        return fer__fail(FER_ELOOP, "%.*s is a symbolic link", SHOWN(path));
    return fer__fail(fer__status_from_errno(number), "%.*s: %s", SHOWN(path),
                     fer__status_text(fer__status_from_errno(number)));
}

/* Making and removing. */

static fer_status make_fifo(const char *path, fer__made *made) {
    struct stat info;
    fer_status status;
    if (mkfifo(path, MODE) == 0) {
        if (lstat(path, &info) != 0) {
            status = failed(errno, path);
            (void)unlink(path);
            return status;
        }
        made->device = (uint64_t)info.st_dev;
        made->inode = (uint64_t)info.st_ino;
        return FER_OK;
    }
    if (errno != EEXIST)
        return failed(errno, path);
    if (lstat(path, &info) != 0)
        return failed(errno, path);
    if (S_ISLNK(info.st_mode))
        return failed(ELOOP, path);
    status = check_file(&info, path);
    return status == FER_OK ? fer__fail_plain(FER_EEXIST) : status;
}

fer_status fer__os_make_fifo(const char *path, fer__made *made) {
    int saved = errno;
    fer_status status = make_fifo(path, made);
    errno = saved;
    return status;
}

void fer__os_remove_fifo(const char *path, const fer__made *made) {
    int saved = errno;
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISFIFO(info.st_mode) &&
        (uint64_t)info.st_dev == made->device && (uint64_t)info.st_ino == made->inode)
        (void)unlink(path);
    errno = saved;
}

fer_status fer__os_make_directory(char *path, size_t room) {
    static const char name[] = "fifos-XXXXXX";
    int saved = errno;
    fer_status status = fer__os_runtime_path(name, sizeof name - 1, path, room);
    if (status != FER_OK)
        return status;
    if (mkdtemp(path) == NULL)
        status = failed(errno, path);
    errno = saved;
    return status;
}

void fer__os_remove_directory(const char *path) {
    int saved = errno;
    (void)rmdir(path);
    errno = saved;
}

/* Opening. */

static fer_status open_end(const char *path, int how, fer__fd *fd) {
    struct stat info;
    fer_status status;
    *fd = open(path, how | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) {
        *fd = FER__NO_FD;
        if (errno == ENXIO)
            return fer__fail(FER_ECONNREFUSED, "nobody reads %.*s", SHOWN(path));
        return failed(errno, path);
    }
    status = fstat(*fd, &info) != 0 ? failed(errno, path) : check_file(&info, path);
    if (status != FER_OK) {
        close(*fd);
        *fd = FER__NO_FD;
    }
    return status;
}

int fer__os_is_fifo_locked(const char *path, int as_writer) {
    int saved = errno;
    fer__fd fd = FER__NO_FD;
    int yes = 0;
    if (open_end(path, as_writer ? O_WRONLY : O_RDONLY, &fd) == FER_OK) {
        yes = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        close(fd);
    }
    errno = saved;
    return yes;
}

/*
 * Two readers would each get a part of the bytes. Only the lock tells of the other: to open the FIFO for
 * writing would, too, but to somebody who waits there it would look like a peer that came and went.
 */
static fer_status lock_reader(fer__fd fd, const char *path) {
    int i;
    for (i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            return FER_OK;
        if (flock(fd, LOCK_SH | LOCK_NB) != 0)
            return fer__fail(FER_EADDRINUSE, "somebody else reads %.*s", SHOWN(path));
        /* Somebody looks whether it is locked, which takes no time to speak of. */
        (void)flock(fd, LOCK_UN);
        fer__os_yield();
    }
    return fer__fail(FER_EAGAIN, "somebody looks whether %.*s is read", SHOWN(path));
}

static fer_status open_reader(const char *path, fer__fd *fd) {
    fer_status status = open_end(path, O_RDONLY, fd);
    if (status != FER_OK)
        return status;
    status = lock_reader(*fd, path);
    if (status != FER_OK) {
        close(*fd);
        *fd = FER__NO_FD;
    }
    return status;
}

fer_status fer__os_open_reader(const char *path, fer__fd *fd) {
    int saved = errno;
    fer_status status = open_reader(path, fd);
    errno = saved;
    return status;
}

fer_status fer__os_open_writer(const char *path, fer__fd *fd) {
    int saved = errno;
    fer_status status = open_end(path, O_WRONLY, fd);
    errno = saved;
    return status;
}

/* Who has a client. */

#ifdef F_OFD_SETLK

static struct flock first_byte(short type) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    return lock;
}

fer_status fer__os_mark_reader(fer__fd fd, int taken) {
    struct flock lock = first_byte(taken ? F_RDLCK : F_UNLCK);
    int saved = errno;
    int number = fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
    /* Some file systems have no such locks: then nobody can see whether there is a client. */
    if (number == EINVAL || number == EOPNOTSUPP || number == ENOSYS)
        number = 0;
    return fer__os_finish(saved, number);
}

int fer__os_is_reader_marked(const char *path) {
    struct flock lock = first_byte(F_WRLCK);
    int saved = errno;
    fer__fd fd = FER__NO_FD;
    int yes = 0;
    if (open_end(path, O_RDONLY, &fd) == FER_OK) {
        yes = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        close(fd);
    }
    errno = saved;
    return yes;
}

#else

fer_status fer__os_mark_reader(fer__fd fd, int taken) {
    (void)fd;
    (void)taken;
    return FER_OK;
}

int fer__os_is_reader_marked(const char *path) {
    (void)path;
    return 0;
}

#endif

/* Reading and writing. */

/*
 * A write to a FIFO that nobody reads raises SIGPIPE in this thread, and there is no flag against it.
 * So the signal is blocked, and taken back if it was not waiting before.
 */
static ssize_t write_quietly(fer__fd fd, const struct iovec *parts, int count) {
    sigset_t pipe_only;
    sigset_t before;
    sigset_t waiting;
    ssize_t wrote;
    int number = 0;
    int waited;
    int taken;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&waiting);
    number = pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    if (number != 0) {
        errno = number;
        return -1;
    }
    /* One that is not blocked does not wait. */
    waited = sigismember(&before, SIGPIPE) == 1 && sigpending(&waiting) == 0 &&
             sigismember(&waiting, SIGPIPE) == 1;
    do {
        wrote = writev(fd, parts, count);
    } while (wrote < 0 && errno == EINTR);
    number = errno;
    if (wrote < 0 && number == EPIPE && !waited && sigpending(&waiting) == 0 &&
        sigismember(&waiting, SIGPIPE) == 1)
        (void)sigwait(&pipe_only, &taken);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return wrote;
}

fer_status fer__os_fifo_write(fer__fd fd, const struct iovec *parts, size_t count,
                              size_t *written) {
    int saved = errno;
    ssize_t wrote = write_quietly(fd, parts, (int)(count < FER__IOV_MAX ? count : FER__IOV_MAX));
    *written = wrote < 0 ? 0 : (size_t)wrote;
    return fer__os_finish(saved, wrote < 0 ? errno : 0);
}

fer_status fer__os_fifo_read(fer__fd fd, const struct iovec *parts, size_t count, size_t *got) {
    int saved = errno;
    ssize_t received;
    *got = 0;
    do {
        received = readv(fd, parts, (int)(count < FER__IOV_MAX ? count : FER__IOV_MAX));
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return fer__os_finish(saved, errno);
    errno = saved;
    *got = (size_t)received;
    return received == 0 ? fer__fail_plain(FER_EOF) : FER_OK;
}
