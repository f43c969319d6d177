/**
 * Many messages to send by one call.
 */
#ifndef FER_TESTS_STOCK_H
#define FER_TESTS_STOCK_H

#include "ferrule.h"

enum { STOCK = 1000 };

/** Messages in one piece of memory, each of its own size and filling. */
typedef struct stock {
    uint8_t *memory; /**< to be freed by the test */
    fer_bytes messages[STOCK];
} stock;

/** Make them, of `kinds` sizes in turn. */
void stock_make(stock *of, const size_t *sizes, size_t kinds);

#endif
