/**
 * A server on a loop with many clients, for the tests of who is served, and how many.
 */
#ifndef FER_TESTS_CROWD_H
#define FER_TESTS_CROWD_H

#include "fixture.h"

enum { CROWD_MOST = 300 };

typedef struct crowd {
    fer_loop *loop;
    fer_server *server;
    char address[256]; /**< for clients */
    fer_channel *served[CROWD_MOST];
    size_t count; /**< of these */
    size_t failures;
    fer_status failure; /**< the last; then what fer_status_detail() said */
    char detail[160];
    noted finalized;
    /** Called with each channel; NULL: nothing is done. */
    void (*greet)(struct crowd *all, fer_channel *channel);
} crowd;

/** Listen at an address, with options of the channels; NULL for the defaults. */
void crowd_open(crowd *all, const char *address, const fer_channel_options *options);

/** A client of it, which may not have come to an end yet: `connected` says so. */
fer_channel *crowd_call(crowd *all, const fer_channel_options *options, noted *connected);

/** A client that is served. */
fer_channel *crowd_join(crowd *all, const fer_channel_options *options);

/** How a client ends that is not served: with this status at the server. Returns that of the client. */
fer_status crowd_refuse(crowd *all, const fer_channel_options *options, fer_status status);

/** Step until the server was told of so many failures. */
void crowd_await_failures(crowd *all, size_t failures);

/** Drop what was served. */
void crowd_leave(crowd *all);

/** Drop everything. */
void crowd_close(crowd *all);

/** A socket without the library that is connected with a port of the loopback. */
int raw_connect_tcp(const char *address);

#endif
