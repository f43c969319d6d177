/* Names of pipes: checking, finding, connecting, and the user's private directory. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ferrule/pipe.h"
#include "mem.h"
#include "status.h"

enum { PATH_ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };

#define SHOWN(path) FER__SHOWN_PATH, (path)

fer_status fer__os_check_name(const char *name, size_t size) {
    if (name == NULL)
        return fer__fail(FER_EINVAL, "the name is NULL");
    if (size == FER_ZSTRING)
        size = strlen(name);
    if (size == 0)
        return fer__fail(FER_EINVAL, "the name is empty");
    if (name[0] != '\0') {
        if (memchr(name, '\0', size) != NULL)
            return fer__fail(FER_EINVAL, "the name has a NUL byte inside");
        return FER_OK;
    }
#ifdef __linux__
    if (size == 1)
        return fer__fail(FER_EINVAL, "the abstract name is empty");
    if (size > PATH_ROOM)
        return fer__fail(FER_ENAMETOOLONG, "an abstract name of %lu bytes, at most %d are allowed",
                         (unsigned long)size - 1, PATH_ROOM - 1);
    return FER_OK;
#else
    return fer__fail(FER_ENOTSUP, "this system has no abstract names");
#endif
}

char *fer__os_copy_path(const char *name, size_t size) {
    if (size == FER_ZSTRING)
        size = strlen(name);
    char *copy = fer__malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, name, size);
        copy[size] = '\0';
    }
    return copy;
}

static void start_address(fer__os_address *address) {
    memset(address, 0, sizeof *address);
    address->socket.sun_family = AF_UNIX;
    address->held = FER__NO_FD;
}

void fer__os_address_end(fer__os_address *address) {
    fer__os_close(address->held);
    address->held = FER__NO_FD;
}

int fer__os_address_fill(fer__os_address *address, const char *text) {
    size_t size = strlen(text);
    start_address(address);
    if (size >= PATH_ROOM)
        return 0;
    memcpy(address->socket.sun_path, text, size);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    return 1;
}

void fer__os_address_abstract(const char *name, size_t size, fer__os_address *address) {
    start_address(address);
    if (size > PATH_ROOM)
        size = PATH_ROOM;
    memcpy(address->socket.sun_path, name, size);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

int fer__os_address_find(const char *path, fer__os_address *address) {
    if (fer__os_address_fill(address, path))
        return 0;
#ifdef __linux__
    /* The file's own descriptor stands for a path of any length. */
    if (access("/proc/self/fd", X_OK) != 0)
        return ENAMETOOLONG;
    fer__fd held = open(path, O_PATH | O_CLOEXEC);
    if (held < 0)
        return errno;
    char text[sizeof FER__OS_DESCRIPTORS + 3 * sizeof held];
    snprintf(text, sizeof text, FER__OS_DESCRIPTORS "%d", held);
    fer__os_address_fill(address, text);
    address->held = held;
    return 0;
#else
    return ENAMETOOLONG;
#endif
}

int fer__os_connect_address(fer__fd fd, const fer__os_address *address) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    int blocking = (flags & O_NONBLOCK) == 0;
    if (blocking && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return errno;
    union {
        const struct sockaddr_un *local;
        const struct sockaddr *any;
    } name = {&address->socket};
    int number = 0;
    while (connect(fd, name.any, address->size) != 0) {
        number = errno;
        if (number != EINTR)
            break;
        number = 0;
    }
    if (blocking)
        (void)fcntl(fd, F_SETFL, flags);
    return number;
}

/* The kernel refuses a connection to anything that is not a socket as it does to a deserted one. */
static int is_other_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISSOCK(info.st_mode);
}

static fer_status connect_failed(int number, const char *path) {
    if (number == 0)
        return FER_OK;
    if (number == EAGAIN)
        return fer__fail(FER_EAGAIN, "the queue of %.*s is full", SHOWN(path));
    if (number == ECONNREFUSED && is_other_file(path))
        return fer__fail(FER_ENOTSOCK, "%.*s is not a socket", SHOWN(path));
    if (number == EPROTOTYPE)
        return fer__fail(FER_EPROTOTYPE, "%.*s is not a stream socket", SHOWN(path));
    fer_status status = fer__status_from_errno(number);
    return fer__fail(status, "cannot connect to %.*s: %s", SHOWN(path), fer__status_text(status));
}

fer_status fer__os_connect_pipe(fer__fd fd, const char *name, size_t size) {
    fer_status status = fer__os_check_name(name, size);
    if (status != FER_OK)
        return status;
    int saved = errno;
    fer__os_address address;
    if (name[0] == '\0') {
        fer__os_address_abstract(name, size, &address);
        int number = fer__os_connect_address(fd, &address);
        errno = saved;
        return connect_failed(number, "the abstract name");
    }
    char *path = fer__os_copy_path(name, size);
    if (path == NULL)
        return fer__os_finish(saved, ENOMEM);
    int number = fer__os_address_find(path, &address);
    if (number == 0) {
        number = fer__os_connect_address(fd, &address);
        fer__os_address_end(&address);
    }
    status = connect_failed(number, path);
    fer__free(path);
    errno = saved;
    return status;
}

/** The name of a socket as the system has it. */
typedef union system_name {
    struct sockaddr any;
    struct sockaddr_un local;
    /* The kernel adds a NUL byte to a path that fills the structure. */
    char room[sizeof(struct sockaddr_un) + 1];
} system_name;

static const size_t name_start = offsetof(struct sockaddr_un, sun_path);

/* Behind the name is a NUL byte. */
static int get_name(fer__fd fd, int peer, system_name *name, size_t *used) {
    memset(name, 0, sizeof *name);
    socklen_t length = sizeof *name;
    if ((peer ? getpeername(fd, &name->any, &length) : getsockname(fd, &name->any, &length)) != 0)
        return errno;
    const char *text = name->room + name_start;
    *used = length > name_start ? (size_t)length - name_start : 0;
    if (*used > sizeof name->room - name_start)
        *used = sizeof name->room - name_start;
    if (*used > 0 && text[0] != '\0')
        *used = strnlen(text, *used);
#ifndef __linux__
    else
        *used = 0;
#endif
    return 0;
}

static int begins_with(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether a path is one that binding makes up. */
static int is_made_up(const char *path) {
    const char *base = strrchr(path, '/');
    if (base == NULL)
        return 0;
    const char *directory = base;
    while (directory > path && directory[-1] != '/')
        directory--;
    return begins_with(path, FER__OS_DESCRIPTORS) || begins_with(directory, FER__OS_HIDDEN);
}

int fer__os_pipe_peer_is_hidden(fer__fd fd) {
    int saved = errno;
    system_name name;
    size_t used = 0;
    int hidden = get_name(fd, 1, &name, &used) == 0 && is_made_up(name.room + name_start);
    errno = saved;
    return hidden;
}

fer_status fer__os_pipe_name(fer__fd fd, int peer, char *buffer, size_t *size) {
    int saved = errno;
    system_name name;
    size_t used = 0;
    int number = get_name(fd, peer, &name, &used);
    if (number != 0)
        return fer__os_finish(saved, number);
    errno = saved;
    if (*size < used + 1) {
        *size = used + 1;
        return fer__fail(FER_ENOBUFS, "the name needs %lu bytes", (unsigned long)used + 1);
    }
    memcpy(buffer, name.room + name_start, used);
    buffer[used] = '\0';
    *size = used;
    return FER_OK;
}

/* Whether short names may live below `path`: others cannot put anything there. */
static int is_own_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
           (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static fer_status make_private_directory(const char *path) {
    struct stat info;
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) {
        fer_status status = fer__status_from_errno(errno);
        return fer__fail(status, "cannot make the directory %.*s: %s", SHOWN(path),
                         fer__status_text(status));
    }
    if (lstat(path, &info) != 0)
        return fer__fail_plain(fer__status_from_errno(errno));
    if (!S_ISDIR(info.st_mode))
        return fer__fail(FER_EPERM, "%.*s is not a directory", SHOWN(path));
    if (info.st_uid != geteuid())
        return fer__fail(FER_EPERM, "the directory %.*s belongs to another user", SHOWN(path));
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fer__fail(FER_EPERM, "the directory %.*s has mode %04o: others must have no access",
                         SHOWN(path), (unsigned)(info.st_mode & 07777));
    return FER_OK;
}

/* Write the directory of short names to `path`. Returns its length, as snprintf(3) does. */
static int runtime_directory(char *path, size_t room) {
    const unsigned long user = (unsigned long)geteuid();
    const char *given = getenv("XDG_RUNTIME_DIR");
    /* A program with more rights than its caller does not let the caller choose the place. */
    if (given != NULL && given[0] == '/' && geteuid() == getuid() && is_own_directory(given))
        return snprintf(path, room, "%s/ferrule", given);
    char own[64];
    snprintf(own, sizeof own, "/run/user/%lu", user);
    if (is_own_directory(own))
        return snprintf(path, room, "%s/ferrule", own);
    return snprintf(path, room, "/tmp/ferrule-%lu", user);
}

fer_status fer__os_runtime_path(const char *name, size_t size, char *path, size_t room) {
    fer_status status = fer__os_check_name(name, size);
    if (status != FER_OK)
        return status;
    if (size == FER_ZSTRING)
        size = strlen(name);
    if (name[0] == '\0' || name[0] == '.' || memchr(name, '/', size) != NULL)
        return fer__fail(FER_EINVAL, "a short name has no slash, NUL byte or dot in front");
    int saved = errno;
    int used = runtime_directory(path, room);
    if (used < 0 || (size_t)used >= room || size + 2 > room - (size_t)used) {
        errno = saved;
        return fer__fail(FER_ENAMETOOLONG, "the path of the user's runtime directory is too long");
    }
    status = make_private_directory(path);
    errno = saved;
    if (status != FER_OK)
        return status;
    path[used] = '/';
    memcpy(path + used + 1, name, size);
    path[(size_t)used + 1 + size] = '\0';
    return FER_OK;
}

/* Nothing is followed on the way to the file, and it must be the one that was bound. */
static int change_mode(const fer__bound *bound, mode_t mode) {
    struct stat info;
#ifdef __linux__
    fer__fd fd = open(bound->file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = fstat(fd, &info) != 0 ? errno : 0;
#else
    int number = lstat(bound->file, &info) != 0 ? errno : 0;
#endif
    if (number == 0 &&
        ((uint64_t)info.st_dev != bound->device || (uint64_t)info.st_ino != bound->inode))
        number = ENOENT;
#ifdef __linux__
    if (number == 0) {
        char text[sizeof FER__OS_DESCRIPTORS + 3 * sizeof fd];
        snprintf(text, sizeof text, FER__OS_DESCRIPTORS "%d", fd);
        number = chmod(text, mode) != 0 ? errno : 0;
    }
    close(fd);
#else
    if (number == 0 && fchmodat(AT_FDCWD, bound->file, mode, AT_SYMLINK_NOFOLLOW) != 0)
        number = errno;
#endif
    return number;
}

fer_status fer__os_chmod_pipe(const fer__bound *bound, uint32_t mode) {
    int saved = errno;
    return fer__os_finish(saved, change_mode(bound, (mode_t)mode));
}
