#include "sendq_store.h"

#include <string.h>

#include "mem.h"
#include "status.h"

_Static_assert(sizeof(fer__segment) <= sizeof(fer__node), "a segment is a node");
_Static_assert(sizeof(fer__sent) <= sizeof(fer__node), "a completion is a node");

/* Descriptors that wait. */

void fer__riders_free(fer__riders *riders) {
    size_t i;
    for (i = 0; riders != NULL && i < riders->count; i++)
        fer__os_close(riders->fds[i]);
    fer__free(riders);
}

fer_status fer__riders_make(const fer__fd *fds, size_t count, fer__riders **out) {
    fer__riders *riders = fer__malloc(sizeof *riders + count * sizeof *fds);
    if (riders == NULL)
        return fer__fail_plain(FER_ENOMEM);
    riders->count = 0;
    while (riders->count < count) {
        fer_status status = fer__os_duplicate(fds[riders->count], &riders->fds[riders->count]);
        if (status != FER_OK) {
            fer__riders_free(riders);
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
    fer__riders_free(segment->riders);
    fer__pool_give_node(pool, segment);
}

void fer__reserve_give(fer__pool *pool, fer__reserve *reserve) {
    while (reserve->segments != NULL) {
        fer__segment *segment = reserve->segments;
        reserve->segments = segment->next;
        give_segment(pool, segment);
    }
    if (reserve->sent != NULL)
        fer__pool_give_node(pool, reserve->sent);
    reserve->sent = NULL;
}

int fer__reserve_add(fer__pool *pool, fer__reserve *reserve, int with_block) {
    fer__segment *segment = fer__pool_node(pool);
    if (segment == NULL)
        return 0;
    segment->block = NULL;
    segment->riders = NULL;
    segment->stands_for = 0;
    segment->next = reserve->segments;
    reserve->segments = segment;
    if (with_block) {
        segment->block = fer__pool_block(pool);
        if (segment->block == NULL)
            return 0;
    }
    return 1;
}

int fer__sendq_is_copied(size_t size, unsigned how) {
    return (how & FER__PUSH_REFER) == 0 || size <= FER__COPY_MAX;
}

int fer__reserve_sent(fer__pool *pool, fer__reserve *reserve) {
    reserve->sent = fer__pool_node(pool);
    return reserve->sent != NULL;
}

int fer__reserve_make(const fer__sendq *queue, fer__pool *pool, const struct iovec *parts,
                      size_t count, unsigned how, fer__reserve *reserve) {
    size_t room = 0;
    size_t i;
    /* What is written at once may take the last block with it. */
    if ((how & FER__PUSH_NOW) == 0 && queue->tail != NULL && queue->tail->block != NULL)
        room = queue->tail->room;
    for (i = 0; i < count; i++) {
        size_t left = parts[i].iov_len;
        if (left == 0)
            continue;
        if (!fer__sendq_is_copied(left, how)) {
            if (!fer__reserve_add(pool, reserve, 0))
                return 0;
            room = 0;
            continue;
        }
        while (left > room) {
            left -= room;
            room = FER__BLOCK_SIZE;
            if (!fer__reserve_add(pool, reserve, 1))
                return 0;
        }
        room -= left;
    }
    return 1;
}

void fer__sendq_link(fer__sendq *queue, fer__segment *segment) {
    segment->next = NULL;
    if (queue->tail != NULL)
        queue->tail->next = segment;
    else
        queue->head = segment;
    queue->tail = segment;
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
    segment->size = 0;
    segment->room = 0;
    if (with_block) {
        segment->data = segment->block;
        segment->room = FER__BLOCK_SIZE;
    }
    fer__sendq_link(queue, segment);
    return segment;
}

void fer__sendq_copy(fer__sendq *queue, fer__reserve *reserve, const uint8_t *data, size_t size) {
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

void fer__sendq_append(fer__sendq *queue, fer__reserve *reserve, const struct iovec *parts,
                       size_t count, unsigned how, size_t skip) {
    size_t i;
    for (i = 0; i < count; i++) {
        const uint8_t *data = parts[i].iov_base;
        size_t size = parts[i].iov_len;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        if (fer__sendq_is_copied(size, how)) {
            fer__sendq_copy(queue, reserve, data + skip, size - skip);
        } else {
            fer__segment *segment = append_segment(queue, reserve, 0);
            segment->data = data + skip;
            segment->size = size - skip;
            queue->queued += size - skip;
        }
        skip = 0;
    }
}

void fer__sendq_consume(fer__sendq *queue, fer__pool *pool, size_t size) {
    queue->written += size;
    queue->queued -= size;
    while (size > 0 || (queue->head != NULL && queue->head->size == 0)) {
        fer__segment *head = queue->head;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the kernel takes no more than was given. */
        size_t n = size < head->size ? size : head->size;
        if (head->stands_for > 0)
            queue->lane->noted -= n;
        size -= n;
        head->data += n;
        head->size -= n;
        if (head->size > 0)
            return;
        if (head->stands_for > 0)
            queue->lane->waiting -= head->stands_for;
        queue->head = head->next;
        if (queue->head == NULL)
            queue->tail = NULL;
        give_segment(pool, head);
    }
}

size_t fer__sendq_gather(const fer__sendq *queue, struct iovec *iov, size_t room) {
    const fer__segment *at = queue->head;
    size_t n = 0;
    for (; at != NULL && n < room && (n == 0 || at->riders == NULL); at = at->next) {
        iov[n].iov_base = (void *)(uintptr_t)at->data;
        iov[n++].iov_len = at->size;
    }
    return n;
}

void fer__sendq_split(fer__sendq *queue, fer__reserve *reserve) {
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

/* How much was gathered, and is in no segment yet. */
static size_t gathered(const fer__sendq *queue) {
    const fer__lane_out *lane = queue->lane;
    const fer__segment *tail = queue->tail;
    if (queue->at == NULL)
        return 0;
    if (lane != NULL && lane->size > 0)
        return (size_t)(queue->at - (lane->stage + lane->staged));
    return (size_t)(queue->at - (tail->block + (FER__BLOCK_SIZE - tail->room)));
}

void fer__sendq_open(fer__sendq *queue, size_t most) {
    const fer__lane_out *lane = queue->lane;
    const fer__segment *tail = queue->tail;
    size_t room;
    fer__sendq_fold(queue);
    if (lane != NULL && lane->size > 0) {
        queue->at = lane->stage + lane->staged;
        room = FER__LANE_STAGE - lane->staged;
        if (room > lane->room - lane->size)
            room = lane->room - lane->size;
    } else if (tail != NULL && tail->block != NULL && tail->room > 0) {
        queue->at = tail->block + (FER__BLOCK_SIZE - tail->room);
        room = tail->room;
    } else {
        return;
    }
    queue->room = (uint32_t)(room < most ? room : most);
}

void fer__sendq_fold(fer__sendq *queue) {
    size_t size = gathered(queue);
    fer__lane_out *lane = queue->lane;
    if (size > 0 && lane != NULL && lane->size > 0) {
        lane->size += size;
        lane->staged += size;
        lane->waiting += size;
    } else if (size > 0) {
        queue->tail->size += size;
        queue->tail->room -= size;
        queue->queued += size;
    }
    queue->at = NULL;
    queue->room = 0;
}

uint64_t fer__sendq_waiting(const fer__sendq *queue) {
    uint64_t waiting = (uint64_t)queue->queued + gathered(queue);
    return queue->lane == NULL ? waiting : waiting - queue->lane->noted + queue->lane->waiting;
}

/* Bytes that are somebody else's. */
static int is_lent(const fer__segment *segment) {
    return segment->size > 0 && segment->block == NULL && segment->stands_for == 0;
}

static size_t blocks_of(const fer__segment *segment) {
    return (segment->size + FER__BLOCK_SIZE - 1) / FER__BLOCK_SIZE;
}

/* Put copies in the place of a segment, and return the last of them. */
static fer__segment *replace(fer__sendq *queue, fer__pool *pool, fer__reserve *reserve,
                             fer__segment **link) {
    fer__segment *from = *link;
    fer__segment *copy = NULL;
    fer__segment *rest = from->next;
    fer__riders *riders = from->riders;
    size_t done = 0;
    do {
        size_t left = from->size - done;
        copy = reserve->segments;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the reserve was filled for this. */
        reserve->segments = copy->next;
        copy->size = left < FER__BLOCK_SIZE ? left : FER__BLOCK_SIZE;
        copy->room = 0;
        copy->data = copy->block;
        copy->riders = riders;
        riders = NULL;
        memcpy(copy->block, from->data + done, copy->size);
        done += copy->size;
        *link = copy;
        link = &copy->next;
    } while (done < from->size);
    *link = rest;
    if (rest == NULL)
        queue->tail = copy;
    from->riders = NULL;
    give_segment(pool, from);
    return copy;
}

fer_status fer__sendq_own(fer__sendq *queue, fer__pool *pool) {
    fer__reserve reserve = {0};
    fer__segment **link;
    fer__segment *at;
    size_t blocks = 0;
    fer__sendq_fold(queue);
    for (at = queue->head; at != NULL; at = at->next)
        blocks += is_lent(at) ? blocks_of(at) : 0;
    for (; blocks > 0; blocks--) {
        if (!fer__reserve_add(pool, &reserve, 1)) {
            fer__reserve_give(pool, &reserve);
            return fer__fail_plain(FER_ENOMEM);
        }
    }
    for (link = &queue->head; *link != NULL; link = &at->next)
        at = is_lent(*link) ? replace(queue, pool, &reserve, link) : *link;
    return FER_OK;
}

void fer__sendq_drop(fer__sendq *queue, fer__pool *pool) {
    fer__lane_out *lane = queue->lane;
    fer__sendq_fold(queue);
    while (queue->head != NULL) {
        fer__segment *head = queue->head;
        queue->head = head->next;
        give_segment(pool, head);
    }
    queue->tail = NULL;
    queue->queued = 0;
    queue->rides = 0;
    if (lane == NULL)
        return;
    if (lane->note != NULL)
        fer__pool_give_node(pool, lane->note);
    lane->note = NULL;
    lane->size = lane->room = lane->staged = lane->waiting = lane->noted = 0;
}
