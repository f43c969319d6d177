/**
 * The C peer: its arguments, the contents of messages, and its output.
 * ../README.md describes them.
 */
#ifndef FERRULE_PEER_COMMON_H
#define FERRULE_PEER_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "ferrule.h"

/** Messages of one size with as many handles each, one after the other. */
struct run {
    size_t size;
    size_t handles;
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
    size_t refused;  /**< messages that were not sent because handles cannot be */
    uint64_t unsent; /**< bytes that the channel had when it was closed */
    long bad;        /**< number of the first message with wrong contents, or -1 */
    fer_status end;
    fer_status error; /**< why there was no connection */
};

/** What tells a file or socket from all others. */
struct id {
    uint64_t device;
    uint64_t inode;
};

/** A list of them that grows. */
struct ids {
    struct id *items;
    size_t count;
    size_t room;
};

struct peer {
    const struct arguments *arguments;
    fer_loop *loop;
    fer_server *server;
    fer_channel *channel; /**< the present one, until its end begins */
    struct result result;
    int held;           /**< receive nothing yet */
    int on_fifos;       /**< the server stays until the channel is closed */
    size_t run;         /**< position in arguments->sizes */
    size_t of_run;      /**< messages of that run that were sent */
    size_t sent;        /**< messages that were sent */
    size_t on_way;      /**< of them, those that the kernel does not have yet */
    size_t passed;      /**< handles that were made to be sent */
    struct ids ids;     /**< of `ping`: what was sent and is to come back */
    size_t next_handle; /**< the number of the handle that comes next */
};

/** Add messages. Ends the process when there is no memory. */
void runs_add(struct runs *runs, size_t size, size_t handles, size_t count);

/** Parse a list of sizes. 0 when it is malformed. */
int runs_parse(struct runs *runs, const char *text);

/** Write the contents of message `number`. */
void fill(unsigned char *bytes, size_t number, size_t size);

/** Note a received message, and check its contents. */
void result_add(struct result *result, const fer_message *message);

/** Make the handles of a message. They are to be closed. */
void make_handles(struct peer *peer, fer_fd *fds, size_t count);

/** Forget the last handles that were made: nobody will see them. */
void unmake_handles(struct peer *peer, size_t count);

/** Take the handles of a received message. They are to be closed. */
void take_handles(fer_channel *channel, const fer_message *message, fer_fd *fds);

/** Whether the next `count` handles that came are those that should. */
int check_handles(struct peer *peer, const fer_message *message, const fer_fd *fds);

void close_handles(const fer_fd *fds, size_t count);

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
