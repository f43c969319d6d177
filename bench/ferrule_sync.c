/* Ferrule without a loop: the blocking face on both sides. */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "ferrule.h"

enum {
    NO_LIMIT = -1,
    LIMIT_MS = 10000,
    MANY = 256,       /* small messages that a program has at hand at a time */
    SMALL = 32 * 1024 /* larger ones are sent one by one, without a copy */
};

static void check(fer_status status, const char *what) {
    if (status != FER_OK) {
        fprintf(stderr, "bench: %s\n", fer_status_detail());
        die(what, fer_status_text(status));
    }
}

static void send_bytes(fer_channel *channel, const void *data, size_t size) {
    fer_bytes part;

    part.data = data;
    part.size = size;
    check(fer_sync_send(channel, &part, 1, NO_LIMIT), "send");
}

/* As many small ones as a program has at hand, of which each is stamped. */
static void send_many(fer_channel *channel, unsigned char *outbox, size_t size, uint64_t first) {
    fer_bytes messages[MANY];
    size_t accepted = 0;
    size_t i;

    for (i = 0; i < MANY; i++) {
        messages[i].data = outbox + i * size;
        messages[i].size = size;
        stamp(outbox + i * size, first + i);
    }
    check(fer_sync_send_many(channel, messages, MANY, NO_LIMIT, &accepted), "send");
}

static void serve(const struct task *task, const char *address) {
    struct tally tally = {0, 0};
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    fer_message message;
    fer_status status;

    check(fer_sync_listen(address, NULL, &server), "listen");
    print_ready();
    check(fer_sync_accept(server, LIMIT_MS, &channel), "accept");
    check(fer_server_close(server, NULL, NULL), "close");
    while ((status = fer_sync_receive(channel, NO_LIMIT, &message)) == FER_OK) {
        tally_add(&tally, task, message.data, message.size);
        if (!task->streams) {
            send_bytes(channel, message.data, message.size);
        }
    }
    if (status != FER_EOF) {
        check(status, "receive");
    }
    print_result(task, tally.count, now() - tally.started);
    check(fer_sync_close(channel, LIMIT_MS), "close");
    fer_channel_unref(channel);
    fer_server_unref(server);
}

static void drive(const struct task *task, const char *address) {
    struct tally tally = {0, 0};
    int many = task->streams && task->size < SMALL;
    unsigned char *outbox = take_memory(task->size * (many ? MANY : 1));
    fer_channel *channel = NULL;
    uint64_t sent = 0;
    double started;
    double ended;

    check(fer_sync_connect(address, NULL, LIMIT_MS, &channel), "connect");
    started = now();
    do {
        if (many) {
            send_many(channel, outbox, task->size, sent);
            sent += MANY;
            continue;
        }
        stamp(outbox, sent++);
        send_bytes(channel, outbox, task->size);
        if (!task->streams) {
            fer_message message;

            check(fer_sync_receive(channel, LIMIT_MS, &message), "receive");
            tally_add(&tally, task, message.data, message.size);
        }
    } while (sent % CLOCK_EVERY != 0 || now() - started < task->seconds);
    ended = now();
    check(fer_sync_close(channel, LIMIT_MS), "close");
    fer_channel_unref(channel);
    print_result(task, sent, ended - started);
    free(outbox);
}

int main(int argc, char **argv) {
    struct task task;
    char address[4096];

    task_parse(&task, argc, argv, "rtt", "stream");
    snprintf(address, sizeof address, "pipe:%s", task.path);
    if (task.serves) {
        serve(&task, address);
    } else {
        drive(&task, address);
    }
    return 0;
}
