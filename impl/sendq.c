#include "sendq.h"

#include <string.h>

#include "frame.h"
#include "sendq_store.h"
#include "status.h"

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
        size_t n = fer__sendq_gather(queue, iov, FER__IOV_MAX);
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
            fer__riders_free(head->riders);
            head->riders = NULL;
        }
        fer__sendq_consume(queue, pool, wrote);
        queue->begun = queue->queued;
        queue->notes = queue->in_lane = 0;
    }
    return FER_OK;
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
    if (to == NULL || !fer__reserve_add(pool, &reserve, 1)) {
        fer__reserve_give(pool, &reserve);
        return 0;
    }
    copy_out(has_notes ? NULL : queue->head, parts, count, to);
    fer__lane_fill(queue->lane, position, whole);
    note_size = fer__bytes_encode(position, (uint32_t)whole, note);
    if (!has_notes) {
        fer__sendq_drop(queue, pool);
        move_completions(queue, note_size);
    }
    fer__sendq_copy(queue, &reserve, note, note_size);
    fer__reserve_give(pool, &reserve);
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
    n = fer__sendq_gather(queue, iov, FER__IOV_MAX);
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
        fer__sendq_consume(queue, pool, wrote);
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
    if (!fer__reserve_make(queue, pool, parts, count, how, cb != NULL, &reserve)) {
        fer__reserve_give(pool, &reserve);
        return fer__fail_plain(FER_ENOMEM);
    }
    if ((how & FER__PUSH_NOW) != 0 && size + queue->queued > 0) {
        fer_status status = write_now(queue, pool, fd, parts, count, size, how, &taken);
        if (status != FER_OK && status != FER_EAGAIN) {
            fer__reserve_give(pool, &reserve);
            return status;
        }
    }
    fer__sendq_append(queue, &reserve, parts, count, how, taken);
    if (cb != NULL)
        append_sent(queue, &reserve, cb, user);
    fer__reserve_give(pool, &reserve);
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
    if (fer__sendq_is_copied(parts[first].iov_len, how))
        fer__sendq_split(queue, reserve);
    fer__sendq_append(queue, reserve, parts, count, how, 0);
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
    if (!fer__reserve_make(queue, pool, parts, count, how, cb != NULL, &reserve) ||
        !fer__reserve_add(pool, &reserve, 0)) {
        fer__reserve_give(pool, &reserve);
        return fer__fail_plain(FER_ENOMEM);
    }
    if (queue->queued == 0 && (how & FER__PUSH_NOW) != 0)
        status = fer__os_send_fds(fd, parts, count, fds, fd_count, &taken);
    if (status == FER_EAGAIN)
        status = fer__riders_make(fds, fd_count, &riders);
    if (status != FER_OK) {
        fer__reserve_give(pool, &reserve);
        return status;
    }
    queue->written += taken;
    if (taken > 0)
        queue->begun = bytes_of(parts, count) - taken;
    if (riders == NULL)
        fer__sendq_append(queue, &reserve, parts, count, how, taken);
    else
        append_riders(queue, &reserve, parts, count, how, riders);
    if (cb != NULL)
        append_sent(queue, &reserve, cb, user);
    fer__reserve_give(pool, &reserve);
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

uint64_t fer__sendq_waiting(const fer__sendq *queue) {
    return queue->notes > 0 ? (uint64_t)queue->queued - queue->notes + queue->in_lane
                            : queue->queued;
}
