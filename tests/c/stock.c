#include "stock.h"

#include <stdlib.h>

#include "fixture.h"

void stock_make(stock *of, const size_t *sizes, size_t kinds) {
    size_t at = 0;
    for (size_t i = 0; i < STOCK; i++)
        at += sizes[i % kinds];
    of->memory = malloc(at);
    assert_non_null(of->memory);
    at = 0;
    for (size_t i = 0; i < STOCK; i++) {
        const size_t size = sizes[i % kinds];
        fill(of->memory + at, size, (unsigned)i);
        of->messages[i] = (fer_bytes){of->memory + at, size};
        at += size;
    }
}
