/**
 * Where messages to send come from: files, and records of standard input.
 */
#ifndef FERRULE_TOOL_SOURCE_H
#define FERRULE_TOOL_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"

/**
 * Read a whole file; "-" is standard input. Returns its bytes, to be freed, also for an empty one; NULL
 * after a complaint. A file over `limit` bytes is not read to its end.
 */
unsigned char *source_load(const char *name, uint64_t limit, size_t *size);

/** Cuts standard input into messages. Zeroed, with `framing` and `limit` set, it is ready. */
struct records {
    enum framing framing;
    uint64_t limit; /**< bytes in a message */
    unsigned char *data;
    size_t room;    /**< bytes at `data` */
    size_t start;   /**< where the next record starts in `data` */
    size_t end;     /**< where what was read ends */
    size_t scanned; /**< up to here there is no end of the record at `start` */
    int ended;      /**< standard input is at its end */
};

typedef enum record_state {
    RECORD_FOUND,  /**< here is one */
    RECORD_NONE,   /**< read more; at the end of the input: there are no more */
    RECORD_INVALID /**< after a complaint */
} record_state;

/** Read once from standard input, which blocks when there is nothing. 0 after a complaint. */
int records_read(struct records *records);

/** The next message among what was read; its bytes are valid until the next records_read(). */
record_state records_next(struct records *records, fer_bytes *message);

void records_free(struct records *records);

#endif
