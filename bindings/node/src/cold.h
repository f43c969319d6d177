/**
 * Copies to memory that is not in the caches, as that of new Buffers is: the collector lets them go some 32 MiB at a time.
 */
#ifndef FER_NODE_COLD_H
#define FER_NODE_COLD_H

#include <stddef.h>

/** As memcpy(). Much of it goes past the caches, where the processor can. */
void fer_node_copy_cold(void *to, const void *from, size_t size);

#endif
