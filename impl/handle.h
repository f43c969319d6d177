/**
 * Handles: what a pipe is made of.
 */
#ifndef FER_IMPL_HANDLE_H
#define FER_IMPL_HANDLE_H

#include "callback.h"
#include "ferrule/pipe.h"
#include "ferrule/stream.h"
#include "io.h"
#include "listener.h"
#include "object.h"
#include "os.h"
#include "sendq.h"

/** How far a handle has come. */
typedef enum fer__phase {
    FER__PHASE_NEW,
    FER__PHASE_BOUND,
    FER__PHASE_LISTENING,
    FER__PHASE_CONNECTING, /**< its connect callback is due */
    FER__PHASE_CONNECTED
} fer__phase;

/** A one-shot callback; `cb` is NULL when there is none. */
typedef struct fer__once {
    fer_stream_cb cb;
    void *user;
} fer__once;

struct fer_handle {
    fer__object object;
    fer__io io;
    uint8_t kind;              /**< a fer_kind */
    uint8_t phase;             /**< a fer__phase */
    uint8_t io_closed;         /**< the io is closed: the handle can be, too */
    uint8_t ended;             /**< the end of the stream was read */
    uint8_t shutdown_asked;    /**< nothing more is written */
    uint8_t shutdown_done;     /**< the shutdown callback is due */
    fer_status connect_status; /**< what the connect callback gets */
    fer_status broken;         /**< why writing failed, once it has */
    fer__sendq out;
    fer__callback in; /**< the read callback, or the connection callback of a listener */
    fer__once connect;
    fer__once shutdown;
    fer__listener *listener;
    fer__bound bound;
};

fer_status fer__handle_new(fer_loop *loop, fer_kind kind, fer_handle **out);
fer_status fer__handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user);
void fer__handle_hold_loop(fer_handle *handle, int hold);

/** Put an open descriptor under a new handle, which then owns it. */
void fer__handle_adopt(fer_handle *handle, fer__fd fd, fer__phase phase);

/** Run what is due of the stream: completions, connect, shutdown. */
void fer__stream_run(fer_handle *stream);

/** The descriptor of a connected stream is ready. */
void fer__stream_ready(fer_handle *stream, uint32_t events);

fer_status fer__stream_listen(fer_handle *stream, int backlog, fer_connection_cb cb, void *user,
                              fer_finalizer finalizer);
fer_status fer__stream_accept(fer_handle *listener, fer_handle *client);
fer_status fer__stream_read_start(fer_handle *stream, fer_read_cb cb, void *user,
                                  fer_finalizer finalizer);
fer_status fer__stream_read_stop(fer_handle *stream);
fer_status fer__stream_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                             fer_stream_cb cb, void *user);
fer_status fer__stream_try_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                                 size_t *written);
fer_status fer__stream_shutdown(fer_handle *stream, fer_stream_cb cb, void *user);
int fer__stream_is_readable(const fer_handle *stream);
int fer__stream_is_writable(const fer_handle *stream);

fer_status fer__pipe_bind(fer_handle *pipe, const char *name, size_t size,
                          const fer_bind_options *options);
fer_status fer__pipe_connect(fer_handle *pipe, const char *name, size_t size, fer_stream_cb cb,
                             void *user);
fer_status fer__pipe_open(fer_handle *pipe, fer__fd fd);
fer_status fer__pipe_name(const fer_handle *pipe, int peer, char *buffer, size_t *size);

#endif
