#include "copy.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { LINE = 64 };

void fer__copy(void *to, const void *from, size_t size) {
    enum { PAGE = 4096 };
    uint8_t *at = to;
    const uint8_t *next = from;
    size_t apart = ((uintptr_t)to - (uintptr_t)from) % PAGE;
    if (apart > 0 && apart < LINE) {
        /* So few bytes become plain loads and stores; a constant of more may become a string instruction, too. */
        for (; size > LINE; size -= LINE) {
            memcpy(at, next, LINE);
            at += LINE;
            next += LINE;
        }
    }
    if (size > 0)
        memcpy(at, next, size);
}

#if defined(__SSE2__)

/* Whole lines, which the processor then need not read: the target begins one. */
static void stream_lines(uint8_t *to, const uint8_t *from, size_t count) {
    enum { QUARTER = LINE / 4 };
    for (; count > 0; count--) {
        __m128i parts[4];
        size_t i;
        for (i = 0; i < 4; i++)
            parts[i] = _mm_loadu_si128((const __m128i *)(const void *)(from + i * QUARTER));
        for (i = 0; i < 4; i++)
            _mm_stream_si128((__m128i *)(void *)(to + i * QUARTER), parts[i]);
        to += LINE;
        from += LINE;
    }
    /* Such stores are in no order with others before this. */
    _mm_sfence();
}

void fer__copy_cold(void *to, const void *from, size_t size) {
    uint8_t *at = to;
    const uint8_t *next = from;
    size_t lead = (LINE - (uintptr_t)to % LINE) % LINE;
    size_t lines = size < lead ? 0 : (size - lead) / LINE;
    if (lines > 0) {
        memcpy(at, next, lead);
        stream_lines(at + lead, next + lead, lines);
        lead += lines * LINE;
        at += lead;
        next += lead;
        size -= lead;
    }
    if (size > 0)
        memcpy(at, next, size);
}

#else

void fer__copy_cold(void *to, const void *from, size_t size) {
    fer__copy(to, from, size);
}

#endif
