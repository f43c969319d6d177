/* ZeroMQ: a DEALER on each side. An empty message is the end, and is answered with one: a receiver that is behind
 * can lose what is still in the kernel when its peer is gone. */
#include <stdio.h>
#include <zmq.h>

#include "common.h"

/* What a socket may queue: ZeroMQ's own default, and less of large messages. */
enum { QUEUED_MOST = 1000, QUEUED_LEAST = 4, QUEUED_BYTES = 4 << 20 };

static void check_zmq(int result, const char *what) {
    if (result < 0) {
        die(what, zmq_strerror(zmq_errno()));
    }
}

static void *open_socket(void *context, const struct task *task) {
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int most = (int)(QUEUED_BYTES / task->size);

    check_zmq(socket == NULL ? -1 : 0, "socket");
    most = most < QUEUED_LEAST ? QUEUED_LEAST : most > QUEUED_MOST ? QUEUED_MOST : most;
    check_zmq(zmq_setsockopt(socket, ZMQ_SNDHWM, &most, sizeof most), "limit");
    check_zmq(zmq_setsockopt(socket, ZMQ_RCVHWM, &most, sizeof most), "limit");
    return socket;
}

static void send_number(void *socket, const struct task *task, uint64_t number) {
    zmq_msg_t message;

    check_zmq(zmq_msg_init_size(&message, task->size), "message");
    stamp(zmq_msg_data(&message), number);
    check_zmq(zmq_msg_send(&message, socket, 0), "send");
}

static void serve(const struct task *task, void *socket, const char *url) {
    struct tally tally = {0, 0};
    zmq_msg_t message;

    check_zmq(zmq_bind(socket, url), "bind");
    print_ready();
    check_zmq(zmq_msg_init(&message), "message");
    for (;;) {
        check_zmq(zmq_msg_recv(&message, socket, 0), "receive");
        if (zmq_msg_size(&message) == 0) {
            break;
        }
        tally_add(&tally, task, zmq_msg_data(&message), zmq_msg_size(&message));
        if (!task->streams) {
            check_zmq(zmq_msg_send(&message, socket, 0), "send");
            check_zmq(zmq_msg_init(&message), "message");
        }
    }
    print_result(task, tally.count, now() - tally.started);
    check_zmq(zmq_send(socket, NULL, 0, 0), "send");
    check_zmq(zmq_msg_close(&message), "message");
}

static void drive(const struct task *task, void *socket, const char *url) {
    struct tally tally = {0, 0};
    zmq_msg_t message;
    double started;
    double ended;

    check_zmq(zmq_connect(socket, url), "connect");
    check_zmq(zmq_msg_init(&message), "message");
    started = now();
    do {
        send_number(socket, task, tally.count);
        if (task->streams) {
            tally.count++;
        } else {
            check_zmq(zmq_msg_recv(&message, socket, 0), "receive");
            tally_add(&tally, task, zmq_msg_data(&message), zmq_msg_size(&message));
        }
    } while (tally.count % CLOCK_EVERY != 0 || now() - started < task->seconds);
    ended = now();
    check_zmq(zmq_send(socket, NULL, 0, 0), "send");
    check_zmq(zmq_msg_recv(&message, socket, 0), "receive");
    check_zmq(zmq_msg_close(&message), "message");
    print_result(task, tally.count, ended - started);
}

int main(int argc, char **argv) {
    struct task task;
    char url[4096];
    void *context = zmq_ctx_new();
    void *socket;

    task_parse(&task, argc, argv, "rtt", "stream");
    check_zmq(context == NULL ? -1 : 0, "context");
    snprintf(url, sizeof url, "ipc://%s", task.path);
    socket = open_socket(context, &task);
    if (task.serves) {
        serve(&task, socket, url);
    } else {
        drive(&task, socket, url);
    }
    check_zmq(zmq_close(socket), "close");
    /* Waits until what was sent is with the kernel. */
    check_zmq(zmq_ctx_term(context), "context");
    return 0;
}
