/* ferrule echo and ferrule listen: a server with any number of clients. */
#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "front.h"
#include "report.h"
#include "runner.h"
#include "sink.h"
#include "tally.h"

/* The channel owns it: it is freed when the memory of the channel is. */
struct client {
    struct service *service;
    fer_channel *channel;
    struct client *next;
    struct client *previous;
    uint64_t number;
    int ending;
};

struct service {
    const struct options *options;
    struct runner runner;
    struct sink sink;
    struct tally tally;
    int echoes; /* send messages back, instead of giving them to the sink */
    fer_server *server;
    struct client *clients; /* those that are not closed yet */
    uint64_t client_count;
    int result;
};

static void on_client_closed(fer_channel *channel, fer_status status, void *user) {
    struct client *client = user;
    struct service *service = client->service;

    /* Other ends were reported when the receiver learnt of them. */
    if (status == FER_ETIMEDOUT) {
        report("client %" PRIu64 " did not say goodbye in time", client->number);
    }
    if (client->previous != NULL) {
        client->previous->next = client->next;
    } else {
        service->clients = client->next;
    }
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    tally_add(&service->tally, channel);
    fer_channel_unref(channel);
}

/* Orderly: what was sent is flushed, then goodbye. */
static void end_client(struct client *client) {
    if (client->ending) {
        return;
    }
    client->ending = 1;
    if (fer_channel_close(client->channel, on_client_closed, client) != FER_OK) {
        report("client %" PRIu64 ": out of memory", client->number);
        client->service->result = RESULT_FAILED;
        /* Drops the last reference: the loop ends the channel without a goodbye. */
        on_client_closed(client->channel, FER_ECANCELED, client);
    }
}

static void stop(struct service *service) {
    struct client *next = NULL;

    fer_server_close(service->server, NULL, NULL);
    for (struct client *client = service->clients; client != NULL; client = next) {
        next = client->next;
        end_client(client);
    }
}

/* Messages cannot be kept any more. Without a goodbye the clients learn that something went wrong. */
static void fail(struct service *service) {
    service->result = RESULT_FAILED;
    fer_loop_close_objects(service->runner.loop);
    stop(service);
}

static void send_back(struct client *client, const fer_message *messages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fer_bytes part;
        fer_status status;

        part.data = messages[i].data;
        part.size = messages[i].size;
        status = fer_channel_send(client->channel, &part, 1, NULL, 0, NULL, NULL);
        if (status == FER_EPIPE) {
            /* It said goodbye without waiting for this, and the receiver is told next. */
            return;
        }
        if (status != FER_OK) {
            report_status(status, "client %" PRIu64 ": send", client->number);
            if (client->service->options->once) {
                client->service->result = RESULT_FAILED;
            }
            fer_channel_abort(client->channel);
            return;
        }
    }
    /* Who sends without reading is not read until it does. */
    if (!fer_channel_is_writable(client->channel)) {
        fer_channel_pause(client->channel);
    }
}

static void on_drain(fer_channel *channel, void *user) {
    (void)user;
    fer_channel_resume(channel);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct client *client = user;
    struct service *service = client->service;

    (void)channel;
    runner_progress(&service->runner);
    if (status != FER_OK) {
        if (status != FER_EOF && status != FER_ECANCELED) {
            report_status(status, "client %" PRIu64, client->number);
            if (service->options->once) {
                service->result = RESULT_FAILED;
            }
        }
        end_client(client);
        return;
    }
    if (service->echoes) {
        send_back(client, messages, count);
        return;
    }
    switch (sink_take(&service->sink, messages, count)) {
    case SINK_TAKES: break;
    case SINK_FULL: stop(service); break;
    case SINK_FAILED: fail(service); break;
    }
}

static fer_status adopt_client(struct service *service, fer_channel *channel) {
    struct client *client = calloc(1, sizeof *client);
    fer_status status;

    if (client == NULL) {
        return FER_ENOMEM;
    }
    client->service = service;
    client->channel = channel;
    client->number = ++service->client_count;
    status = fer_channel_set_data(channel, client, free);
    if (status != FER_OK) {
        return status;
    }
    status = fer_channel_on_drain(channel, on_drain, NULL, NULL);
    if (status == FER_OK) {
        status = fer_channel_receive(channel, on_messages, client, NULL);
    }
    if (status != FER_OK) {
        return status;
    }
    client->next = service->clients;
    if (client->next != NULL) {
        client->next->previous = client;
    }
    service->clients = client;
    return FER_OK;
}

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    struct service *service = user;

    runner_progress(&service->runner);
    if (status != FER_OK) {
        report_status(status, "a client could not connect");
        return;
    }
    status = adopt_client(service, channel);
    if (status != FER_OK) {
        report_status(status, "a client could not be served");
        service->result = RESULT_FAILED;
        fer_channel_unref(channel);
        return;
    }
    if (service->options->once) {
        fer_server_close(server, NULL, NULL);
    }
}

static void on_interrupt(void *user) {
    struct service *service = user;

    if (service->options->count > 0) {
        report("interrupted after %" PRIu64 " of %" PRIu64 " messages", service->sink.messages,
               service->options->count);
        service->result = RESULT_FAILED;
    }
    stop(service);
}

static void on_timeout(void *user) {
    struct service *service = user;

    report("nothing happened for %g seconds", (double)service->options->timeout_ms / 1000);
    service->result = RESULT_FAILED;
    stop(service);
}

static int serve(const struct options *options, int echoes) {
    /* Static: the sink holds a large buffer. */
    static struct service service;
    fer_status status;

    service.options = options;
    service.echoes = echoes;
    service.result = RESULT_OK;
    service.runner.user = &service;
    service.runner.on_interrupt = on_interrupt;
    service.runner.on_timeout = on_timeout;
    service.runner.timeout_ms = options->timeout_ms;
    if (!sink_open(&service.sink, options) || !runner_open(&service.runner)) {
        return RESULT_FAILED;
    }
    status = fer_server_listen(service.runner.loop, options->address, &options->channel, on_channel,
                               &service, NULL, &service.server);
    if (status != FER_OK) {
        report_status(status, "listen at %s", options->address);
        service.result = RESULT_FAILED;
    } else if (options->any_user && !serve_all(service.server)) {
        return RESULT_FAILED;
    } else {
        announce(service.server, options->address);
        if (!runner_run(&service.runner)) {
            return RESULT_FAILED;
        }
        fer_server_unref(service.server);
    }
    sink_close(&service.sink);
    if (options->verbose) {
        tally_report(&service.tally, options->address);
    }
    return runner_close(&service.runner) ? service.result : RESULT_FAILED;
}

int command_echo(const struct options *options) {
    return serve(options, 1);
}

int command_listen(const struct options *options) {
    return serve(options, 0);
}
