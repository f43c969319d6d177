/**
 * Servers.
 */
#ifndef FER_IMPL_SERVER_H
#define FER_IMPL_SERVER_H

#include "callback.h"
#include "channel.h"
#include "ferrule/server.h"
#include "listener.h"

struct fer_server {
    fer__object object;
    fer__io io;
    fer__listener listener;
    fer__callback on_channel;
    fer_channel_options options;
    fer__bound bound;
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
fer_status fer__server_close(fer_server *server, fer_server_closed_cb cb, void *user);
fer_status fer__server_address(const fer_server *server, char *buffer, size_t *size);
void fer__server_hold_loop(fer_server *server, int hold);

#endif
