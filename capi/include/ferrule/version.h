/**
 * The version of the headers, and of the library that is loaded.
 */
#ifndef FERRULE_VERSION_H
#define FERRULE_VERSION_H

#include <stdint.h>

#include "export.h"
#include "status.h"

#define FER_VERSION_MAJOR 0
#define FER_VERSION_MINOR 1
#define FER_VERSION_PATCH 0

/** The version as one number, 0xMMmmpp: it grows with every release. */
#define FER_VERSION_HEX \
    ((FER_VERSION_MAJOR << 16) | (FER_VERSION_MINOR << 8) | (FER_VERSION_PATCH << 0))

FER_BEGIN_DECLS

/**
 * The version of the library that is loaded.
 *
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the version as FER_VERSION_HEX writes it.
 * Seed: uv_version.
 */
FER_API uint32_t fer_version(void);

/**
 * The version of the library that is loaded, as text: "MAJOR.MINOR.PATCH".
 *
 * Ownership: the text is the library's and lives for ever.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the text, never NULL.
 * Seed: uv_version_string.
 */
FER_API const char *fer_version_string(void);

/**
 * Check that the loaded library can serve a program that was built against version `least`.
 *
 * @param least  the oldest version that will do, as FER_VERSION_HEX writes it; pass FER_VERSION_HEX.
 * Ownership: nothing changes hands.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EVERSION when the library is older than `least` or of another major version.
 * Seed: none.
 */
FER_API fer_status fer_version_check(uint32_t least);

/**
 * The version of libuv that this copy of the library runs on, as text.
 *
 * In the Node addon this is Node's own libuv.
 *
 * Ownership: the text is libuv's and lives for ever.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return the text, never NULL.
 * Seed: uv_version_string.
 */
FER_API const char *fer_version_uv(void);

FER_END_DECLS

#endif
