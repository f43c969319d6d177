#include "auth.h"

#include <sodium.h>
#include <string.h>

#include "mem.h"
#include "status.h"

_Static_assert(crypto_auth_hmacsha256_BYTES == FER__PROOF_SIZE, "a proof is an HMAC-SHA-256");

_Static_assert(crypto_hash_sha256_BYTES == sizeof(fer__secret), "a key is a SHA-256");

fer__secret *fer__secret_new(const void *bytes, size_t size) {
    fer__secret *secret;
    if (size == 0)
        return NULL;
    secret = fer__malloc(sizeof *secret);
    if (secret != NULL)
        crypto_hash_sha256(secret->key, bytes, size);
    return secret;
}

void fer__secret_wipe(void *memory, size_t size) {
    if (memory == NULL)
        return;
    sodium_memzero(memory, size);
    fer__free(memory);
}

void fer__secret_free(fer__secret *secret) {
    fer__secret_wipe(secret, sizeof *secret);
}

fer_status fer__auth_nonce(uint8_t nonce[FER__NONCE_SIZE]) {
    /* Doing it again changes nothing. */
    if (sodium_init() < 0)
        return fer__fail(FER_ENOTSUP, "the cryptographic library does not start");
    randombytes_buf(nonce, FER__NONCE_SIZE);
    return FER_OK;
}

void fer__auth_prove(const fer__auth *auth, int of_server, uint8_t proof[FER__PROOF_SIZE]) {
    static const char client_word[] = "ferrule 1 client";
    static const char server_word[] = "ferrule 1 server";
    const char *word = of_server ? server_word : client_word;
    const uint8_t *client = auth->is_server ? auth->peer : auth->own;
    const uint8_t *server = auth->is_server ? auth->own : auth->peer;
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, auth->secret->key, sizeof auth->secret->key);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)word, sizeof client_word - 1);
    crypto_auth_hmacsha256_update(&state, client, FER__AUTH_HELLO);
    crypto_auth_hmacsha256_update(&state, server, FER__AUTH_HELLO);
    crypto_auth_hmacsha256_final(&state, proof);
    sodium_memzero(&state, sizeof state);
}

int fer__auth_is_right(const fer__auth *auth, const uint8_t proof[FER__PROOF_SIZE]) {
    uint8_t wanted[FER__PROOF_SIZE];
    fer__auth_prove(auth, !auth->is_server, wanted);
    return sodium_memcmp(wanted, proof, sizeof wanted) == 0;
}
