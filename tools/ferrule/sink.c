#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "runner.h"

/* Write all of it. A signal ends the wait of a write, with or without a part written; after SIGINT or
 * SIGTERM we do not go on, and errno is EINTR. */
static int write_all(int fd, const void *data, size_t size) {
    const unsigned char *bytes = data;

    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written < 0 && errno != EINTR) {
            return 0;
        }
        if (written > 0) {
            bytes += (size_t)written;
            size -= (size_t)written;
        }
        if (size > 0 && runner_signal() != 0) {
            errno = EINTR;
            return 0;
        }
    }
    return 1;
}

static int write_output(const void *data, size_t size) {
    if (!write_all(STDOUT_FILENO, data, size)) {
        if (errno == EINTR) {
            report("interrupted while standard output took no more");
        } else {
            report_errno(errno, "write to standard output");
        }
        return 0;
    }
    return 1;
}

static int flush(struct sink *sink) {
    size_t used = sink->used;

    sink->used = 0;
    return write_output(sink->buffer, used);
}

int sink_open(struct sink *sink, const struct options *options) {
    sink->framing = options->framing;
    sink->limit = options->count;
    sink->directory_name = options->output;
    sink->directory = -1;
    sink->messages = 0;
    sink->used = 0;
    if (sink->directory_name == NULL) {
        return 1;
    }
    if (mkdir(sink->directory_name, 0777) != 0 && errno != EEXIST) {
        report_errno(errno, "make directory %s", sink->directory_name);
        return 0;
    }
    sink->directory = open(sink->directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sink->directory < 0) {
        report_errno(errno, "open directory %s", sink->directory_name);
        return 0;
    }
    return 1;
}

/* Files get their name when they are complete: nobody sees half a message. */
static int write_file(struct sink *sink, const void *data, size_t size) {
    char name[32];
    char part[40];
    int good;
    int fd;

    snprintf(name, sizeof name, "%06" PRIu64, sink->messages + 1);
    snprintf(part, sizeof part, ".%s.part", name);
    if (faccessat(sink->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        report_errno(EEXIST, "write %s/%s", sink->directory_name, name);
        return 0;
    }
    fd = openat(sink->directory, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        report_errno(errno, "make %s/%s", sink->directory_name, part);
        return 0;
    }
    good = write_all(fd, data, size);
    /* close(2) reports what was written late; after EINTR the descriptor is gone all the same. */
    if (good) {
        good = close(fd) == 0 || errno == EINTR;
    } else {
        int number = errno;

        close(fd);
        errno = number;
    }
    if (good) {
        good = renameat(sink->directory, part, sink->directory, name) == 0;
    }
    if (!good) {
        report_errno(errno, "write %s/%s", sink->directory_name, name);
        unlinkat(sink->directory, part, 0);
    }
    return good;
}

/* Append to the buffer; what does not fit goes past it. */
static int append(struct sink *sink, const void *data, size_t size) {
    if (size > sizeof sink->buffer - sink->used) {
        if (!flush(sink)) {
            return 0;
        }
        if (size >= sizeof sink->buffer) {
            return write_output(data, size);
        }
    }
    if (size > 0) {
        memcpy(sink->buffer + sink->used, data, size);
        sink->used += size;
    }
    return 1;
}

static int print_message(struct sink *sink, const void *data, size_t size) {
    if (sink->framing == FRAMING_LENGTH) {
        unsigned char length[4];

        for (int i = 0; i < 4; i++) {
            length[i] = (unsigned char)(size >> (24 - 8 * i));
        }
        if (!append(sink, length, sizeof length)) {
            return 0;
        }
    }
    if (!append(sink, data, size)) {
        return 0;
    }
    switch (sink->framing) {
    case FRAMING_LINE: return append(sink, "\n", 1);
    case FRAMING_NULL: return append(sink, "", 1);
    default: return 1;
    }
}

sink_state sink_take(struct sink *sink, const fer_message *messages, size_t count) {
    sink_state state = SINK_TAKES;

    for (size_t i = 0; i < count && state == SINK_TAKES; i++) {
        const fer_message *message = &messages[i];
        int good = sink->directory >= 0 ? write_file(sink, message->data, message->size)
                                        : print_message(sink, message->data, message->size);

        if (!good) {
            return SINK_FAILED;
        }
        sink->messages++;
        if (sink->messages == sink->limit) {
            state = SINK_FULL;
        }
    }
    return flush(sink) ? state : SINK_FAILED;
}

void sink_close(struct sink *sink) {
    if (sink->directory >= 0) {
        close(sink->directory);
        sink->directory = -1;
    }
}
