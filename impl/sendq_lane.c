/* The lane of a send queue: pieces that are filled, and the notes on them. */
#include "copy.h"
#include "sendq_store.h"

/* Have a piece open that has room for so much. */
static int begin(fer__sendq *queue, fer__pool *pool, size_t size, int wait) {
    fer__lane_out *lane = queue->lane;
    size_t most = size > FER__LANE_PIECE ? size : FER__LANE_PIECE;
    if (lane->room - lane->size >= size)
        return 1;
    fer__sendq_note(queue);
    if (lane->note == NULL)
        lane->note = fer__pool_node(pool);
    return lane->note != NULL &&
           (wait ? fer__lane_wait(lane, size, most) : fer__lane_begin(lane, size, most));
}

int fer__sendq_fill(fer__sendq *queue, fer__pool *pool, const struct iovec *parts, size_t count,
                    size_t size, int wait) {
    fer__lane_out *lane = queue->lane;
    uint8_t *to;
    size_t i;
    if (!begin(queue, pool, size, wait))
        return 0;
    if (size > FER__COPY_MAX) {
        to = fer__lane_at(lane);
    } else {
        if (lane->staged + size > FER__LANE_STAGE)
            (void)fer__lane_at(lane);
        to = lane->stage + lane->staged;
        lane->staged += size;
    }
    for (i = 0; i < count; i++) {
        fer__copy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    lane->size += size;
    lane->waiting += size;
    return 1;
}

void fer__sendq_note(fer__sendq *queue) {
    fer__lane_out *lane = queue->lane;
    fer__segment *note;
    if (lane == NULL || lane->size == 0)
        return;
    note = lane->note;
    lane->note = NULL;
    note->block = NULL;
    note->riders = NULL;
    note->room = 0;
    note->stands_for = (uint32_t)lane->size;
    note->size = fer__bytes_encode(lane->position, note->stands_for, note->note);
    note->data = note->note;
    fer__sendq_link(queue, note);
    queue->queued += note->size;
    lane->noted += note->size;
    fer__lane_end(lane);
}
