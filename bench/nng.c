/* nng: a pair of sockets, messages of its own that it takes over. An empty message is the end. */
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>

#include "common.h"

/* Messages that a socket may hold on each side. */
enum { QUEUED_MOST = 128, QUEUED_LEAST = 4, QUEUED_BYTES = 4 << 20 };

static void check_nng(int error, const char *what) {
    if (error != 0) {
        die(what, nng_strerror(error));
    }
}

static nng_socket open_socket(const struct task *task) {
    nng_socket socket;
    int most = (int)(QUEUED_BYTES / task->size);

    most = most < QUEUED_LEAST ? QUEUED_LEAST : most > QUEUED_MOST ? QUEUED_MOST : most;
    check_nng(nng_pair0_open(&socket), "open");
    check_nng(nng_socket_set_int(socket, NNG_OPT_SENDBUF, most), "buffer");
    check_nng(nng_socket_set_int(socket, NNG_OPT_RECVBUF, most), "buffer");
    check_nng(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0), "limit");
    return socket;
}

static nng_msg *receive(nng_socket socket) {
    nng_msg *message = NULL;

    check_nng(nng_recvmsg(socket, &message, 0), "receive");
    return message;
}

static void send_number(nng_socket socket, const struct task *task, uint64_t number) {
    nng_msg *message = NULL;

    check_nng(nng_msg_alloc(&message, task->size), "message");
    stamp(nng_msg_body(message), number);
    check_nng(nng_sendmsg(socket, message, 0), "send");
}

static void send_end(nng_socket socket) {
    nng_msg *message = NULL;

    check_nng(nng_msg_alloc(&message, 0), "message");
    check_nng(nng_sendmsg(socket, message, 0), "send");
}

static void serve(const struct task *task, const char *url) {
    struct tally tally = {0, 0};
    nng_socket socket = open_socket(task);
    nng_msg *message;
    double ended;

    check_nng(nng_listen(socket, url, NULL, 0), "listen");
    print_ready();
    while (nng_msg_len(message = receive(socket)) > 0) {
        tally_add(&tally, task, nng_msg_body(message), nng_msg_len(message));
        if (task->streams) {
            nng_msg_free(message);
        } else {
            check_nng(nng_sendmsg(socket, message, 0), "send");
        }
    }
    ended = now();
    nng_msg_free(message);
    /* A socket that is closed drops what it has not sent: the driver closes first. */
    send_end(socket);
    print_result(task, tally.count, ended - tally.started);
    while (getchar() != EOF) {
    }
    check_nng(nng_close(socket), "close");
}

static void drive(const struct task *task, const char *url) {
    struct tally tally = {0, 0};
    nng_socket socket = open_socket(task);
    double started;
    double ended;

    check_nng(nng_dial(socket, url, NULL, 0), "dial");
    started = now();
    do {
        send_number(socket, task, tally.count);
        if (task->streams) {
            tally.count++;
        } else {
            nng_msg *message = receive(socket);

            tally_add(&tally, task, nng_msg_body(message), nng_msg_len(message));
            nng_msg_free(message);
        }
    } while (tally.count % CLOCK_EVERY != 0 || now() - started < task->seconds);
    ended = now();
    send_end(socket);
    nng_msg_free(receive(socket));
    print_result(task, tally.count, ended - started);
    check_nng(nng_close(socket), "close");
}

int main(int argc, char **argv) {
    struct task task;
    char url[4096];

    task_parse(&task, argc, argv, "rtt", "stream");
    snprintf(url, sizeof url, "ipc://%s", task.path);
    if (task.serves) {
        serve(&task, url);
    } else {
        drive(&task, url);
    }
    return 0;
}
