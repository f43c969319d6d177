/* What a message costs when many channels are open: ferrule_many serve|drive PATH MODE COUNT SECONDS.
 *
 * `drive` opens COUNT channels, which `serve` echoes on. In `turn` mode one message is under way at a time, on each
 * channel in turn; so it is in `asleep` mode, in which nobody looks for an answer before it sleeps; in `crowd` mode one is
 * under way on each channel, all the time. Both print {"count": …, "seconds": …, "cpu": …}:
 * round trips, and how long they took this process by the clock and of its processor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "usage.h"

enum { SIZE = 64 };

static fer_loop *loop;
static fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
static fer_channel **channels;
static size_t wanted;
static size_t opened;
static size_t closed;
static size_t under_way;
static uint64_t count;
static double started;
static double ended;
static double cpu;
static double seconds;
static char address[4096];
static int serves;
static int crowd;

static void connect_next(void);

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)user;
    check(status, "close");
    fer_channel_unref(channel);
    closed++;
}

static void send_one(fer_channel *channel) {
    char payload[SIZE];
    fer_bytes part = {payload, SIZE};

    memset(payload, 'x', sizeof payload);
    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
    under_way++;
}

/* All channels are open, and were used once. */
static void start(void) {
    started = now();
    cpu = usage_processor();
    for (size_t i = 0; i < (crowd ? wanted : 1); i++) {
        send_one(channels[i]);
    }
}

static void finish(void) {
    for (size_t i = 0; i < wanted; i++) {
        check(fer_channel_close(channels[i], on_closed, NULL), "close");
    }
}

static void on_reply(fer_channel *channel) {
    under_way--;
    if (started == 0) {
        if (opened < wanted) {
            connect_next();
        } else {
            start();
        }
        return;
    }
    count++;
    if (ended == 0 && count % CLOCK_EVERY == 0 && now() - started >= seconds) {
        ended = now();
        cpu = usage_processor() - cpu;
    }
    if (ended == 0) {
        send_one(crowd ? channel : channels[count % wanted]);
    } else if (under_way == 0) {
        finish();
    }
}

static void echo(fer_channel *channel, const fer_message *message) {
    fer_bytes part = {message->data, message->size};

    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
    count++;
    /* The first one on each channel is not counted. */
    if (count == wanted) {
        started = now();
        cpu = usage_processor();
    }
    ended = now();
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t many, void *user) {
    (void)user;
    for (size_t i = 0; i < many; i++) {
        if (messages[i].size != SIZE) {
            die("check", "a message of a wrong size");
        }
        if (serves) {
            echo(channel, &messages[i]);
        } else {
            on_reply(channel);
        }
    }
    if (status == FER_EOF && serves) {
        check(fer_channel_close(channel, on_closed, NULL), "close");
    } else if (status != FER_OK && status != FER_ECANCELED && status != FER_EOF) {
        check(status, "receive");
    }
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)user;
    check(status, "client");
    channels[opened++] = channel;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    if (opened == wanted) {
        check(fer_server_close(server, NULL, NULL), "close");
    }
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    (void)user;
    check(status, "connect");
    opened++;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    send_one(channel);
}

static void connect_next(void) {
    check(fer_channel_connect(loop, address, &options, on_connected, NULL, &channels[opened]),
          "connect");
}

int main(int argc, char **argv) {
    fer_server *server = NULL;

    if (argc != 6) {
        die("usage", "ferrule_many serve|drive PATH turn|asleep|crowd COUNT SECONDS");
    }
    serves = strcmp(argv[1], "serve") == 0;
    snprintf(address, sizeof address, "pipe:%s", argv[2]);
    crowd = strcmp(argv[3], "crowd") == 0;
    options.busy_poll_us = strcmp(argv[3], "asleep") == 0 ? -1 : 0;
    wanted = (size_t)strtoull(argv[4], NULL, 10);
    seconds = strtod(argv[5], NULL);
    channels = take_memory(wanted * sizeof(fer_channel *));
    usage_allow_descriptors();
    check(fer_loop_new(&loop), "loop");
    if (serves) {
        check(fer_server_listen(loop, address, &options, on_client, NULL, NULL, &server), "listen");
        print_ready();
    } else {
        connect_next();
    }
    check(fer_loop_run(loop), "run");
    if (closed != wanted) {
        die("check", "not every channel was closed in order");
    }
    if (serves) {
        cpu = usage_processor() - cpu;
        count -= wanted;
    }
    printf("{\"count\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", (unsigned long long)count,
           ended - started, cpu);
    fflush(stdout);
    fer_server_unref(server);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    free(channels);
    return 0;
}
