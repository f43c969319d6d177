/**
 * The memory that the payloads of large messages are in: the pool's, or what fer_channel_set_body_memory() chose.
 * Only impl/intake.c and impl/body.c see it.
 */
#ifndef FER_IMPL_BODY_H
#define FER_IMPL_BODY_H

#include "intake.h"

/** Begin a body with room for `size` bytes of the present frame's payload. 0 when there is no memory. */
int fer__body_begin(fer__intake *intake, fer__pool *pool, size_t size);

/** Give it another size. 0 when there is no memory: then it stays as it is. */
int fer__body_resize(fer__intake *intake, size_t size);

/** Put the first `size` bytes into it. */
void fer__body_fill(fer__intake *intake, const uint8_t *from, size_t size);

/** It is complete: hand its memory to the batch. FER_ENOMEM: it was released. */
fer_status fer__body_end(fer__intake *intake, fer__batch *batch);

/** Give back a body that is not complete. */
void fer__body_drop(fer__intake *intake, fer__pool *pool);

#endif
