#include "channel.h"

#include "look.h"
#include "mem.h"
#include "status.h"

enum {
    DEFAULT_MESSAGE = 64 << 20,
    DEFAULT_HIGH_WATER = 1 << 20,
    DEFAULT_HARD_CAP = 64 << 20,
    DEFAULT_CONNECT_MS = 10000,
    DEFAULT_HANDSHAKE_MS = 5000,
    DEFAULT_CLOSE_MS = 5000,
    DEFAULT_BUSY_POLL_US = 50
};

static fer_channel *from_object(fer__object *object) {
    return FER__CONTAINER(object, fer_channel, object);
}

fer_status fer__channel_options_check(fer_channel_options *o) {
    if ((o->flags &
         ~(uint32_t)(FER_CHANNEL_ANY_HOST | FER_CHANNEL_INLINE | FER_CHANNEL_ANY_USER)) != 0)
        return fer__fail(FER_EINVAL, "unknown flag in the options");
    if (o->wire != FER_WIRE_NATIVE && o->wire != FER_WIRE_PLAIN)
        return fer__fail(FER_EINVAL, "unknown wire %d", (int)o->wire);
    if (o->max_message > UINT32_MAX)
        return fer__fail(FER_EINVAL, "max_message is above 4 GiB - 1");
    if (o->secret != NULL && o->secret_size == 0)
        return fer__fail(FER_EINVAL, "the secret is empty");
    if (o->secret == NULL && o->secret_size != 0)
        return fer__fail(FER_EINVAL, "the secret has a size and no bytes");
    if (o->secret != NULL && o->wire == FER_WIRE_PLAIN)
        return fer__fail(FER_ENOTSUP, "the plain wire has no handshake that could prove a secret");
    if (o->max_handles > FER_MESSAGE_HANDLES_MAX)
        return fer__fail(FER_EINVAL, "max_handles is above %d", FER_MESSAGE_HANDLES_MAX);
    if (o->busy_poll_us > FER_BUSY_POLL_MAX_US)
        return fer__fail(FER_EINVAL, "busy_poll_us is above %d", FER_BUSY_POLL_MAX_US);
    o->max_message = o->max_message == 0 ? (uint64_t)DEFAULT_MESSAGE : o->max_message;
    o->high_water = o->high_water == 0 ? (uint64_t)DEFAULT_HIGH_WATER : o->high_water;
    o->hard_cap = o->hard_cap == 0 ? (uint64_t)DEFAULT_HARD_CAP : o->hard_cap;
    o->connect_timeout_ms = o->connect_timeout_ms == 0 ? DEFAULT_CONNECT_MS : o->connect_timeout_ms;
    o->handshake_timeout_ms =
        o->handshake_timeout_ms == 0 ? DEFAULT_HANDSHAKE_MS : o->handshake_timeout_ms;
    o->close_timeout_ms = o->close_timeout_ms == 0 ? DEFAULT_CLOSE_MS : o->close_timeout_ms;
    o->frame_timeout_ms = o->frame_timeout_ms == 0 ? -1 : o->frame_timeout_ms;
    o->busy_poll_us = o->busy_poll_us == 0 ? DEFAULT_BUSY_POLL_US : o->busy_poll_us;
    return FER_OK;
}

int fer__channel_is_open(const fer_channel *channel) {
    return channel->object.state == FER__OPEN && channel->phase == FER__CHANNEL_OPEN;
}

fer__fd fer__channel_out(const fer_channel *channel) {
    return channel->fifo != NULL ? channel->fifo->io.fd : channel->io.fd;
}

/* Whether waiting for the descriptors keeps the loop alive. */
static void hold_ios(fer_channel *channel) {
    int hold = channel->object.holds_loop == FER_CHANNEL_HOLD_WAITING ||
               (channel->object.holds_loop == FER_CHANNEL_HOLD_SENDING && channel->blocked);
    fer__io_hold(&channel->io, hold);
    if (channel->fifo != NULL)
        fer__io_hold(&channel->fifo->io, hold);
}

/* The end of the peer shows on the FIFO that is read only when the peer has opened it. */
static fer_status watch_fifo(fer_channel *channel) {
    uint32_t events = 0;
    if (channel->blocked)
        events |= FER__WAIT_WRITE;
    if (channel->phase != FER__CHANNEL_FAILED && !channel->ended && !channel->fifo->heard)
        events |= FER__WAIT_GONE;
    return fer__io_want(&channel->fifo->io, events);
}

fer_status fer__channel_watch(fer_channel *channel) {
    uint32_t events = 0;
    int closing = channel->object.state == FER__CLOSING;
    if (channel->torn || channel->resetting || channel->io.fd == FER__NO_FD)
        return FER_OK;
    if (channel->object.holds_loop == FER_CHANNEL_HOLD_SENDING)
        hold_ios(channel);
    if (channel->phase == FER__CHANNEL_CONNECTING)
        return fer__io_want(&channel->io, channel->line == FER__LINE_TCP ? FER__WAIT_WRITE : 0u);
    /* Who is about to be told that it is open will most likely receive: see run(). */
    if (channel->opening != NULL && channel->opening->done && channel->opening->result == FER_OK)
        return FER_OK;
    if (channel->phase == FER__CHANNEL_HELLO)
        events |= FER__WAIT_READ;
    if (channel->phase == FER__CHANNEL_OPEN && !channel->ended &&
        (closing || (channel->receiver.cb != NULL && !channel->paused)))
        events |= FER__WAIT_READ;
    if (channel->fifo != NULL) {
        fer_status status = watch_fifo(channel);
        if (status != FER_OK)
            return status;
    } else if (channel->blocked) {
        events |= FER__WAIT_WRITE;
    }
    if ((events & FER__WAIT_READ) == 0)
        fer__look_forget(channel);
    return fer__io_want(&channel->io, events);
}

static void watch_or_end(fer_channel *channel) {
    fer_status status = fer__channel_watch(channel);
    if (status != FER_OK)
        fer__channel_tear_down(channel, status);
}

static void serve(fer_channel *channel, uint32_t events) {
    fer__object_hold(&channel->object);
    if (channel->phase == FER__CHANNEL_CONNECTING) {
        fer__channel_connect_ready(channel);
        events = 0;
    }
    if ((events & FER__WAIT_WRITE) != 0) {
        channel->blocked = 0;
        fer__channel_flush(channel);
    }
    if ((events & FER__WAIT_READ) != 0 && !channel->torn) {
        if (channel->phase == FER__CHANNEL_HELLO)
            fer__channel_read_hello(channel);
        else
            fer__channel_read_ready(channel);
    }
    fer__channel_check_closed(channel);
    watch_or_end(channel);
    fer__object_release(&channel->object);
}

void fer__channel_ready(fer__io *io, uint32_t events) {
    serve(FER__CONTAINER(io, fer_channel, io), events);
}

/* The peer does not read any more; most likely it is gone, and what it wrote comes before the end. */
static void on_fifo_ready(fer__io *io, uint32_t events) {
    fer_channel *channel = FER__CONTAINER(io, fer__fifo, io)->channel;
    if ((events & FER__WAIT_GONE) != 0) {
        channel->fifo->heard = 1;
        events |= FER__WAIT_READ;
    }
    serve(channel, events);
}

static void run(fer__object *object) {
    fer_channel *channel = from_object(object);
    if (object->state == FER__CLOSED) {
        fer__object_run_close_requests(object);
        return;
    }
    if (channel->opening != NULL && fer__channel_run_opened(channel))
        watch_or_end(channel);
    if (!fer__sendq_is_empty(&channel->out) && !channel->blocked && !channel->torn &&
        !channel->corked)
        fer__channel_flush(channel);
    fer__channel_run_sent(channel);
    fer__channel_run_rest(channel);
    fer__channel_run_receiver(channel);
    fer__channel_check_closed(channel);
    if (object->state == FER__CLOSING && channel->torn && channel->ios_open == 0)
        fer__channel_run_closed(channel);
}

static void abort_channel(fer__object *object) {
    fer__channel_abort(from_object(object));
}

static void call_closed(fer__object *object, void (*cb)(void), void *user) {
    fer_channel *channel = from_object(object);
    if (channel->close_status != FER_OK)
        fer__fail_plain(channel->close_status);
    ((fer_channel_closed_cb)cb)(channel, channel->close_status, user);
}

static void destroy(fer__object *object) {
    fer_channel *channel = from_object(object);
    fer__opening_free(channel->opening);
    fer__free(channel->blocking);
    fer__free(channel->fifo);
    fer__lane_unmake(channel->out.lane);
    fer__intake_free(&channel->in);
}

static const fer__class channel_class = {run, abort_channel, call_closed, destroy};

static int add_blocking(fer_channel *channel) {
    fer__blocking *blocking = fer__zalloc(sizeof *blocking);
    if (blocking == NULL)
        return 0;
    atomic_flag_clear(&blocking->busy);
    blocking->timeout_ms = -2;
    channel->blocking = blocking;
    return 1;
}

fer_status fer__channel_new(fer_loop *loop, const fer_channel_options *options, fer_channel **out) {
    fer_channel *channel = fer__zalloc(sizeof *channel);
    if (channel != NULL && loop->kind == FER__LOOP_BLOCKING && !add_blocking(channel)) {
        fer__free(channel);
        channel = NULL;
    }
    if (channel == NULL)
        return fer__fail_plain(FER_ENOMEM);
    fer__object_init(&channel->object, &channel_class, loop);
    fer__io_init(&channel->io, loop, fer__channel_ready);
    fer__deadline_init(&channel->deadline, NULL);
    channel->ios_open = 1;
    fer__link_init(&channel->at_server);
    channel->wire = (uint8_t)options->wire;
    channel->turn = UINT64_MAX;
    channel->limits.max_message = options->max_message;
    channel->limits.max_handles = options->max_handles;
    channel->inline_only = (options->flags & FER_CHANNEL_INLINE) != 0;
    channel->peer.max_message = UINT32_MAX;
    channel->high_water = options->high_water;
    channel->hard_cap = options->hard_cap;
    channel->close_timeout_ms = options->close_timeout_ms;
    channel->frame_timeout_ms = options->frame_timeout_ms;
    channel->busy_poll_ns =
        options->busy_poll_us < 0 ? 0u : (uint32_t)options->busy_poll_us * 1000u;
    *out = channel;
    return FER_OK;
}

void fer__channel_abandon(fer_channel *channel) {
    fer__opening_free(channel->opening);
    channel->opening = NULL;
    channel->object.state = FER__CLOSED;
    fer__link_remove(&channel->object.all);
    /* For its owner, and for being open. */
    fer__object_release(&channel->object);
    fer__object_release(&channel->object);
}

fer_status fer__channel_add_fifo(fer_channel *channel) {
    fer__fifo *fifo = fer__zalloc(sizeof *fifo);
    if (fifo == NULL)
        return fer__fail_plain(FER_ENOMEM);
    fer__io_init(&fifo->io, channel->object.loop, on_fifo_ready);
    fifo->channel = channel;
    channel->fifo = fifo;
    channel->out.is_fifo = 1;
    channel->ios_open = 2;
    return FER_OK;
}

void fer__channel_get_info(const fer_channel *channel, fer_channel_info *info) {
    info->wire = channel->wire;
    info->version = channel->version;
    info->max_message = channel->limits.max_message;
    info->peer_max_message = channel->peer.max_message;
    info->max_handles = channel->limits.max_handles;
    info->peer_max_handles = channel->peer.max_handles;
    info->queued = fer__sendq_waiting(&channel->out);
    info->high_water = channel->high_water;
}

void fer__channel_get_stats(const fer_channel *channel, fer_channel_stats *stats) {
    stats->messages_in = channel->in.messages;
    stats->messages_out = channel->messages_out;
    stats->bytes_in = channel->in.bytes;
    stats->bytes_out = channel->bytes_out;
    stats->handles_in = channel->in.handles;
    stats->handles_out = channel->handles_out;
    stats->queued = fer__sendq_waiting(&channel->out);
    stats->high_water_hits = channel->high_water_hits;
}

void fer__channel_hold_loop(fer_channel *channel, fer_channel_hold hold) {
    channel->object.holds_loop = (uint8_t)hold;
    hold_ios(channel);
    fer__deadline_hold(channel->object.loop, &channel->deadline, hold == FER_CHANNEL_HOLD_WAITING);
}
