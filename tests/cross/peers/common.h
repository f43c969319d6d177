/**
 * What the roles of the C peer share: its arguments, the contents of messages, and its output.
 * ../README.md describes them.
 */
#ifndef FERRULE_PEER_COMMON_H
#define FERRULE_PEER_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "ferrule.h"

/** Messages of one size, one after the other. */
struct run {
    size_t size;
    size_t count;
};

/** A list of runs that grows. */
struct runs {
    struct run *items;
    size_t count;
    size_t room;
};

struct arguments {
    const char *role;
    const char *address;
    struct runs sizes;
    fer_channel_options channel;
    int hold;
    int stay;
};

/** What was sent or received. */
struct result {
    struct runs runs;
    size_t messages;
    long bad; /**< number of the first message with wrong contents, or -1 */
    fer_status end;
    fer_status error; /**< why there was no connection */
};

#define RESULT_INIT \
    { {NULL, 0, 0}, 0, -1, FER_OK, FER_OK }

/** Add one message. Ends the process when there is no memory. */
void runs_add(struct runs *runs, size_t size, size_t count);

/** Parse a list of sizes. 0 when it is malformed. */
int runs_parse(struct runs *runs, const char *text);

/** Write the contents of message `number`. */
void fill(unsigned char *bytes, size_t number, size_t size);

/** Note a received message, and check its contents. */
void result_add(struct result *result, const void *data, size_t size);

/** Print a line, and flush it. */
void say(const char *line);
void say_result(const struct result *result);

/** As malloc(3), but ends the process when there is no memory. */
void *take_memory(size_t size);

/** Print what failed, and end the process. Only for what cannot happen in a good test. */
void give_up(fer_status status, const char *what);

/**
 * Watch standard input from a thread: `on_line` runs on the loop's thread for each line, `on_end` at its
 * end.
 */
void watch_input(fer_loop *loop, fer_posted_cb on_line, fer_posted_cb on_end, void *user);

/** The roles. */
void run_echo(const struct arguments *arguments);
void run_collect(const struct arguments *arguments);
void run_ping(const struct arguments *arguments);
void run_send(const struct arguments *arguments);

#endif
