/**
 * Handles: what a pipe is made of.
 */
#ifndef FER_IMPL_HANDLE_H
#define FER_IMPL_HANDLE_H

#include "callback.h"
#include "ferrule/pipe.h"
#include "ferrule/stream.h"
#include "ferrule/udp.h"
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
    FER__PHASE_CONNECTING, /**< its connect callback is due, or will be */
    FER__PHASE_CONNECTED,
    FER__PHASE_FAILED /**< it did not connect; good for nothing but closing */
} fer__phase;

/** A one-shot callback; `cb` is NULL when there is none. */
typedef struct fer__once {
    fer_stream_cb cb;
    void *user;
} fer__once;

/** The handles that a pipe received and nobody took yet. */
typedef struct fer__ipc {
    fer__link received; /**< fer__received, in the order in which they came */
    size_t count;
} fer__ipc;

/** A connect that waits for room in the listener's queue. */
typedef struct fer__attempt {
    fer__deadline retry;
    fer_handle *pipe;
    int64_t delay; /**< before the next try, in milliseconds */
    size_t size;   /**< of the name */
    char name[];
} fer__attempt;

/** The name of a pipe, which a listener shares with what it accepted. */
typedef struct fer__name {
    atomic_uint owners;
    size_t size;
    char text[]; /**< and a NUL byte */
} fer__name;

/** What only a UDP handle has. */
typedef struct fer__udp {
    fer__link waiting; /**< fer__outgoing that the kernel has not taken */
    fer__link done;    /**< fer__outgoing whose callback is due */
    size_t queued;     /**< bytes in `waiting` */
    size_t count;      /**< datagrams in `waiting` */
    int connected;
} fer__udp;

struct fer_handle {
    fer__object object;
    fer__io io;
    uint8_t kind;                /**< a fer_kind */
    uint8_t phase;               /**< a fer__phase */
    unsigned io_closed : 1;      /**< the io is closed: the handle can be, too */
    unsigned ended : 1;          /**< the end of the stream was read */
    unsigned shutdown_asked : 1; /**< nothing more is written */
    unsigned shutdown_done : 1;  /**< the shutdown callback is due */
    unsigned read2 : 1;          /**< the read callback is a fer_read2_cb */
    unsigned fresh : 1;          /**< it was accepted, and nothing was read yet */
    unsigned names_peer : 1;     /**< `name` is the peer's */
    /** While it connects, what the callback gets; FER_EALREADY: not known yet. Then why writing failed. */
    fer_status broken;
    fer__sendq out;
    fer__callback in;        /**< the read callback, or the connection callback of a listener */
    fer__once once;          /**< the callback of the connect, then of the shutdown */
    fer__listener *listener; /**< NULL unless it listens */
    fer__ipc *ipc;           /**< NULL unless a pipe with FER_PIPE_IPC */
    fer__udp *udp;           /**< NULL unless UDP */
    fer__bound *bound;       /**< NULL unless a pipe that was bound to a name */
    fer__name *name;         /**< NULL where what the system says is right */
    fer__attempt *attempt;   /**< NULL unless a pipe that waits to try again to connect */
};

/** Pieces of bytes in the system's form; on the heap when there are many. NULL on no memory. */
enum { FER__PARTS_ON_STACK = 64 };
struct iovec *fer__to_iovec(const fer_bytes *parts, size_t count, struct iovec *room);

fer_status fer__handle_new(fer_loop *loop, fer_kind kind, fer_handle **out);

/** A new handle of whatever kind that can be passed. */
fer_status fer__handle_new_of(fer_loop *loop, fer_kind kind, fer_handle **out);
/**
 * A new TCP or UDP handle. With FER_INET_IPV4 or FER_INET_IPV6 it has a socket, and is as new as without: it waits for
 * an address.
 */
fer_status fer__inet_new(fer_loop *loop, fer_kind kind, uint32_t flags, fer_handle **out);

/** Whether it has nothing to do yet, and no descriptor. */
static inline int fer__handle_is_blank(const fer_handle *handle) {
    return handle->phase == FER__PHASE_NEW && handle->io.fd == FER__NO_FD;
}

fer_status fer__handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user);
void fer__handle_hold_loop(fer_handle *handle, int hold);

/** Put an open descriptor under a new handle, which then owns it. */
void fer__handle_adopt(fer_handle *handle, fer__fd fd, fer__phase phase);

/** As fer__handle_adopt(), in the phase that the socket is in; and when that is known already. */
void fer__handle_adopt_socket(fer_handle *handle, fer__fd fd);
void fer__handle_adopt_known(fer_handle *handle, fer__fd fd, fer__progress progress);
fer_status fer__handle_detach(fer_handle *handle, fer__fd *fd);

/** A pipe no longer waits to try again to connect. */
void fer__pipe_end_attempt(fer_handle *pipe);

/** One more owner of a name, which may be NULL; and one fewer. */
fer__name *fer__name_ref(fer__name *name);
void fer__name_unref(fer__name *name);

/** Run what is due of the stream: completions, connect, shutdown. */
void fer__stream_run(fer_handle *stream);

/** The descriptor of a connected stream is ready. */
void fer__stream_ready(fer_handle *stream, uint32_t events);

/** Watch the descriptor for what the stream is about. */
fer_status fer__stream_watch(fer_handle *stream);
fer_status fer__stream_can_write(const fer_handle *stream);

/** A write was pushed, with this result: what follows from it. */
fer_status fer__stream_wrote(fer_handle *stream, fer_status status);

fer_status fer__stream_listen(fer_handle *stream, int backlog, fer_connection_cb cb, void *user,
                              fer_finalizer finalizer);
fer_status fer__stream_accept(fer_handle *listener, fer_handle *client);
fer_status fer__stream_read_start(fer_handle *stream, fer_read_cb cb, void *user,
                                  fer_finalizer finalizer);
fer_status fer__stream_read_start2(fer_handle *stream, fer_read2_cb cb, void *user,
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
fer_status fer__pipe_pair(fer_loop *loop, uint32_t flags, fer_handle **a, fer_handle **b);

/* ipc.c */

fer_status fer__pipe_new(fer_loop *loop, uint32_t flags, fer_handle **out);
fer_status fer__ipc_pass(fer_handle *pipe, const fer_bytes *parts, size_t count, fer__fd pass,
                         fer_stream_cb cb, void *user);

/** Read bytes and the handles that come with them, which are queued. */
fer_status fer__ipc_read(fer_handle *pipe, void *buffer, size_t size, size_t *got);
fer_kind fer__ipc_pending_kind(const fer_handle *pipe);
fer_status fer__ipc_accept(fer_handle *pipe, fer_handle *client);
fer_status fer__ipc_accept_fd(fer_handle *pipe, fer__fd *fd);

/** Close what nobody took. */
void fer__ipc_drop(fer_handle *pipe);

/* tcp.c */

fer_status fer__tcp_bind(fer_handle *tcp, const char *host, uint16_t port, uint32_t flags);
fer_status fer__tcp_connect(fer_handle *tcp, const char *host, uint16_t port, fer_stream_cb cb,
                            void *user);

/** Make a handle of a descriptor, which must be of the handle's kind. */
fer_status fer__handle_open(fer_handle *handle, fer__fd fd);

/* udp.c */

fer_status fer__udp_new(fer_loop *loop, uint32_t flags, fer_handle **out);
fer_status fer__udp_bind(fer_handle *udp, const char *host, uint16_t port, uint32_t flags);
fer_status fer__udp_connect(fer_handle *udp, const char *host, uint16_t port);

/** `try` does not wait: FER_EAGAIN. */
fer_status fer__udp_send(fer_handle *udp, const fer_bytes *parts, size_t count, const char *host,
                         uint16_t port, int try, fer_udp_cb cb, void *user);
fer_status fer__udp_receive_start(fer_handle *udp, fer_datagram_cb cb, void *user,
                                  fer_finalizer finalizer);
fer_status fer__udp_receive_stop(fer_handle *udp);

/** `local` is the address of an interface, or NULL. */
fer_status fer__udp_set_membership(fer_handle *udp, const char *group, const char *local, int join);
fer_status fer__udp_set_multicast_interface(fer_handle *udp, const char *local);
void fer__udp_ready(fer_handle *udp, uint32_t events);
void fer__udp_run(fer_handle *udp);

#endif
