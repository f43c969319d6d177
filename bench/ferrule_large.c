/* What one large message costs: ferrule_large serve|drive PATH SIZE.
 *
 * A small message goes there and back, then a large one goes there and a small one back. Both print {"bytes": …,
 * "seconds": …, "peak": …}: how long the second took the driver, and how much more memory than before it each process
 * had at most. The driver's own copy of the message is there before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "usage.h"

enum { SMALL = 8 };

static fer_channel *channel;
static unsigned char *large;
static size_t size;
static size_t before;
static size_t peak;
static double started;
static double ended;
static int serves;
static int replies;

static void on_closed(fer_channel *gone, fer_status status, void *user) {
    (void)user;
    check(status, "close");
    fer_channel_unref(gone);
}

static void send_small(void) {
    fer_bytes part = {"question", SMALL};

    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
}

static void on_sent(fer_channel *from, fer_status status, void *user) {
    (void)from;
    (void)user;
    check(status, "send");
}

static void send_large(void) {
    fer_bytes part;

    part.data = large;
    part.size = size;
    before = usage_reset_peak();
    started = now();
    check(fer_channel_send(channel, &part, 1, NULL, 0, on_sent, NULL), "send");
}

/* The driver: an answer. */
static void on_reply(void) {
    if (++replies == 1) {
        send_large();
        return;
    }
    ended = now();
    peak = usage_peak() - before;
    check(fer_channel_close(channel, on_closed, NULL), "close");
}

/* The server: the small message, or the large one. */
static void on_request(const fer_message *message) {
    const unsigned char *bytes = message->data;

    if (before == 0) {
        before = usage_reset_peak();
        started = now();
    } else {
        ended = now();
        peak = usage_peak() - before;
        if (message->size != size || bytes[0] != 'a' || bytes[size - 1] != 'z') {
            die("check", "not the message that was sent");
        }
    }
    send_small();
}

static void on_messages(fer_channel *from, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)user;
    for (size_t i = 0; i < count; i++) {
        if (serves) {
            on_request(&messages[i]);
        } else {
            on_reply();
        }
    }
    if (status == FER_EOF && serves) {
        check(fer_channel_close(from, on_closed, NULL), "close");
    } else if (status != FER_OK && status != FER_ECANCELED) {
        check(status, "receive");
    }
}

static void on_client(fer_server *server, fer_status status, fer_channel *client, void *user) {
    (void)user;
    check(status, "client");
    channel = client;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    check(fer_server_close(server, NULL, NULL), "close");
}

static void on_connected(fer_channel *connected, fer_status status, void *user) {
    (void)user;
    check(status, "connect");
    check(fer_channel_receive(connected, on_messages, NULL, NULL), "receive");
    send_small();
}

int main(int argc, char **argv) {
    fer_server *server = NULL;
    fer_loop *loop = NULL;
    char address[4096];

    if (argc != 4) {
        die("usage", "ferrule_large serve|drive PATH SIZE");
    }
    serves = strcmp(argv[1], "serve") == 0;
    snprintf(address, sizeof address, "pipe:%s", argv[2]);
    size = (size_t)strtoull(argv[3], NULL, 10);
    check(fer_loop_new(&loop), "loop");
    if (serves) {
        check(fer_server_listen(loop, address, NULL, on_client, NULL, NULL, &server), "listen");
        print_ready();
    } else {
        large = take_memory(size);
        large[0] = 'a';
        large[size - 1] = 'z';
        check(fer_channel_connect(loop, address, NULL, on_connected, NULL, &channel), "connect");
    }
    check(fer_loop_run(loop), "run");
    printf("{\"bytes\": %zu, \"seconds\": %.6f, \"peak\": %zu}\n", size, ended - started, peak);
    fflush(stdout);
    fer_server_unref(server);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    free(large);
    return 0;
}
