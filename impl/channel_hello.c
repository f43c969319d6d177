/* The beginning of a channel on a descriptor that is connected. */
#include <string.h>

#include "access.h"
#include "channel.h"
#include "status.h"

enum { SEND_BUFFER = 1 << 20 /* large messages then need fewer wake-ups of the peer */ };

static void on_handshake_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer__channel_opened(channel, fer__fail(FER_ETIMEDOUT, "the peer did not say hello in time"));
    fer__channel_watch(channel);
}

/* Write the HELLO into `bytes`, and how much that is into `size`. */
static fer_status make_hello(fer_channel *channel, uint8_t *bytes, size_t *size) {
    const fer__header header = {FER__FRAME_HELLO, 0, FER__AUTH_HELLO};
    fer__hello hello = {FER__WIRE_VERSION, FER__WIRE_VERSION, 0, 0, 0};
    fer__auth *auth = channel->opening->auth;
    fer_status status;
    channel->limits.lanes =
        channel->line == FER__LINE_PIPE && !channel->inline_only && fer__lane_is_possible();
    hello.features = channel->limits.lanes ? FER__FEATURE_LANES : 0;
    if (auth != NULL)
        hello.features |= FER__FEATURE_SECRET;
    hello.max_message = channel->limits.max_message;
    hello.max_handles = channel->limits.max_handles;
    *size = fer__hello_encode(&hello, bytes);
    if (auth == NULL)
        return FER_OK;
    auth->is_server = channel->opening->is_server;
    fer__header_encode(FER_WIRE_NATIVE, &header, bytes);
    status = fer__auth_nonce(bytes + *size);
    memcpy(auth->own, bytes + FER__NATIVE_HEADER, sizeof auth->own);
    *size += FER__NONCE_SIZE;
    return status;
}

/* Queue bytes of the handshake, and write them if that can be. */
static fer_status say(fer_channel *channel, uint8_t *bytes, size_t size) {
    struct iovec iov = {bytes, size};
    fer_status status =
        fer__sendq_push(&channel->out, &channel->object.loop->pool, fer__channel_out(channel), &iov,
                        1, channel->blocked ? 0 : FER__PUSH_NOW, NULL, NULL);
    channel->blocked = channel->out.queued > 0;
    return status;
}

static fer_status say_hello(fer_channel *channel) {
    uint8_t bytes[FER__NATIVE_HEADER + FER__AUTH_HELLO];
    size_t size = 0;
    fer_status status = make_hello(channel, bytes, &size);
    if (status == FER_OK)
        status = say(channel, bytes, size);
    /* A peer that sent something else and went away: what it sent says more than EPIPE. */
    return status == FER_EPIPE || status == FER_ECONNRESET ? FER_OK : status;
}

/* What opens the channel for the client: its own proof's answer, or the HELLO. */
static int says_hello_late(const fer__opening *opening) {
    return opening->admit != NULL && opening->auth == NULL;
}

static fer_status admit(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    return opening->admit == NULL ? FER_OK : opening->admit(channel, opening->user);
}

/* Whether somebody else has taken the port before the server that is meant. */
static fer_status check_server(const fer_channel *channel) {
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_status status;
    if (channel->line != FER__LINE_TCP || channel->opening->is_server ||
        channel->opening->any_user || channel->opening->place.is_fd)
        return FER_OK;
    status = fer__access_peer(FER__LINE_TCP, channel->io.fd, 1, &who);
    if (status == FER_ENOTSUP)
        return FER_OK;
    if (status == FER_OK && !fer__access_is_own(&who))
        return fer__fail(FER_EACCES, "the server belongs to user %u", (unsigned)who.uid);
    return status;
}

void fer__channel_connected(fer_channel *channel) {
    fer_status status;
    if (channel->line == FER__LINE_PIPE)
        fer__os_want_send_buffer(channel->io.fd, SEND_BUFFER);
    else if (channel->line == FER__LINE_TCP)
        (void)fer__os_tcp_nodelay(channel->io.fd, 1);
    status = check_server(channel);
    if (status == FER_OK && channel->wire == FER_WIRE_PLAIN) {
        fer__channel_opened(channel, FER_OK);
        return;
    }
    channel->phase = FER__CHANNEL_HELLO;
    channel->deadline.expired = on_handshake_late;
    fer__deadline_set(channel->object.loop, &channel->deadline,
                      channel->opening->handshake_timeout_ms);
    if (status == FER_OK && !says_hello_late(channel->opening))
        status = say_hello(channel);
    if (status == FER_OK)
        status = fer__channel_watch(channel);
    if (status != FER_OK)
        fer__channel_opened(channel, status);
}

/* All of the peer's HELLO that this version knows has come. */
static void take_hello(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer__limits limits = {0, 0, 0};
    fer__header header;
    fer__hello hello;
    uint32_t version = 0;
    fer_status status = fer__header_decode(FER_WIRE_NATIVE, opening->hello, &limits, &header);
    if (status == FER_OK)
        status = fer__hello_decode(opening->hello + FER__NATIVE_HEADER, FER__HELLO_SIZE, &hello,
                                   &version);
    if (status != FER_OK) {
        fer__channel_opened(channel, status);
        return;
    }
    channel->version = (uint16_t)version;
    channel->peer.max_message = hello.max_message;
    channel->peer.max_handles = hello.max_handles;
    channel->peer.lanes = (hello.features & FER__FEATURE_LANES) != 0;
    opening->hello_rest = header.length - FER__HELLO_SIZE;
    status = fer__hello_check_secret(&hello, header.length, opening->auth != NULL);
    if (status != FER_OK)
        fer__channel_opened(channel, status);
    else if (opening->auth != NULL)
        memcpy(opening->auth->peer, opening->hello + FER__NATIVE_HEADER, FER__HELLO_SIZE);
}

/* Read `size` bytes at most to `to`: a read must not go beyond the HELLO. */
static fer_status read_some(fer_channel *channel, uint8_t *to, size_t size, size_t *got) {
    struct iovec iov = {to, size};
    uint32_t flags = 0;
    fer_status status = fer__channel_recv(channel, &iov, 1, 0, got, &flags);
    if (status == FER_EOF)
        return fer__fail(FER_ECONNRESET, "the peer went away before it said hello");
    if (status == FER_OK && (flags & FER__RECV_TRUNCATED) != 0)
        return fer__fail(FER_EPROTO, "a handle came that was not asked for");
    return status;
}

/* Read the part of the HELLO that every version has. */
static fer_status read_start(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    size_t left = sizeof opening->hello - opening->hello_have;
    size_t got = 0;
    fer_status status = read_some(channel, opening->hello + opening->hello_have, left, &got);
    opening->hello_have += got;
    if (status == FER_OK)
        status = fer__hello_check_start(opening->hello, opening->hello_have);
    if (status == FER_OK && got == left)
        take_hello(channel);
    return status;
}

/* Read what a HELLO has beyond that: random bytes, and what this version does not know. */
static fer_status read_rest(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    uint8_t ignored[256];
    uint8_t *to = ignored;
    size_t left = opening->hello_rest < sizeof ignored ? opening->hello_rest : sizeof ignored;
    size_t got = 0;
    int is_nonce = opening->auth != NULL && opening->nonce_have < FER__NONCE_SIZE;
    fer_status status;
    if (is_nonce) {
        to = opening->auth->peer + FER__HELLO_SIZE + opening->nonce_have;
        left = FER__NONCE_SIZE - opening->nonce_have;
    }
    status = read_some(channel, to, left, &got);
    opening->hello_rest -= got;
    opening->nonce_have += is_nonce ? got : 0;
    return status;
}

static fer_status say_proof(fer_channel *channel) {
    const fer__auth *auth = channel->opening->auth;
    const fer__header header = {FER__FRAME_PROOF, 0, FER__PROOF_SIZE};
    uint8_t bytes[FER__NATIVE_HEADER + FER__PROOF_SIZE];
    fer_status status;
    fer__header_encode(FER_WIRE_NATIVE, &header, bytes);
    fer__auth_prove(auth, auth->is_server, bytes + FER__NATIVE_HEADER);
    status = say(channel, bytes, sizeof bytes);
    if (status == FER_EPIPE)
        return fer__fail(FER_ECONNRESET, "the peer went away before the handshake was over");
    return status;
}

/* Read the peer's proof. A server shows its own only to who knows the secret. */
static fer_status read_proof(fer_channel *channel) {
    static const uint8_t head[FER__NATIVE_HEADER] = {FER__FRAME_PROOF, 0, 0, 0, 0, 0, 0,
                                                     FER__PROOF_SIZE};
    fer__opening *opening = channel->opening;
    size_t left = sizeof opening->proof - opening->proof_have;
    size_t got = 0;
    fer_status status = read_some(channel, opening->proof + opening->proof_have, left, &got);
    opening->proof_have += got;
    if (status != FER_OK || got < left)
        return status;
    if (memcmp(opening->proof, head, sizeof head) != 0)
        return fer__fail(FER_EPROTO, "something else came in place of a proof");
    if (!fer__auth_is_right(opening->auth, opening->proof + FER__NATIVE_HEADER))
        return fer__fail(FER_EACCES, "the peer does not know the secret");
    status = admit(channel);
    if (status == FER_OK && opening->is_server)
        status = say_proof(channel);
    if (status == FER_OK)
        fer__channel_opened(channel, FER_OK);
    return status;
}

/* The HELLO is read: without a secret that is all. */
static fer_status heard(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = FER_OK;
    if (opening->auth != NULL)
        return opening->is_server ? FER_OK : say_proof(channel);
    if (says_hello_late(opening)) {
        status = admit(channel);
        if (status == FER_OK)
            status = say_hello(channel);
    }
    if (status == FER_OK)
        fer__channel_opened(channel, FER_OK);
    return status;
}

void fer__channel_read_hello(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = FER_OK;
    while (!opening->done && status == FER_OK) {
        int is_new = 1;
        if (opening->hello_have < sizeof opening->hello)
            status = read_start(channel);
        else if (opening->hello_rest > 0)
            status = read_rest(channel);
        else
            is_new = 0;
        if (!is_new)
            status = read_proof(channel);
        else if (status == FER_OK && !opening->done &&
                 opening->hello_have == sizeof opening->hello && opening->hello_rest == 0)
            status = heard(channel);
    }
    if (status == FER_ECONNRESET && opening->proof_have == 0 && opening->auth != NULL &&
        opening->hello_rest == 0 && opening->hello_have == sizeof opening->hello)
        status = fer__fail(FER_EACCES, "the peer ended the handshake: the secrets may differ");
    if (status != FER_OK && status != FER_EAGAIN)
        fer__channel_opened(channel, status);
}
