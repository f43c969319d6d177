/* What a peer does with an open channel: echo, collect, send, ping. */
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* A message on its way, and whose it is. */
struct letter {
    struct peer *peer;
    unsigned char bytes[];
};

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    struct peer *peer = user;

    if (peer->result.end == FER_OK) {
        peer->result.end = status;
    }
    fer_channel_unref(channel);
}

void peer_end(struct peer *peer, fer_channel *channel) {
    if (peer->channel == channel) {
        peer->channel = NULL;
    }
    /* The channel's own data marks those whose end has begun. */
    if (fer_channel_data(channel) != NULL) {
        return;
    }
    fer_channel_set_data(channel, peer, NULL);
    if (fer_channel_close(channel, on_closed, peer) != FER_OK) {
        give_up(FER_ENOMEM, "close");
    }
}

static int is_all_sent(const struct peer *peer) {
    return peer->run == peer->arguments->sizes.count;
}

static void on_accepted(fer_loop *loop, fer_status status, void *user) {
    (void)loop;
    (void)user;
    if (status == FER_OK) {
        say("accepted");
    }
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    struct letter *letter = user;
    struct peer *peer = letter->peer;

    (void)channel;
    free(letter);
    peer->on_way--;
    if (status == FER_OK && peer->arguments->stay && is_all_sent(peer) && peer->on_way == 0) {
        say("flushed");
    }
}

/* 0 when the channel takes no more for ever. */
static int send_one(struct peer *peer, size_t size) {
    struct letter *letter = take_memory(sizeof *letter + size);
    fer_bytes part = {NULL, 0};
    fer_status status;

    letter->peer = peer;
    fill(letter->bytes, peer->sent, size);
    part.data = letter->bytes;
    part.size = size;
    status = fer_channel_send(peer->channel, &part, 1, NULL, 0, on_sent, letter);
    if (status != FER_OK) {
        free(letter);
        peer->result.end = status;
        peer_end(peer, peer->channel);
        return 0;
    }
    peer->on_way++;
    peer->sent++;
    if (peer->arguments->action == ACTION_SEND) {
        runs_add(&peer->result.runs, size, 1);
        peer->result.messages++;
    }
    return 1;
}

/* Send until the queue is full; drain goes on. */
static void feed(struct peer *peer) {
    const struct runs *sizes = &peer->arguments->sizes;

    while (!is_all_sent(peer) && fer_channel_is_writable(peer->channel)) {
        if (!send_one(peer, sizes->items[peer->run].size)) {
            return;
        }
        if (++peer->of_run == sizes->items[peer->run].count) {
            peer->of_run = 0;
            peer->run++;
        }
    }
    if (!is_all_sent(peer) || peer->arguments->action != ACTION_SEND) {
        return;
    }
    if (!peer->arguments->stay) {
        /* At once: to flush is the business of close. */
        peer_end(peer, peer->channel);
    } else if (fer_loop_post(peer->loop, on_accepted, NULL) != FER_OK) {
        give_up(FER_ENOMEM, "post");
    }
}

static void on_drain(fer_channel *channel, void *user) {
    struct peer *peer = user;

    if (peer->arguments->action == ACTION_ECHO) {
        fer_channel_resume(channel);
    } else if (peer->channel != NULL && !is_all_sent(peer)) {
        feed(peer);
    }
}

static void send_back(struct peer *peer, fer_channel *channel, const fer_message *message) {
    fer_bytes part = {NULL, 0};

    part.data = message->data;
    part.size = message->size;
    /* Should the other side be gone, the receiver is told why. */
    if (fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL) == FER_OK) {
        peer->result.messages++;
        runs_add(&peer->result.runs, message->size, 1);
    }
    if (!fer_channel_is_writable(channel)) {
        fer_channel_pause(channel);
    }
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct peer *peer = user;
    enum action action = peer->arguments->action;

    for (size_t i = 0; i < count; i++) {
        if (action == ACTION_ECHO) {
            send_back(peer, channel, &messages[i]);
        } else if (action != ACTION_SEND) {
            result_add(&peer->result, messages[i].data, messages[i].size);
        }
    }
    if (status != FER_OK) {
        if (status != FER_ECANCELED) {
            peer->result.end = status;
        }
        peer_end(peer, channel);
    } else if (action == ACTION_PING && is_all_sent(peer) && peer->result.messages == peer->sent) {
        peer_end(peer, channel);
    }
}

void peer_receive(struct peer *peer) {
    fer_status status = fer_channel_receive(peer->channel, on_messages, peer, NULL);

    if (status != FER_OK) {
        give_up(status, "receive");
    }
}

void peer_start(struct peer *peer, fer_channel *channel) {
    fer_status status;

    say("open");
    peer->channel = channel;
    status = fer_channel_on_drain(channel, on_drain, peer, NULL);
    if (status != FER_OK) {
        give_up(status, "drain");
    }
    if (!peer->held) {
        peer_receive(peer);
    }
    if (peer->arguments->action == ACTION_SEND || peer->arguments->action == ACTION_PING) {
        feed(peer);
    }
}
