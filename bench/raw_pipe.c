/* The measure for connections and passed handles: blocking AF_UNIX sockets. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"

enum { BACKLOG = 511 };

static struct task task;
static struct tally tally;
static unsigned char *bytes;

static int make_socket(struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0) {
        die_errno("socket");
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(task.path) >= sizeof address->sun_path) {
        die(task.path, "too long");
    }
    memcpy(address->sun_path, task.path, strlen(task.path) + 1);
    return fd;
}

static int listen_there(void) {
    struct sockaddr_un address;
    int fd = make_socket(&address);

    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) {
        die_errno("listen");
    }
    print_ready();
    return fd;
}

static int accept_next(int listener) {
    int fd = accept(listener, NULL, NULL);

    if (fd < 0) {
        die_errno("accept");
    }
    return fd;
}

/* -1 when nobody listens. */
static int connect_there(void) {
    struct sockaddr_un address;
    int fd = make_socket(&address);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno != ECONNREFUSED && errno != ECONNRESET) {
            die_errno("connect");
        }
        close(fd);
        return -1;
    }
    return fd;
}

static void write_all(int fd) {
    if (write(fd, bytes, task.size) != (ssize_t)task.size) {
        die_errno("write");
    }
}

/* A message, which is small enough to come in one piece; 0 at the end of the stream. */
static int read_all(int fd) {
    ssize_t got = read(fd, bytes, task.size);

    if (got < 0 && errno == ECONNRESET) {
        return 0;
    }
    if (got != 0 && got != (ssize_t)task.size) {
        die_errno("read");
    }
    return got != 0;
}

/* On each connection the server says its number, and both close. When time is up, it listens no more. */
static void serve_connections(void) {
    int listener = listen_there();
    double started = 0;
    uint64_t count = 0;

    do {
        int fd = accept_next(listener);

        if (count == 0) {
            started = now();
        }
        stamp(bytes, count++);
        write_all(fd);
        close(fd);
    } while (count % CLOCK_EVERY != 0 || now() - started < task.seconds);
    close(listener);
    print_result(&task, count, now() - started);
}

static void drive_connections(void) {
    double started = now();
    int fd;

    while ((fd = connect_there()) >= 0 && read_all(fd)) {
        tally_add(&tally, &task, bytes, task.size);
        close(fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    print_result(&task, tally.count, now() - started);
}

/* A message with one descriptor. */
static struct msghdr wrap(void) {
    static union {
        struct cmsghdr align;
        unsigned char room[CMSG_SPACE(sizeof(int))];
    } control;
    static struct iovec part;
    struct msghdr message;

    part.iov_base = bytes;
    part.iov_len = task.size;
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    return message;
}

static int take_handle(int fd) {
    struct msghdr message = wrap();
    struct cmsghdr *head;
    int taken = -1;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (got == 0) {
        return 0;
    }
    head = CMSG_FIRSTHDR(&message);
    if (got != (ssize_t)task.size || head == NULL || head->cmsg_type != SCM_RIGHTS) {
        die("check", "a message without a handle");
    }
    memcpy(&taken, CMSG_DATA(head), sizeof taken);
    close(taken);
    return 1;
}

static void serve_handles(void) {
    int listener = listen_there();
    int fd = accept_next(listener);

    while (take_handle(fd)) {
        tally_add(&tally, &task, bytes, task.size);
    }
    print_result(&task, tally.count, now() - tally.started);
    close(fd);
    close(listener);
}

static void pass_handle(int fd, int handle) {
    struct msghdr message = wrap();
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof handle);
    memcpy(CMSG_DATA(head), &handle, sizeof handle);
    if (sendmsg(fd, &message, 0) != (ssize_t)task.size) {
        die_errno("sendmsg");
    }
}

static void drive_handles(void) {
    int fd = connect_there();
    double started = now();
    uint64_t count = 0;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        die_errno("socketpair");
    }
    do {
        stamp(bytes, count++);
        pass_handle(fd, pair[0]);
    } while (count % CLOCK_EVERY != 0 || now() - started < task.seconds);
    close(fd);
    close(pair[0]);
    close(pair[1]);
    print_result(&task, count, now() - started);
}

int main(int argc, char **argv) {
    task_parse(&task, argc, argv, "connect", "pass");
    bytes = take_memory(task.size);
    if (task.serves) {
        (task.streams ? serve_handles : serve_connections)();
    } else {
        (task.streams ? drive_handles : drive_connections)();
    }
    return 0;
}
