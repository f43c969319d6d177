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
    }
    return FER_OK;
}

/* Write the queue and, in the same call, the pieces. `*taken` receives how much of these went. */
static fer_status write_now(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                            const struct iovec *parts, size_t count, size_t *taken) {
    struct iovec iov[FER__IOV_MAX];
    size_t queued = queue->queued;
    size_t wrote = 0;
    size_t n = fer__sendq_gather(queue, iov, FER__IOV_MAX);
    fer_status status;
    *taken = 0;
    if (n == FER__IOV_MAX || queue->rides > 0)
        return write_queue(queue, pool, fd);
    if (count > FER__IOV_MAX - n)
        count = FER__IOV_MAX - n;
    memcpy(iov + n, parts, count * sizeof *iov);
    status = send_now(queue, fd, iov, n + count, &wrote);
    if (status != FER_OK)
        return status;
    if (wrote > queued) {
        *taken = wrote - queued;
        wrote = queued;
        queue->written += *taken;
    }
    if (wrote > 0)
        fer__sendq_consume(queue, pool, wrote);
    return FER_OK;
}

/* `behind` is how far behind what is queued the last byte of its message is. */
static void append_sent(fer__sendq *queue, fer__reserve *reserve, size_t behind, void (*cb)(void),
                        void *user) {
    fer__sent *sent = reserve->sent;
    if (cb == NULL)
        return;
    reserve->sent = NULL;
    sent->next = NULL;
    sent->end = queue->written + queue->queued + behind;
    sent->cb = cb;
    sent->user = user;
    if (queue->sent_tail != NULL)
        queue->sent_tail->next = sent;
    else
        queue->sent_head = sent;
    queue->sent_tail = sent;
}

/* The way through the socket. */
static fer_status push_inline(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                              const struct iovec *parts, size_t count, size_t size, unsigned how,
                              fer__reserve *reserve) {
    size_t taken = 0;
    fer__sendq_note(queue);
    if (!fer__reserve_make(queue, pool, parts, count, how, reserve))
        return fer__fail_plain(FER_ENOMEM);
    if ((how & FER__PUSH_NOW) != 0 && size + queue->queued > 0) {
        fer_status status = write_now(queue, pool, fd, parts, count, &taken);
        if (status != FER_OK && status != FER_EAGAIN)
            return status;
    }
    fer__sendq_append(queue, reserve, parts, count, how, taken);
    return FER_OK;
}

/* The way through the lane, once the pieces are in it. */
static fer_status push_note(fer__sendq *queue, fer__pool *pool, fer__fd fd, unsigned how) {
    fer_status status;
    int is_full = queue->lane->size >= FER__LANE_PIECE;
    if ((how & FER__PUSH_NOW) == 0)
        return FER_OK;
    if ((how & FER__PUSH_LAZY) == 0 || is_full)
        fer__sendq_note(queue);
    status = write_queue(queue, pool, fd);
    /* The pieces are in the lane: without memory in the kernel, too, they wait. */
    return status == FER_EAGAIN || status == FER_ENOMEM ? FER_OK : status;
}

/* Put the pieces into the lane, if that is how. FER_EAGAIN when they have to go through the socket. */
static fer_status fill(fer__sendq *queue, fer__pool *pool, fer__fd fd, const struct iovec *parts,
                       size_t count, size_t size, unsigned how) {
    fer_status status;
    if ((how & FER__PUSH_LANE) == 0 || queue->lane == NULL || size > FER__LANE_LARGEST)
        return FER_EAGAIN;
    if (fer__sendq_fill(queue, pool, parts, count, size, 0))
        return FER_OK;
    if ((how & FER__PUSH_WAIT) == 0)
        return FER_EAGAIN;
    /* The receiver makes room of what it has been told. */
    status = write_queue(queue, pool, fd);
    if (status == FER_OK && !fer__sendq_fill(queue, pool, parts, count, size, 1))
        status = FER_EAGAIN;
    return status;
}

fer_status fer__sendq_push(fer__sendq *queue, fer__pool *pool, fer__fd fd,
                           const struct iovec *parts, size_t count, unsigned how, void (*cb)(void),
                           void *user) {
    fer__reserve reserve = {NULL, NULL};
    fer_status status = FER_OK;
    size_t size = bytes_of(parts, count);
    fer__sendq_fold(queue);
    if (cb != NULL && !fer__reserve_sent(pool, &reserve))
        return fer__fail_plain(FER_ENOMEM);
    status = fill(queue, pool, fd, parts, count, size, how);
    if (status == FER_OK) {
        status = push_note(queue, pool, fd, how);
        /* The note on an open piece comes behind what is queued. */
        if (status == FER_OK)
            append_sent(queue, &reserve, queue->lane->size > 0 ? FER__NOTE_MAX : 0, cb, user);
        else
            queue->lane->waiting -= size;
    } else if (status == FER_EAGAIN) {
        status = push_inline(queue, pool, fd, parts, count, size, how, &reserve);
        if (status == FER_OK)
            append_sent(queue, &reserve, 0, cb, user);
    }
    fer__reserve_give(pool, &reserve);
    return status;
}

fer_status fer__sendq_write(fer__sendq *queue, fer__pool *pool, fer__fd fd) {
    fer__sendq_fold(queue);
    fer__sendq_note(queue);
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
    fer__reserve reserve = {NULL, NULL};
    fer__riders *riders = NULL;
    size_t taken = 0;
    fer_status status = FER_EAGAIN;
    fer__sendq_fold(queue);
    fer__sendq_note(queue);
    if ((cb != NULL && !fer__reserve_sent(pool, &reserve)) ||
        !fer__reserve_make(queue, pool, parts, count, how, &reserve) ||
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
    if (riders == NULL)
        fer__sendq_append(queue, &reserve, parts, count, how, taken);
    else
        append_riders(queue, &reserve, parts, count, how, riders);
    append_sent(queue, &reserve, 0, cb, user);
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
