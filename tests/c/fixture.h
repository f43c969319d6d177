/**
 * What the tests of loops, pipes, channels and servers share: notes of what was called back, and channels
 * with both ends here, or with a raw socket at the other end.
 */
#ifndef FER_TESTS_FIXTURE_H
#define FER_TESTS_FIXTURE_H

#include "harness.h"

/* Notes: to be passed as `user` of a callback. */

typedef struct noted {
    int calls;
    fer_status status; /**< of the last call; FER_OK where the callback has none */
    int when;          /**< the last call's place among all callbacks that are noted here */
    char detail[160];  /**< what fer_status_detail() said then */
} noted;

void note_connected(fer_channel *channel, fer_status status, void *user);
void note_sent(fer_channel *channel, fer_status status, void *user);
void note_closed(fer_channel *channel, fer_status status, void *user);
void note_drain(fer_channel *channel, void *user);
void note_stream(fer_handle *stream, fer_status status, void *user);
void note_connection(fer_handle *listener, fer_status status, void *user);
void note_handle_closed(fer_handle *handle, void *user);
void note_server_closed(fer_server *server, void *user);
void note_posted(fer_loop *loop, fer_status status, void *user);
void note_finalized(void *user);

/** Note something else. */
void note(noted *to, fer_status status);

/* What was read or received. */

typedef struct inbox {
    uint8_t *bytes; /**< of all reads or messages, one behind the other */
    size_t size;
    size_t room;
    size_t *sizes; /**< of each message */
    size_t count;
    size_t sizes_room;
    int batches; /**< calls that brought something */
    noted end;   /**< the call that brought no bytes */
    noted finalized;
} inbox;

/** For fer_channel_receive(), `user` being an inbox. */
void inbox_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                    size_t count, void *user);

/** For fer_stream_read_start(), `user` being an inbox. */
void inbox_read(fer_handle *stream, fer_status status, const void *data, size_t size, void *user);

/** The finalizer for both. */
void inbox_finalized(void *user);
void inbox_free(inbox *box);

/* Bytes to send: the same for the same seed, and different at every offset. */

void fill(void *data, size_t size, unsigned seed);
uint8_t *filled(size_t size, unsigned seed); /**< to be freed with free(3) */
void assert_filled(const void *data, size_t size, unsigned seed);

/** One piece. */
fer_bytes piece(const void *data, size_t size);

/** Send one message without a callback. */
fer_status send_bytes(fer_channel *channel, const void *data, size_t size);
fer_status send_text(fer_channel *channel, const char *text);

/* Loops. */

/** Step the loop until `*count` is `least` or more. */
void run_until_count(fer_loop *loop, const size_t *count, size_t least);

/** Let the loop do what it has to until the descriptor is ready, or something was done. */
void run_beside(fer_loop *loop, int fd, short events);

/** As raw_receive() and raw_send(), while the loop runs. */
void raw_receive_beside(fer_loop *loop, int fd, void *data, size_t size);
void raw_send_beside(fer_loop *loop, int fd, const void *data, size_t size);

/** As raw_drain(), while the loop runs. */
size_t raw_drain_beside(fer_loop *loop, int fd);

/** Close everything on the loop, run it until that is done, close it and drop it. */
void end_loop(fer_loop *loop);

/** Two pipes on the loop that are connected with each other. */
void pipe_pair(fer_loop *loop, fer_handle *pipes[2]);

/** A pipe on the loop whose other end is a raw socket, which is returned. */
int pipe_and_raw(fer_loop *loop, fer_handle **pipe);

/** A channel, both ends on one loop. */
typedef struct duo {
    fer_loop *loop;
    fer_server *server;
    fer_channel *client;
    fer_channel *served;
    char address[512]; /**< for clients */
} duo;

/** The name of the socket that duo_open() and solo_open() use. */
#define FIXTURE_SOCKET "s"

/** `client` and `served` are the options of the two ends; NULL for the defaults. */
void duo_open(duo *pair, const fer_channel_options *client, const fer_channel_options *served);

/** As duo_open(), with a server at this address. */
void duo_open_at(duo *pair, const char *address, const fer_channel_options *client,
                 const fer_channel_options *served);

/** Abort what is still open, and end the loop. */
void duo_close(duo *pair);

/** A channel whose other end is a raw socket. */
typedef struct solo {
    fer_loop *loop;
    fer_channel *channel;
    int peer; /**< the raw socket; to be closed by the test */
} solo;

/** On the native wire both have said hello. */
void solo_open(solo *half, const fer_channel_options *options);

/** The same with another answer to its hello, which is given: HELLO_SIZE bytes each. */
void solo_meet(solo *half, const fer_channel_options *options, uint8_t *hello,
               const uint8_t *answer);
void solo_close(solo *half);

/** Two blocking channels that are connected with each other. */
void sync_pair(fer_channel *channels[2], const fer_channel_options *options);

/** A blocking channel whose other end is a raw socket, which is returned. */
int sync_and_raw(fer_channel **channel, const fer_channel_options *options);

/** A HELLO: version 1, messages of up to 64 MiB, no handles. */
enum { HELLO_SIZE = 36 };
extern const uint8_t hello_bytes[HELLO_SIZE];

/** The options with one wire, and the rest default. */
fer_channel_options options_of(fer_wire wire);

/** "pipe:" and the path of a name in the directory of the test, valid as harness_path(). */
const char *address_of(const char *name);

/** "fifo:" and the paths of two names in the directory of the test, valid until the fourth call after this one. */
const char *fifos(const char *in, const char *out);

/** Make, and remove, the FIFOs "in" and "out" in the directory of the test. */
void make_fifos(void);
void remove_fifos(void);

/** From now on, until they are given back, no descriptor can be opened in this process. */
void take_descriptors_away(void);
void give_descriptors_back(void);

/** Milliseconds of a clock that only goes forward. */
int64_t now_ms(void);

#endif
