#include "cold.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)

#include <emmintrin.h>

enum {
    PART = sizeof(__m128i),
    LINE = 4 * PART,
    LEAST = 4 * LINE, /**< of less, most would be parts of lines */
};

/** The target is aligned. Parts of a line that follow each other leave the processor as one. */
static void stream(char *to, const char *from, size_t size) {
    for (; size >= LINE; size -= LINE) {
        for (size_t i = 0; i < LINE; i += PART) {
            __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
            _mm_stream_si128((__m128i *)(void *)(to + i), part);
        }
        to += LINE;
        from += LINE;
    }
    memcpy(to, from, size);
}

void fer_node_copy_cold(void *to, const void *from, size_t size) {
    size_t lead = (PART - (uintptr_t)to % PART) % PART;
    if (size < LEAST) {
        memcpy(to, from, size);
        return;
    }
    memcpy(to, from, lead);
    stream((char *)to + lead, (const char *)from + lead, size - lead);
}

void fer_node_settle_cold(void) {
    _mm_sfence();
}

#else

void fer_node_copy_cold(void *to, const void *from, size_t size) {
    memcpy(to, from, size);
}

void fer_node_settle_cold(void) {}

#endif
