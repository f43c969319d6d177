/* The roles that listen: echo and collect. */
#include <stdlib.h>

#include "common.h"

struct server {
    const struct arguments *arguments;
    fer_loop *loop;
    fer_server *server;
    fer_channel *channel; /* the client of collect */
    struct result result;
    int held;
};

static void on_drain(fer_channel *channel, void *user) {
    (void)user;
    fer_channel_resume(channel);
}

static void unref_closed(fer_channel *channel, fer_status status, void *user) {
    (void)status;
    (void)user;
    fer_channel_unref(channel);
}

static void echo_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                          size_t count, void *user) {
    struct server *server = user;

    if (status != FER_OK) {
        if (status != FER_ECANCELED) {
            server->result.end = status;
        }
        fer_channel_close(channel, unref_closed, NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fer_bytes part = {NULL, 0};

        part.data = messages[i].data;
        part.size = messages[i].size;
        status = fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL);
        if (status != FER_OK) {
            /* The client is gone; the receiver is told why. */
            return;
        }
        server->result.messages++;
        runs_add(&server->result.runs, part.size, 1);
    }
    if (!fer_channel_is_writable(channel)) {
        fer_channel_pause(channel);
    }
}

static void collect_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                             size_t count, void *user) {
    struct server *server = user;

    for (size_t i = 0; i < count; i++) {
        result_add(&server->result, messages[i].data, messages[i].size);
    }
    if (status != FER_OK) {
        server->result.end = status;
        fer_channel_close(channel, unref_closed, NULL);
        server->channel = NULL;
    }
}

static void start_collecting(struct server *server) {
    fer_status status = fer_channel_receive(server->channel, collect_messages, server, NULL);

    if (status != FER_OK) {
        give_up(status, "receive");
    }
}

static void on_echo_client(fer_server *listener, fer_status status, fer_channel *channel,
                           void *user) {
    struct server *server = user;

    (void)listener;
    if (status != FER_OK) {
        server->result.error = status;
        return;
    }
    say("open");
    status = fer_channel_on_drain(channel, on_drain, NULL, NULL);
    if (status == FER_OK) {
        status = fer_channel_receive(channel, echo_messages, server, NULL);
    }
    if (status != FER_OK) {
        give_up(status, "receive");
    }
}

static void on_collect_client(fer_server *listener, fer_status status, fer_channel *channel,
                              void *user) {
    struct server *server = user;

    fer_server_close(listener, NULL, NULL);
    if (status != FER_OK) {
        server->result.error = status;
        return;
    }
    say("open");
    server->channel = channel;
    if (!server->held) {
        start_collecting(server);
    }
}

static void on_line(fer_loop *loop, fer_status status, void *user) {
    struct server *server = user;

    (void)loop;
    if (status == FER_OK && server->held) {
        server->held = 0;
        if (server->channel != NULL) {
            start_collecting(server);
        }
    }
}

static void on_input_end(fer_loop *loop, fer_status status, void *user) {
    (void)user;
    if (status == FER_OK) {
        fer_loop_close_objects(loop);
    }
}

static void serve(const struct arguments *arguments, fer_server_channel_cb on_client) {
    struct server server = {arguments, NULL, NULL, NULL, RESULT_INIT, arguments->hold};
    fer_status status = fer_loop_new(&server.loop);

    if (status == FER_OK) {
        status = fer_server_listen(server.loop, arguments->address, &arguments->channel, on_client,
                                   &server, NULL, &server.server);
    }
    if (status != FER_OK) {
        give_up(status, "listen");
    }
    watch_input(server.loop, on_line, on_input_end, &server);
    say("ready");
    status = fer_loop_run(server.loop);
    if (status != FER_OK) {
        give_up(status, "run");
    }
    say_result(&server.result);
    fer_server_unref(server.server);
    status = fer_loop_close(server.loop);
    if (status != FER_OK) {
        give_up(status, "close the loop");
    }
    fer_loop_unref(server.loop);
    free(server.result.runs.items);
}

void run_echo(const struct arguments *arguments) {
    serve(arguments, on_echo_client);
}

void run_collect(const struct arguments *arguments) {
    serve(arguments, on_collect_client);
}
