#include <string.h>

#include "channel.h"
#include "look.h"
#include "status.h"

enum { READ_BATCH = 16 }; /* reads in one turn, so that others get theirs */

/* What the end of the stream means at this point of it. */
static fer_status end_of_stream(const fer_channel *channel) {
    if (fer__intake_is_inside(&channel->in))
        return fer__fail(FER_ECONNRESET, "the peer went away in the middle of a message");
    if (channel->wire == FER_WIRE_PLAIN)
        return fer__fail_plain(FER_EOF);
    return fer__fail(FER_ECONNRESET, "the peer went away without a goodbye");
}

/* Receiving has ended. */
static void end(fer_channel *channel, fer_status status) {
    channel->ended = 1;
    channel->end = status;
    fer__intake_drop(&channel->in, &channel->object.loop->pool);
    if (status != FER_EOF)
        fer__channel_break(channel, status);
}

/* Read from a socket that may bring descriptors, too. */
static fer_status recv_with_fds(fer_channel *channel, const struct iovec *iov, size_t count,
                                int may_block, size_t *got, uint32_t *flags) {
    fer__fd fds[FER__FDS_MAX];
    size_t fd_count = 0;
    fer_status status =
        fer__os_recv_fds(channel->io.fd, iov, count, may_block, got, fds, &fd_count);
    if (fd_count == 0)
        return status;
    /* The kernel stops reading where the bytes end that descriptors ride on. */
    *flags = FER__RECV_MORE;
    return fer__intake_add_fds(&channel->in, &channel->limits, fds, fd_count);
}

static fer_status recv_from_fifo(fer_channel *channel, const struct iovec *iov, size_t count,
                                 size_t *got, uint32_t *flags) {
    fer__fifo *fifo = channel->fifo;
    fer_status status = FER_OK;
    if (fifo->has_early) {
        memcpy(iov[0].iov_base, &fifo->early, 1);
        fifo->has_early = 0;
        *got = 1;
        *flags = FER__RECV_MORE;
    } else {
        status = fer__os_fifo_read(channel->io.fd, iov, count, got);
    }
    fifo->heard |= *got > 0;
    return status;
}

fer_status fer__channel_recv(fer_channel *channel, const struct iovec *iov, size_t count,
                             int may_block, size_t *got, uint32_t *flags) {
    *flags = 0;
    if (channel->fifo != NULL)
        return recv_from_fifo(channel, iov, count, got, flags);
    /* None can come with a HELLO. */
    if (channel->phase == FER__CHANNEL_OPEN &&
        (channel->limits.max_handles > 0 || channel->limits.lanes))
        return recv_with_fds(channel, iov, count, may_block, got, flags);
    return (may_block ? fer__os_recv_blocking : fer__os_recv)(channel->io.fd, iov, count, got,
                                                              flags);
}

/* A peer that stops in the middle of a message holds memory: it has so long to go on. */
static void on_frame_late(fer__deadline *deadline) {
    fer_channel *channel = FER__CONTAINER(deadline, fer_channel, deadline);
    fer__channel_give_up_frame(channel);
    fer__object_due(&channel->object);
    fer__channel_watch(channel);
}

static void time_frame(fer_channel *channel) {
    if (channel->frame_timeout_ms < 0 || channel->object.state != FER__OPEN)
        return;
    channel->deadline.expired = on_frame_late;
    if (!channel->ended && !channel->paused && fer__intake_is_inside(&channel->in))
        fer__deadline_set(channel->object.loop, &channel->deadline, channel->frame_timeout_ms);
    else
        fer__deadline_clear(channel->object.loop, &channel->deadline);
}

void fer__channel_give_up_frame(fer_channel *channel) {
    end(channel, fer__fail(FER_ECONNABORTED, "the rest of a message did not come for %lld ms",
                           (long long)channel->frame_timeout_ms));
}

/* Take in what was read, also when something was wrong with what came beside it. */
static fer_status feed(fer_channel *channel, size_t size, fer_status trouble) {
    fer_loop *loop = channel->object.loop;
    fer__detail detail;
    fer_status status;
    if (trouble != FER_OK)
        fer__detail_keep(&detail);
    status = fer__intake_feed(&channel->in, &loop->pool, (fer_wire)channel->wire, &channel->limits,
                              size, &loop->batch);
    if (trouble != FER_OK && (status == FER_OK || status == FER_EOF))
        return fer__fail_kept(trouble, &detail);
    return status;
}

static fer_status read_rest(fer_channel *channel) {
    fer_loop *loop = channel->object.loop;
    fer_status status = fer__intake_go_on(&channel->in, &loop->pool, (fer_wire)channel->wire,
                                          &channel->limits, &loop->batch);
    if (status != FER_OK)
        end(channel, status);
    return status;
}

fer_status fer__channel_read(fer_channel *channel, int may_block) {
    fer_loop *loop = channel->object.loop;
    struct iovec iov[2];
    size_t count = 0;
    size_t got = 0;
    size_t room;
    uint32_t flags = 0;
    fer_status status;
    if (fer__intake_has_more(&channel->in))
        return read_rest(channel);
    status = fer__intake_room(&channel->in, &loop->pool, iov, &count);
    if (status == FER_OK)
        status = fer__channel_recv(channel, iov, count, may_block, &got, &flags);
    if (status == FER_EAGAIN || status == FER_EINTR)
        return status;
    if (channel->blocking != NULL && channel->frame_timeout_ms >= 0)
        channel->blocking->heard_ms = fer__os_now();
    if (status == FER_EOF)
        status = end_of_stream(channel);
    /* What was whole before is delivered; where in the bytes the descriptors were is not known. */
    if (got > 0)
        status = feed(channel, got, status);
    if ((status == FER_OK || status == FER_EOF) && (flags & FER__RECV_TRUNCATED) != 0)
        status = fer__fail(FER_EPROTO, "a handle came that was not asked for");
    if (status != FER_OK) {
        end(channel, status);
        return status;
    }
    fer__look_heard(channel, loop->batch.count <= FER__BUSY_MESSAGES && got <= FER__BUSY_BYTES);
    room = count == 2 ? iov[0].iov_len + iov[1].iov_len : iov[0].iov_len;
    /* Less than there was room for: the kernel has no more, unless it stopped before descriptors. */
    if (got == room || (flags & FER__RECV_MORE) != 0 || fer__intake_has_more(&channel->in))
        return FER_OK;
    return FER_EAGAIN;
}

void fer__channel_batch_done(fer_channel *channel) {
    fer__batch_clear(&channel->object.loop->batch, &channel->object.loop->pool);
}

void fer__message_drop_handles(fer_channel *channel, size_t number) {
    fer__batch *batch = &channel->object.loop->batch;
    const fer_message *message = &batch->messages[number];
    size_t first;
    size_t i;
    if (message->handle_count == 0)
        return;
    first = (size_t)(message->handles - batch->passed);
    for (i = first; i < first + message->handle_count; i++) {
        fer__os_close((fer__fd)batch->passed[i].fd);
        batch->passed[i].fd = FER__NO_FD;
    }
}

fer_status fer__message_take(fer_channel *channel, const fer_message *message, size_t index,
                             fer__fd *fd, int32_t *kind) {
    fer__batch *batch = &channel->object.loop->batch;
    const fer_passed *handles = message->handles;
    fer_passed *passed;
    if (index >= message->handle_count)
        return fer__fail(FER_EINVAL, "the message has %zu handles", message->handle_count);
    if (handles < batch->passed || handles + index >= batch->passed + batch->passed_count)
        return fer__fail(FER_EINVAL, "the message is not being delivered");
    passed = &batch->passed[(size_t)(handles - batch->passed) + index];
    if (passed->fd == FER__NO_FD)
        return fer__fail(FER_EALREADY, "the handle was taken");
    if (fd != NULL) {
        *fd = (fer__fd)passed->fd;
        passed->fd = FER__NO_FD;
    }
    if (kind != NULL)
        *kind = passed->kind;
    return FER_OK;
}

/* Callbacks. */

static void call_receiver(fer_channel *channel, fer_status status, const fer_message *messages,
                          size_t count) {
    fer_messages_cb cb = (fer_messages_cb)channel->receiver.cb;
    void *user = channel->receiver.user;
    fer__frame frame;
    fer__callback_enter(&channel->receiver, &frame);
    if (status != FER_OK)
        fer__callback_retire(&channel->receiver);
    cb(channel, status, messages, count, user);
    fer__callback_leave(&channel->receiver, &frame);
}

void fer__channel_run_receiver(fer_channel *channel) {
    fer_status status = FER_OK;
    if (channel->object.state != FER__OPEN) {
        status = FER_ECANCELED;
        fer__callback_retire(&channel->drain);
    } else if (channel->ended) {
        status = channel->end;
    }
    if (status == FER_OK || channel->receiver.cb == NULL)
        return;
    fer__fail_plain(status);
    call_receiver(channel, status, NULL, 0);
}

/* Hand on what one read brought. What comes while the channel closes is of no more use. */
static void deliver(fer_channel *channel) {
    fer__batch *batch = &channel->object.loop->batch;
    if (batch->count > 0 && channel->receiver.cb != NULL && channel->object.state == FER__OPEN)
        call_receiver(channel, FER_OK, batch->messages, batch->count);
    fer__channel_batch_done(channel);
}

static int wants_more(const fer_channel *channel) {
    if (channel->torn || channel->ended)
        return 0;
    return channel->object.state != FER__OPEN || (channel->receiver.cb != NULL && !channel->paused);
}

void fer__channel_read_ready(fer_channel *channel) {
    int i;
    for (i = 0; i < READ_BATCH && wants_more(channel); i++) {
        fer_status status = fer__channel_read(channel, 0);
        fer__detail detail;
        if (status != FER_OK && status != FER_EAGAIN)
            fer__detail_keep(&detail);
        deliver(channel);
        if (status == FER_OK)
            continue;
        time_frame(channel);
        /* Only now: the answer says that the receiver has everything. */
        if (status == FER_EOF && !channel->torn)
            fer__channel_say_goodbye(channel);
        if (status != FER_EAGAIN && channel->receiver.cb != NULL &&
            channel->object.state == FER__OPEN) {
            fer__fail_kept(status, &detail);
            call_receiver(channel, status, NULL, 0);
        }
        return;
    }
    time_frame(channel);
    /* What was read already makes no descriptor readable. */
    if (fer__intake_has_more(&channel->in) && wants_more(channel))
        fer__object_due(&channel->object);
}

void fer__channel_run_rest(fer_channel *channel) {
    if (fer__intake_has_more(&channel->in) && wants_more(channel))
        fer__channel_read_ready(channel);
}

/* The work of the ABI's functions. */

fer_status fer__channel_receive(fer_channel *channel, fer_messages_cb cb, void *user,
                                fer_finalizer finalizer) {
    fer_status status = FER_OK;
    if (channel->phase != FER__CHANNEL_OPEN)
        status = fer__fail(FER_ENOTCONN, "the channel is not open yet");
    else if (channel->receiver.cb != NULL)
        status = fer__fail(FER_EALREADY, "the channel has a receiver");
    if (status != FER_OK)
        return fer__callback_refuse(status, user, finalizer);
    fer__callback_set(&channel->receiver, (void (*)(void))cb, user, finalizer);
    channel->paused = 0;
    /* It ended before: the receiver is told at the end of the turn. */
    if (channel->ended)
        fer__object_due(&channel->object);
    status = fer__channel_watch(channel);
    if (status != FER_OK)
        fer__callback_retire(&channel->receiver);
    return status;
}

fer_status fer__channel_set_paused(fer_channel *channel, int paused) {
    if (channel->receiver.cb == NULL)
        return fer__fail(FER_ENOTCONN, "the channel has no receiver");
    channel->paused = paused != 0;
    time_frame(channel);
    if (!paused && fer__intake_has_more(&channel->in))
        fer__object_due(&channel->object);
    return fer__channel_watch(channel);
}
