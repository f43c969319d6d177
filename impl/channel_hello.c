/* The beginning of a channel on a descriptor that is connected. */
#include "channel.h"
#include "status.h"

enum { SEND_BUFFER = 1 << 20 /* large messages then need fewer wake-ups of the peer */ };

static void on_handshake_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer__channel_opened(channel, fer__fail(FER_ETIMEDOUT, "the peer did not say hello in time"));
    fer__channel_watch(channel);
}

void fer__channel_connected(fer_channel *channel) {
    uint8_t bytes[FER__NATIVE_HEADER + FER__HELLO_SIZE];
    fer__hello hello = {FER__WIRE_VERSION, FER__WIRE_VERSION, 0, 0, 0};
    struct iovec iov = {bytes, 0};
    fer_status status;
    if (channel->line == FER__LINE_PIPE)
        fer__os_want_send_buffer(channel->io.fd, SEND_BUFFER);
    else if (channel->line == FER__LINE_TCP)
        (void)fer__os_tcp_nodelay(channel->io.fd, 1);
    if (channel->wire == FER_WIRE_PLAIN) {
        fer__channel_opened(channel, FER_OK);
        return;
    }
    channel->phase = FER__CHANNEL_HELLO;
    channel->limits.lanes =
        channel->line == FER__LINE_PIPE && !channel->inline_only && fer__lane_is_possible();
    hello.features = channel->limits.lanes ? FER__FEATURE_LANES : 0;
    hello.max_message = channel->limits.max_message;
    hello.max_handles = channel->limits.max_handles;
    iov.iov_len = fer__hello_encode(&hello, bytes);
    channel->deadline.expired = on_handshake_late;
    fer__deadline_set(channel->object.loop, &channel->deadline,
                      channel->opening->handshake_timeout_ms);
    status = fer__sendq_push(&channel->out, &channel->object.loop->pool, fer__channel_out(channel),
                             &iov, 1, FER__PUSH_NOW, NULL, NULL);
    channel->blocked = channel->out.queued > 0;
    /* A peer that sent something else and went away: what it sent says more than EPIPE. */
    if (status != FER_OK && status != FER_EPIPE && status != FER_ECONNRESET)
        fer__channel_opened(channel, status);
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

void fer__channel_read_hello(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = FER_OK;
    while (!opening->done && status == FER_OK) {
        uint8_t ignored[256];
        size_t left = sizeof opening->hello - opening->hello_have;
        size_t got = 0;
        if (left > 0) {
            status = read_some(channel, opening->hello + opening->hello_have, left, &got);
            opening->hello_have += got;
            if (status == FER_OK)
                status = fer__hello_check_start(opening->hello, opening->hello_have);
            if (status == FER_OK && got == left)
                take_hello(channel);
        } else {
            left = opening->hello_rest < sizeof ignored ? opening->hello_rest : sizeof ignored;
            status = read_some(channel, ignored, left, &got);
            opening->hello_rest -= got;
        }
        if (status == FER_OK && !opening->done && opening->hello_have == sizeof opening->hello &&
            opening->hello_rest == 0)
            fer__channel_opened(channel, FER_OK);
    }
    if (status != FER_OK && status != FER_EAGAIN)
        fer__channel_opened(channel, status);
}
