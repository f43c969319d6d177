/*
 * The module ferrule._ferrule: the public headers as flat functions.
 *
 * The headers are wrapped as they are. Typemaps go by the shape of the parameters, never by the name of
 * a function; what names functions here only says where the interpreter is let go while C waits.
 */
%module(package="ferrule", threads="1") ferrule

%{
#include "ferpy.h"
%}
%init %{
    if (ferpy_body_init() < 0) {
        return -1;
    }
%}

%include <stdint.i>

/* The interpreter is let go in what waits, and nowhere else. */
%nothread;
%thread fer_loop_run;
%thread fer_loop_step;
%thread fer_loop_linger;
%thread fer_sync_connect;
%thread fer_sync_send;
%thread fer_sync_send_fds;
%thread fer_sync_flush;
%thread fer_sync_receive;
%thread fer_sync_close;
%thread fer_sync_accept;
%thread fer_sync_parent;

%include "status.i"
%include "pointers.i"
%include "text.i"
%include "inet.i"
%include "options.i"
%include "bytes.i"
%include "callbacks.i"

%include "ferrule/export.h"
%include "ferrule/version.h"
%include "ferrule/status.h"
%include "ferrule/types.h"
%include "ferrule/loop.h"
%include "ferrule/timer.h"
%include "ferrule/handle.h"
%include "ferrule/stream.h"
%include "ferrule/pipe.h"
%include "ferrule/tcp.h"
%include "ferrule/udp.h"
%include "ferrule/message.h"
%include "ferrule/channel.h"
%include "ferrule/info.h"
%include "ferrule/server.h"
%include "ferrule/sync.h"
%include "ferrule/parent.h"

%include "helpers.h"
