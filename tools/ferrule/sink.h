/**
 * Where received messages go: standard output, or a directory with a file a message.
 */
#ifndef FERRULE_TOOL_SINK_H
#define FERRULE_TOOL_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "ferrule.h"
#include "options.h"

struct sink {
    enum framing framing;
    uint64_t limit;             /**< messages to take in all; 0: any number */
    const char *directory_name; /**< NULL: standard output */
    int directory;              /**< its descriptor, or -1 */
    uint64_t messages;          /**< taken so far */
    size_t used;                /**< bytes in `buffer` */
    unsigned char buffer[65536];
};

/** Get ready; makes the directory if need be. 0 after a complaint. */
int sink_open(struct sink *sink, const struct options *options);

typedef enum sink_state {
    SINK_TAKES, /**< go on */
    SINK_FULL,  /**< it has as many messages as were asked for */
    SINK_FAILED /**< after a complaint: a message did not get where it should */
} sink_state;

/** Take messages and hand them to the system. What is over the limit is left. */
sink_state sink_take(struct sink *sink, const fer_message *messages, size_t count);

void sink_close(struct sink *sink);

#endif
