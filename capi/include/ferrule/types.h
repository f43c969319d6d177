/**
 * Types that all parts share, and the allocator.
 */
#ifndef FERRULE_TYPES_H
#define FERRULE_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "status.h"

FER_BEGIN_DECLS

/** A loop: runs callbacks on the thread that made it. */
typedef struct fer_loop fer_loop;
/** A handle: a pipe, a TCP socket or a UDP socket. */
typedef struct fer_handle fer_handle;
/** A channel: whole messages, both ways. */
typedef struct fer_channel fer_channel;
/** A server: accepts channels at an address. */
typedef struct fer_server fer_server;

/** Bytes that somebody else owns. The layout never changes. */
typedef struct fer_bytes {
    const void *data; /**< first byte; may be NULL when size is 0 */
    size_t size;      /**< in bytes */
} fer_bytes;

/** Releases `user` data: called exactly once, after the last call that could use it. */
typedef void (*fer_finalizer)(void *user);

/**
 * Where the library gets its memory. Copied by fer_set_allocator().
 *
 * Each function is called from any thread that uses the library, and must be safe for that.
 * Sizes are in bytes. `realloc` and `free` get only what the same allocator gave, or NULL.
 */
typedef struct fer_allocator {
    uint32_t struct_size;                                    /**< sizeof(fer_allocator) */
    uint32_t flags;                                          /**< none yet: 0 */
    void *(*malloc)(size_t size, void *user);                /**< NULL when there is none */
    void *(*realloc)(void *memory, size_t size, void *user); /**< as realloc(3) */
    void (*free)(void *memory, void *user);                  /**< as free(3) */
    void *user;                                              /**< passed to each of them */
} fer_allocator;

/* clang-format off */
#define FER_ALLOCATOR_INIT { sizeof(fer_allocator), 0, NULL, NULL, NULL, NULL }
/* clang-format on */

/**
 * Choose where the library gets its memory.
 *
 * @param allocator  three functions and their `user`; NULL goes back to malloc(3).
 * Ownership: the structure is copied; `user` must live as long as the process uses the library.
 * Thread: any, but before any other call of the library that makes an object.
 * Callbacks: not from a callback.
 * @return FER_OK; FER_EINVAL for a missing function, an unknown flag or a wrong `struct_size`;
 *         FER_EBUSY while memory from the present allocator is in use.
 * Seed: uv_replace_allocator.
 */
FER_API fer_status fer_set_allocator(const fer_allocator *allocator);

FER_END_DECLS

#endif
