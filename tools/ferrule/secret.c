#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

enum { LARGEST = 65536 };

void secret_free(struct secret *secret) {
    /* Not to be left out by a compiler that sees that nobody reads it any more. */
    volatile unsigned char *bytes = secret->bytes;

    for (size_t i = 0; i < secret->size; i++) {
        bytes[i] = 0;
    }
    free(secret->bytes);
    secret->bytes = NULL;
    secret->size = 0;
}

/* A secret that others can read is none. What is no file, such as a pipe from a password manager, is its
 * maker's to guard. */
static int check_file(int fd, const char *name) {
    struct stat info;

    if (fstat(fd, &info) != 0) {
        report_errno(errno, "%s", name);
        return 0;
    }
    if (S_ISREG(info.st_mode) && (info.st_mode & (S_IRGRP | S_IROTH)) != 0) {
        report("%s can be read by other users: chmod 600 %s", name, name);
        return 0;
    }
    return 1;
}

static int read_all(int fd, const char *name, struct secret *secret) {
    unsigned char *bytes = malloc(LARGEST + 1);

    if (bytes == NULL) {
        report("out of memory");
        return 0;
    }
    secret->bytes = bytes;
    while (secret->size <= LARGEST) {
        ssize_t got = read(fd, bytes + secret->size, LARGEST + 1 - secret->size);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            report_errno(errno, "read %s", name);
            return 0;
        }
        if (got == 0) {
            break;
        }
        secret->size += (size_t)got;
    }
    if (secret->size > LARGEST) {
        report("%s has more than %d bytes: that is no secret", name, LARGEST);
        return 0;
    }
    return 1;
}

/* The newline with which editors and echo(1) end a file is not meant. */
static int trim(const char *name, struct secret *secret) {
    const unsigned char *bytes = secret->bytes;

    if (secret->size > 0 && bytes[secret->size - 1] == '\n') {
        secret->size--;
    }
    if (secret->size == 0) {
        report("%s is empty: that is no secret", name);
        return 0;
    }
    return 1;
}

int secret_load(struct secret *secret, const char *name) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    int good;

    secret_free(secret);
    if (fd < 0) {
        report_errno(errno, "%s", name);
        return 0;
    }
    good = check_file(fd, name) && read_all(fd, name, secret) && trim(name, secret);
    close(fd);
    if (!good) {
        secret_free(secret);
    }
    return good;
}

int secret_copy(struct secret *secret, const struct secret *from) {
    secret_free(secret);
    secret->bytes = malloc(from->size);
    if (secret->bytes == NULL) {
        report("out of memory");
        return 0;
    }
    memcpy(secret->bytes, from->bytes, from->size);
    secret->size = from->size;
    return 1;
}
