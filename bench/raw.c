/* The measure of all: a blocking AF_UNIX socket and one write a message, its length in front.
 *
 * Built a second time with SEND_BUFFER set, it shows what a larger buffer in the kernel alone gives; with POLL_US, what
 * it gives to look for the answer, for so long, before going to sleep. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"

#ifndef SEND_BUFFER
#define SEND_BUFFER 0 /* bytes; 0 leaves the system's default */
#endif

#ifndef POLL_US
#define POLL_US 0 /* microseconds */
#endif

enum { HEADER = 4, BUFFER = 65536, BUFFERED_BELOW = 16384 };

static void make_address(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) {
        die(path, "too long");
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
}

static int make_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0) {
        die_errno("socket");
    }
    return fd;
}

static int accept_one(const char *path) {
    struct sockaddr_un address;
    int listener = make_socket();
    int fd;

    make_address(&address, path);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0) {
        die_errno("listen");
    }
    print_ready();
    fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        die_errno("accept");
    }
    close(listener);
    return fd;
}

static int connect_to(const char *path) {
    struct sockaddr_un address;
    int fd = make_socket();

    make_address(&address, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die_errno("connect");
    }
    if (SEND_BUFFER > 0) {
        int size = SEND_BUFFER;

        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0) {
            die_errno("setsockopt");
        }
    }
    return fd;
}

/* A frame has room for the header and the payload, side by side. */
static void write_frame(int fd, const unsigned char *frame, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, frame, size);

        if (written < 0) {
            die_errno("write");
        }
        frame += written;
        size -= (size_t)written;
    }
}

/* As read(2), after looking for what is about to come. */
static ssize_t read_soon(int fd, unsigned char *bytes, size_t size) {
    double until = POLL_US > 0 ? now() + POLL_US / 1e6 : 0;
    ssize_t got = -1;

    while (got < 0 && POLL_US > 0 && now() < until) {
        got = recv(fd, bytes, size, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN) {
            die_errno("recv");
        }
    }
    return got < 0 ? read(fd, bytes, size) : got;
}

/* As read(2), through a buffer for small pieces: the receiver is not to be what limits small messages.
 * Large ones are read straight into place. */
static size_t read_some(int fd, unsigned char *bytes, size_t size, int buffered) {
    static unsigned char buffer[BUFFER];
    static size_t start;
    static size_t end;
    ssize_t got;

    if (!buffered) {
        got = read_soon(fd, bytes, size);
    } else if (start < end) {
        got = (ssize_t)(end - start < size ? end - start : size);
    } else {
        got = read_soon(fd, buffer, sizeof buffer);
        start = 0;
        end = got > 0 ? (size_t)got : 0;
        got = got > (ssize_t)size ? (ssize_t)size : got;
    }
    if (got < 0) {
        die_errno("read");
    }
    if (buffered) {
        memcpy(bytes, buffer + start, (size_t)got);
        start += (size_t)got;
    }
    return (size_t)got;
}

/* 0 at the end of the stream. */
static int read_exactly(int fd, unsigned char *bytes, size_t size, int buffered) {
    size_t used = 0;

    while (used < size) {
        size_t got = read_some(fd, bytes + used, size - used, buffered);

        if (got == 0) {
            if (used > 0) {
                die("read", "the stream ended inside a message");
            }
            return 0;
        }
        used += got;
    }
    return 1;
}

static size_t read_frame(int fd, unsigned char *frame, size_t room) {
    int buffered = room < BUFFERED_BELOW;
    uint32_t length = 0;

    if (!read_exactly(fd, frame, HEADER, buffered)) {
        return 0;
    }
    memcpy(&length, frame, HEADER);
    if (length > room || !read_exactly(fd, frame + HEADER, length, buffered)) {
        die("read", "a broken message");
    }
    return length;
}

static void set_length(unsigned char *frame, size_t size) {
    uint32_t length = (uint32_t)size;

    memcpy(frame, &length, HEADER);
}

static void serve(const struct task *task, unsigned char *frame) {
    struct tally tally = {0, 0};
    int fd = accept_one(task->path);
    size_t size;

    while ((size = read_frame(fd, frame, task->size)) > 0) {
        tally_add(&tally, task, frame + HEADER, size);
        if (!task->streams) {
            write_frame(fd, frame, HEADER + size);
        }
    }
    print_result(task, tally.count, now() - tally.started);
    close(fd);
}

static void drive_stream(const struct task *task, unsigned char *frame) {
    int fd = connect_to(task->path);
    double started = now();
    uint64_t count = 0;

    do {
        stamp(frame + HEADER, count);
        write_frame(fd, frame, HEADER + task->size);
        count++;
    } while (count % CLOCK_EVERY != 0 || now() - started < task->seconds);
    close(fd);
    print_result(task, count, now() - started);
}

static void drive_rtt(const struct task *task, unsigned char *frame) {
    struct tally tally = {0, 0};
    int fd = connect_to(task->path);
    double started = now();

    do {
        stamp(frame + HEADER, tally.count);
        write_frame(fd, frame, HEADER + task->size);
        tally_add(&tally, task, frame + HEADER, read_frame(fd, frame, task->size));
    } while (tally.count % CLOCK_EVERY != 0 || now() - started < task->seconds);
    print_result(task, tally.count, now() - started);
    close(fd);
}

int main(int argc, char **argv) {
    struct task task;
    unsigned char *frame;

    task_parse(&task, argc, argv, "rtt", "stream");
    frame = take_memory(HEADER + task.size);
    set_length(frame, task.size);
    if (task.serves) {
        serve(&task, frame);
    } else if (task.streams) {
        drive_stream(&task, frame);
    } else {
        drive_rtt(&task, frame);
    }
    return 0;
}
