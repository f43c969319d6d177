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
    if (fer_channel_unsent(channel, &peer->result.unsent) != FER_OK) {
        give_up(FER_EINVAL, "unsent");
    }
    fer_channel_unref(channel);
    if (peer->on_fifos && peer->server != NULL && peer->arguments->action != ACTION_ECHO) {
        fer_server_close(peer->server, NULL, NULL);
    }
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
static int send_one(struct peer *peer, size_t size, size_t handles) {
    struct letter *letter = take_memory(sizeof *letter + size);
    fer_bytes part = {NULL, 0};
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];
    fer_status status;

    letter->peer = peer;
    fill(letter->bytes, peer->sent, size);
    part.data = letter->bytes;
    part.size = size;
    make_handles(peer, fds, handles);
    status = fer_channel_send_fds(peer->channel, &part, 1, fds, handles, on_sent, letter);
    close_handles(fds, handles);
    if (status != FER_OK) {
        free(letter);
        if (status == FER_ENOTSUP && handles > 0) {
            peer->result.refused++;
            unmake_handles(peer, handles);
            return 1;
        }
        peer->result.end = status;
        peer_end(peer, peer->channel);
        return 0;
    }
    peer->on_way++;
    peer->sent++;
    if (peer->arguments->action == ACTION_SEND) {
        runs_add(&peer->result.runs, size, handles, 1);
        peer->result.messages++;
    }
    return 1;
}

/* Send until the queue is full; drain goes on. */
static void feed(struct peer *peer) {
    const struct runs *sizes = &peer->arguments->sizes;

    while (!is_all_sent(peer) && fer_channel_is_writable(peer->channel)) {
        const struct run *run = &sizes->items[peer->run];

        if (!send_one(peer, run->size, run->handles)) {
            return;
        }
        if (++peer->of_run == run->count) {
            peer->of_run = 0;
            peer->run++;
        }
    }
    if (!is_all_sent(peer)) {
        return;
    }
    if (peer->arguments->action != ACTION_SEND) {
        /* Should the last ones have been refused, nothing is left to come. */
        if (peer->result.messages == peer->sent) {
            peer_end(peer, peer->channel);
        }
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
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];

    part.data = message->data;
    part.size = message->size;
    take_handles(channel, message, fds);
    /* Should the other side be gone, the receiver is told why. */
    if (fer_channel_send_fds(channel, &part, 1, fds, message->handle_count, NULL, NULL) == FER_OK) {
        peer->result.messages++;
        runs_add(&peer->result.runs, message->size, message->handle_count, 1);
    }
    close_handles(fds, message->handle_count);
    if (!fer_channel_is_writable(channel)) {
        fer_channel_pause(channel);
    }
}

static void check(struct peer *peer, fer_channel *channel, const fer_message *message) {
    fer_fd fds[FER_MESSAGE_HANDLES_MAX];

    take_handles(channel, message, fds);
    if (!check_handles(peer, message, fds) && peer->result.bad < 0) {
        peer->result.bad = (long)peer->result.messages;
    }
    close_handles(fds, message->handle_count);
    result_add(&peer->result, message);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct peer *peer = user;
    enum action action = peer->arguments->action;

    for (size_t i = 0; i < count; i++) {
        if (action == ACTION_ECHO) {
            send_back(peer, channel, &messages[i]);
        } else if (action != ACTION_SEND) {
            check(peer, channel, &messages[i]);
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
