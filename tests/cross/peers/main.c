/* The peer program in C. ../README.md describes its arguments and its output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct peer *peer = user;

    if (status != FER_OK) {
        peer->result.error = status;
        peer_end(peer, channel);
        return;
    }
    peer_start(peer, channel);
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    struct peer *peer = user;

    if (status != FER_OK) {
        /* A client that failed its handshake is none. */
        return;
    }
    /* A channel that nobody receives on does not hold the loop; until the line comes, the server does. */
    if (peer->arguments->action != ACTION_ECHO && !peer->held && !peer->on_fifos) {
        fer_server_close(server, NULL, NULL);
    }
    peer_start(peer, channel);
}

static void on_line(fer_loop *loop, fer_status status, void *user) {
    struct peer *peer = user;

    (void)loop;
    if (status == FER_OK && peer->held) {
        peer->held = 0;
        if (peer->channel != NULL) {
            peer_receive(peer);
            if (!peer->on_fifos) {
                fer_server_close(peer->server, NULL, NULL);
            }
        }
    }
}

static void on_input_end(fer_loop *loop, fer_status status, void *user) {
    struct peer *peer = user;

    if (status != FER_OK) {
        return;
    }
    fer_loop_close_objects(loop);
    if (peer->channel != NULL) {
        peer_end(peer, peer->channel);
    }
}

static int usage(void) {
    fprintf(stderr, "usage: ferrule_peer listen|connect ADDRESS echo|collect|send|ping [SIZES] "
                    "[--wire WIRE] [--max-message BYTES] [--max-handles COUNT] "
                    "[--close-timeout MS] [--hold] [--stay]\n");
    return 2;
}

static int parse_action(const char *text, enum action *action) {
    static const char *const names[] = {"echo", "collect", "send", "ping"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *action = (enum action)i;
            return 1;
        }
    }
    return 0;
}

static int parse(struct arguments *arguments, int argc, char **argv) {
    int i = 4;

    if (argc < 4 || !parse_action(argv[3], &arguments->action)) {
        return 0;
    }
    arguments->listens = strcmp(argv[1], "listen") == 0;
    if (!arguments->listens && strcmp(argv[1], "connect") != 0) {
        return 0;
    }
    arguments->address = argv[2];
    if (arguments->action == ACTION_SEND || arguments->action == ACTION_PING) {
        if (argc < 5 || !runs_parse(&arguments->sizes, argv[4])) {
            return 0;
        }
        i = 5;
    }
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--hold") == 0) {
            arguments->hold = 1;
        } else if (strcmp(argv[i], "--stay") == 0) {
            arguments->stay = 1;
        } else if (i + 1 < argc && strcmp(argv[i], "--wire") == 0) {
            arguments->channel.wire =
                strcmp(argv[++i], "plain") == 0 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE;
        } else if (i + 1 < argc && strcmp(argv[i], "--max-message") == 0) {
            arguments->channel.max_message = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--max-handles") == 0) {
            arguments->channel.max_handles = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--close-timeout") == 0) {
            arguments->channel.close_timeout_ms = strtoll(argv[++i], NULL, 10);
        } else {
            return 0;
        }
    }
    return 1;
}

/* The address at which clients find the server is not always the one that was given. */
static void say_ready(const fer_server *server) {
    char address[4096];
    size_t size = sizeof address;
    fer_status status = fer_server_address(server, address, &size);

    if (status != FER_OK) {
        give_up(status, "address");
    }
    printf("at %s\n", address);
    say("ready");
}

static void run(const struct arguments *arguments) {
    struct peer peer;
    fer_status status;

    memset(&peer, 0, sizeof peer);
    peer.arguments = arguments;
    peer.held = arguments->hold;
    /* There the client may still be about to open the second one when the first is served. */
    peer.on_fifos = strncmp(arguments->address, "fifo:", 5) == 0;
    peer.result.bad = -1;
    status = fer_loop_new(&peer.loop);
    if (status != FER_OK) {
        give_up(status, "loop");
    }
    if (arguments->listens) {
        status = fer_server_listen(peer.loop, arguments->address, &arguments->channel, on_client,
                                   &peer, NULL, &peer.server);
    } else {
        status = fer_channel_connect(peer.loop, arguments->address, &arguments->channel,
                                     on_connected, &peer, &peer.channel);
    }
    if (status != FER_OK) {
        peer.result.error = status;
    } else {
        watch_input(peer.loop, on_line, on_input_end, &peer);
        if (arguments->listens) {
            say_ready(peer.server);
        }
    }
    status = fer_loop_run(peer.loop);
    if (status != FER_OK) {
        give_up(status, "run");
    }
    say_result(&peer.result);
    fer_server_unref(peer.server);
    status = fer_loop_close(peer.loop);
    if (status != FER_OK) {
        give_up(status, "close the loop");
    }
    fer_loop_unref(peer.loop);
    free(peer.result.runs.items);
    free(peer.ids.items);
}

int main(int argc, char **argv) {
    static const fer_channel_options defaults = FER_CHANNEL_OPTIONS_INIT;
    struct arguments arguments;

    memset(&arguments, 0, sizeof arguments);
    arguments.channel = defaults;
    if (!parse(&arguments, argc, argv)) {
        return usage();
    }
    run(&arguments);
    free(arguments.sizes.items);
    return 0;
}
