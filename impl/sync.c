#include "sync.h"

#include "look.h"
#include "mem.h"
#include "status.h"

enum {
    WAITS_ON_STACK = 16,
    LATE_READS = 16 /* once the time is up; a busy peer could go on for ever */
};

/* The kernel's limit for a read that has none; what comes of it is tried again. */
#define FER__LONG_WAIT_MS ((int64_t)1000 * 1000 * 1000)

/* `limit` is when to give up, as fer__deadline_after() says it. */
static int64_t time_left(int64_t limit) {
    int64_t left;
    if (limit < 0)
        return -1;
    left = limit - fer__os_now();
    return left < 0 ? 0 : left;
}

/* One turn: wait for what the objects of the loop wait for, and serve it. */

static size_t list_waits(const fer_loop *loop, fer__wait *waits, fer__io **ios, size_t room) {
    const fer__link *at;
    size_t n = 0;
    for (at = loop->ios.next; at != &loop->ios; at = at->next, n++) {
        fer__io *io = FER__CONTAINER(at, fer__io, link);
        if (n >= room)
            continue;
        waits[n].fd = io->fd;
        waits[n].events = io->wanted;
        waits[n].ready = 0;
        ios[n] = io;
    }
    return n;
}

static fer_status wait_and_serve(fer_loop *loop, fer__wait *waits, fer__io **ios, size_t room,
                                 int64_t timeout_ms) {
    size_t n = list_waits(loop, waits, ios, room);
    fer_status status = fer__os_wait(waits, n, timeout_ms);
    size_t i;
    if (status != FER_OK)
        return status;
    for (i = 0; i < n; i++) {
        /* One that was served before may have ended this one. */
        if (waits[i].ready != 0 && ios[i]->fd == waits[i].fd)
            ios[i]->ready(ios[i], waits[i].ready);
    }
    return FER_OK;
}

/* FER_ETIMEDOUT when the time is up, whatever else there is to do: a busy peer must not take more of it. */
fer_status fer__sync_turn(fer_loop *loop, int64_t limit) {
    fer__wait few_waits[WAITS_ON_STACK];
    fer__io *few_ios[WAITS_ON_STACK];
    int64_t left = time_left(limit);
    int64_t next = fer__deadline_next(loop);
    int64_t timeout = next >= 0 && (left < 0 || next < left) ? next : left;
    size_t count = list_waits(loop, NULL, NULL, 0);
    fer_status status;
    if (count <= WAITS_ON_STACK) {
        status = wait_and_serve(loop, few_waits, few_ios, WAITS_ON_STACK, timeout);
    } else {
        fer__wait *waits = fer__malloc(count * sizeof *waits);
        fer__io **ios = fer__malloc(count * sizeof *ios);
        status = waits != NULL && ios != NULL ? wait_and_serve(loop, waits, ios, count, timeout)
                                              : FER_ENOMEM;
        fer__free(waits);
        fer__free(ios);
    }
    fer__deadline_run(loop);
    fer__loop_run_ready(loop);
    if (status == FER_OK || status == FER_ETIMEDOUT)
        status = left == 0 ? FER_ETIMEDOUT : FER_OK;
    return status == FER_OK ? FER_OK : fer__fail_plain(status);
}

void fer__sync_settle(fer_loop *loop) {
    while (!fer__link_alone(&loop->ready))
        fer__loop_run_ready(loop);
}

/* Connecting. */

typedef struct opened {
    fer_status status;
    int done;
    fer__detail detail;
} opened;

static void on_opened(fer_channel *channel, fer_status status, void *user) {
    opened *result = user;
    (void)channel;
    result->status = status;
    result->done = 1;
    fer__detail_keep(&result->detail);
}

static void drop(fer_channel *channel) {
    fer_loop *loop = channel->object.loop;
    fer__loop_ref(loop);
    fer__channel_abort(channel);
    fer__sync_settle(loop);
    fer__object_unref(&channel->object);
    fer__loop_unref(loop);
}

fer_status fer__sync_connect(const char *address, const fer_channel_options *options,
                             int64_t timeout_ms, fer_channel **out) {
    int64_t limit = fer__deadline_after(timeout_ms);
    opened result = {FER_OK, 0, {""}};
    fer_channel *channel = NULL;
    fer_loop *loop = NULL;
    fer_status status = fer__loop_new_blocking(&loop);
    if (status != FER_OK)
        return status;
    status = fer__channel_connect(loop, address, options, on_opened, &result, &channel);
    fer__loop_unref(loop);
    if (status != FER_OK)
        return status;
    fer__sync_settle(loop);
    while (status == FER_OK && !result.done)
        status = fer__sync_turn(loop, limit);
    if (status == FER_ETIMEDOUT && !result.done) {
        /* Say why: a last try tells, if it is about that. */
        fer__channel_give_up_connecting(channel);
        status = fer__sync_turn(loop, limit);
    }
    if (status == FER_ETIMEDOUT)
        status = fer__fail(FER_ETIMEDOUT, "the channel was not open in time");
    /* What has come counts, also when it came with the end of the time. */
    if (result.done)
        status = result.status == FER_OK ? FER_OK : fer__fail_kept(result.status, &result.detail);
    if (status != FER_OK) {
        fer__detail detail;
        /* The user's callback data is on this stack: it must not be told later. */
        fer__detail_keep(&detail);
        /* Nobody could tell else whether a descriptor that was given is still open. */
        if (channel->io.keep_mode)
            channel->io.fd = FER__NO_FD;
        drop(channel);
        return fer__fail_kept(status, &detail);
    }
    *out = channel;
    return FER_OK;
}

/* Sending. */

static fer_status flush(fer_channel *channel, int64_t limit) {
    fer_loop *loop = channel->object.loop;
    fer_status status = FER_OK;
    if (!channel->blocked)
        fer__channel_flush(channel);
    while (status == FER_OK && channel->out.queued > 0) {
        fer__wait wait = {fer__channel_out(channel), FER__WAIT_WRITE, 0};
        status = fer__os_wait(&wait, 1, time_left(limit));
        if (status == FER_OK) {
            channel->blocked = 0;
            fer__channel_flush(channel);
        }
    }
    fer__sync_settle(loop);
    if (channel->broken != FER_OK)
        return fer__fail_plain(channel->broken);
    return status == FER_OK ? FER_OK : fer__fail_plain(status);
}

fer_status fer__sync_flush(fer_channel *channel, int64_t timeout_ms) {
    return flush(channel, fer__deadline_after(timeout_ms));
}

/* The caller's bytes are its own again when the call returns: keep a copy of the rest. */
static fer_status keep_rest(fer_channel *channel, fer_status status) {
    fer_status copied = fer__sendq_own(&channel->out, &channel->object.loop->pool);
    if (copied == FER_OK)
        return status;
    fer__channel_break(channel, copied);
    return fer__fail(copied, "the rest of the message could not be kept; the channel is broken");
}

static void on_sent(fer_channel *channel, fer_status status, void *user) {
    (void)channel;
    (void)status;
    (void)user;
}

/* What an earlier call has left goes first. */
static fer_status clear_way(fer_channel *channel, int64_t limit) {
    fer_status status = channel->out.queued > 0 ? flush(channel, limit) : FER_OK;
    if (status == FER_ETIMEDOUT || status == FER_EINTR)
        return fer__fail(FER_EAGAIN, "an earlier message is still on its way");
    return status;
}

fer_status fer__sync_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                          const fer__fd *fds, size_t fd_count, int64_t timeout_ms) {
    int64_t limit = fer__deadline_after(timeout_ms);
    fer_status status = clear_way(channel, limit);
    if (status != FER_OK)
        return status;
    /* The completion makes the queue refer to the bytes instead of copying them. */
    status = fer__channel_send(channel, parts, count, fds, fd_count, on_sent, NULL);
    if (status != FER_OK)
        return status;
    status = flush(channel, limit);
    if (channel->out.queued > 0)
        return keep_rest(channel, status);
    return status;
}

/* Gather small messages until one is refused or enough wait, and write them. */
static fer_status send_small(fer_channel *channel, const fer_bytes *messages, size_t count,
                             int64_t limit, size_t *accepted) {
    fer__detail detail;
    fer_status status;
    fer_status refused;
    fer__channel_cork(channel);
    refused = fer__channel_send_many(channel, messages, count, accepted);
    channel->corked = 0;
    fer__detail_keep(&detail);
    status = flush(channel, limit);
    if (status != FER_OK || refused == FER_OK)
        return status;
    /* There is room again. */
    if (refused == FER_EAGAIN && *accepted > 0)
        return FER_OK;
    return fer__fail_kept(refused, &detail);
}

/* One that is not small, without a copy. */
static fer_status send_large(fer_channel *channel, const fer_bytes *message, int64_t limit,
                             size_t *accepted) {
    fer_status status = fer__sync_send(channel, message, 1, NULL, 0, time_left(limit));
    *accepted = status == FER_OK || status == FER_ETIMEDOUT || status == FER_EINTR;
    return status;
}

static size_t count_small(const fer_channel *channel, const fer_bytes *messages, size_t count) {
    size_t n = 0;
    while (n < count && messages[n].size <= channel->small)
        n++;
    return n;
}

fer_status fer__sync_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                               int64_t timeout_ms, size_t *accepted) {
    int64_t limit = fer__deadline_after(timeout_ms);
    fer_status status = clear_way(channel, limit);
    while (status == FER_OK && *accepted < count) {
        const fer_bytes *next = messages + *accepted;
        size_t small = count_small(channel, next, count - *accepted);
        size_t went = 0;
        status = small > 0 ? send_small(channel, next, small, limit, &went)
                           : send_large(channel, next, limit, &went);
        *accepted += went;
    }
    return status;
}

/* Receiving. */

/* Have the kernel wait in the read itself: that saves a call for every message that is waited for. */
static fer_status read_and_wait(fer_channel *channel, int64_t timeout_ms) {
    fer__blocking *blocking = channel->blocking;
    int64_t wait =
        timeout_ms < 0 || timeout_ms > FER__LONG_WAIT_MS ? FER__LONG_WAIT_MS : timeout_ms;
    fer_status status = FER_OK;
    if (blocking->timeout_ms != wait) {
        if (blocking->timeout_ms < 0)
            status = fer__os_set_nonblocking(channel->io.fd, 0);
        if (status == FER_OK)
            status = fer__os_set_receive_timeout(channel->io.fd, wait);
        if (status != FER_OK)
            return status;
        blocking->timeout_ms = wait;
    }
    return fer__channel_read(channel, 1);
}

/* Wait with poll(2): for a time that is not the caller's whole one, while something is to be sent, or on FIFOs. */
static fer_status wait_and_read(fer_channel *channel, int64_t timeout_ms) {
    fer__wait waits[2] = {{channel->io.fd, FER__WAIT_READ, 0}, {fer__channel_out(channel), 0, 0}};
    uint32_t ready;
    fer_status status;
    waits[1].events |= channel->out.queued > 0 ? FER__WAIT_WRITE : 0u;
    if (channel->fifo != NULL && !channel->fifo->heard)
        waits[1].events |= FER__WAIT_GONE;
    status = fer__os_wait(waits, waits[1].events != 0 ? 2 : 1, timeout_ms);
    if (status != FER_OK)
        return status;
    ready = waits[0].ready | waits[1].ready;
    if ((ready & FER__WAIT_GONE) != 0 && channel->fifo != NULL)
        channel->fifo->heard = 1;
    if ((ready & FER__WAIT_WRITE) != 0) {
        channel->blocked = 0;
        fer__channel_flush(channel);
    }
    return (ready & (FER__WAIT_READ | FER__WAIT_GONE)) != 0 ? fer__channel_read(channel, 0)
                                                            : FER_OK;
}

/* The caller has everything that came: now the peer's goodbye can be answered. */
static fer_status ended(fer_channel *channel) {
    fer__detail detail;
    if (channel->end == FER_EOF) {
        fer__channel_say_goodbye(channel);
        return fer__fail_plain(FER_EOF);
    }
    fer__detail_keep(&detail);
    return fer__fail_kept(channel->end, &detail);
}

/* How long the peer may still be silent, if it is in the middle of a message. */
static int64_t frame_time(const fer_channel *channel) {
    int64_t left;
    if (channel->frame_timeout_ms < 0 || !fer__intake_is_inside(&channel->in))
        return -1;
    left = channel->frame_timeout_ms - (fer__os_now() - channel->blocking->heard_ms);
    return left < 0 ? 0 : left;
}

static fer_status read_within(fer_channel *channel, int64_t left, int first) {
    const fer_loop *loop = channel->object.loop;
    int64_t silence = frame_time(channel);
    fer_status status;
    if (fer__intake_has_more(&channel->in))
        return fer__channel_read(channel, 0);
    if (left != 0) {
        status = fer__look_read(channel);
        if (status != FER_EAGAIN || loop->batch.count > 0)
            return status;
    }
    if (silence >= 0 && (left < 0 || silence <= left)) {
        status = wait_and_read(channel, silence);
        if (status != FER_ETIMEDOUT)
            return status;
        fer__channel_give_up_frame(channel);
        return channel->end;
    }
    /* Only a socket waits in the read itself, and only for the caller's whole time. */
    if (left != 0 && channel->out.queued == 0 && channel->fifo == NULL && (first || left < 0))
        return read_and_wait(channel, left);
    return wait_and_read(channel, left);
}

fer_status fer__sync_receive(fer_channel *channel, int64_t timeout_ms, fer_message *message) {
    fer_loop *loop = channel->object.loop;
    size_t *next = &channel->blocking->next;
    int64_t limit = timeout_ms > 0 ? fer__deadline_after(timeout_ms) : timeout_ms;
    int64_t left = timeout_ms;
    int first = 1;
    int late = 0;
    /* Handles that the caller did not take belonged to the message before this one. */
    if (*next > 0)
        fer__message_drop_handles(channel, *next - 1);
    if (*next == loop->batch.count) {
        fer__channel_batch_done(channel);
        *next = 0;
    }
    while (*next == loop->batch.count) {
        fer_status status;
        if (channel->ended)
            return ended(channel);
        if (!first)
            left = time_left(limit);
        if (left == 0 && late++ == LATE_READS)
            return fer__fail_plain(FER_ETIMEDOUT);
        status = read_within(channel, left, first);
        first = 0;
        fer__sync_settle(loop);
        /* What came before the end of the channel is handed out first. */
        if (status != FER_OK && status != FER_EAGAIN && *next == loop->batch.count)
            return channel->ended ? ended(channel) : status;
    }
    *message = loop->batch.messages[(*next)++];
    return FER_OK;
}

/* The end. */

/* Messages that were read and not received go, with their handles. */
static void drop_batch(fer_channel *channel) {
    fer__channel_batch_done(channel);
    channel->blocking->next = 0;
}

void fer__sync_abort(fer_channel *channel) {
    drop_batch(channel);
    fer__channel_abort(channel);
    fer__sync_settle(channel->object.loop);
}

fer_status fer__sync_close(fer_channel *channel, int64_t timeout_ms) {
    fer_loop *loop = channel->object.loop;
    int64_t limit = fer__deadline_after(timeout_ms);
    fer_status status;
    drop_batch(channel);
    status = fer__channel_close(channel, NULL, NULL);
    fer__sync_settle(loop);
    while (status == FER_OK && channel->object.state != FER__CLOSED)
        status = fer__sync_turn(loop, limit);
    if (channel->object.state != FER__CLOSED) {
        if (status == FER_EINTR)
            return status;
        fer__channel_tear_down(channel, status);
        fer__sync_settle(loop);
    }
    return channel->close_status == FER_OK ? FER_OK : fer__fail_plain(channel->close_status);
}
