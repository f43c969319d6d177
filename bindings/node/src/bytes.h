/**
 * JavaScript's strings and buffers as bytes for the library.
 */
#ifndef FER_NODE_BYTES_H
#define FER_NODE_BYTES_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "ferrule/types.h"

enum {
    FER_NODE_FEW = 8,               /**< parts that need no memory of their own */
    FER_NODE_BIG = 64 * 1024,       /**< from here on buffers are referenced, not copied */
    FER_NODE_TEXT_ROOM = 16 * 1024, /**< text up to here needs no memory of its own */
};

/** What one call is given. Points into JavaScript's memory: use it before JavaScript runs again. */
typedef struct fer_node_bytes {
    fer_bytes *parts;
    size_t count;
    size_t total; /**< bytes in all parts */
    fer_bytes few[FER_NODE_FEW];
    char *text; /**< memory of a long string */
    char room[FER_NODE_TEXT_ROOM];
} fer_node_bytes;

/**
 * Take a string, a Uint8Array, or an array of Uint8Arrays apart.
 * Returns false, with an exception thrown, for anything else. End with fer_node_bytes_done().
 */
bool fer_node_bytes_get(napi_env env, napi_value value, fer_node_bytes *bytes);

/** What keeps the bytes of a call alive after it. */
typedef struct fer_node_kept {
    napi_ref value; /**< the Buffer, or the array of them */
    char *text;     /**< memory of a string */
} fer_node_kept;

/**
 * Have `bytes`, which were got from `value`, outlive the call. False, with nothing kept and no
 * exception thrown, when there is no memory.
 */
bool fer_node_bytes_keep(napi_env env, napi_value value, fer_node_bytes *bytes,
                         fer_node_kept *kept);

/**
 * Have a copy of `bytes`, in one part, outlive the call: JavaScript may then do with its memory what it
 * likes. False, with nothing kept and no exception thrown, when there is no memory.
 */
bool fer_node_bytes_copy(fer_node_bytes *bytes, fer_node_kept *kept);

/** They are not needed any more. */
void fer_node_kept_drop(napi_env env, fer_node_kept *kept);

/** Leave out the first `size` bytes. */
void fer_node_bytes_skip(fer_node_bytes *bytes, size_t size);

/** Free what fer_node_bytes_get() needed. */
void fer_node_bytes_done(fer_node_bytes *bytes);

#endif
