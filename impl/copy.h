/**
 * Copies of much.
 */
#ifndef FER_IMPL_COPY_H
#define FER_IMPL_COPY_H

#include <stddef.h>

/**
 * As memcpy(). For much, that takes string instructions, which some processors do ten times slower when the target is
 * a few bytes behind the source in their pages, as a payload behind a header is: then it is copied with plain loads and
 * stores.
 */
void fer__copy(void *to, const void *from, size_t size);

/**
 * The same, to memory that is not in the caches: past them, where the processor can. Otherwise it would read each line
 * of the target first, and put out others for it.
 */
void fer__copy_cold(void *to, const void *from, size_t size);

#endif
