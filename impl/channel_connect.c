/* The way to where a channel is to be connected. */
#include <string.h>

#include "channel.h"
#include "status.h"

enum { LAST_RETRY_MS = 50, LAST_FIFO_RETRY_MS = 20 };

/* Whether another try may do better. */
static int may_come(const fer__opening *opening, fer_status status) {
    if (status == FER_EADDRINUSE)
        return opening->waits;
    return status == FER_ECONNREFUSED || status == FER_ENOENT || status == FER_EAGAIN;
}

static void on_io_reset(fer__io *io) {
    fer_channel *channel = FER__CONTAINER(io, fer_channel, io);
    int unheld = io->unheld;
    channel->resetting = 0;
    fer__io_init(io, channel->object.loop, fer__channel_ready);
    fer__io_hold(io, !unheld);
}

/* Take leave of a descriptor that did not come to anything. */
static void drop_fd(fer_channel *channel) {
    if (channel->io.attached) {
        channel->resetting = 1;
        fer__io_close(&channel->io, on_io_reset);
        return;
    }
    fer__io_want(&channel->io, 0);
    fer__os_close(channel->io.fd);
    channel->io.fd = FER__NO_FD;
}

static void on_retry(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    if (channel->resetting) {
        fer__deadline_set(channel->object.loop, deadline, 1);
        return;
    }
    fer__channel_try_connect(channel);
    fer__channel_watch(channel);
}

void fer__channel_give_up_connecting(fer_channel *channel) {
    fer__deadline *deadline = &channel->deadline;
    channel->opening->give_up = 0;
    if (deadline->expired != on_retry || fer__link_alone(&deadline->link))
        return;
    fer__deadline_clear(channel->object.loop, deadline);
    on_retry(deadline);
}

/* Nobody is there yet: wait a little, unless the time is up. */
static void retry_connect(fer_channel *channel, fer_status status) {
    fer__opening *opening = channel->opening;
    int64_t most = channel->line == FER__LINE_FIFO ? LAST_FIFO_RETRY_MS : LAST_RETRY_MS;
    int64_t wait = opening->retry_ms;
    int64_t now = fer__os_now();
    /* The other side of a FIFO looks whether this side has begun to read. */
    if (channel->line != FER__LINE_FIFO)
        drop_fd(channel);
    if (opening->give_up >= 0 && now >= opening->give_up) {
        if (status == FER_EAGAIN)
            status = fer__fail(FER_ETIMEDOUT, "the listener did not accept in time");
        fer__channel_opened(channel, status);
        return;
    }
    if (opening->give_up >= 0 && wait > opening->give_up - now)
        wait = opening->give_up - now;
    opening->retry_ms = 2 * opening->retry_ms < most ? 2 * opening->retry_ms : most;
    channel->deadline.expired = on_retry;
    fer__deadline_set(channel->object.loop, &channel->deadline, wait);
}

/* What a try came to. */
static void tried(fer_channel *channel, fer_status status) {
    if (status == FER_OK)
        fer__channel_connected(channel);
    else if (may_come(channel->opening, status))
        retry_connect(channel, status);
    else
        fer__channel_opened(channel, status);
}

/* Pipes. */

static fer_status try_pipe(fer_channel *channel) {
    const fer__place *place = &channel->opening->place;
    fer_status status = fer__os_socket_pipe(&channel->io.fd);
    if (status != FER_OK)
        return status;
    return fer__os_connect_pipe(channel->io.fd, place->name, place->name_size);
}

/* FIFOs. */

/* A server says, before a client can see it, that it has one. */
static fer_status open_for_client(fer_channel *channel) {
    const fer__place *place = &channel->opening->place;
    fer_status status = FER_OK;
    if (channel->io.fd == FER__NO_FD)
        status = fer__os_open_reader(place->name, &channel->io.fd);
    if (status == FER_OK)
        status = fer__os_mark_reader(channel->io.fd, 1);
    if (status != FER_OK)
        return status;
    status = fer__os_open_writer(place->second, &channel->fifo->io.fd);
    if (status != FER_OK) {
        fer__detail detail;
        fer__detail_keep(&detail);
        (void)fer__os_mark_reader(channel->io.fd, 0);
        return fer__fail_kept(status, &detail);
    }
    return FER_OK;
}

/*
 * A client that joined while the server still has the one before would hide from the server that that one is
 * gone, and go on in the midst of its stream.
 */
static fer_status check_not_taken(const fer__place *place) {
    if (!fer__os_is_reader_marked(place->second))
        return FER_OK;
    /* The server may be about to look for a reader. */
    if (fer__os_is_fifo_locked(place->name, 1))
        return fer__fail(FER_EADDRINUSE, "the server has another client");
    return fer__fail(FER_EAGAIN, "the server has not taken leave of the client before");
}

/* There is a server: it may take as long as for its hello. */
static void allow_handshake(fer__opening *opening) {
    int64_t late = fer__deadline_after(opening->handshake_timeout_ms);
    opening->retry_ms = FER__FIRST_RETRY_MS;
    if (!opening->reached && opening->give_up >= 0 && (late < 0 || late > opening->give_up))
        opening->give_up = late;
    opening->reached = 1;
}

/*
 * What is written before the server has this client would be left to the next if this one died now. The server
 * has it when it writes the other FIFO; reading that gives the end until then. A server of another make may
 * read only, or write when it has something to say; with one that went away it ends soon enough.
 */
static fer_status look_for_server(fer_channel *channel) {
    fer__fifo *fifo = channel->fifo;
    struct iovec iov = {&fifo->early, 1};
    size_t got = 0;
    fer_status status;
    if (!fer__os_is_fifo_locked(channel->opening->place.second, 0))
        return FER_OK;
    status = fer__os_fifo_read(channel->io.fd, &iov, 1, &got);
    fifo->has_early = got > 0;
    if (status == FER_OK || status == FER_EAGAIN)
        return FER_OK;
    if (status != FER_EOF)
        return status;
    return fer__fail(FER_EAGAIN, "the server has not taken this client yet");
}

static fer_status open_for_server(fer_channel *channel) {
    const fer__place *place = &channel->opening->place;
    fer_status status = FER_OK;
    if (channel->io.fd == FER__NO_FD) {
        status = check_not_taken(place);
        if (status == FER_OK)
            status = fer__os_open_reader(place->name, &channel->io.fd);
    }
    if (status == FER_OK && channel->fifo->io.fd == FER__NO_FD) {
        status = fer__os_open_writer(place->second, &channel->fifo->io.fd);
        if (status == FER_OK)
            allow_handshake(channel->opening);
    }
    return status == FER_OK ? look_for_server(channel) : status;
}

static fer_status try_fifo(fer_channel *channel) {
    return channel->opening->waits ? open_for_client(channel) : open_for_server(channel);
}

/* TCP. */

/* The kernel may pick, for a socket that connects, the very port that nobody listens on. */
static fer_status check_not_self(fer__fd fd) {
    char own[FER__HOST_MAX];
    char peer[FER__HOST_MAX];
    uint16_t own_port = 0;
    uint16_t peer_port = 0;
    fer_status status = fer__os_inet_name(fd, 0, own, &own_port);
    if (status == FER_OK)
        status = fer__os_inet_name(fd, 1, peer, &peer_port);
    if (status == FER_ENOTCONN)
        return fer__fail(FER_ECONNREFUSED, "the listener went away");
    if (status == FER_OK && own_port == peer_port && strcmp(own, peer) == 0)
        return fer__fail(FER_ECONNREFUSED, "nobody listens on port %u", (unsigned)peer_port);
    return status;
}

static void on_connect_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer_status status = fer__os_socket_error(channel->io.fd);
    /* The answer may have come at the same time. */
    if (status == FER_OK && fer__os_progress(channel->io.fd) != FER__SOCKET_CONNECTED)
        status = fer__fail(FER_ETIMEDOUT, "the host did not answer in time");
    if (status == FER_OK)
        fer__channel_connected(channel);
    else
        fer__channel_opened(channel, status);
    fer__channel_watch(channel);
}

/* The kernel connects: wait for that, as long as there is time. */
static void wait_for_connection(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = fer__channel_watch(channel);
    if (status != FER_OK) {
        fer__channel_opened(channel, status);
        return;
    }
    if (opening->give_up >= 0) {
        int64_t left = opening->give_up - fer__os_now();
        channel->deadline.expired = on_connect_late;
        fer__deadline_set(channel->object.loop, &channel->deadline, left > 0 ? left : 0);
    }
}

static fer_status try_tcp(fer_channel *channel) {
    const fer__place *place = &channel->opening->place;
    fer_status status = fer__os_socket_inet(&place->inet, 0, &channel->io.fd);
    if (status == FER_OK)
        status = fer__os_connect_inet(channel->io.fd, &place->inet);
    return status == FER_OK ? check_not_self(channel->io.fd) : status;
}

void fer__channel_connect_ready(fer_channel *channel) {
    fer_status status = fer__os_socket_error(channel->io.fd);
    fer__deadline_clear(channel->object.loop, &channel->deadline);
    if (status == FER_OK)
        status = check_not_self(channel->io.fd);
    tried(channel, status);
}

void fer__channel_try_connect(fer_channel *channel) {
    fer_status status;
    switch ((fer__line)channel->line) {
    case FER__LINE_FIFO: status = try_fifo(channel); break;
    case FER__LINE_TCP:
        status = try_tcp(channel);
        if (status == FER_EALREADY) {
            wait_for_connection(channel);
            return;
        }
        break;
    default: status = try_pipe(channel); break;
    }
    tried(channel, status);
}
