/**
 * Memory: every allocation of the library goes through here, and so through the user's allocator.
 */
#ifndef FER_IMPL_MEM_H
#define FER_IMPL_MEM_H

#include <stddef.h>

#include "ferrule/types.h"

/** NULL when there is no memory. `size` must not be 0. */
void *fer__malloc(size_t size);

/** As fer__malloc(), zeroed. */
void *fer__zalloc(size_t size);

/** As realloc(3); on NULL the old memory stays. `size` must not be 0. */
void *fer__realloc(void *memory, size_t size);

/** NULL is ignored. */
void fer__free(void *memory);

/** How many allocations are live. */
size_t fer__mem_live(void);

/** The work of fer_set_allocator(). */
fer_status fer__mem_set_allocator(const fer_allocator *allocator);

#endif
