/* ferrule send: connect, and send files or records of standard input. */
#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "report.h"
#include "runner.h"
#include "source.h"
#include "tally.h"

struct sending {
    const struct options *options;
    struct runner runner;
    struct tally tally;
    fer_channel *channel;
    const char *const *next_file;
    struct records records;
    uint64_t limit;    /* bytes that a message may have */
    uint64_t messages; /* accepted by the channel */
    int connected;
    int ending;
    int result;
};

/* The contents of a file, on its way. */
struct cargo {
    struct sending *sending;
    unsigned char *data;
};

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    struct sending *sending = user;

    if (status != FER_OK && sending->result == RESULT_OK) {
        report_status(status, "%s did not confirm that it has everything",
                      sending->options->address);
        sending->result = RESULT_FAILED;
    }
    tally_add(&sending->tally, channel);
    fer_channel_unref(channel);
}

/* Orderly: what was accepted is flushed, then goodbye. */
static void end(struct sending *sending) {
    if (sending->ending) {
        return;
    }
    sending->ending = 1;
    if (fer_channel_close(sending->channel, on_closed, sending) != FER_OK) {
        report("out of memory");
        sending->result = RESULT_FAILED;
        /* Drops the last reference: the loop ends the channel without a goodbye. */
        fer_channel_unref(sending->channel);
    }
}

static void fail(struct sending *sending) {
    sending->result = RESULT_FAILED;
    end(sending);
}

static int is_feeding(const struct sending *sending) {
    return sending->connected && !sending->ending && runner_signal() == 0 &&
           fer_channel_is_writable(sending->channel);
}

/* 0 after a complaint. */
static int send_bytes(struct sending *sending, fer_bytes bytes, fer_sent_cb cb, void *user) {
    fer_status status = fer_channel_send(sending->channel, &bytes, 1, NULL, 0, cb, user);

    if (status != FER_OK) {
        report_status(status, "send message %" PRIu64 " to %s", sending->messages + 1,
                      sending->options->address);
        return 0;
    }
    sending->messages++;
    return 1;
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    struct cargo *cargo = user;

    (void)channel;
    /* A failure ends the channel, and is reported there. */
    if (status == FER_OK) {
        runner_progress(&cargo->sending->runner);
    }
    free(cargo->data);
    free(cargo);
}

/* A file that cannot be read does not keep the others from being sent. */
static void send_file(struct sending *sending, const char *name) {
    struct cargo *cargo = calloc(1, sizeof *cargo);
    fer_bytes bytes = {NULL, 0};

    if (cargo == NULL) {
        report("out of memory");
        fail(sending);
        return;
    }
    cargo->sending = sending;
    cargo->data = source_load(name, sending->limit, &bytes.size);
    bytes.data = cargo->data;
    if (cargo->data == NULL) {
        sending->result = RESULT_FAILED;
        free(cargo);
    } else if (!send_bytes(sending, bytes, on_sent, cargo)) {
        free(cargo->data);
        free(cargo);
        fail(sending);
    }
}

static void feed_files(struct sending *sending) {
    while (is_feeding(sending)) {
        if (*sending->next_file == NULL) {
            end(sending);
        } else {
            send_file(sending, *sending->next_file++);
        }
    }
}

static void feed_records(struct sending *sending) {
    while (is_feeding(sending)) {
        fer_bytes message;

        switch (records_next(&sending->records, &message)) {
        case RECORD_FOUND:
            if (!send_bytes(sending, message, NULL, NULL)) {
                fail(sending);
            }
            break;
        case RECORD_NONE:
            if (sending->records.ended) {
                end(sending);
            }
            return;
        case RECORD_INVALID: fail(sending); return;
        }
    }
}

static int reads_input(const struct sending *sending) {
    return sending->options->files[0] == NULL;
}

static void feed(struct sending *sending) {
    if (reads_input(sending)) {
        feed_records(sending);
    } else {
        feed_files(sending);
    }
}

static int wants_input(void *user) {
    const struct sending *sending = user;

    return reads_input(sending) && !sending->records.ended && is_feeding(sending);
}

static void on_input(void *user) {
    struct sending *sending = user;

    runner_progress(&sending->runner);
    if (!records_read(&sending->records)) {
        fail(sending);
        return;
    }
    feed_records(sending);
}

static void on_drain(fer_channel *channel, void *user) {
    struct sending *sending = user;

    (void)channel;
    runner_progress(&sending->runner);
    feed(sending);
}

/* Messages of the server are dropped; its end is what counts. */
static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct sending *sending = user;

    (void)channel;
    (void)messages;
    (void)count;
    if (status == FER_OK || status == FER_ECANCELED) {
        return;
    }
    if (status == FER_EOF) {
        report("%s said goodbye before everything was sent", sending->options->address);
    } else {
        report_status(status, "send to %s", sending->options->address);
    }
    fail(sending);
}

static fer_status get_ready(struct sending *sending) {
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    fer_status status = fer_channel_get_info(sending->channel, &info);

    if (status == FER_OK) {
        status = fer_channel_on_drain(sending->channel, on_drain, sending, NULL);
    }
    if (status == FER_OK) {
        status = fer_channel_receive(sending->channel, on_messages, sending, NULL);
    }
    sending->limit = info.max_message;
    if (info.peer_max_message > 0 && info.peer_max_message < sending->limit) {
        sending->limit = info.peer_max_message;
    }
    sending->records.limit = sending->limit;
    return status;
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct sending *sending = user;
    const char *doing = "connect";

    (void)channel;
    if (status == FER_OK) {
        doing = "send to";
        status = get_ready(sending);
    }
    if (status != FER_OK) {
        if (status != FER_ECANCELED) {
            report_status(status, "%s %s", doing, sending->options->address);
        }
        fail(sending);
        return;
    }
    sending->connected = 1;
    sending->runner.timeout_ms = sending->options->timeout_ms;
    runner_progress(&sending->runner);
    feed(sending);
}

/* Not orderly: the server must not take a part for the whole. */
static void on_interrupt(void *user) {
    struct sending *sending = user;

    report("interrupted: not everything was sent to %s", sending->options->address);
    sending->result = RESULT_INTERRUPTED;
    fer_channel_abort(sending->channel);
    end(sending);
}

static void on_timeout(void *user) {
    struct sending *sending = user;

    report("nothing happened for %g seconds", (double)sending->options->timeout_ms / 1000);
    fer_channel_abort(sending->channel);
    fail(sending);
}

int command_send(const struct options *options) {
    static struct sending sending;
    fer_status status;

    sending.options = options;
    sending.next_file = options->files;
    sending.records.framing = options->framing;
    sending.result = RESULT_OK;
    sending.runner.user = &sending;
    sending.runner.on_interrupt = on_interrupt;
    sending.runner.on_timeout = on_timeout;
    sending.runner.on_input = on_input;
    sending.runner.wants_input = wants_input;
    sending.runner.timeout_ms = -1; /* the library limits the time to connect */
    if (!runner_open(&sending.runner)) {
        return RESULT_FAILED;
    }
    status = fer_channel_connect(sending.runner.loop, options->address, &options->channel,
                                 on_connected, &sending, &sending.channel);
    if (status != FER_OK) {
        report_status(status, "connect %s", options->address);
        sending.result = RESULT_FAILED;
    } else if (!runner_run(&sending.runner)) {
        return RESULT_FAILED;
    }
    records_free(&sending.records);
    if (options->verbose) {
        tally_report(&sending.tally, options->address);
    }
    return runner_close(&sending.runner) ? sending.result : RESULT_FAILED;
}
