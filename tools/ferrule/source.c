#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "runner.h"

enum { READ_SIZE = 65536, LENGTH_SIZE = 4 };

static void complain_size(const char *name, uint64_t limit) {
    report("%s: more than the %" PRIu64 " bytes that a message may have here (see --max-message)",
           name, limit);
}

/* Room for at least `more` bytes behind `used`. 0 after a complaint. */
static int grow(unsigned char **data, size_t *room, size_t used, size_t more) {
    size_t wanted = *room;
    unsigned char *grown;

    while (wanted - used < more) {
        wanted = wanted == 0 ? READ_SIZE : wanted * 2;
    }
    if (wanted == *room) {
        return 1;
    }
    grown = realloc(*data, wanted);
    if (grown == NULL) {
        report("out of memory");
        return 0;
    }
    *data = grown;
    *room = wanted;
    return 1;
}

/* As read(2), and a signal that does not end the process does not end the wait. */
static ssize_t read_some(int fd, void *data, size_t size) {
    ssize_t got;

    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR && runner_signal() == 0);
    return got;
}

static unsigned char *load(int fd, const char *name, uint64_t limit, size_t *size) {
    unsigned char *data = NULL;
    size_t room = 0;
    size_t used = 0;
    struct stat info;

    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        if ((uint64_t)info.st_size > limit) {
            complain_size(name, limit);
            return NULL;
        }
        /* One byte more, so that the read that finds the end needs no more room. */
        if (!grow(&data, &room, 0, (size_t)info.st_size + 1)) {
            return NULL;
        }
    }
    for (;;) {
        ssize_t got;

        if (room == used && !grow(&data, &room, used, READ_SIZE)) {
            break;
        }
        got = read_some(fd, data + used, room - used);
        if (got < 0) {
            report_errno(errno, "read %s", name);
            break;
        }
        if (got == 0) {
            *size = used;
            return data;
        }
        used += (size_t)got;
        if (used > limit) {
            complain_size(name, limit);
            break;
        }
    }
    free(data);
    return NULL;
}

unsigned char *source_load(const char *name, uint64_t limit, size_t *size) {
    unsigned char *data;
    int fd;

    if (strcmp(name, "-") == 0) {
        return load(STDIN_FILENO, "standard input", limit, size);
    }
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        report_errno(errno, "read %s", name);
        return NULL;
    }
    data = load(fd, name, limit, size);
    close(fd);
    return data;
}

int records_read(struct records *records) {
    ssize_t got;

    /* Move the begun record to the front, so that the memory is reused. */
    if (records->start > 0) {
        memmove(records->data, records->data + records->start, records->end - records->start);
        records->end -= records->start;
        records->scanned -= records->start;
        records->start = 0;
    }
    if (!grow(&records->data, &records->room, records->end, READ_SIZE)) {
        return 0;
    }
    got = read_some(STDIN_FILENO, records->data + records->end, records->room - records->end);
    if (got < 0) {
        if (errno == EAGAIN || runner_signal() != 0) {
            return 1;
        }
        report_errno(errno, "read standard input");
        return 0;
    }
    records->end += (size_t)got;
    records->ended = got == 0;
    return 1;
}

static record_state take(struct records *records, fer_bytes *message, size_t skip, size_t size,
                         size_t mark) {
    if (size > records->limit) {
        complain_size("standard input", records->limit);
        return RECORD_INVALID;
    }
    message->data = records->data + records->start + skip;
    message->size = size;
    records->start += skip + size + mark;
    records->scanned = records->start;
    return RECORD_FOUND;
}

/* Records with the length in front. */
static record_state next_counted(struct records *records, fer_bytes *message) {
    size_t there = records->end - records->start;
    size_t size = 0;

    if (there >= LENGTH_SIZE) {
        for (size_t i = 0; i < LENGTH_SIZE; i++) {
            size = size << 8 | records->data[records->start + i];
        }
        if (size > records->limit || there - LENGTH_SIZE >= size) {
            return take(records, message, LENGTH_SIZE, size, 0);
        }
    }
    if (records->ended && there > 0) {
        report("standard input ends inside a message");
        return RECORD_INVALID;
    }
    return RECORD_NONE;
}

/* Records that a byte ends; the last may lack it. Without a mark the whole input is one record. */
static record_state next_marked(struct records *records, fer_bytes *message) {
    size_t there = records->end - records->start;
    const unsigned char *mark = NULL;

    if (records->framing != FRAMING_NONE && records->end > records->scanned) {
        mark =
            memchr(records->data + records->scanned, records->framing == FRAMING_LINE ? '\n' : '\0',
                   records->end - records->scanned);
    }
    if (mark != NULL) {
        return take(records, message, 0, (size_t)(mark - (records->data + records->start)), 1);
    }
    records->scanned = records->end;
    if (there > records->limit) {
        complain_size("standard input", records->limit);
        return RECORD_INVALID;
    }
    if (records->ended && there > 0) {
        return take(records, message, 0, there, 0);
    }
    return RECORD_NONE;
}

record_state records_next(struct records *records, fer_bytes *message) {
    return records->framing == FRAMING_LENGTH ? next_counted(records, message)
                                              : next_marked(records, message);
}

void records_free(struct records *records) {
    free(records->data);
    records->data = NULL;
}
