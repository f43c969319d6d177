/* What a message costs on many raw sockets: raw_many serve|drive PATH MODE COUNT SECONDS, as ferrule_many in `turn` mode,
 * where both sides look for what comes all the time and never sleep. It shows what the machine itself takes for many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"
#include "usage.h"

enum { SIZE = 64 + 4, EVENTS = 64 };

static int *sockets;
static size_t wanted;
static size_t closed;
static int queue;
static uint64_t count;
static double started;
static double ended;
static double cpu;

static int make_socket(const char *path, struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (fd < 0 || strlen(path) >= sizeof address->sun_path) {
        die_errno("socket");
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
    return fd;
}

static void watch(size_t index) {
    struct epoll_event event;

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.u64 = index;
    if (epoll_ctl(queue, EPOLL_CTL_ADD, sockets[index], &event) != 0) {
        die_errno("epoll_ctl");
    }
}

static void accept_all(const char *path) {
    struct sockaddr_un address;
    int listener = make_socket(path, &address);

    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        die_errno("listen");
    }
    print_ready();
    for (size_t i = 0; i < wanted; i++) {
        sockets[i] = accept(listener, NULL, NULL);
        if (sockets[i] < 0) {
            die_errno("accept");
        }
        watch(i);
    }
    close(listener);
}

static void connect_all(const char *path) {
    for (size_t i = 0; i < wanted; i++) {
        struct sockaddr_un address;

        sockets[i] = make_socket(path, &address);
        if (connect(sockets[i], (struct sockaddr *)&address, sizeof address) != 0) {
            die_errno("connect");
        }
        watch(i);
    }
}

static void send_one(int fd) {
    unsigned char message[SIZE];

    memset(message, 'x', sizeof message);
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != SIZE) {
        die_errno("send");
    }
}

/* Whether a message came; otherwise the peer is gone. */
static int receive_one(int fd) {
    unsigned char message[SIZE];
    ssize_t got = recv(fd, message, sizeof message, 0);

    if (got != 0 && got != SIZE) {
        die_errno("receive");
    }
    return got != 0;
}

static void echo(size_t index) {
    if (!receive_one(sockets[index])) {
        close(sockets[index]);
        closed++;
        return;
    }
    if (count++ == 0) {
        started = now();
        cpu = usage_processor();
    }
    send_one(sockets[index]);
    ended = now();
}

/* The next one, on the next socket, when this one is back. */
static void go_on(size_t index, double seconds) {
    if (!receive_one(sockets[index])) {
        die("receive", "the server is gone");
    }
    count++;
    if (count % CLOCK_EVERY == 0 && now() - started >= seconds) {
        ended = now();
        return;
    }
    send_one(sockets[count % wanted]);
}

/* Look, again and again. */
static void run(int serves, double seconds) {
    struct epoll_event events[EVENTS];

    while (serves ? closed < wanted : ended == 0) {
        int n = epoll_wait(queue, events, EVENTS, 0);

        if (n < 0 && errno != EINTR) {
            die_errno("epoll_wait");
        }
        for (int i = 0; i < n; i++) {
            if (serves) {
                echo((size_t)events[i].data.u64);
            } else {
                go_on((size_t)events[i].data.u64, seconds);
            }
        }
    }
    cpu = usage_processor() - cpu;
}

int main(int argc, char **argv) {
    int serves;

    if (argc != 6) {
        die("usage", "raw_many serve|drive PATH MODE COUNT SECONDS");
    }
    serves = strcmp(argv[1], "serve") == 0;
    wanted = (size_t)strtoull(argv[4], NULL, 10);
    sockets = take_memory(wanted * sizeof *sockets);
    usage_allow_descriptors();
    queue = epoll_create1(EPOLL_CLOEXEC);
    if (queue < 0) {
        die_errno("epoll_create1");
    }
    if (serves) {
        accept_all(argv[2]);
    } else {
        connect_all(argv[2]);
        started = now();
        cpu = usage_processor();
        send_one(sockets[0]);
    }
    run(serves, strtod(argv[5], NULL));
    printf("{\"count\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", (unsigned long long)count,
           ended - started, cpu);
    fflush(stdout);
    for (size_t i = 0; i < wanted && !serves; i++) {
        close(sockets[i]);
    }
    close(queue);
    free(sockets);
    return 0;
}
