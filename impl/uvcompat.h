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

/** Whether this is the thread. Every call asks, so it costs no call of libuv where threads are POSIX's. */
static inline int fer__thread_is(uv_thread_t thread) {
#ifdef _WIN32
    uv_thread_t self = uv_thread_self();
    return uv_thread_equal(&self, &thread);
#else
    return pthread_equal(pthread_self(), thread) != 0;
#endif
}

/** Whether the libuv that is loaded can serve code that was compiled against these headers. */
static inline int fer__uv_is_usable(void) {
    unsigned int loaded = uv_version();
    return (loaded >> 16) == UV_VERSION_MAJOR && loaded >= (unsigned int)UV_VERSION_HEX;
}

#endif
