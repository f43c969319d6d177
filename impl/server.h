/**
 * Servers.
 */
#ifndef FER_IMPL_SERVER_H
#define FER_IMPL_SERVER_H

#include "callback.h"
#include "channel.h"
#include "ferrule/server.h"
#include "listener.h"

/** What only a server on FIFOs has. */
typedef struct fer__fifos {
    fer__place place;    /**< the FIFO that the server reads, and the one that it writes */
    char *directory;     /**< made for the two; NULL when there is none */
    fer__made read_made; /**< inode 0: it was there before */
    fer__made write_made;
    uint8_t busy;        /**< a client is waited for, or its channel is not closed yet */
    uint8_t failed;      /**< the last one did not come to be a channel */
    fer__deadline retry; /**< then the next is waited for with a pause */
    fer_server *server;
    int64_t wary; /**< until when who is there may be the client before, by fer__os_now() */
} fer__fifos;

enum { FER__HALF_OPEN = 128 /**< clients that may take their time with the handshake */ };

struct fer_server {
    fer__object object;
    fer__io io;
    fer__listener listener;
    fer__callback on_channel;
    fer_channel_options options; /**< `secret` is a copy: `secret` below */
    void *secret;                /**< options.secret_size bytes, or NULL */
    fer__callback allow;         /**< NULL: the same user and root */
    fer__link channels;          /**< by at_server: given out and not closed; on a loop */
    size_t channel_count;        /**< how many these are */
    size_t half_open_count;
    size_t admitted_count; /**< let in, and not among the channels yet */
    uint32_t max_channels; /**< 0: no limit */
    uint32_t max_half_open;
    uint8_t draining; /**< told to be closed when the last channel is */
    fer__line line;
    fer__bound bound;
    fer__fifos *fifos;   /**< NULL except on FIFOs */
    char *address;       /**< at which clients find it */
    fer__link half_open; /**< fer__opening of the channels that have not said hello */
    int io_closed;
    fer__blocking *blocking; /**< NULL on a loop */
    fer__link accepted; /**< blocking: by object.reap, open channels that nobody has taken yet */
    fer_status trouble; /**< blocking: why accepting failed */
};

fer_status fer__server_listen(fer_loop *loop, const char *address,
                              const fer_channel_options *options, fer_server_channel_cb cb,
                              void *user, fer_finalizer finalizer, fer_server **out);
/** On FIFOs: wait for the next client, unless there is one. */
fer_status fer__server_await(fer_server *server);
fer_status fer__server_close(fer_server *server, fer_server_closed_cb cb, void *user);
fer_status fer__server_address(const fer_server *server, char *buffer, size_t *size);
fer_status fer__server_drain(fer_server *server, fer_server_closed_cb cb, void *user);
void fer__server_abort(fer_server *server);
void fer__server_hold_loop(fer_server *server, int hold);

/* server_bind.c */

/** What a server needs to be somewhere. */
typedef struct fer__site {
    fer__line line;
    fer__fd fd;   /**< listens, or is about to; FER__NO_FD on FIFOs */
    int is_given; /**< `fd` is the caller's until the server listens */
    fer__bound bound;
    fer__fifos *fifos;
    char *address; /**< for the clients */
} fer__site;

/** Make an address a place where clients can come. Nothing is left behind after an error. */
fer_status fer__site_make(const char *address, const fer_channel_options *options, fer__site *site);

/** Remove what was made. */
void fer__site_undo(fer__site *site);
void fer__fifos_undo(fer__fifos *fifos);

#endif
