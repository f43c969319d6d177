#include <string.h>

#include "channel.h"
#include "mem.h"
#include "status.h"

enum {
    SEND_BUFFER = 1 << 20, /* large messages then need fewer wake-ups of the peer */
    FIRST_RETRY_MS = 1,
    LAST_RETRY_MS = 50
};

/* The end of opening. */

void fer__opening_free(fer__opening *opening) {
    if (opening == NULL)
        return;
    fer__link_remove(&opening->link);
    fer__free(opening->name);
    fer__free(opening);
}

void fer__channel_opened(fer_channel *channel, fer_status status) {
    fer__opening *opening = channel->opening;
    if (opening == NULL || opening->done)
        return;
    fer__detail_keep(&opening->detail);
    fer__deadline_clear(channel->object.loop, &channel->deadline);
    opening->done = 1;
    opening->result = status;
    channel->phase = status == FER_OK ? FER__CHANNEL_OPEN : FER__CHANNEL_FAILED;
    if (status != FER_OK) {
        channel->ended = 1;
        channel->end = status;
        fer__channel_break(channel, status);
    }
    fer__object_due(&channel->object);
}

int fer__channel_run_opened(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = opening->result;
    if (channel->object.state != FER__OPEN)
        status = FER_ECANCELED;
    else if (!opening->done)
        return 0;
    channel->opening = NULL;
    fer__link_remove(&opening->link);
    if (status != FER_OK && status == opening->result)
        fer__fail_kept(status, &opening->detail);
    else if (status != FER_OK)
        fer__fail_plain(status);
    opening->opened(channel, status, opening->user);
    fer__opening_free(opening);
    return 1;
}

static fer__opening *opening_new(const fer_channel_options *options,
                                 fer_channel_connected_cb opened, void *user) {
    fer__opening *opening = fer__zalloc(sizeof *opening);
    if (opening == NULL)
        return NULL;
    opening->opened = opened;
    opening->user = user;
    opening->retry_ms = FIRST_RETRY_MS;
    opening->handshake_timeout_ms = options->handshake_timeout_ms;
    fer__link_init(&opening->link);
    return opening;
}

/* Hello. */

static void on_handshake_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer__channel_opened(channel, fer__fail(FER_ETIMEDOUT, "the peer did not say hello in time"));
    fer__channel_watch(channel);
}

/* The descriptor is connected: on the native wire say hello and wait for the peer's. */
static void connected(fer_channel *channel) {
    uint8_t bytes[FER__NATIVE_HEADER + FER__HELLO_SIZE];
    fer__hello hello = {FER__WIRE_VERSION, FER__WIRE_VERSION, 0, 0, 0};
    struct iovec iov = {bytes, 0};
    fer_status status;
    fer__os_want_send_buffer(channel->io.fd, SEND_BUFFER);
    if (channel->wire == FER_WIRE_PLAIN) {
        fer__channel_opened(channel, FER_OK);
        return;
    }
    channel->phase = FER__CHANNEL_HELLO;
    hello.max_message = channel->limits.max_message;
    hello.max_handles = channel->limits.max_handles;
    iov.iov_len = fer__hello_encode(&hello, bytes);
    channel->deadline.expired = on_handshake_late;
    fer__deadline_set(channel->object.loop, &channel->deadline,
                      channel->opening->handshake_timeout_ms);
    status = fer__sendq_push(&channel->out, &channel->object.loop->pool, channel->io.fd, &iov, 1,
                             FER__PUSH_NOW, NULL, NULL);
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
    fer__limits limits = {0, 0};
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
    opening->hello_rest = header.length - FER__HELLO_SIZE;
}

/* Read `size` bytes at most to `to`: a read must not go beyond the HELLO. */
static fer_status read_some(fer_channel *channel, uint8_t *to, size_t size, size_t *got) {
    struct iovec iov = {to, size};
    uint32_t flags = 0;
    fer_status status = fer__os_recv(channel->io.fd, &iov, 1, got, &flags);
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

/* Connecting. */

fer_status fer__channel_pipe_name(const char *address, char *name, size_t *size) {
    fer__address parsed;
    fer_status status = fer__address_parse(address, &parsed);
    size_t lead = 0;
    if (status != FER_OK)
        return status;
    switch (parsed.transport) {
    case FER__TRANSPORT_PIPE_NAME:
        status = fer__os_runtime_path(parsed.name.text, parsed.name.size, name, FER__PIPE_NAME_MAX);
        *size = status == FER_OK ? strlen(name) : 0;
        return status;
    case FER__TRANSPORT_PIPE_PATH: break;
    case FER__TRANSPORT_PIPE_ABSTRACT:
        lead = 1;
        name[0] = '\0';
        break;
    default: return fer__fail(FER_ENOTSUP, "channels use pipe: addresses in this version");
    }
    if (parsed.name.size + lead >= FER__PIPE_NAME_MAX)
        return fer__fail(FER_ENAMETOOLONG, "the path is longer than a path can be");
    memcpy(name + lead, parsed.name.text, parsed.name.size);
    name[parsed.name.size + lead] = '\0';
    *size = parsed.name.size + lead;
    return fer__os_check_name(name, *size);
}

static int may_come(fer_status status) {
    return status == FER_ECONNREFUSED || status == FER_ENOENT || status == FER_EAGAIN;
}

static void try_connect(fer_channel *channel);

static void on_retry(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    try_connect(channel);
    fer__channel_watch(channel);
}

/* Nobody listens there yet: wait a little, unless the time is up. */
static void retry_connect(fer_channel *channel, fer_status status) {
    fer__opening *opening = channel->opening;
    int64_t wait = opening->retry_ms;
    int64_t now = fer__os_now();
    fer__os_close(channel->io.fd);
    channel->io.fd = FER__NO_FD;
    if (opening->give_up >= 0 && now >= opening->give_up) {
        if (status == FER_EAGAIN)
            status = fer__fail(FER_ETIMEDOUT, "the listener did not accept in time");
        fer__channel_opened(channel, status);
        return;
    }
    if (opening->give_up >= 0 && wait > opening->give_up - now)
        wait = opening->give_up - now;
    opening->retry_ms =
        2 * opening->retry_ms < LAST_RETRY_MS ? 2 * opening->retry_ms : LAST_RETRY_MS;
    channel->deadline.expired = on_retry;
    fer__deadline_set(channel->object.loop, &channel->deadline, wait);
}

static void try_connect(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = fer__os_socket_pipe(&channel->io.fd);
    if (status == FER_OK)
        status = fer__os_connect_pipe(channel->io.fd, opening->name, opening->name_size);
    if (status == FER_OK)
        connected(channel);
    else if (may_come(status))
        retry_connect(channel, status);
    else
        fer__channel_opened(channel, status);
}

static fer_status make_name(fer__opening *opening, const char *address) {
    char *name = fer__malloc(FER__PIPE_NAME_MAX);
    fer_status status;
    if (name == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer__channel_pipe_name(address, name, &opening->name_size);
    if (status == FER_OK) {
        opening->name = fer__malloc(opening->name_size + 1);
        if (opening->name == NULL)
            status = fer__fail_plain(FER_ENOMEM);
        else
            memcpy(opening->name, name, opening->name_size + 1);
    }
    fer__free(name);
    return status;
}

fer_status fer__channel_connect(fer_loop *loop, const char *address,
                                const fer_channel_options *options, fer_channel_connected_cb opened,
                                void *user, fer_channel **out) {
    fer__opening *opening = opening_new(options, opened, user);
    fer_channel *channel = NULL;
    fer_status status = opening == NULL ? fer__fail_plain(FER_ENOMEM) : FER_OK;
    if (status == FER_OK)
        status = make_name(opening, address);
    if (status == FER_OK)
        status = fer__channel_new(loop, options, &channel);
    if (status != FER_OK) {
        fer__opening_free(opening);
        return status;
    }
    channel->opening = opening;
    opening->channel = channel;
    opening->give_up = fer__deadline_after(options->connect_timeout_ms);
    try_connect(channel);
    *out = channel;
    return FER_OK;
}

fer_status fer__channel_accept(fer_loop *loop, const fer_channel_options *options, fer__fd fd,
                               fer_channel_connected_cb opened, void *user, fer_channel **out) {
    fer__opening *opening = opening_new(options, opened, user);
    fer_channel *channel = NULL;
    fer_status status = opening == NULL ? fer__fail_plain(FER_ENOMEM) : FER_OK;
    if (status == FER_OK)
        status = fer__channel_new(loop, options, &channel);
    if (status != FER_OK) {
        fer__opening_free(opening);
        fer__os_close(fd);
        return status;
    }
    channel->opening = opening;
    opening->channel = channel;
    channel->io.fd = fd;
    connected(channel);
    *out = channel;
    return FER_OK;
}
