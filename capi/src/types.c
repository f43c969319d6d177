#include "ferrule/types.h"

#include "impl/mem.h"

fer_status fer_set_allocator(const fer_allocator *allocator) {
    return fer__mem_set_allocator(allocator);
}
