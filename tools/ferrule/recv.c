/* ferrule recv: connect, and print what the server sends. */
#include <inttypes.h>

#include "commands.h"
#include "report.h"
#include "runner.h"
#include "sink.h"
#include "tally.h"

struct reception {
    const struct options *options;
    struct runner runner;
    struct sink sink;
    struct tally tally;
    fer_channel *channel;
    int connected;
    int ending;
    int result;
};

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    /* What was asked for is here, or its failure was reported: how the server takes our goodbye
     * changes nothing. */
    struct reception *reception = user;

    (void)status;
    tally_add(&reception->tally, channel);
    fer_channel_unref(channel);
}

static void end(struct reception *reception) {
    if (reception->ending) {
        return;
    }
    reception->ending = 1;
    if (fer_channel_close(reception->channel, on_closed, reception) != FER_OK) {
        /* Drops the last reference: the loop ends the channel without a goodbye. */
        fer_channel_unref(reception->channel);
    }
}

static void fail(struct reception *reception) {
    reception->result = RESULT_FAILED;
    fer_channel_abort(reception->channel);
    end(reception);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct reception *reception = user;

    (void)channel;
    runner_progress(&reception->runner);
    if (status == FER_ECANCELED) {
        return;
    }
    if (status == FER_EOF && reception->options->count > 0) {
        report("the server said goodbye after %" PRIu64 " of %" PRIu64 " messages",
               reception->sink.messages, reception->options->count);
        reception->result = RESULT_FAILED;
    } else if (status != FER_OK && status != FER_EOF) {
        report_status(status, "receive from %s", reception->options->address);
        reception->result = RESULT_FAILED;
    }
    if (status != FER_OK) {
        end(reception);
        return;
    }
    switch (sink_take(&reception->sink, messages, count)) {
    case SINK_TAKES: break;
    case SINK_FULL: end(reception); break;
    case SINK_FAILED: fail(reception); break;
    }
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct reception *reception = user;
    const char *doing = "connect";

    if (status == FER_OK) {
        doing = "receive from";
        reception->connected = 1;
        reception->runner.timeout_ms = reception->options->timeout_ms;
        runner_progress(&reception->runner);
        status = fer_channel_receive(channel, on_messages, reception, NULL);
    }
    if (status != FER_OK) {
        if (status != FER_ECANCELED) {
            report_status(status, "%s %s", doing, reception->options->address);
        }
        reception->result = RESULT_FAILED;
        end(reception);
    }
}

static void on_interrupt(void *user) {
    struct reception *reception = user;

    if (!reception->connected) {
        report("interrupted before %s answered", reception->options->address);
        reception->result = RESULT_FAILED;
    } else if (reception->options->count > 0) {
        report("interrupted after %" PRIu64 " of %" PRIu64 " messages", reception->sink.messages,
               reception->options->count);
        reception->result = RESULT_FAILED;
    }
    end(reception);
}

static void on_timeout(void *user) {
    struct reception *reception = user;

    report("nothing happened for %g seconds", (double)reception->options->timeout_ms / 1000);
    fail(reception);
}

int command_recv(const struct options *options) {
    /* Static: the sink holds a large buffer. */
    static struct reception reception;
    fer_status status;

    reception.options = options;
    reception.result = RESULT_OK;
    reception.runner.user = &reception;
    reception.runner.on_interrupt = on_interrupt;
    reception.runner.on_timeout = on_timeout;
    reception.runner.timeout_ms = -1; /* the library limits the time to connect */
    if (!sink_open(&reception.sink, options) || !runner_open(&reception.runner)) {
        return RESULT_FAILED;
    }
    status = fer_channel_connect(reception.runner.loop, options->address, &options->channel,
                                 on_connected, &reception, &reception.channel);
    if (status != FER_OK) {
        report_status(status, "connect %s", options->address);
        reception.result = RESULT_FAILED;
    } else if (!runner_run(&reception.runner)) {
        return RESULT_FAILED;
    }
    sink_close(&reception.sink);
    if (options->verbose) {
        tally_report(&reception.tally, options->address);
    }
    return runner_close(&reception.runner) ? reception.result : RESULT_FAILED;
}
