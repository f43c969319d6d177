/*
 * Binding a pipe to a path. Who binds holds a lock on the directory from before the file is there until
 * its socket listens, and who finds a file in the way looks at it under the same lock: so a socket that
 * refuses connections is stale, and not one that is about to listen.
 *
 * A directory that cannot be locked is no place to replace anything. There the socket is made out of
 * sight, in a directory of its own, and gets its name when it listens.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ferrule/pipe.h"
#include "mem.h"
#include "status.h"

enum {
    LOCK_TRIES = 100,       /* as often the lock is asked for */
    LOCK_PAUSE_NS = 2500000 /* and this long apart: a quarter of a second in all */
};

#define SHOWN(path) FER__SHOWN_PATH, (path)

/** Where a socket file is, or is to be. */
struct place {
    const char *path;      /**< as it was asked for */
    const char *base;      /**< its last component */
    const char *directory; /**< the rest */
    fer__fd fd;            /**< the directory, open */
    int locked;
};

/** A private directory, and in it a socket named HIDDEN_NAME. */
struct hidden {
    char name[32]; /**< within the directory of the place */
    fer__fd fd;
};

#define HIDDEN_NAME "s"

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static char *parent_of(const char *path, const char *base) {
    if (base == path)
        return fer__os_copy_path(".", 1);
    size_t size = (size_t)(base - path);
    /* The slash goes, except that of the root. */
    return fer__os_copy_path(path, size > 1 ? size - 1 : size);
}

static int open_directory(const char *path, int *lockable) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *lockable = fd >= 0;
#ifdef O_PATH
    if (fd < 0 && errno == EACCES)
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
#endif
    return fd;
}

static int take_lock(fer__fd fd) {
    static const struct timespec pause = {0, LOCK_PAUSE_NS};
    /* Anybody who may read the directory can hold the lock; that must not hold us for ever. */
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 1;
        if (errno == EWOULDBLOCK)
            nanosleep(&pause, NULL);
        else if (errno != EINTR)
            return 0;
    }
    return 0;
}

/** Open the directory of the place, and lock it if that can be done. */
static int place_enter(struct place *place) {
    int lockable = 0;
    place->locked = 0;
    place->fd = open_directory(place->directory, &lockable);
    if (place->fd < 0)
        return errno;
    place->locked = lockable && take_lock(place->fd);
    return 0;
}

static void place_leave(struct place *place) {
    /* A child that another thread forks just now may have the descriptor: closing would not be enough. */
    if (place->locked)
        (void)flock(place->fd, LOCK_UN);
    close(place->fd);
}

/** The address of `name` in the open directory `fd`, whose path is `directory`. */
static int address_in(const char *directory, fer__fd fd, const char *name,
                      fer__os_address *address) {
    char text[sizeof address->socket.sun_path];
    int used = snprintf(text, sizeof text, "%s/%s", directory, name);
    if (used < 0)
        return EINVAL;
    if ((size_t)used < sizeof text && fer__os_address_fill(address, text))
        return 0;
#ifdef __linux__
    if (access("/proc/self/fd", X_OK) != 0)
        return ENAMETOOLONG;
    used = snprintf(text, sizeof text, FER__OS_DESCRIPTORS "%d/%s", fd, name);
    if (used > 0 && (size_t)used < sizeof text && fer__os_address_fill(address, text))
        return 0;
#else
    (void)fd;
#endif
    return ENAMETOOLONG;
}

static int bind_address(fer__fd fd, const fer__os_address *address) {
    union {
        const struct sockaddr_un *local;
        const struct sockaddr *any;
    } name = {&address->socket};
    return bind(fd, name.any, address->size) != 0 ? errno : 0;
}

#ifdef __linux__
/* The mask of the process took bits away. Nothing is followed on the way to the file. */
static int set_mode(const struct place *place, const fer__bound *bound, mode_t mode) {
    struct stat info;
    fer__fd fd = openat(place->fd, place->base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = 0;
    if (fstat(fd, &info) != 0)
        number = errno;
    else if ((uint64_t)info.st_dev != bound->device || (uint64_t)info.st_ino != bound->inode)
        number = EADDRINUSE;
    if (number == 0) {
        char text[sizeof FER__OS_DESCRIPTORS + 3 * sizeof fd];
        snprintf(text, sizeof text, FER__OS_DESCRIPTORS "%d", fd);
        number = chmod(text, mode) != 0 ? errno : 0;
    }
    close(fd);
    return number;
}

/** Note which file it is that was just bound, and see that it has the mode. */
static int note_file(const struct place *place, mode_t mode, fer__bound *bound) {
    struct stat info;
    if (fstatat(place->fd, place->base, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid())
        return EADDRINUSE;
    bound->device = (uint64_t)info.st_dev;
    bound->inode = (uint64_t)info.st_ino;
    return (info.st_mode & 07777) == mode ? 0 : set_mode(place, bound, mode);
}
#endif

/** Remove the file if it is the one that was noted. */
static void remove_noted(const struct place *place, const fer__bound *bound) {
    struct stat info;
    if (fstatat(place->fd, place->base, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(info.st_mode) && (uint64_t)info.st_dev == bound->device &&
        (uint64_t)info.st_ino == bound->inode)
        (void)unlinkat(place->fd, place->base, 0);
}

/* Out of sight. */

static int hidden_open(const struct place *place, struct hidden *hidden) {
    static atomic_uint counter;
    struct timespec now;
    struct stat info;
    int number = EEXIST;
    for (int i = 0; i < 100 && number == EEXIST; i++) {
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(hidden->name, sizeof hidden->name, FER__OS_HIDDEN "%x-%x-%x", (unsigned)getpid(),
                 atomic_fetch_add(&counter, 1), (unsigned)now.tv_nsec);
        number = mkdirat(place->fd, hidden->name, S_IRWXU) != 0 ? errno : 0;
    }
    if (number != 0)
        return number;
    hidden->fd = openat(place->fd, hidden->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (hidden->fd < 0) {
        number = errno;
        (void)unlinkat(place->fd, hidden->name, AT_REMOVEDIR);
        return number;
    }
    /* In a directory where everybody may rename, it could be somebody else's by now. */
    if (fstat(hidden->fd, &info) != 0 || info.st_uid != geteuid() ||
        (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        close(hidden->fd);
        return EPERM;
    }
    return 0;
}

static void hidden_close(const struct place *place, struct hidden *hidden) {
    (void)unlinkat(hidden->fd, HIDDEN_NAME, 0);
    (void)unlinkat(place->fd, hidden->name, AT_REMOVEDIR);
    close(hidden->fd);
}

static int hidden_bind(const struct place *place, const struct hidden *hidden, fer__fd fd,
                       mode_t mode, int backlog, fer__bound *bound) {
    fer__os_address address;
    struct stat info;
    char name[sizeof hidden->name + sizeof HIDDEN_NAME];
    snprintf(name, sizeof name, "%s/%s", hidden->name, HIDDEN_NAME);
    int number = address_in(place->directory, place->fd, name, &address);
    if (number == 0)
        number = bind_address(fd, &address);
    if (number != 0)
        return number;
    if (fchmodat(hidden->fd, HIDDEN_NAME, mode, 0) != 0 || listen(fd, backlog) != 0 ||
        fstatat(hidden->fd, HIDDEN_NAME, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    bound->device = (uint64_t)info.st_dev;
    bound->inode = (uint64_t)info.st_ino;
    return 0;
}

/** Give the hidden socket its name, if nothing has it. */
static int hidden_publish(const struct place *place, const struct hidden *hidden) {
#ifdef __APPLE__
    if (renameatx_np(hidden->fd, HIDDEN_NAME, place->fd, place->base, RENAME_EXCL) == 0)
        return 0;
#else
    if (linkat(hidden->fd, HIDDEN_NAME, place->fd, place->base, 0) == 0)
        return 0;
#endif
    return errno == EEXIST ? EADDRINUSE : errno;
}

/* In the way. */

static fer_status in_use(const struct place *place, const char *why) {
    return fer__fail(FER_EADDRINUSE, "%.*s: %s", SHOWN(place->path), why);
}

/** Connect as a client would, to see whether somebody listens. */
static int probe(const struct place *place) {
    fer__os_address address;
    fer__fd fd;
    int number = fer__os_open_socket(&fd);
    if (number != 0)
        return number;
    number = fer__os_address_find(place->path, &address);
    if (number == 0) {
        number = fer__os_connect_address(fd, &address);
        fer__os_address_end(&address);
    }
    close(fd);
    return number;
}

/** Remove what has the name if it is a socket of ours that nobody listens on. */
static fer_status remove_stale(const struct place *place) {
    struct stat before;
    struct stat after;
    if (fstatat(place->fd, place->base, &before, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? FER_OK : fer__fail_plain(fer__status_from_errno(errno));
    if (S_ISLNK(before.st_mode))
        return in_use(place, "a symbolic link is in the way");
    if (!S_ISSOCK(before.st_mode))
        return in_use(place, "something that is not a socket is in the way");
    if (before.st_uid != geteuid())
        return in_use(place, "another user's socket is in the way");
    int number = probe(place);
    if (number == EMFILE || number == ENFILE || number == ENOMEM)
        return fer__fail_plain(fer__status_from_errno(number));
    if (number != ECONNREFUSED)
        return in_use(place, "somebody listens there");
    if (!place->locked)
        return in_use(place, "a stale socket is in the way, and its directory cannot be locked");
    /* Programs that do not know of the lock may have been here. */
    if (fstatat(place->fd, place->base, &after, AT_SYMLINK_NOFOLLOW) == 0 &&
        (after.st_dev != before.st_dev || after.st_ino != before.st_ino))
        return in_use(place, "somebody else binds there now");
    if (unlinkat(place->fd, place->base, 0) != 0 && errno != ENOENT)
        return fer__fail_plain(fer__status_from_errno(errno));
    return FER_OK;
}

static fer_status bind_failed(int number, const struct place *place) {
    if (number == 0)
        return FER_OK;
    if (number == EADDRINUSE)
        return in_use(place, "something is in the way");
    fer_status status = fer__status_from_errno(number);
    return fer__fail(status, "cannot bind to %.*s: %s", SHOWN(place->path),
                     fer__status_text(status));
}

/* The two ways. */

static fer_status bind_hidden(const struct place *place, fer__fd fd, mode_t mode, int backlog,
                              fer__bound *bound) {
    struct hidden hidden;
    int number = hidden_open(place, &hidden);
    if (number != 0)
        return bind_failed(number, place);
    number = hidden_bind(place, &hidden, fd, mode, backlog, bound);
    if (number == 0)
        number = hidden_publish(place, &hidden);
    fer_status status = FER_OK;
    if (number == EADDRINUSE) {
        status = remove_stale(place);
        if (status == FER_OK)
            number = hidden_publish(place, &hidden);
    }
    hidden_close(place, &hidden);
    return status != FER_OK ? status : bind_failed(number, place);
}

#ifdef __linux__
/* The file gets the mode that the socket has when it is bound. */
static fer_status bind_in_sight(const struct place *place, const fer__os_address *address,
                                fer__fd fd, mode_t mode, int backlog, fer__bound *bound) {
    int number = fchmod(fd, mode) != 0 ? errno : 0;
    if (number == 0)
        number = bind_address(fd, address);
    if (number == EADDRINUSE) {
        fer_status status = remove_stale(place);
        if (status != FER_OK)
            return status;
        number = bind_address(fd, address);
    }
    if (number != 0)
        return bind_failed(number, place);
    number = note_file(place, mode, bound);
    if (number == 0 && listen(fd, backlog) != 0)
        number = errno;
    if (number != 0)
        remove_noted(place, bound);
    return bind_failed(number, place);
}
#endif

static fer_status bind_place(const struct place *place, fer__fd fd, mode_t mode, int backlog,
                             fer__bound *bound) {
#ifdef __linux__
    fer__os_address address;
    /* The text that was asked for is what peers see, so it is used as it is when it fits. */
    if (place->locked && (fer__os_address_fill(&address, place->path) ||
                          address_in(place->directory, place->fd, place->base, &address) == 0))
        return bind_in_sight(place, &address, fd, mode, backlog, bound);
#else
    /* A path that nobody can connect to is not worth binding to. */
    fer__os_address address;
    if (!fer__os_address_fill(&address, place->path))
        return bind_failed(ENAMETOOLONG, place);
#endif
    return bind_hidden(place, fd, mode, backlog, bound);
}

/** Fill in the paths of `bound`: the one that was asked for, and the same from the root on. */
static int name_bound(const char *name, size_t size, fer__bound *bound) {
    char root[PATH_MAX] = "";
    if (name[0] != '/' && getcwd(root, sizeof root) == NULL)
        root[0] = '\0';
    if (size == FER_ZSTRING)
        size = strlen(name);
    size_t before = strlen(root);
    size_t slash = before > 0 ? 1 : 0;
    bound->file = fer__malloc(before + slash + size + 1);
    bound->path = fer__os_copy_path(name, size);
    if (bound->file == NULL || bound->path == NULL) {
        fer__free(bound->file);
        fer__free(bound->path);
        return ENOMEM;
    }
    memcpy(bound->file, root, before);
    if (slash != 0)
        bound->file[before] = '/';
    memcpy(bound->file + before + slash, bound->path, size + 1);
    return 0;
}

static fer_status bind_abstract(fer__fd fd, const char *name, size_t size, int backlog) {
    fer__os_address address;
    fer__os_address_abstract(name, size, &address);
    int number = bind_address(fd, &address);
    if (number == 0 && listen(fd, backlog) != 0)
        number = errno;
    if (number == EADDRINUSE)
        return fer__fail(FER_EADDRINUSE, "somebody has the abstract name");
    return number == 0 ? FER_OK : fer__fail_plain(fer__status_from_errno(number));
}

static fer_status bind_path(fer__fd fd, const char *name, size_t size, uint32_t mode, int backlog,
                            fer__bound *bound) {
    struct place place;
    char *directory = NULL;
    int number = name_bound(name, size, bound);
    if (number != 0)
        return fer__fail_plain(fer__status_from_errno(number));
    place.path = bound->path;
    place.base = base_of(bound->path);
    if (place.base[0] == '\0')
        number = EISDIR;
    else if ((directory = parent_of(place.path, place.base)) == NULL)
        number = ENOMEM;
    place.directory = directory;
    if (number == 0)
        number = place_enter(&place);
    fer_status status = bind_failed(number, &place);
    if (number == 0) {
        status = bind_place(&place, fd, (mode_t)mode, backlog, bound);
        place_leave(&place);
    }
    fer__free(directory);
    if (status != FER_OK) {
        fer__free(bound->path);
        fer__free(bound->file);
    }
    return status;
}

fer_status fer__os_bind_pipe(fer__fd fd, const char *name, size_t size, uint32_t mode, int keep,
                             int backlog, fer__bound *bound) {
    memset(bound, 0, sizeof *bound);
    fer_status status = fer__os_check_name(name, size);
    if (status != FER_OK)
        return status;
    if (mode > 0777)
        return fer__fail(FER_EINVAL, "0%lo is not a mode: only permission bits are allowed",
                         (unsigned long)mode);
    int saved = errno;
    bound->keep = keep;
    if (name[0] == '\0')
        status = bind_abstract(fd, name, size, backlog);
    else
        status = bind_path(fd, name, size, mode, backlog, bound);
    errno = saved;
    if (status != FER_OK)
        memset(bound, 0, sizeof *bound);
    return status;
}

/* Needs no memory: the path is cut where it stands. */
static void remove_bound(const fer__bound *bound) {
    struct place place;
    char *slash = strrchr(bound->file, '/');
    place.path = bound->path;
    place.base = base_of(bound->file);
    place.directory = slash == NULL ? "." : slash == bound->file ? "/" : bound->file;
    if (slash != NULL && slash != bound->file)
        *slash = '\0';
    if (place_enter(&place) == 0) {
        remove_noted(&place, bound);
        place_leave(&place);
        return;
    }
    /* No descriptor to be had: without the lock is better than not at all. */
    if (slash != NULL && slash != bound->file)
        *slash = '/';
    place.fd = AT_FDCWD;
    place.base = bound->file;
    remove_noted(&place, bound);
}

void fer__os_unbind_pipe(fer__bound *bound) {
    int saved = errno;
    if (bound->file != NULL && !bound->keep)
        remove_bound(bound);
    fer__free(bound->path);
    fer__free(bound->file);
    memset(bound, 0, sizeof *bound);
    errno = saved;
}
