/* The handles that the C peer sends, and how it knows them again. ../README.md describes them. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

enum { KINDS = 4 };

static const fer_kind kinds[KINDS] = {FER_KIND_OTHER, FER_KIND_PIPE, FER_KIND_TCP, FER_KIND_UDP};

static void must(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

/* A file without a name that holds the number. */
static int make_file(size_t number) {
    char path[] = "/tmp/ferrule-peer-XXXXXX";
    int fd = mkstemp(path);

    must(fd >= 0 && unlink(path) == 0, path);
    must(dprintf(fd, "%zu", number) > 0, path);
    return fd;
}

static int make_pipe_end(void) {
    int fds[2];

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
    close(fds[1]);
    return fds[0];
}

static int make_inet(int type) {
    struct sockaddr_in address;
    int fd = socket(AF_INET, type, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0, "bind");
    return fd;
}

static int make_handle(size_t number) {
    switch (number % KINDS) {
    case 0: return make_file(number);
    case 1: return make_pipe_end();
    case 2: return make_inet(SOCK_STREAM);
    default: return make_inet(SOCK_DGRAM);
    }
}

static struct id id_of(fer_fd fd) {
    struct stat info;
    struct id id;

    must(fstat((int)fd, &info) == 0, "fstat");
    id.device = (uint64_t)info.st_dev;
    id.inode = (uint64_t)info.st_ino;
    return id;
}

static void ids_add(struct ids *ids, struct id id) {
    if (ids->count == ids->room) {
        ids->room = ids->room > 0 ? 2 * ids->room : 64;
        ids->items = realloc(ids->items, ids->room * sizeof *ids->items);
        must(ids->items != NULL, "realloc");
    }
    ids->items[ids->count++] = id;
}

void make_handles(struct peer *peer, fer_fd *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fds[i] = make_handle(peer->passed++);
        ids_add(&peer->ids, id_of(fds[i]));
    }
}

void unmake_handles(struct peer *peer, size_t count) {
    peer->passed -= count;
    peer->ids.count -= count;
}

void take_handles(fer_channel *channel, const fer_message *message, fer_fd *fds) {
    for (size_t i = 0; i < message->handle_count; i++) {
        fer_status status = fer_message_take_fd(channel, message, i, &fds[i]);

        if (status != FER_OK) {
            give_up(status, "take");
        }
    }
}

static int holds_number(fer_fd fd, size_t number) {
    char wanted[32];
    char found[32];
    int size = snprintf(wanted, sizeof wanted, "%zu", number);

    return pread((int)fd, found, sizeof found, 0) == size &&
           memcmp(wanted, found, (size_t)size) == 0;
}

int check_handles(struct peer *peer, const fer_message *message, const fer_fd *fds) {
    int good = 1;

    for (size_t i = 0; i < message->handle_count; i++) {
        size_t number = peer->next_handle++;

        good &= message->handles[i].kind == (int32_t)kinds[number % KINDS];
        good &= number % KINDS != 0 || holds_number(fds[i], number);
        if (peer->arguments->action == ACTION_PING) {
            struct id id = id_of(fds[i]);

            good &= number < peer->ids.count && peer->ids.items[number].device == id.device &&
                    peer->ids.items[number].inode == id.inode;
        }
    }
    return good;
}

void close_handles(const fer_fd *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        close((int)fds[i]);
    }
}
