/**
 * The only place that knows libuv versions.
 *
 * The library uses nothing that libuv 1.43 does not have, so that objects built against the oldest
 * supported headers run on every later libuv 1.
 */
#ifndef FER_IMPL_UVCOMPAT_H
#define FER_IMPL_UVCOMPAT_H

#include <uv.h>

#if UV_VERSION_MAJOR != 1 || UV_VERSION_MINOR < 43
#error "Ferrule needs libuv 1.43 or a later 1.x"
#endif

/** The libuv whose headers this was compiled against. */
enum {
    FER__UV_MAJOR = UV_VERSION_MAJOR,
    FER__UV_MINOR = UV_VERSION_MINOR,
    FER__UV_PATCH = UV_VERSION_PATCH
};

/** Whether the libuv that is loaded can serve code that was compiled against these headers. */
static inline int fer__uv_is_usable(void) {
    unsigned int loaded = uv_version();
    return (loaded >> 16) == UV_VERSION_MAJOR && loaded >= (unsigned int)UV_VERSION_HEX;
}

#endif
