/**
 * The wire vectors, for tests that replay them: see tests/vectors/README.md.
 *
 * A test tells what it saw, in order, and has that compared with the events of the vector.
 */
#ifndef FER_TESTS_VECTORS_H
#define FER_TESTS_VECTORS_H

#include "harness.h"
#include "impl/frame.h"

typedef struct vector_file vector_file;

/** The most descriptors that ride on one byte. */
enum { VECTOR_RIDERS = 64 };

/** Descriptors that the sender sends with the byte at this place. */
typedef struct vector_ride {
    size_t at;
    size_t count;
} vector_ride;

typedef struct wire_vector {
    const char *name;
    fer_wire wire;
    fer__limits limits;
    int needs_handles;
    uint8_t *bytes;
    size_t size;
    vector_ride *rides; /* in the order of the bytes */
    size_t ride_count;
    void *events; /* of the file */
} wire_vector;

vector_file *vectors_open(void);
size_t vectors_count(const vector_file *file);
void vectors_close(vector_file *file);

/** Get a vector; it must be freed before the file is closed. */
void vectors_get(const vector_file *file, size_t index, wire_vector *vector);
void vector_free(wire_vector *vector);

/**
 * The next piece of the stream, from `at`: up to `to` at most, and no further than to the next byte that
 * descriptors ride on. Gives its size, and how many ride on its first byte.
 */
size_t vector_piece(const wire_vector *vector, size_t at, size_t to, size_t *descriptors);

/** Two HELLO payloads, and what each side proves with a secret. All of them bytes. */
typedef struct secret_vector {
    uint8_t *secret;
    size_t secret_size;
    uint8_t *hello[2]; /**< of the client, of the server */
    uint8_t *proof[2]; /**< likewise */
} secret_vector;

/** Get a vector of secrets.json; 0 when there are not so many. */
int vectors_secret(size_t index, secret_vector *vector);
void secret_vector_free(secret_vector *vector);

typedef struct vector_events vector_events;

/** An empty list of what was seen. */
vector_events *vector_events_new(void);
void vector_saw_hello(vector_events *events, uint32_t version, uint64_t max_message,
                      uint32_t max_handles);
void vector_saw_message(vector_events *events, const void *data, size_t size, size_t handles);

/** The status that the stream ended with; FER_EOF stands for a goodbye and for an orderly end. */
void vector_saw_end(vector_events *events, fer_status status);

/** Fail the test unless the vector's events were seen. Frees the list. */
void vector_events_compare(vector_events *events, const wire_vector *vector);

#endif
