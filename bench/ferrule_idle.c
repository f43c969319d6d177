/* What idle channels cost in memory: ferrule_idle serve|drive PATH COUNT.
 *
 * `serve` accepts FIRST + COUNT channels, `drive` connects them, one after the other. On each a message
 * goes there and back, so that whatever is made on first use is there. Then both print what the last
 * COUNT channels added to the process: {"count": …, "allocator": …, "malloc": …, "resident": …}, in bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "usage.h"

static fer_loop *loop;
static fer_channel **channels;
static size_t wanted;
static size_t opened;
static struct usage before;
static char address[4096];
static int serves;

static void connect_next(void);

/* All are open and have been used: print what they cost, then let go of them. */
static void finish(void) {
    usage_print(&before, wanted - FIRST);
    check(fer_loop_close_objects(loop), "close");
}

static void used_one(void) {
    if (opened == FIRST) {
        before = usage_now();
    }
    if (opened == wanted) {
        finish();
    } else if (!serves) {
        connect_next();
    }
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)user;
    for (size_t i = 0; i < count; i++) {
        if (serves) {
            fer_bytes part;

            part.data = messages[i].data;
            part.size = messages[i].size;
            check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
        }
        used_one();
    }
    /* At the end either side may see the other's go first. */
    (void)status;
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    (void)user;
    check(status, "client");
    channels[opened++] = channel;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    fer_bytes part = {"hello", 5};

    (void)user;
    check(status, "connect");
    opened++;
    check(fer_channel_receive(channel, on_messages, NULL, NULL), "receive");
    check(fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL), "send");
}

static void connect_next(void) {
    check(fer_channel_connect(loop, address, NULL, on_connected, NULL, &channels[opened]),
          "connect");
}

int main(int argc, char **argv) {
    fer_server *server = NULL;

    if (argc != 4) {
        die("usage", "ferrule_idle serve|drive PATH COUNT");
    }
    serves = strcmp(argv[1], "serve") == 0;
    snprintf(address, sizeof address, "pipe:%s", argv[2]);
    wanted = FIRST + (size_t)strtoull(argv[3], NULL, 10);
    channels = take_memory(wanted * sizeof(fer_channel *));
    usage_start();
    check(fer_loop_new(&loop), "loop");
    if (serves) {
        check(fer_server_listen(loop, address, NULL, on_client, NULL, NULL, &server), "listen");
        print_ready();
    } else {
        connect_next();
    }
    check(fer_loop_run(loop), "run");
    for (size_t i = 0; i < wanted; i++) {
        fer_channel_unref(channels[i]);
    }
    fer_server_unref(server);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    usage_end();
    free(channels);
    return 0;
}
