/* uv.h uses types that plain C11 hides. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "ferrule/version.h"

#include <uv.h>

#include "impl/status.h"

#define TEXT(value)      #value
#define VALUE_TEXT(name) TEXT(name)

uint32_t fer_version(void) {
    return FER_VERSION_HEX;
}

const char *fer_version_string(void) {
    return VALUE_TEXT(FER_VERSION_MAJOR) "." VALUE_TEXT(FER_VERSION_MINOR) "." VALUE_TEXT(
        FER_VERSION_PATCH);
}

fer_status fer_version_check(uint32_t least) {
    if (least >> 16 == FER_VERSION_MAJOR && least <= FER_VERSION_HEX)
        return FER_OK;
    return fer__fail(FER_EVERSION, "version %s is loaded, %u.%u.%u is asked for",
                     fer_version_string(), (unsigned)(least >> 16), (unsigned)(least >> 8 & 0xff),
                     (unsigned)(least & 0xff));
}

const char *fer_version_uv(void) {
    return uv_version_string();
}
