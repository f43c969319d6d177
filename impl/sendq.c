#include "sendq.h"

#include <string.h>

#include "frame.h"
#include "mem.h"
#include "status.h"

_Static_assert(sizeof(fer__segment) <= sizeof(fer__node), "a segment is a node");
_Static_assert(sizeof(fer__sent) <= sizeof(fer__node), "a completion is a node");

/** Memory set aside before anything is written, so that no failure can come in the middle. */
typedef struct fer__reserve {
    fer__segment *segments; /**< linked by next; each has its block, if it is to have one */
    fer__sent *sent;
} fer__reserve;

/* Descriptors that wait. */

static void free_riders(fer__riders *riders) {
    size_t i;
    for (i = 0; riders != NULL && i < riders->count; i++)
        fer__os_close(riders->fds[i]);
    fer__free(riders);
}

/* Duplicate all of them, or none. */
static fer_status make_riders(const fer__fd *fds, size_t count, fer__riders **out) {
    fer__riders *riders = fer__malloc(sizeof *riders + count * sizeof *fds);
    if (riders == NULL)
        return fer__fail_plain(FER_ENOMEM);
    riders->count = 0;
    while (riders->count < count) {
        fer_status status = fer__os_duplicate(fds[riders->count], &riders->fds[riders->count]);
        if (status != FER_OK) {
            free_riders(riders);
            return status;
        }
        riders->count++;
    }
    *out = riders;
    return FER_OK;
}

/* Segments. */

static void give_segment(fer__pool *pool, fer__segment *segment) {
    if (segment->block != NULL)
        fer__pool_give_block(pool, segment->block);
    free_riders(segment->riders);
    fer__pool_give_node(pool, segment);
}

static void give_reserve(fer__pool *pool, fer__reserve *reserve) {
    while (reserve->segments != NULL) {
        fer__segment *segment = reserve->segments;
        reserve->segments = segment->next;
        give_segment(pool, segment);
    }
    if (reserve->sent != NULL)
        fer__pool_give_node(pool, reserve->sent);
    reserve->sent = NULL;
}

/* Set aside one more segment, with a block or without. */
static int add_segment(fer__pool *pool, fer__reserve *reserve, int with_block) {
    fer__segment *segment = fer__pool_node(pool);
    if (segment == NULL)
        return 0;
    segment->block = NULL;
    segment->riders = NULL;
    segment->next = reserve->segments;
    reserve->segments = segment;
    if (with_block) {
        segment->block = fer__pool_block(pool);
        if (segment->block == NULL)
            return 0;
    }
    return 1;
}

static int is_copied(size_t size, unsigned how) {
    return (how & FER__PUSH_REFER) == 0 || size <= FER__COPY_MAX;
}

/* The segments that the pieces need when the kernel takes nothing. */
static int make_reserve(const fer__sendq *queue, fer__pool *pool, const struct iovec *parts,
                        size_t count, unsigned how, int with_sent, fer__reserve *reserve) {
    size_t room = 0;
    size_t i;
    /* What is written at once may take the last block with it. */
    if ((how & FER__PUSH_NOW) == 0 && queue->tail != NULL && queue->tail->block != NULL)
        room = queue->tail->room;
    reserve->segments = NULL;
    reserve->sent = NULL;
    if (with_sent) {
        reserve->sent = fer__pool_node(pool);
        if (reserve->sent == NULL)
            return 0;
    }
    for (i = 0; i < count; i++) {
        size_t left = parts[i].iov_len;
        if (left == 0)
            continue;
        if (!is_copied(left, how)) {
            if (!add_segment(pool, reserve, 0))
                return 0;
            room = 0;
            continue;
        }
        while (left > room) {
            left -= room;
            room = FER__BLOCK_SIZE;
            if (!add_segment(pool, reserve, 1))
                return 0;
        }
        room -= left;
    }
    return 1;
}

/* Take a segment of the wanted sort out of the reserve, and put it at the end of the queue. */
static fer__segment *append_segment(fer__sendq *queue, fer__reserve *reserve, int with_block) {
    fer__segment **at = &reserve->segments;
    fer__segment *segment;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the reserve was filled for this. */
    while (((*at)->block != NULL) != with_block)
        at = &(*at)->next;
    segment = *at;
    *at = segment->next;
    segment->next = NULL;
    segment->size = 0;
    segment->room = 0;
    if (with_block) {
        segment->data = segment->block;
        segment->room = FER__BLOCK_SIZE;
    }
    if (queue->tail != NULL)
        queue->tail->next = segment;
    else
        queue->head = segment;
    queue->tail = segment;
    return segment;
}

static void append_copy(fer__sendq *queue, fer__reserve *reserve, const uint8_t *data,
                        size_t size) {
    while (size > 0) {
        fer__segment *tail = queue->tail;
        size_t n;
        if (tail == NULL || tail->block == NULL || tail->room == 0)
            tail = append_segment(queue, reserve, 1);
        n = size < tail->room ? size : tail->room;
        memcpy(tail->block + (FER__BLOCK_SIZE - tail->room), data, n);
        tail->size += n;
        tail->room -= n;
        queue->queued += n;
        data += n;
        size -= n;
    }
}

/* Queue the pieces, without their first `skip` bytes. */
static void append_parts(fer__sendq *queue, fer__reserve *reserve, const struct iovec *parts,
                         size_t count, unsigned how, size_t skip) {
    size_t i;
    for (i = 0; i < count; i++) {
        const uint8_t *data = parts[i].iov_base;
        size_t size = parts[i].iov_len;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        if (is_copied(size, how)) {
            append_copy(queue, reserve, data + skip, size - skip);
        } else {
            fer__segment *segment = append_segment(queue, reserve, 0);
            segment->data = data + skip;
            segment->size = size - skip;
            queue->queued += size - skip;
        }
        skip = 0;
    }
}

/* The kernel took `size` bytes from the front of the queue. */
static void consume(fer__sendq *queue, fer__pool *pool, size_t size) {
    queue->written += size;
    queue->queued -= size;
    while (size > 0 || (queue->head != NULL && queue->head->size == 0)) {
        fer__segment *head = queue->head;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the kernel takes no more than was given. */
        if (size < head->size) {
            head->data += size;
            head->size -= size;
            return;
        }
        size -= head->size;
        queue->head = head->next;
        if (queue->head == NULL)
            queue->tail = NULL;
        give_segment(pool, head);
    }
}

/* Fill `iov` with the front of the queue, up to where the next descriptors ride. */
static size_t gather(const fer__sendq *queue, struct iovec *iov, size_t room) {
    const fer__segment *at = queue->head;
    size_t n = 0;
    for (; at != NULL && n < room && (n == 0 || at->riders == NULL); at = at->next) {
        iov[n].iov_base = (void *)(uintptr_t)at->data;
        iov[n++].iov_len = at->size;
    }
    return n;
}

static size_t bytes_of(const struct iovec *parts, size_t count) {
    size_t size = 0;
    size_t i;
    for (i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

static fer_status send_now(const fer__sendq *queue, fer__fd fd, const struct iovec *parts,
                           size_t count, size_t *wrote) {
    return queue->is_fifo ? fer__os_fifo_write(fd, parts, count, wrote)
                          : fer__os_send(fd, parts, count, wrote);
}

/* Write what waits, through the socket. */
static fer_status write_queue(fer__sendq *queue, fer__pool *pool, fer__fd fd) {
    while (queue->queued > 0) {
        struct iovec iov[FER__IOV_MAX];
        size_t n = gather(queue, iov, FER__IOV_MAX);
        size_t wrote = 0;
        fer__segment *head = queue->head;
        fer_status status;
        if (head->riders == NULL)
            status = send_now(queue, fd, iov, n, &wrote);
        else
            status = fer__os_send_fds(fd, iov, n, head->riders->fds, head->riders->count, &wrote);
        if (status != FER_OK)
            return status;
        if (head->riders != NULL) {
            /* They went with the first byte: the rest of a short write goes without. */
            queue->rides -= (uint32_t)head->riders->count;
            free_riders(head->riders);
            head->riders = NULL;
        }
        consume(queue, pool, wrote);
        queue->begun = queue->queued;
        queue->notes = queue->in_lane = 0;
    }
    return FER_OK;
}

/* Let what comes next begin a segment, in the rest of the last block: small messages with descriptors
 * would otherwise take a block each. */
static void split_tail(fer__sendq *queue, fer__reserve *reserve) {
    fer__segment *before = queue->tail;
    fer__segment *segment;
    if (before == NULL || before->block == NULL || before->room == 0)
        return;
    segment = append_segment(queue, reserve, 0);
    segment->block = before->block;
    segment->data = before->block + (FER__BLOCK_SIZE - before->room);
    segment->room = before->room;
    before->block = NULL;
    before->room = 0;
}

/* Lanes. */

static void copy_out(const fer__segment *at, const struct iovec *parts, size_t count, uint8_t *to) {
    size_t i;
    for (; at != NULL; at = at->next) {
        memcpy(to, at->data, at->size);
        to += at->size;
    }
    for (i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
}

/* Completions wait for the note now that stands for their bytes. */
static void move_completions(fer__sendq *queue, size_t note_size) {
    fer__sent *sent;
    for (sent = queue->sent_head; sent != NULL; sent = sent->next) {
        if (sent->end > queue->written)
            sent->end = queue->written + note_size;
    }
}

/*
 * Put the queue and the pieces, which begin and end with a frame, into the lane, and a note of where they
 * are into the queue. Notes that wait stay, and only the pieces go. Returns 0 when all of it is to go
 * through the socket.
 */
static int move_to_lane(fer__sendq *queue, fer__pool *pool, const struct iovec *parts, size_t count,
                        size_t size) {
    int has_notes = queue->notes > 0;
    size_t whole = (has_notes ? 0 : queue->queued) + size;
    uint64_t position = 0;
    fer__reserve reserve = {NULL, NULL};
    uint8_t note[FER__NOTE_MAX];
    size_t note_size;
    uint8_t *to;
    if (queue->lane == NULL || whole < FER__LANE_LEAST || queue->begun > 0 || queue->rides > 0 ||
        queue->notes != (has_notes ? queue->queued : 0))
        return 0;
    to = fer__lane_room(queue->lane, whole, &position);
    if (to == NULL || !add_segment(pool, &reserve, 1)) {
        give_reserve(pool, &reserve);
        return 0;
    }
    copy_out(has_notes ? NULL : queue->head, parts, count, to);
    fer__lane_fill(queue->lane, position, whole);
    note_size = fer__bytes_encode(position, (uint32_t)whole, note);
    if (!has_notes) {
        fer__sendq_drop(queue, pool);
        move_completions(queue, note_size);
    }
    append_copy(queue, &reserve, note, note_size);
    give_reserve(pool, &reserve);
    queue->notes += (uint32_t)note_size;
    queue->in_lane += (uint32_t)whole;
    return 1;
}

/* Write the queue and, in the same call, the pieces. `*taken` receives how much of these went. */
static fer_status write_now(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                            const struct iovec *parts, size_t count, size_t size, unsigned how,
                            size_t *taken) {
    struct iovec iov[FER__IOV_MAX];
    size_t queued = queue->queued;
    size_t wrote = 0;
    size_t n;
    fer_status status;
    *taken = 0;
    if (move_to_lane(queue, pool, parts, count, size)) {
        *taken = size;
        if ((how & FER__PUSH_LAZY) != 0 && queue->in_lane < FER__LANE_FLUSH_AT)
            return FER_OK;
        return write_queue(queue, pool, fd);
    }
    n = gather(queue, iov, FER__IOV_MAX);
    if (n == FER__IOV_MAX || queue->rides > 0)
        return write_queue(queue, pool, fd);
    if (count > FER__IOV_MAX - n)
        count = FER__IOV_MAX - n;
    memcpy(iov + n, parts, count * sizeof *iov);
    status = send_now(queue, fd, iov, n + count, &wrote);
    if (status != FER_OK)
        return status;
    queue->begun = queued + size - wrote;
    queue->notes = queue->in_lane = 0;
    if (wrote > queued) {
        *taken = wrote - queued;
        wrote = queued;
        queue->written += *taken;
    }
    if (wrote > 0)
        consume(queue, pool, wrote);
    return FER_OK;
}

static void append_sent(fer__sendq *queue, fer__reserve *reserve, void (*cb)(void), void *user) {
    fer__sent *sent = reserve->sent;
    reserve->sent = NULL;
    sent->next = NULL;
    sent->end = queue->written + queue->queued;
    sent->cb = cb;
    sent->user = user;
    if (queue->sent_tail != NULL)
        queue->sent_tail->next = sent;
    else
        queue->sent_head = sent;
    queue->sent_tail = sent;
}

uint8_t *fer__sendq_room(fer__sendq *queue, size_t size) {
    fer__segment *tail = queue->tail;
    uint8_t *room;
    if (tail == NULL || tail->block == NULL || tail->room < size)
        return NULL;
    room = tail->block + (FER__BLOCK_SIZE - tail->room);
    tail->size += size;
    tail->room -= size;
    queue->queued += size;
    return room;
}

/* Small pieces that fit behind what waits need no preparation. */
static int append_small(fer__sendq *queue, const struct iovec *parts, size_t count, size_t size) {
    uint8_t *room = fer__sendq_room(queue, size);
    size_t i;
    if (room == NULL)
        return 0;
    for (i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(room, parts[i].iov_base, parts[i].iov_len);
        room += parts[i].iov_len;
    }
    return 1;
}

fer_status fer__sendq_push(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                           const struct iovec *parts, size_t count, unsigned how, void (*cb)(void),
                           void *user) {
    fer__reserve reserve;
    size_t size = bytes_of(parts, count);
    size_t taken = 0;
    if ((how & FER__PUSH_NOW) == 0 && cb == NULL && size <= FER__COPY_MAX &&
        append_small(queue, parts, count, size))
        return FER_OK;
    if (!make_reserve(queue, pool, parts, count, how, cb != NULL, &reserve)) {
        give_reserve(pool, &reserve);
        return fer__fail_plain(FER_ENOMEM);
    }
    if ((how & FER__PUSH_NOW) != 0 && size + queue->queued > 0) {
        fer_status status = write_now(queue, pool, fd, parts, count, size, how, &taken);
        if (status != FER_OK && status != FER_EAGAIN) {
            give_reserve(pool, &reserve);
            return status;
        }
    }
    append_parts(queue, &reserve, parts, count, how, taken);
    if (cb != NULL)
        append_sent(queue, &reserve, cb, user);
    give_reserve(pool, &reserve);
    return FER_OK;
}

fer_status fer__sendq_write(fer__sendq *queue, fer__pool *pool, fer__fd fd) {
    (void)move_to_lane(queue, pool, NULL, 0, 0);
    return write_queue(queue, pool, fd);
}

/* The pieces begin a segment of their own, so that the descriptors ride on their first byte. */
static void append_riders(fer__sendq *queue, fer__reserve *reserve, const struct iovec *parts,
                          size_t count, unsigned how, fer__riders *riders) {
    fer__segment *before = queue->tail;
    size_t first = 0;
    while (first + 1 < count && parts[first].iov_len == 0)
        first++;
    if (is_copied(parts[first].iov_len, how))
        split_tail(queue, reserve);
    append_parts(queue, reserve, parts, count, how, 0);
    (before != NULL ? before->next : queue->head)->riders = riders;
    queue->rides += (uint32_t)riders->count;
}

fer_status fer__sendq_pass(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                           const struct iovec *parts, size_t count, unsigned how,
                           const fer__fd *fds, size_t fd_count, void (*cb)(void), void *user) {
    fer__reserve reserve;
    fer__riders *riders = NULL;
    size_t taken = 0;
    fer_status status = FER_EAGAIN;
    if (!make_reserve(queue, pool, parts, count, how, cb != NULL, &reserve) ||
        !add_segment(pool, &reserve, 0)) {
        give_reserve(pool, &reserve);
        return fer__fail_plain(FER_ENOMEM);
    }
    if (queue->queued == 0 && (how & FER__PUSH_NOW) != 0)
        status = fer__os_send_fds(fd, parts, count, fds, fd_count, &taken);
    if (status == FER_EAGAIN)
        status = make_riders(fds, fd_count, &riders);
    if (status != FER_OK) {
        give_reserve(pool, &reserve);
        return status;
    }
    queue->written += taken;
    if (taken > 0)
        queue->begun = bytes_of(parts, count) - taken;
    if (riders == NULL)
        append_parts(queue, &reserve, parts, count, how, taken);
    else
        append_riders(queue, &reserve, parts, count, how, riders);
    if (cb != NULL)
        append_sent(queue, &reserve, cb, user);
    give_reserve(pool, &reserve);
    return FER_OK;
}

int fer__sendq_has_sent(const fer__sendq *queue) {
    return queue->sent_head != NULL && queue->sent_head->end <= queue->written;
}

fer__sent *fer__sendq_take_sent(fer__sendq *queue, int all) {
    fer__sent *sent = queue->sent_head;
    if (sent == NULL || (!all && sent->end > queue->written))
        return NULL;
    queue->sent_head = sent->next;
    if (queue->sent_head == NULL)
        queue->sent_tail = NULL;
    return sent;
}

/* Copy a segment, and take the descriptors that ride on it along. */
static void move_riders(fer__sendq *to, fer__reserve *reserve, fer__segment *from) {
    fer__segment *before = to->tail;
    if (before != NULL)
        before->room = 0;
    append_copy(to, reserve, from->data, from->size);
    to->rides += (uint32_t)from->riders->count;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a segment that has riders has bytes. */
    (before != NULL ? before->next : to->head)->riders = from->riders;
    from->riders = NULL;
}

fer_status fer__sendq_own(fer__sendq *queue, fer__pool *pool) {
    fer__sendq copy = {0};
    fer__reserve reserve = {0};
    fer__segment *at;
    /* One more for each segment with descriptors, which begins a block. */
    size_t blocks = (queue->queued + FER__BLOCK_SIZE - 1) / FER__BLOCK_SIZE + queue->rides;
    for (at = queue->head; at != NULL && at->block != NULL; at = at->next)
        continue;
    if (at == NULL)
        return FER_OK;
    for (; blocks > 0; blocks--) {
        if (!add_segment(pool, &reserve, 1)) {
            give_reserve(pool, &reserve);
            return fer__fail_plain(FER_ENOMEM);
        }
    }
    for (at = queue->head; at != NULL; at = at->next) {
        if (at->riders != NULL)
            move_riders(&copy, &reserve, at);
        else
            append_copy(&copy, &reserve, at->data, at->size);
    }
    give_reserve(pool, &reserve);
    copy.sent_head = queue->sent_head;
    copy.sent_tail = queue->sent_tail;
    copy.written = queue->written;
    copy.is_fifo = queue->is_fifo;
    copy.begun = queue->begun;
    copy.lane = queue->lane;
    copy.notes = queue->notes;
    copy.in_lane = queue->in_lane;
    queue->sent_head = NULL;
    queue->sent_tail = NULL;
    fer__sendq_drop(queue, pool);
    *queue = copy;
    return FER_OK;
}

uint64_t fer__sendq_waiting(const fer__sendq *queue) {
    return queue->notes > 0 ? (uint64_t)queue->queued - queue->notes + queue->in_lane
                            : queue->queued;
}

void fer__sendq_drop(fer__sendq *queue, fer__pool *pool) {
    while (queue->head != NULL) {
        fer__segment *head = queue->head;
        queue->head = head->next;
        give_segment(pool, head);
    }
    queue->tail = NULL;
    queue->queued = 0;
    queue->rides = 0;
    queue->begun = 0;
    queue->notes = queue->in_lane = 0;
}
