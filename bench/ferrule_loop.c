/* Ferrule with a loop on both sides.
 *
 * Built again with COUNTING set, it counts how often the library asks for memory once it has been going; with
 * FLAGS, what the flags of a channel change; with BUSY_POLL_US, what looking for answers does. */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "ferrule.h"
#include "usage.h"

#ifndef COUNTING
#define COUNTING 0
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef BUSY_POLL_US
#define BUSY_POLL_US 0
#endif

enum {
    WARM = 10000,        /* messages after which counting starts */
    MANY = 64,           /* small messages of a stream are given so many at a time */
    LEND_FROM = 32768,   /* from this size on messages are not copied: the library borrows them */
    LENT_BYTES = 1 << 20 /* as many of them are on their way at a time, but at least one message */
};

static struct task task;
static struct tally tally;
static fer_loop *loop;
static fer_server *server;
static fer_channel *channel;
static unsigned char *outbox;
static uint64_t sent;
static uint64_t looked_at; /* what that was when the clock was last looked at */
static double started;
static double ended;
static int ending;
static uint64_t allocations;
static uint64_t counted_from;

/* A message that was lent. Those that are back are kept for the next ones. */
struct letter {
    struct letter *next;
    unsigned char bytes[];
};
static struct letter *spare;

/* Count from the first message on that is not the warming up's. */
static void count_from(uint64_t number) {
    if (COUNTING && allocations == 0 && number >= WARM) {
        counted_from = number;
        allocations = usage_calls();
    }
}

static void on_closed(fer_channel *closed, fer_status status, void *user) {
    (void)user;
    check(status, "close");
    fer_channel_unref(closed);
}

static void feed(void);

static void on_sent(fer_channel *from, fer_status status, void *user) {
    struct letter *letter = user;

    (void)from;
    check(status, "send");
    letter->next = spare;
    spare = letter;
    feed();
}

static void make_letters(void) {
    size_t count = LENT_BYTES / task.size;

    for (count = count > 0 ? count : 1; count > 0; count--) {
        struct letter *letter = take_memory(sizeof *letter + task.size);

        letter->next = spare;
        spare = letter;
    }
}

static void lend_message(uint64_t number) {
    struct letter *letter = spare;
    fer_bytes part;

    spare = letter->next;
    stamp(letter->bytes, number);
    part.data = letter->bytes;
    part.size = task.size;
    check(fer_channel_send(channel, &part, 1, NULL, 0, on_sent, letter), "send");
}

static void send_message(uint64_t number) {
    fer_bytes part;

    stamp(outbox, number);
    part.data = outbox;
    part.size = task.size;
    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
}

static void finish(void) {
    ending = 1;
    ended = now();
    check(fer_channel_close(channel, on_closed, NULL), "close");
}

static int can_send(void) {
    return !ending && fer_channel_is_writable(channel) && (task.size < LEND_FROM || spare != NULL);
}

/* Send the next ones; what is not accepted is stamped again. */
static void send_many(void) {
    fer_bytes messages[MANY];
    size_t accepted = 0;

    for (size_t i = 0; i < MANY; i++) {
        unsigned char *bytes = outbox + i * task.size;

        stamp(bytes, sent + i);
        messages[i].data = bytes;
        messages[i].size = task.size;
    }
    check(fer_channel_send_many(channel, messages, MANY, &accepted), "send");
    sent += accepted;
}

/* Send as much as may be on its way, until time is up; drain and the letters that come back go on. */
static void feed(void) {
    while (can_send()) {
        count_from(sent);
        if (task.size >= LEND_FROM) {
            lend_message(sent++);
        } else {
            send_many();
        }
        if (sent - looked_at >= CLOCK_EVERY) {
            looked_at = sent;
            if (now() - started >= task.seconds) {
                finish();
            }
        }
    }
}

static void on_drain(fer_channel *drained, void *user) {
    (void)drained;
    (void)user;
    feed();
}

static void on_message(const fer_message *message) {
    count_from(tally.count);
    tally_add(&tally, &task, message->data, message->size);
    if (task.streams) {
        return;
    }
    if (task.serves) {
        send_message(tally.count - 1);
    } else if (tally.count % CLOCK_EVERY == 0 && now() - started >= task.seconds) {
        finish();
    } else {
        send_message(tally.count);
    }
}

static void on_messages(fer_channel *from, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)from;
    (void)user;
    for (size_t i = 0; i < count; i++) {
        on_message(&messages[i]);
    }
    if (status == FER_EOF && task.serves) {
        finish();
    } else if (status != FER_OK && status != FER_ECANCELED) {
        check(status, "receive");
    }
}

static void on_client(fer_server *listener, fer_status status, fer_channel *client, void *user) {
    (void)user;
    check(status, "client");
    channel = client;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    check(fer_server_close(listener, NULL, NULL), "close");
}

static void on_connected(fer_channel *connected, fer_status status, void *user) {
    (void)user;
    check(status, "connect");
    check(fer_channel_on_drain(connected, on_drain, NULL, NULL), "drain");
    check(fer_channel_receive(connected, on_messages, NULL, NULL), "receive");
    started = now();
    if (task.streams) {
        make_letters();
        feed();
    } else {
        send_message(0);
    }
}

static void report(void) {
    uint64_t count = task.streams && !task.serves ? sent : tally.count;

    if (COUNTING && count > WARM) {
        print_counted(&task, count - counted_from, usage_calls() - allocations);
    } else if (COUNTING) {
        die("count", "too few messages");
    } else {
        print_result(&task, count, ended - (task.serves ? tally.started : started));
    }
}

int main(int argc, char **argv) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    char address[4096];

    options.flags = FLAGS;
    options.busy_poll_us = BUSY_POLL_US;
    task_parse(&task, argc, argv, "rtt", "stream");
    snprintf(address, sizeof address, "pipe:%s", task.path);
    if (COUNTING) {
        usage_start();
    }
    outbox = take_memory(task.size * (task.size < LEND_FROM ? MANY : 1));
    check(fer_loop_new(&loop), "loop");
    if (task.serves) {
        check(fer_server_listen(loop, address, &options, on_client, NULL, NULL, &server), "listen");
        print_ready();
    } else {
        check(fer_channel_connect(loop, address, &options, on_connected, NULL, &channel),
              "connect");
    }
    check(fer_loop_run(loop), "run");
    report();
    fer_server_unref(server);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    return 0;
}
