/**
 * Memory that a loop keeps for reuse, so that steady traffic allocates nothing.
 */
#ifndef FER_IMPL_POOL_H
#define FER_IMPL_POOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    FER__BLOCK_SIZE = 64 * 1024, /**< a block of the send queue */
    FER__POOL_BLOCKS = 32,       /**< blocks kept: 2 MiB */
    FER__POOL_NODES = 1024,      /**< nodes kept */
    FER__READ_SIZE = 256 * 1024, /**< the buffer that all reads of a loop share */
    FER__POOL_BODY = 4 << 20,    /**< the largest body buffer kept */
    FER__POOL_BODIES = 2         /**< kept: one is delivered while the next is filled */
};

/** A small piece of memory, large enough for every kind of node that the library queues. */
typedef union fer__node {
    union fer__node *next;
    unsigned char room[72];
    void *align;
} fer__node;

typedef struct fer__pool {
    fer__node *nodes;
    size_t node_count;
    fer__node *blocks; /**< the first bytes of a free block link it */
    size_t block_count;
    uint8_t *read_buffer;              /**< FER__READ_SIZE bytes, made at the first read */
    uint8_t *bodies[FER__POOL_BODIES]; /**< spare body buffers, or NULL */
    size_t body_sizes[FER__POOL_BODIES];
} fer__pool;

void fer__pool_free(fer__pool *pool);

/** A node with undefined content; NULL on no memory. */
void *fer__pool_node(fer__pool *pool);
void fer__pool_give_node(fer__pool *pool, void *memory);

/** A block of FER__BLOCK_SIZE bytes; NULL on no memory. */
uint8_t *fer__pool_block(fer__pool *pool);
void fer__pool_give_block(fer__pool *pool, uint8_t *block);

/** The read buffer; NULL on no memory. */
uint8_t *fer__pool_read_buffer(fer__pool *pool);

/** A buffer of at least `size` bytes; `*capacity` receives what it has. NULL on no memory. */
uint8_t *fer__pool_body(fer__pool *pool, size_t size, size_t *capacity);
void fer__pool_give_body(fer__pool *pool, uint8_t *body, size_t capacity);

#endif
