#include "pool.h"

#include "mem.h"

void fer__pool_free(fer__pool *pool) {
    int i;
    while (pool->nodes != NULL) {
        fer__node *node = pool->nodes;
        pool->nodes = node->next;
        fer__free(node);
    }
    while (pool->blocks != NULL) {
        fer__node *block = pool->blocks;
        pool->blocks = block->next;
        fer__free(block);
    }
    fer__free(pool->read_buffer);
    for (i = 0; i < FER__POOL_BODIES; i++)
        fer__free(pool->bodies[i]);
    *pool = (fer__pool){0};
}

void *fer__pool_node(fer__pool *pool) {
    fer__node *node = pool->nodes;
    if (node == NULL)
        return fer__malloc(sizeof(fer__node));
    pool->nodes = node->next;
    pool->node_count--;
    return node;
}

void fer__pool_give_node(fer__pool *pool, void *memory) {
    fer__node *node = memory;
    if (pool->node_count >= FER__POOL_NODES) {
        fer__free(node);
        return;
    }
    node->next = pool->nodes;
    pool->nodes = node;
    pool->node_count++;
}

uint8_t *fer__pool_block(fer__pool *pool) {
    fer__node *block = pool->blocks;
    if (block == NULL)
        return fer__malloc(FER__BLOCK_SIZE);
    pool->blocks = block->next;
    pool->block_count--;
    return (uint8_t *)block;
}

void fer__pool_give_block(fer__pool *pool, uint8_t *block) {
    fer__node *node = (fer__node *)(void *)block;
    if (pool->block_count >= FER__POOL_BLOCKS) {
        fer__free(block);
        return;
    }
    node->next = pool->blocks;
    pool->blocks = node;
    pool->block_count++;
}

uint8_t *fer__pool_read_buffer(fer__pool *pool) {
    if (pool->read_buffer == NULL)
        pool->read_buffer = fer__malloc(FER__READ_SIZE);
    return pool->read_buffer;
}

uint8_t *fer__pool_body(fer__pool *pool, size_t size, size_t *capacity) {
    int i;
    for (i = 0; i < FER__POOL_BODIES; i++) {
        uint8_t *body = pool->bodies[i];
        if (body == NULL || pool->body_sizes[i] < size)
            continue;
        *capacity = pool->body_sizes[i];
        pool->bodies[i] = NULL;
        pool->body_sizes[i] = 0;
        return body;
    }
    *capacity = size;
    return fer__malloc(size);
}

void fer__pool_give_body(fer__pool *pool, uint8_t *body, size_t capacity) {
    int least = 0;
    int i;
    if (body == NULL)
        return;
    for (i = 1; i < FER__POOL_BODIES; i++)
        least = pool->body_sizes[i] < pool->body_sizes[least] ? i : least;
    if (capacity > FER__POOL_BODY || pool->body_sizes[least] >= capacity) {
        fer__free(body);
        return;
    }
    fer__free(pool->bodies[least]);
    pool->bodies[least] = body;
    pool->body_sizes[least] = capacity;
}
