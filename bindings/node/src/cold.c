#include "cold.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)

#include <emmintrin.h>

enum {
    PART = sizeof(__m128i),
    LINE = 4 * PART,
    LEAST = 1024, /**< of less, too much would be parts of lines */
};

/**
 * The target begins a line. Only whole lines go past the caches well: with parts of one, the processor waits for
 * the memory twice.
 */
static void stream_lines(char *to, const char *from, size_t size) {
    for (; size > 0; size -= LINE) {
        for (size_t i = 0; i < LINE; i += PART) {
            __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
            _mm_stream_si128((__m128i *)(void *)(to + i), part);
        }
        to += LINE;
        from += LINE;
    }
    /* A worker that is given the memory must find it there. */
    _mm_sfence();
}

void fer_node_copy_cold(void *to, const void *from, size_t size) {
    char *at = to;
    const char *next = from;
    if (size >= LEAST) {
        size_t lead = (LINE - (uintptr_t)at % LINE) % LINE;
        size_t lines = (size - lead) / LINE * LINE;
        memcpy(at, next, lead);
        stream_lines(at + lead, next + lead, lines);
        at += lead + lines;
        next += lead + lines;
        size -= lead + lines;
    }
    memcpy(at, next, size);
}

#else

void fer_node_copy_cold(void *to, const void *from, size_t size) {
    memcpy(to, from, size);
}

#endif
