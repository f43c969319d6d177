/**
 * The C peer: its arguments, the contents of messages, and its output.
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

enum action { ACTION_ECHO, ACTION_COLLECT, ACTION_SEND, ACTION_PING };

struct arguments {
    int listens;
    const char *address;
    enum action action;
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

struct peer {
    const struct arguments *arguments;
    fer_loop *loop;
    fer_server *server;
    fer_channel *channel; /**< the present one, until its end begins */
    struct result result;
    int held;      /**< receive nothing yet */
    size_t run;    /**< position in arguments->sizes */
    size_t of_run; /**< messages of that run that were sent */
    size_t sent;   /**< messages that were sent */
    size_t on_way; /**< of them, those that the kernel does not have yet */
};

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

/** A channel is open: start what is to be done with it. Takes the reference. */
void peer_start(struct peer *peer, fer_channel *channel);

/** Start to receive on the present channel. */
void peer_receive(struct peer *peer);

/** Close a channel in an orderly way, once. */
void peer_end(struct peer *peer, fer_channel *channel);

#endif
