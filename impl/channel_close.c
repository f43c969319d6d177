#include "channel.h"
#include "look.h"
#include "status.h"

static void io_closed(fer_channel *channel) {
    channel->ios_open--;
    fer__object_due(&channel->object);
}

static void on_io_closed(fer__io *io) {
    io_closed(FER__CONTAINER(io, fer_channel, io));
}

static void on_fifo_closed(fer__io *io) {
    io_closed(FER__CONTAINER(io, fer__fifo, io)->channel);
}

static void close_ios(fer_channel *channel) {
    if (channel->fifo != NULL)
        fer__io_close(&channel->fifo->io, on_fifo_closed);
    if (channel->resetting)
        channel->io.closed = on_io_closed;
    else
        fer__io_close(&channel->io, on_io_closed);
}

void fer__channel_tear_down(fer_channel *channel, fer_status status) {
    fer_loop *loop = channel->object.loop;
    if (channel->torn)
        return;
    channel->torn = 1;
    fer__look_forget(channel);
    channel->object.state = FER__CLOSING;
    channel->close_status = status;
    channel->blocked = 0;
    channel->unsent += fer__sendq_waiting(&channel->out);
    fer__deadline_clear(loop, &channel->deadline);
    fer__sendq_drop(&channel->out, &loop->pool);
    fer__intake_drop(&channel->in, &loop->pool);
    fer__lane_unmake(channel->out.lane);
    channel->out.lane = NULL;
    fer__object_due(&channel->object);
    close_ios(channel);
}

void fer__channel_run_closed(fer_channel *channel) {
    fer__callback_retire(&channel->drain);
    if (channel->gone != NULL)
        channel->gone(channel, channel->gone_user);
    fer__object_finish_close(&channel->object);
}

void fer__channel_check_closed(fer_channel *channel) {
    if (channel->object.state != FER__CLOSING || channel->torn)
        return;
    if (channel->broken != FER_OK)
        fer__channel_tear_down(channel, channel->broken);
    else if (channel->ended && fer__sendq_is_empty(&channel->out))
        fer__channel_tear_down(channel, channel->end == FER_EOF ? FER_OK : channel->end);
}

static void on_close_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer__channel_tear_down(channel, FER_ETIMEDOUT);
}

/* Flush, say goodbye, wait for the peer's. */
static void close_gently(fer_channel *channel) {
    fer_status status;
    channel->object.state = FER__CLOSING;
    fer__channel_say_goodbye(channel);
    /* Who waits for the end of it waits for the flush, whatever the channel did before. */
    fer__channel_hold_loop(channel, FER_CHANNEL_HOLD_WAITING);
    channel->deadline.expired = on_close_late;
    fer__deadline_set(channel->object.loop, &channel->deadline, channel->close_timeout_ms);
    status = fer__channel_watch(channel);
    if (status != FER_OK)
        fer__channel_tear_down(channel, status);
    fer__object_due(&channel->object);
}

fer_status fer__channel_close(fer_channel *channel, fer_channel_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&channel->object, (void (*)(void))cb, user);
    if (status != FER_OK || channel->object.state != FER__OPEN)
        return status;
    if (channel->phase != FER__CHANNEL_OPEN)
        fer__channel_tear_down(channel, channel->phase == FER__CHANNEL_FAILED ? channel->broken
                                                                              : FER_ECANCELED);
    else if (channel->broken != FER_OK)
        fer__channel_tear_down(channel, channel->broken);
    else
        close_gently(channel);
    return FER_OK;
}

void fer__channel_abort(fer_channel *channel) {
    if (channel->object.state == FER__CLOSED)
        return;
    fer__channel_tear_down(channel, FER_ECANCELED);
}
