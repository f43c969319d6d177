/**
 * The proof that both sides of a channel know a secret. Pure: no I/O, no uv.
 *
 * The key is SHA-256 of the secret: HMAC alone takes secrets for the same that differ in bytes of 0 at the end.
 * Each HELLO brings 32 random bytes. The client proves first, with HMAC-SHA-256 of a word for its side and
 * both HELLO payloads under the secret; the server answers in kind. What was recorded on another connection
 * does not fit the random bytes of this one, and what the other side sent does not fit the word. Who sits
 * between the two and passes on every byte is not noticed: bytes after the handshake are not protected.
 */
#ifndef FER_IMPL_AUTH_H
#define FER_IMPL_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum {
    FER__PROOF_SIZE = 32,
    FER__AUTH_HELLO = FER__HELLO_SIZE + FER__NONCE_SIZE /**< payload of a HELLO with a secret */
};

/** What the library keeps of a secret. */
typedef struct fer__secret {
    uint8_t key[32];
} fer__secret;

typedef struct fer__auth {
    const fer__secret *secret;
    uint8_t own[FER__AUTH_HELLO]; /**< the payload of this side's HELLO */
    uint8_t peer[FER__AUTH_HELLO];
    uint8_t is_server;
} fer__auth;

/** The key of a secret, which is overwritten when it is freed. NULL on no memory, or for no secret. */
fer__secret *fer__secret_new(const void *bytes, size_t size);
void fer__secret_free(fer__secret *secret);

/** Overwrite memory that a secret was in, and free it. */
void fer__secret_wipe(void *memory, size_t size);

/** Random bytes for a HELLO. FER_ENOTSUP when the library that makes them does not start. */
fer_status fer__auth_nonce(uint8_t nonce[FER__NONCE_SIZE]);

/** The proof of one side. */
void fer__auth_prove(const fer__auth *auth, int of_server, uint8_t proof[FER__PROOF_SIZE]);

/** Whether the peer's proof is right; takes as long for any that is not. */
int fer__auth_is_right(const fer__auth *auth, const uint8_t proof[FER__PROOF_SIZE]);

#endif
