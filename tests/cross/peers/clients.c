/* The roles that connect: ping and send. */
#include <stdlib.h>

#include "common.h"

struct client {
    const struct arguments *arguments;
    fer_loop *loop;
    fer_channel *channel;
    struct result result;
    size_t run;    /* position in arguments->sizes */
    size_t of_run; /* messages of that run that were sent */
    size_t sent;   /* messages that were sent */
    size_t on_way; /* of them, those that the kernel does not have yet */
    int ending;
    int is_ping;
};

/* A message on its way, and whose it is. */
struct letter {
    struct client *client;
    unsigned char bytes[];
};

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    struct client *client = user;

    if (client->result.end == FER_OK) {
        client->result.end = status;
    }
    fer_channel_unref(channel);
}

static void end(struct client *client) {
    if (!client->ending) {
        client->ending = 1;
        fer_channel_close(client->channel, on_closed, client);
    }
}

static int is_all_sent(const struct client *client) {
    return client->run == client->arguments->sizes.count;
}

static void on_accepted(fer_loop *loop, fer_status status, void *user) {
    (void)loop;
    (void)user;
    if (status == FER_OK) {
        say("accepted");
    }
}

static void check_flushed(const struct client *client) {
    if (client->arguments->stay && is_all_sent(client) && client->on_way == 0) {
        say("flushed");
    }
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    struct letter *letter = user;
    struct client *client = letter->client;

    (void)channel;
    free(letter);
    client->on_way--;
    if (status == FER_OK) {
        check_flushed(client);
    }
}

/* Send until the queue is full; drain goes on. */
static void feed(struct client *client) {
    const struct runs *sizes = &client->arguments->sizes;

    while (!is_all_sent(client) && !client->ending && fer_channel_is_writable(client->channel)) {
        size_t size = sizes->items[client->run].size;
        struct letter *letter = take_memory(sizeof *letter + size);
        fer_bytes part = {NULL, 0};
        fer_status status;

        letter->client = client;
        fill(letter->bytes, client->sent, size);
        part.data = letter->bytes;
        part.size = size;
        status = fer_channel_send(client->channel, &part, 1, NULL, 0, on_sent, letter);
        if (status != FER_OK) {
            free(letter);
            client->result.end = status;
            end(client);
            return;
        }
        client->on_way++;
        client->sent++;
        if (!client->is_ping) {
            runs_add(&client->result.runs, size, 1);
            client->result.messages++;
        }
        if (++client->of_run == sizes->items[client->run].count) {
            client->of_run = 0;
            client->run++;
        }
    }
    if (!is_all_sent(client) || client->is_ping || client->ending) {
        return;
    }
    if (!client->arguments->stay) {
        /* At once: to flush is the business of close. */
        end(client);
    } else if (fer_loop_post(client->loop, on_accepted, NULL) != FER_OK) {
        give_up(FER_ENOMEM, "post");
    }
}

static void on_drain(fer_channel *channel, void *user) {
    struct client *client = user;

    (void)channel;
    if (!is_all_sent(client)) {
        feed(client);
    }
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct client *client = user;

    (void)channel;
    for (size_t i = 0; i < count; i++) {
        result_add(&client->result, messages[i].data, messages[i].size);
    }
    if (status != FER_OK) {
        if (status != FER_ECANCELED) {
            client->result.end = status;
        }
        end(client);
    } else if (client->is_ping && is_all_sent(client) && client->result.messages == client->sent) {
        end(client);
    }
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct client *client = user;

    if (status != FER_OK) {
        client->result.error = status;
        end(client);
        return;
    }
    say("open");
    status = fer_channel_on_drain(channel, on_drain, client, NULL);
    if (status == FER_OK) {
        status = fer_channel_receive(channel, on_messages, client, NULL);
    }
    if (status != FER_OK) {
        give_up(status, "receive");
    }
    feed(client);
}

static void connect_and_run(const struct arguments *arguments, int is_ping) {
    struct client client = {arguments, NULL, NULL, RESULT_INIT, 0, 0, 0, 0, 0, is_ping};
    fer_status status = fer_loop_new(&client.loop);

    if (status == FER_OK) {
        status = fer_channel_connect(client.loop, arguments->address, &arguments->channel,
                                     on_connected, &client, &client.channel);
    }
    if (status != FER_OK) {
        give_up(status, "connect");
    }
    status = fer_loop_run(client.loop);
    if (status != FER_OK) {
        give_up(status, "run");
    }
    say_result(&client.result);
    status = fer_loop_close(client.loop);
    if (status != FER_OK) {
        give_up(status, "close the loop");
    }
    fer_loop_unref(client.loop);
    free(client.result.runs.items);
}

void run_ping(const struct arguments *arguments) {
    connect_and_run(arguments, 1);
}

void run_send(const struct arguments *arguments) {
    connect_and_run(arguments, 0);
}
