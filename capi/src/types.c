#include "ferrule/types.h"

#include "check.h"
#include "impl/mem.h"

fer_status fer_set_allocator(const fer_allocator *allocator) {
    fer_allocator known;
    if (allocator == NULL)
        return fer__mem_set_allocator(NULL);
    FER__TRY(fer__copy_struct(&known, sizeof known, allocator, sizeof known));
    return fer__mem_set_allocator(&known);
}
