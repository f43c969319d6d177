/* ferrule proxy: join each client of one address with a channel to another. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "front.h"
#include "report.h"
#include "runner.h"
#include "tally.h"

struct joint;

/* One end of a joint, and what is on its way to it. */
struct side {
    struct joint *joint;
    fer_channel *channel; /* NULL once it is closed */
    const char *address;
    size_t waiting; /* completions that are due for what was sent to it */
    int ending;     /* its close has begun */
    int killed;     /* without a goodbye */
    int doomed;     /* the other side died: it is to end without a goodbye when it has everything */
};

enum { NEAR, FAR };

struct joint {
    struct proxy *proxy;
    struct side sides[2]; /* the client; where it is joined with */
    struct joint *next;
    struct joint *previous;
    uint64_t number;
};

struct proxy {
    const struct options *options;
    fer_channel_options near_options;
    fer_channel_options far_options;
    struct runner runner;
    fer_server *server;
    struct joint *joints;
    uint64_t count;
    struct tally tallies[2];
    int result;
};

/* A copy of a message, until the other side has it. */
struct parcel {
    struct side *to;
    unsigned char bytes[];
};

static struct side *other_of(const struct side *side) {
    struct joint *joint = side->joint;

    return &joint->sides[side == &joint->sides[NEAR] ? FAR : NEAR];
}

static int is_far(const struct side *side) {
    return side == &side->joint->sides[FAR];
}

/* With --once, what happens to the one client is what happens to the command. */
static void fail_client(const struct joint *joint) {
    if (joint->proxy->options->once) {
        joint->proxy->result = RESULT_FAILED;
    }
}

/* The end of a side. */

static void forget(struct joint *joint) {
    if (joint->previous != NULL) {
        joint->previous->next = joint->next;
    } else {
        joint->proxy->joints = joint->next;
    }
    if (joint->next != NULL) {
        joint->next->previous = joint->previous;
    }
    free(joint);
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    struct side *side = user;
    struct joint *joint = side->joint;

    if (status != FER_OK && !side->killed) {
        report_status(status, "client %" PRIu64 ": %s did not confirm that it has everything",
                      joint->number, side->address);
        fail_client(joint);
    }
    tally_add(&joint->proxy->tallies[is_far(side)], channel);
    side->channel = NULL;
    fer_channel_unref(channel);
    if (joint->sides[NEAR].channel == NULL && joint->sides[FAR].channel == NULL) {
        forget(joint);
    }
}

/* Orderly: what was sent is flushed, then goodbye. */
static void end(struct side *side) {
    if (side->ending || side->channel == NULL) {
        return;
    }
    side->ending = 1;
    if (fer_channel_close(side->channel, on_closed, side) != FER_OK) {
        /* Without memory for that, the other side could not be told either: both see a death. */
        report("out of memory");
        exit(RESULT_FAILED);
    }
}

static void kill_side(struct side *side) {
    if (side->channel == NULL) {
        return;
    }
    side->killed = 1;
    /* First: a close would say goodbye at once. */
    fer_channel_abort(side->channel);
    end(side);
}

/* No goodbye, but all that came before. */
static void doom(struct side *side) {
    side->doomed = 1;
    if (side->waiting == 0 && !side->ending) {
        kill_side(side);
    }
}

/* One side ended in a way that is no goodbye. */
static void die(struct side *side) {
    fail_client(side->joint);
    kill_side(side);
    doom(other_of(side));
}

/* Messages. */

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    struct parcel *parcel = user;
    struct side *side = parcel->to;

    (void)channel;
    (void)status;
    free(parcel);
    side->waiting--;
    if (side->doomed) {
        doom(side);
    }
}

/* The last of a batch goes as a copy, so that its completion tells when all of them are with the system. */
static fer_status send_last(struct side *to, const fer_message *message, const fer_fd *fds) {
    struct parcel *parcel = malloc(sizeof *parcel + message->size);
    fer_bytes part;
    fer_status status;

    if (parcel == NULL) {
        return FER_ENOMEM;
    }
    parcel->to = to;
    if (message->size > 0) {
        memcpy(parcel->bytes, message->data, message->size);
    }
    part.data = parcel->bytes;
    part.size = message->size;
    status =
        fer_channel_send_fds(to->channel, &part, 1, fds, message->handle_count, on_sent, parcel);
    if (status == FER_OK) {
        to->waiting++;
    } else {
        free(parcel);
    }
    return status;
}

static fer_status pass_on(fer_channel *from, struct side *to, const fer_message *message,
                          int is_last) {
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];
    fer_bytes part = {message->data, message->size};
    fer_status status = FER_OK;
    size_t taken = 0;

    while (status == FER_OK && taken < message->handle_count) {
        status = fer_message_take_fd(from, message, taken, &fds[taken]);
        taken += status == FER_OK;
    }
    if (status == FER_OK && is_last) {
        status = send_last(to, message, fds);
    } else if (status == FER_OK) {
        status = fer_channel_send_fds(to->channel, &part, 1, fds, taken, NULL, NULL);
    }
    while (taken > 0) {
        close((int)fds[--taken]);
    }
    return status;
}

static void pass_all(struct side *side, const fer_message *messages, size_t count) {
    struct side *other = other_of(side);

    for (size_t i = 0; i < count; i++) {
        fer_status status;

        if (other->ending) {
            /* It takes no more, and said so or went away: so does this one next. */
            return;
        }
        status = pass_on(side->channel, other, &messages[i], i + 1 == count);
        if (status == FER_EPIPE || status == FER_ECONNRESET) {
            /* Its receiver is told next. */
            return;
        }
        if (status != FER_OK) {
            report_status(status, "client %" PRIu64 ": pass a message on to %s",
                          side->joint->number, other->address);
            die(side);
            return;
        }
    }
    /* Who sends faster than the other side reads is not read until that has caught up. */
    if (!fer_channel_is_writable(other->channel)) {
        fer_channel_pause(side->channel);
    }
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct side *side = user;

    (void)channel;
    runner_progress(&side->joint->proxy->runner);
    if (status == FER_OK) {
        pass_all(side, messages, count);
    } else if (status == FER_EOF) {
        end(other_of(side));
        end(side);
    } else if (status != FER_ECANCELED) {
        report_status(status, "client %" PRIu64 ": %s", side->joint->number, side->address);
        die(side);
    }
}

static void on_drain(fer_channel *channel, void *user) {
    const struct side *side = user;

    (void)channel;
    runner_progress(&side->joint->proxy->runner);
    if (other_of(side)->channel != NULL) {
        (void)fer_channel_resume(other_of(side)->channel);
    }
}

/* The beginning. */

static fer_status open_side(struct side *side) {
    fer_status status = fer_channel_on_drain(side->channel, on_drain, side, NULL);

    if (status == FER_OK) {
        status = fer_channel_receive(side->channel, on_messages, side, NULL);
    }
    return status;
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct side *far = user;
    struct side *near = other_of(far);

    (void)channel;
    if (status == FER_ECANCELED && far->ending) {
        return;
    }
    if (status == FER_OK && !near->ending) {
        status = open_side(near);
        if (status == FER_OK) {
            status = open_side(far);
        }
    }
    if (status != FER_OK) {
        report_status(status, "client %" PRIu64 ": connect %s", far->joint->number, far->address);
        die(far);
    }
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    struct proxy *proxy = user;
    struct joint *joint;

    runner_progress(&proxy->runner);
    if (status != FER_OK) {
        report_status(status, "a client could not connect");
        return;
    }
    joint = calloc(1, sizeof *joint);
    if (joint == NULL) {
        report("out of memory");
        proxy->result = RESULT_FAILED;
        fer_channel_unref(channel);
        return;
    }
    joint->proxy = proxy;
    joint->number = ++proxy->count;
    for (int i = NEAR; i <= FAR; i++) {
        joint->sides[i].joint = joint;
    }
    joint->sides[NEAR].channel = channel;
    joint->sides[NEAR].address = "the client";
    joint->sides[FAR].address = proxy->options->target;
    joint->next = proxy->joints;
    if (joint->next != NULL) {
        joint->next->previous = joint;
    }
    proxy->joints = joint;
    if (proxy->options->once) {
        fer_server_close(server, NULL, NULL);
    }
    status = fer_channel_connect(proxy->runner.loop, proxy->options->target, &proxy->far_options,
                                 on_connected, &joint->sides[FAR], &joint->sides[FAR].channel);
    if (status != FER_OK) {
        report_status(status, "client %" PRIu64 ": connect %s", joint->number,
                      proxy->options->target);
        die(&joint->sides[NEAR]);
    }
}

static void stop(struct proxy *proxy, void (*how)(struct side *side)) {
    struct joint *next = NULL;

    fer_server_close(proxy->server, NULL, NULL);
    for (struct joint *joint = proxy->joints; joint != NULL; joint = next) {
        next = joint->next;
        how(&joint->sides[NEAR]);
        how(&joint->sides[FAR]);
    }
}

static void on_interrupt(void *user) {
    stop(user, end);
}

static void on_timeout(void *user) {
    struct proxy *proxy = user;

    report("nothing happened for %g seconds", (double)proxy->options->timeout_ms / 1000);
    proxy->result = RESULT_FAILED;
    /* Nobody is to take a part for the whole. */
    stop(proxy, kill_side);
}

/* Whether messages bring handles there; of a descriptor only the library knows. */
static int carries_handles(const char *address, const fer_channel_options *options) {
    return options->wire == FER_WIRE_NATIVE && strncmp(address, "pipe:", 5) == 0;
}

static void choose_options(struct proxy *proxy) {
    const struct options *options = proxy->options;

    proxy->near_options = options->channel;
    proxy->far_options = options->target_channel;
    /* What holds memory small is to wait, not to refuse. */
    proxy->near_options.hard_cap = UINT64_MAX / 2;
    proxy->far_options.hard_cap = UINT64_MAX / 2;
    if (carries_handles(options->address, &proxy->near_options) &&
        carries_handles(options->target, &proxy->far_options)) {
        proxy->near_options.max_handles = FER_MESSAGE_HANDLES_MAX;
        proxy->far_options.max_handles = FER_MESSAGE_HANDLES_MAX;
    }
}

int command_proxy(const struct options *options) {
    static struct proxy proxy;
    fer_status status;

    proxy.options = options;
    proxy.result = RESULT_OK;
    proxy.runner.user = &proxy;
    proxy.runner.on_interrupt = on_interrupt;
    proxy.runner.on_timeout = on_timeout;
    proxy.runner.timeout_ms = options->timeout_ms;
    choose_options(&proxy);
    if (!runner_open(&proxy.runner)) {
        return RESULT_FAILED;
    }
    status = fer_server_listen(proxy.runner.loop, options->address, &proxy.near_options, on_client,
                               &proxy, NULL, &proxy.server);
    if (status != FER_OK) {
        report_status(status, "listen at %s", options->address);
        proxy.result = RESULT_FAILED;
    } else if (options->any_user && !serve_all(proxy.server)) {
        return RESULT_FAILED;
    } else {
        announce(proxy.server, options->address);
        if (!runner_run(&proxy.runner)) {
            return RESULT_FAILED;
        }
        fer_server_unref(proxy.server);
    }
    if (options->verbose) {
        tally_report(&proxy.tallies[NEAR], options->address);
        tally_report(&proxy.tallies[FAR], options->target);
    }
    return runner_close(&proxy.runner) ? proxy.result : RESULT_FAILED;
}
