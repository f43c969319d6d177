#include <string.h>

#include "channel.h"
#include "look.h"
#include "mem.h"
#include "status.h"

enum {
    HANDLE_WEIGHT = 8192,
    PARTS_ON_STACK = 16,
    SENT_BATCH = 64 /* completions in one turn of what completions sent: others get theirs */
};

void fer__channel_break(fer_channel *channel, fer_status status) {
    if (channel->broken == FER_OK)
        channel->broken = status;
    /* Who waits for drain must hear of it. */
    channel->drained |= channel->above;
    channel->above = 0;
    channel->blocked = 0;
    channel->unsent += fer__sendq_waiting(&channel->out);
    fer__sendq_drop(&channel->out, &channel->object.loop->pool);
    fer__object_due(&channel->object);
}

/* A drain that was due is not any more: who is told of it must find the channel writable. */
static void go_above(fer_channel *channel) {
    channel->high_water_hits += !channel->above;
    channel->above = 1;
    channel->drained = 0;
}

/* How much waits, for the limits. A descriptor that waits is dearer than its bytes: a process has few. */
static uint64_t weight(const fer_channel *channel) {
    return fer__sendq_waiting(&channel->out) + (uint64_t)channel->out.rides * HANDLE_WEIGHT;
}

/* What follows from the state of the queue after a write, or a send. */
static void after_write(fer_channel *channel) {
    if (weight(channel) >= channel->high_water) {
        go_above(channel);
    } else if (channel->above && weight(channel) <= channel->high_water / 2) {
        channel->above = 0;
        channel->drained = 1;
        fer__object_due(&channel->object);
    }
    if (fer__sendq_has_sent(&channel->out))
        fer__object_due(&channel->object);
}

void fer__channel_flush(fer_channel *channel) {
    fer_status status;
    if (channel->torn || fer__sendq_is_empty(&channel->out))
        return;
    status =
        fer__sendq_write(&channel->out, &channel->object.loop->pool, fer__channel_out(channel));
    channel->turn = channel->object.loop->turn;
    if (status == FER_EAGAIN) {
        channel->blocked = 1;
        status = fer__channel_watch(channel);
    }
    if (status != FER_OK)
        fer__channel_break(channel, status);
    else if (!channel->blocked)
        fer__look_sent(channel);
    after_write(channel);
}

static fer_status can_send(const fer_channel *channel, uint64_t size) {
    if (channel->phase != FER__CHANNEL_OPEN)
        return fer__fail(FER_ENOTCONN, "the channel is not open yet");
    if (channel->broken != FER_OK)
        return fer__fail_plain(channel->broken);
    if (channel->said_goodbye)
        return fer__fail(FER_EPIPE, "the peer said goodbye");
    if (size > channel->limits.max_message)
        return fer__fail(FER_EMSGSIZE, "%llu bytes, and max_message is %llu",
                         (unsigned long long)size, (unsigned long long)channel->limits.max_message);
    if (size > channel->peer.max_message)
        return fer__fail(FER_EMSGSIZE, "%llu bytes, and the peer takes %llu",
                         (unsigned long long)size, (unsigned long long)channel->peer.max_message);
    if (size == 0 && channel->wire == FER_WIRE_PLAIN)
        return fer__fail(FER_EINVAL, "the plain wire has no empty message");
    if (!fer__sendq_is_empty(&channel->out) && weight(channel) + size > channel->hard_cap)
        return fer__fail(FER_EAGAIN, "%llu bytes are queued already",
                         (unsigned long long)fer__sendq_waiting(&channel->out));
    return FER_OK;
}

static fer_status can_pass(const fer_channel *channel, size_t count) {
    if (channel->wire == FER_WIRE_PLAIN)
        return fer__fail(FER_ENOTSUP, "the plain wire carries no handles");
    if (channel->line != FER__LINE_PIPE)
        return fer__fail(FER_ENOTSUP, "this transport carries no handles");
    if (count > channel->peer.max_handles)
        return fer__fail(FER_ENOTSUP, "%zu handles, and the peer takes %u with a message", count,
                         (unsigned)channel->peer.max_handles);
    return FER_OK;
}

/* A blocking call of one message, after which there may be none for long. */
static int is_single(const fer_channel *channel) {
    return channel->blocking != NULL && !channel->corked;
}

static int is_first(const fer_channel *channel) {
    return fer__sendq_is_empty(&channel->out) && channel->turn != channel->object.loop->turn &&
           !channel->corked;
}

/* Whether to write now. The first of a turn goes at once, and so does a queue that is worth it. */
static int is_now(const fer_channel *channel, size_t size) {
    if (channel->blocked)
        return 0;
    if (is_first(channel))
        return 1;
    return fer__sendq_waiting(&channel->out) + size >= FER__FLUSH_AT || is_single(channel);
}

/* Let small messages follow without much ado, as long as they stay below the marks. */
static void open_room(fer_channel *channel) {
    uint64_t most =
        channel->high_water < channel->hard_cap ? channel->high_water : channel->hard_cap;
    uint64_t waiting = weight(channel);
    if (!is_single(channel) && channel->broken == FER_OK && waiting < most)
        fer__sendq_open(&channel->out, (size_t)(most - waiting - 1));
}

/* What follows from a push: the rest waits for the kernel, or for the end of the turn. */
static void pushed(fer_channel *channel, int now) {
    if (now) {
        channel->turn = channel->object.loop->turn;
        channel->blocked = channel->out.queued > 0;
        if (fer__sendq_is_empty(&channel->out))
            fer__look_sent(channel);
    }
    if (now && channel->blocked) {
        fer_status status = fer__channel_watch(channel);
        if (status != FER_OK)
            fer__channel_break(channel, status);
    } else if (!channel->blocked && !fer__sendq_is_empty(&channel->out)) {
        fer__object_due(&channel->object);
    }
    after_write(channel);
    open_room(channel);
}

/* Where much is sent, shared memory takes it faster than the socket does. Without it, all goes on as before. */
static void make_lane(fer_channel *channel) {
    fer__sendq *out = &channel->out;
    fer__lane_out *lane = NULL;
    uint8_t bytes[FER__NOTE_MAX];
    struct iovec iov = {bytes, 0};
    if (channel->lane_tried || !channel->peer.lanes || channel->inline_only ||
        out->written < FER__LANE_WORTH_IT)
        return;
    channel->lane_tried = 1;
    if (fer__lane_make(&lane) != FER_OK)
        return;
    iov.iov_len = fer__lane_encode(FER__LANE_RING, bytes);
    if (fer__sendq_pass(out, &channel->object.loop->pool, fer__channel_out(channel), &iov, 1,
                        channel->blocked ? 0 : FER__PUSH_NOW, &lane->fd, 1, NULL, NULL) != FER_OK) {
        fer__lane_unmake(lane);
        return;
    }
    fer__os_close(lane->fd);
    lane->fd = FER__NO_FD;
    out->lane = lane;
}

/* Whether the channel has sent so much in this turn, or the last one, that a lane is worth the note on it. */
static int is_busy(fer_channel *channel, size_t size, int now) {
    if (now && is_first(channel)) {
        channel->busy = channel->bytes_out - channel->turn_bytes >= FER__LANE_LEAST;
        channel->turn_bytes = channel->bytes_out;
        return size >= FER__LANE_LEAST;
    }
    if (is_single(channel))
        return size >= FER__LANE_LEAST;
    return channel->busy || channel->bytes_out - channel->turn_bytes + size >= FER__LANE_LEAST;
}

static fer_status push(fer_channel *channel, const struct iovec *iov, size_t count, size_t size,
                       fer_sent_cb cb, void *user) {
    unsigned how = cb != NULL ? FER__PUSH_REFER : 0;
    int now = is_now(channel, size);
    fer_status status;
    if (now)
        how |= FER__PUSH_NOW;
    /* Only the first of a turn is worth a system call of its own. */
    if (now && channel->turn == channel->object.loop->turn && channel->blocking == NULL)
        how |= FER__PUSH_LAZY;
    /* Between messages with descriptors, a note is dearer than a small message. */
    if (is_busy(channel, size, now) && channel->out.rides == 0) {
        make_lane(channel);
        how |= FER__PUSH_LANE | (channel->blocked ? 0u : FER__PUSH_WAIT);
    }
    status = fer__sendq_push(&channel->out, &channel->object.loop->pool, fer__channel_out(channel),
                             iov, count, how, (void (*)(void))cb, user);
    if (status != FER_OK) {
        if (status != FER_ENOMEM)
            fer__channel_break(channel, status);
        return fer__fail_plain(status);
    }
    pushed(channel, now);
    return FER_OK;
}

/* A message with descriptors goes alone, and at once if nothing is before it. */
static fer_status pass(fer_channel *channel, const struct iovec *iov, size_t count,
                       const fer__fd *fds, size_t fd_count, fer_sent_cb cb, void *user) {
    int now = fer__sendq_is_empty(&channel->out) && !channel->corked;
    unsigned how = (now ? FER__PUSH_NOW : 0u) | (cb != NULL ? FER__PUSH_REFER : 0u);
    fer_status status =
        fer__sendq_pass(&channel->out, &channel->object.loop->pool, fer__channel_out(channel), iov,
                        count, how, fds, fd_count, (void (*)(void))cb, user);
    if (status == FER_EPIPE || status == FER_ECONNRESET)
        fer__channel_break(channel, status);
    if (status == FER_OK)
        pushed(channel, now);
    return status;
}

/* The usual way of a small message in a busy turn: straight to behind the one before it. */
static int gather(fer_channel *channel, const fer_bytes *parts, size_t count, size_t size) {
    fer_wire wire = (fer_wire)channel->wire;
    uint8_t *room;
    size_t i;
    if (size > channel->small || (size == 0 && wire == FER_WIRE_PLAIN))
        return 0;
    room = fer__sendq_room(&channel->out, fer__header_size(wire) + size);
    if (room == NULL)
        return 0;
    room += fer__message_encode(wire, (uint32_t)size, room);
    for (i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(room, parts[i].data, parts[i].size);
        room += parts[i].size;
    }
    channel->messages_out++;
    channel->bytes_out += size;
    return 1;
}

/** The frames in front of a payload. */
typedef struct heads {
    uint8_t bytes[FER_MESSAGE_HANDLES_MAX * (FER__NATIVE_HEADER + 1) + FER__HEADER_MAX];
    size_t size;
} heads;

/* A HANDLE frame for each descriptor, then the message's header. */
static void encode_heads(const fer_channel *channel, const fer__fd *fds, size_t fd_count,
                         uint64_t size, heads *to) {
    const fer__header handle = {FER__FRAME_HANDLE, 0, 1};
    const fer__header message = {FER__FRAME_MESSAGE, (uint8_t)fd_count, (uint32_t)size};
    size_t i;
    to->size = 0;
    for (i = 0; i < fd_count; i++) {
        to->size += fer__header_encode(FER_WIRE_NATIVE, &handle, to->bytes + to->size);
        to->bytes[to->size++] = (uint8_t)fer__os_kind_of(fds[i]);
    }
    to->size += fer__header_encode((fer_wire)channel->wire, &message, to->bytes + to->size);
}

static void count_sent(fer_channel *channel, uint64_t size, size_t handles) {
    channel->messages_out++;
    channel->bytes_out += size;
    channel->handles_out += handles;
}

/* Every other way of a message. */
static fer_status send_slowly(fer_channel *channel, const fer_bytes *parts, size_t count,
                              uint64_t size, const fer__fd *fds, size_t fd_count, fer_sent_cb cb,
                              void *user) {
    struct iovec room[PARTS_ON_STACK + 1];
    struct iovec *iov = room;
    heads front;
    fer_status status = can_send(channel, size);
    size_t i;
    if (status == FER_OK && fd_count > 0)
        status = can_pass(channel, fd_count);
    /* Who was refused for what waits may wait for drain, however little it is. */
    if (status == FER_EAGAIN) {
        channel->above = 1;
        channel->drained = 0;
    }
    if (status != FER_OK)
        return status;
    if (count > PARTS_ON_STACK)
        iov = count < SIZE_MAX / sizeof *iov ? fer__malloc((count + 1) * sizeof *iov) : NULL;
    if (iov == NULL)
        return fer__fail_plain(FER_ENOMEM);
    encode_heads(channel, fds, fd_count, size, &front);
    iov[0].iov_base = front.bytes;
    iov[0].iov_len = front.size;
    for (i = 0; i < count; i++) {
        iov[i + 1].iov_base = (void *)(uintptr_t)parts[i].data;
        iov[i + 1].iov_len = parts[i].size;
    }
    status = fd_count > 0 ? pass(channel, iov, count + 1, fds, fd_count, cb, user)
                          : push(channel, iov, count + 1, (size_t)size + front.size, cb, user);
    if (iov != room)
        fer__free(iov);
    if (status == FER_OK)
        count_sent(channel, size, fd_count);
    return status;
}

fer_status fer__channel_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                             const fer__fd *fds, size_t fd_count, fer_sent_cb cb, void *user) {
    uint64_t size = 0;
    size_t i;
    for (i = 0; i < count; i++)
        size += parts[i].size;
    if (cb == NULL && fd_count == 0 && gather(channel, parts, count, (size_t)size))
        return FER_OK;
    return send_slowly(channel, parts, count, size, fds, fd_count, cb, user);
}

fer_status fer__channel_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                                  size_t *accepted) {
    size_t i;
    for (i = 0; i < count; i++) {
        fer_status status;
        *accepted = i;
        if (gather(channel, &messages[i], 1, messages[i].size))
            continue;
        if (channel->above)
            return FER_OK;
        status = send_slowly(channel, &messages[i], 1, messages[i].size, NULL, 0, NULL, NULL);
        if (status != FER_OK)
            return status;
    }
    *accepted = count;
    return FER_OK;
}

void fer__channel_cork(fer_channel *channel) {
    channel->corked = 1;
    if (channel->blocking == NULL)
        return;
    /* What a loop's turn is to others. */
    channel->busy = channel->bytes_out - channel->turn_bytes >= FER__LANE_LEAST;
    channel->turn_bytes = channel->bytes_out;
}

void fer__channel_uncork(fer_channel *channel) {
    channel->corked = 0;
    if (!channel->blocked)
        fer__channel_flush(channel);
}

fer_status fer__channel_flush_then(fer_channel *channel, fer_sent_cb cb, void *user) {
    fer__sendq *out = &channel->out;
    fer_status status;
    if (channel->phase != FER__CHANNEL_OPEN)
        return fer__fail(FER_ENOTCONN, "the channel is not open yet");
    if (channel->broken != FER_OK)
        return fer__fail_plain(channel->broken);
    status = fer__sendq_push(out, &channel->object.loop->pool, fer__channel_out(channel), NULL, 0,
                             0, (void (*)(void))cb, user);
    if (status != FER_OK)
        return status;
    if (channel->corked && !channel->blocked)
        fer__channel_flush(channel);
    if (fer__sendq_has_sent(out))
        fer__object_due(&channel->object);
    return FER_OK;
}

void fer__channel_say_goodbye(fer_channel *channel) {
    uint8_t bytes[FER__HEADER_MAX];
    fer__header header = {FER__FRAME_GOODBYE, 0, 0};
    struct iovec iov = {bytes, 0};
    fer_status status;
    int alone;
    if (channel->said_goodbye || channel->broken != FER_OK)
        return;
    channel->said_goodbye = 1;
    channel->corked = 0;
    /* With nothing left to flush nothing is lost: how it ended, reading says. */
    alone = fer__sendq_is_empty(&channel->out);
    iov.iov_len = fer__header_encode((fer_wire)channel->wire, &header, bytes);
    status = fer__sendq_push(&channel->out, &channel->object.loop->pool, fer__channel_out(channel),
                             &iov, 1, channel->blocked ? 0 : FER__PUSH_NOW, NULL, NULL);
    if (status != FER_OK && !(alone && (status == FER_EPIPE || status == FER_ECONNRESET)))
        fer__channel_break(channel, status);
    if (status == FER_OK && channel->out.queued > 0 && !channel->blocked) {
        channel->blocked = 1;
        status = fer__channel_watch(channel);
        if (status != FER_OK)
            fer__channel_break(channel, status);
    }
    after_write(channel);
}

/* Callbacks. */

static void run_drain(fer_channel *channel) {
    fer_drain_cb cb = (fer_drain_cb)channel->drain.cb;
    fer__frame frame;
    channel->drained = 0;
    if (cb == NULL || !fer__channel_is_open(channel))
        return;
    fer__callback_enter(&channel->drain, &frame);
    cb(channel, channel->drain.user);
    fer__callback_leave(&channel->drain, &frame);
}

void fer__channel_run_sent(fer_channel *channel) {
    fer__pool *pool = &channel->object.loop->pool;
    const fer__sent *last = channel->out.sent_tail;
    int made = 0;
    for (;;) {
        int all = channel->torn || channel->broken != FER_OK;
        fer__sent *sent;
        fer_status status = FER_OK;
        fer_sent_cb cb;
        void *user;
        if (made >= SENT_BATCH && !all) {
            fer__object_due(&channel->object);
            break;
        }
        sent = fer__sendq_take_sent(&channel->out, all);
        if (sent == NULL)
            break;
        made += last == NULL;
        if (sent == last)
            last = NULL;
        if (sent->end > channel->out.written)
            status = channel->broken != FER_OK ? channel->broken : FER_ECANCELED;
        cb = (fer_sent_cb)sent->cb;
        user = sent->user;
        fer__pool_give_node(pool, sent);
        if (status != FER_OK)
            fer__fail_plain(status);
        cb(channel, status, user);
    }
    if (channel->drained)
        run_drain(channel);
}
