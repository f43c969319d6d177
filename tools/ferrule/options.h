/**
 * The struct command line, taken apart by popt.
 */
#ifndef FERRULE_TOOL_OPTIONS_H
#define FERRULE_TOOL_OPTIONS_H

#include <stdint.h>

#include "ferrule.h"

/** How messages are told apart on standard input and output. */
enum framing {
    FRAMING_LINE,  /**< a newline ends each message */
    FRAMING_NULL,  /**< a NUL byte ends each message */
    FRAMING_NONE,  /**< nothing: one message in, messages without a mark out */
    FRAMING_LENGTH /**< 4 bytes with the length before each message, the highest byte first */
};

/** Which options and arguments a command takes. */
enum {
    TAKES_MESSAGES = 1, /**< it prints messages: --count, --output */
    TAKES_FRAMING = 2,  /**< --framing, --null */
    TAKES_CLIENTS = 4,  /**< it is a server: --once */
    TAKES_FILES = 8,    /**< arguments after the address */
    TAKES_STATS = 16,   /**< --verbose */
    TAKES_TARGET = 32   /**< a second address, and options for each of the two sides */
};

/** What --secret-file named. */
struct secret {
    void *bytes; /**< NULL: none */
    size_t size;
};

struct options {
    fer_channel_options channel;
    const char *address;
    fer_channel_options target_channel; /**< of the second address */
    const char *target;                 /**< the second address, or NULL */
    struct secret secret;
    struct secret target_secret;
    int any_user; /**< clients and servers of other users are as good */
    int verbose;
    const char *const *files; /**< ended by NULL */
    const char *output;       /**< directory for messages, or NULL for standard output */
    enum framing framing;
    int64_t timeout_ms; /**< without progress; negative: none */
    uint64_t count;     /**< messages to take; 0: no limit */
    int once;
    void *parser; /**< what the texts above live in */
};

/**
 * Parse the arguments of one command.
 *
 * Returns 1 to go on, then options_free() is due. Returns 0 when the command is done already (help was
 * asked for, or the usage is wrong and was complained about), with its exit code in `result`.
 */
int options_parse(struct options *options, const char *command, const char *summary, int takes,
                  int argc, const char **argv, int *result);

void options_free(struct options *options);

#endif
