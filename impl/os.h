/**
 * The operating system: every system call of the library that libuv does not make is behind this.
 *
 * os_posix*.c implement it for Linux and macOS. Descriptors made here are close-on-exec, and writing
 * never raises SIGPIPE. Functions return FER_OK or a status made of errno, and set the detail text
 * with every error; EINTR is retried, except where a function says otherwise. `errno` is left as it was
 * found. A name of a pipe is `size` bytes, or up to its NUL byte for FER_ZSTRING.
 */
#ifndef FER_IMPL_OS_H
#define FER_IMPL_OS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ferrule/handle.h"
#include "ferrule/status.h"

typedef int fer__fd;
#define FER__NO_FD (-1)

enum { FER__IOV_MAX = 256 }; /**< pieces that one call of fer__os_send() takes */

/* Sockets. */

/** A Unix domain stream socket: non-blocking, close-on-exec. */
fer_status fer__os_socket_pipe(fer__fd *fd);

/** A connected pair of them. */
fer_status fer__os_socket_pair(fer__fd fds[2]);

/** Close; FER__NO_FD is ignored. */
void fer__os_close(fer__fd fd);

/** Check that `fd` is a Unix domain stream socket: FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE. */
fer_status fer__os_check_pipe(fer__fd fd);

/** Whether the socket listens. */
int fer__os_is_listening(fer__fd fd);

/** Make the system's buffer for sending as large as `wanted` bytes if it allows that. Never fails. */
void fer__os_want_send_buffer(fer__fd fd, int wanted);

/** The O_NONBLOCK state: 1 or 0; negative when `fd` is bad. */
int fer__os_get_nonblocking(fer__fd fd);
fer_status fer__os_set_nonblocking(fer__fd fd, int on);

fer_status fer__os_listen(fer__fd fd, int backlog);

/** Accept one connection: non-blocking, close-on-exec. FER_EAGAIN when none waits. */
fer_status fer__os_accept(fer__fd listener, fer__fd *fd);

/**
 * Connect to a pipe name, without waiting. FER_EAGAIN: the listener's queue is full, try again later.
 * FER_ECONNREFUSED: a socket is there, but nobody listens. FER_ENOTSOCK: something else is there.
 * After an error the socket may be used for another try.
 */
fer_status fer__os_connect_pipe(fer__fd fd, const char *name, size_t size);

/** Take the pending error of a socket: FER_OK when there is none. */
fer_status fer__os_socket_error(fer__fd fd);

fer_status fer__os_shutdown_write(fer__fd fd);

/** What a read did not transfer. */
enum {
    FER__RECV_TRUNCATED =
        1,             /**< descriptors came that were not asked for; the kernel closed them */
    FER__RECV_MORE = 2 /**< there may be more, however little was read */
};

/**
 * Write without blocking, whatever the mode of `fd`. FER_EAGAIN when nothing could be written. At most
 * FER__IOV_MAX parts are used. After an error, what the peer sent before can still be read.
 */
fer_status fer__os_send(fer__fd fd, const struct iovec *parts, size_t count, size_t *written);

/**
 * Read without blocking, whatever the mode of `fd`. FER_EOF at the end of the stream, FER_EAGAIN when
 * nothing is there. No descriptor is ever taken: `flags` gets FER__RECV_TRUNCATED when some came.
 * At most FER__IOV_MAX parts are used. FER_ECONNRESET, once, after the last byte, when the peer closed
 * without having read everything.
 */
fer_status fer__os_recv(fer__fd fd, const struct iovec *parts, size_t count, size_t *got,
                        uint32_t *flags);

/** As fer__os_recv(), but may block; only for a descriptor in blocking mode. EINTR is FER_EINTR. */
fer_status fer__os_recv_blocking(fer__fd fd, const struct iovec *parts, size_t count, size_t *got,
                                 uint32_t *flags);

enum { FER__FDS_MAX = 253 }; /**< descriptors that can come with one read, and go with one write */

/**
 * As fer__os_send(), and let the descriptors `fds` ride on the first byte. The peer has them once
 * anything was written. FER_ETOOMANYREFS when too many are under way.
 */
fer_status fer__os_send_fds(fer__fd fd, const struct iovec *parts, size_t count, const fer__fd *fds,
                            size_t fd_count, size_t *written);

/**
 * As fer__os_recv(), or fer__os_recv_blocking() with `may_block`, and take the descriptors that come,
 * close-on-exec, into `fds` of FER__FDS_MAX. FER_EMFILE when one could not be taken: the others are
 * closed, and the bytes that came are lost.
 */
fer_status fer__os_recv_fds(fer__fd fd, const struct iovec *parts, size_t count, int may_block,
                            size_t *got, fer__fd *fds, size_t *fd_count);

/* FIFOs. */

/** Which FIFO was made, so that it can be removed again. */
typedef struct fer__made {
    uint64_t device;
    uint64_t inode;
} fer__made;

/**
 * Make a FIFO, mode 0600. FER_EEXIST when a FIFO that may be used is there: then nothing was made.
 * FER_EPROTOTYPE for another file, FER_EPERM for a FIFO that belongs to somebody else than the user or
 * root, FER_ELOOP for a symbolic link.
 */
fer_status fer__os_make_fifo(const char *path, fer__made *made);

/** Remove a FIFO, if it is still the one that was made. */
void fer__os_remove_fifo(const char *path, const fer__made *made);

/** Make a directory that nobody else can use, with a name of its own, in `path` of `room` bytes. */
fer_status fer__os_make_directory(char *path, size_t room);
void fer__os_remove_directory(const char *path);

/**
 * Open a FIFO for reading, without waiting for a writer. FER_EADDRINUSE when somebody else reads it; FER_EAGAIN when
 * that cannot be told just now; otherwise as fer__os_make_fifo().
 */
fer_status fer__os_open_reader(const char *path, fer__fd *fd);

/**
 * Whether somebody of this library reads the FIFO. Looking makes one reader more for a moment, or one writer, which nobody
 * sees who has one already: who waits for a reader takes it for that, and so does who waits for a writer.
 */
int fer__os_is_fifo_locked(const char *path, int as_writer);

/**
 * Mark, or mark no more, what fer__os_open_reader() gave: whoever serves one client after the other on these
 * FIFOs has one. The mark goes with the descriptor. A system or a file system that has no such marks is no error.
 *
 * Source: "Open file description locks" of fcntl(2), which can be asked for without being taken.
 */
fer_status fer__os_mark_reader(fer__fd fd, int taken);

/** Whether the reader of the FIFO is marked; not where there are no such marks. It takes a reader more for a moment. */
int fer__os_is_reader_marked(const char *path);

/** Open a FIFO for writing. FER_ECONNREFUSED when nobody reads it; otherwise as fer__os_make_fifo(). */
fer_status fer__os_open_writer(const char *path, fer__fd *fd);

/** As fer__os_send() and fer__os_recv(), on a FIFO, which is in non-blocking mode. */
fer_status fer__os_fifo_write(fer__fd fd, const struct iovec *parts, size_t count, size_t *written);
fer_status fer__os_fifo_read(fer__fd fd, const struct iovec *parts, size_t count, size_t *got);

/**
 * How long fer__os_recv_blocking() waits before FER_EAGAIN, in milliseconds. With any limit, however
 * long, a signal ends the wait even if its handler asks for calls to be restarted.
 */
fer_status fer__os_set_receive_timeout(fer__fd fd, int64_t timeout_ms);

/** FER__WAIT_GONE: nobody has the other end of a FIFO any more. */
enum { FER__WAIT_READ = 1, FER__WAIT_WRITE = 2, FER__WAIT_GONE = 4 };

/** One descriptor to wait for. */
typedef struct fer__wait {
    fer__fd fd;
    uint32_t events; /**< FER__WAIT_* */
    uint32_t ready;  /**< receives FER__WAIT_*; an error on `fd` sets what was asked for */
} fer__wait;

/**
 * Wait until one of `waits` is ready. `timeout_ms` negative: no limit.
 * FER_OK; FER_ETIMEDOUT; FER_EINTR; FER_ENOMEM for more than the system takes.
 */
fer_status fer__os_wait(fer__wait *waits, size_t count, int64_t timeout_ms);

/** A descriptor that is readable when one of others is ready, or at a time. */
typedef struct fer__watch {
    fer__fd fd; /**< the one that speaks for all */
    fer__fd timer;
} fer__watch;

#define FER__WATCH_INIT \
    { FER__NO_FD, FER__NO_FD }

/** Make a watch; unchanged after an error. FER_ENOTSUP where the system has nothing for it; FER_EMFILE and its like. */
fer_status fer__os_watch_open(fer__watch *watch);

/** Does nothing to one that is not open. */
void fer__os_watch_close(fer__watch *watch);

/**
 * Watch `fd` for `events`, FER__WAIT_*; 0 for no longer, which is to be said before `fd` is closed.
 * `before` is what it was watched for. FER_ENOMEM and its like.
 */
fer_status fer__os_watch_set(const fer__watch *watch, fer__fd fd, uint32_t before, uint32_t events);

/** Be readable in `ms`, from then on, too; 0: at once; negative: at no time. Takes the place of the time before. */
fer_status fer__os_watch_time(const fer__watch *watch, int64_t ms);

/** Milliseconds of a clock that only goes forward. */
int64_t fer__os_now(void);

/** The same clock in nanoseconds. */
int64_t fer__os_now_ns(void);

/** How often this thread had to leave the processor to others, as far as the system tells; its lower bits. */
uint32_t fer__os_switches(void);

/** Let another thread or process run, if one waits for this processor. */
void fer__os_yield(void);

/** Which signals wait. */
typedef struct fer__signals {
    uint64_t set[16];
} fer__signals;

/**
 * Have signals for this thread wait, except for those of its own faults: a handler that runs while nothing waits
 * in the kernel would end no call. `before` receives what is to be given back at once, by one of the next two.
 */
void fer__os_hold_signals(fer__signals *before);
void fer__os_release_signals(const fer__signals *before);

/** As fer__os_release_signals(). FER_EINTR when a handler ran, also for one that came while they waited. */
fer_status fer__os_deliver_signals(const fer__signals *before);

/* Names of pipes. */

/** What fer__os_bind_pipe() made, so that it can be removed again. */
typedef struct fer__bound {
    char *path;      /**< the name as it was asked for, NUL-ended; NULL for an abstract name */
    char *file;      /**< the same from the root on, so that a later chdir(2) does no harm */
    uint64_t device; /**< of the socket file */
    uint64_t inode;
    int keep; /**< do not remove the file */
} fer__bound;

/**
 * Check a name: FER_EINVAL when it is empty or a path with a NUL byte inside, FER_ENOTSUP for an abstract
 * one where there are none, FER_ENAMETOOLONG for an abstract one that does not fit.
 */
fer_status fer__os_check_name(const char *name, size_t size);

/**
 * Bind and listen, with the file's mode right from the first instant and a stale socket replaced
 * under a lock: see fer_pipe_bind(). `mode` holds permission bits, `keep` leaves the file at the end.
 * `bound` is filled in on FER_OK, and empty after an error. After an error `fd` is of no more use:
 * it may be bound to a file that is gone.
 */
fer_status fer__os_bind_pipe(fer__fd fd, const char *name, size_t size, uint32_t mode, int keep,
                             int backlog, fer__bound *bound);

/**
 * Remove the socket file if it is still the one that was bound, and free what `bound` holds.
 *
 * To be called before the socket is closed: until then nobody takes the file for stale, and the system
 * does not give its inode to another file.
 */
void fer__os_unbind_pipe(fer__bound *bound);

/**
 * Whether the name of a socket's peer is one that fer__os_bind_pipe() made up, because the path was too
 * long or its directory could not be locked: of use to the process that bound it only.
 */
int fer__os_pipe_peer_is_hidden(fer__fd fd);

/** The name of a socket (peer 0) or of its peer (peer 1); see fer_pipe_getsockname() for `size`. */
fer_status fer__os_pipe_name(fer__fd fd, int peer, char *buffer, size_t *size);

/**
 * The path of a short name in the user's private directory, which is made if need be and whose owner
 * and mode are checked: $XDG_RUNTIME_DIR/ferrule, or a directory of the user's own in /tmp.
 * `path` has room for `room` bytes with the NUL. FER_EPERM, with a detail, when the directory is not private.
 */
fer_status fer__os_runtime_path(const char *name, size_t size, char *path, size_t room);

/** Change the mode of the socket file, if it is still the one that was bound: else FER_ENOENT. */
fer_status fer__os_chmod_pipe(const fer__bound *bound, uint32_t mode);

/* Memory that two processes share. */

/** Whether the system has what the next functions need. */
int fer__os_has_regions(void);

/** Make `size` bytes of memory, all 0, that can be passed as a descriptor and never changes its size. */
fer_status fer__os_make_region(size_t size, fer__fd *fd, uint8_t **memory);

/**
 * Map a region that came as a descriptor: its first `writable` bytes to be written, the rest to be read.
 * FER_EPROTO when it is not of that size, or could be made smaller while somebody looks at it.
 */
fer_status fer__os_map_region(fer__fd fd, size_t size, size_t writable, uint8_t **first,
                              uint8_t **rest);
void fer__os_unmap(uint8_t *memory, size_t size);

/* Any socket. */

/** Have the descriptor closed when a program is executed. */
fer_status fer__os_set_cloexec(fer__fd fd);

/** What a descriptor is: FER_KIND_NONE for a number that is none, FER_KIND_OTHER for no handle. */
fer_kind fer__os_kind_of(fer__fd fd);

/** Whether a descriptor is a socket of any kind. */
int fer__os_is_socket(fer__fd fd);

/** How far a socket has come. */
typedef enum fer__progress {
    FER__SOCKET_NEW,
    FER__SOCKET_BOUND,
    FER__SOCKET_LISTENING,
    FER__SOCKET_CONNECTED
} fer__progress;

fer__progress fer__os_progress(fer__fd fd);

/** Both at once, with fewer calls for what is connected. `progress` is of use for handles only. */
fer_kind fer__os_identify(fer__fd fd, fer__progress *progress);

fer_status fer__os_buffer_size(fer__fd fd, int receive, int32_t *bytes);
fer_status fer__os_set_buffer_size(fer__fd fd, int receive, int32_t bytes);

/** The process (-1 if not told), user and group of the peer: FER_ENOTCONN, FER_ENOTSUP. */
fer_status fer__os_peer_credentials(fer__fd fd, int64_t *pid, uint32_t *uid, uint32_t *gid);

/**
 * The user at the other end of a TCP connection within this machine; with `listener` the user of who listens
 * there. FER_ENOTSUP where the system does not tell, FER_EACCES when the peer's socket is closed.
 */
fer_status fer__os_tcp_user(fer__fd fd, int listener, uint32_t *uid);

/** The user that this process acts for. */
uint32_t fer__os_own_user(void);

/** A duplicate: close-on-exec. */
fer_status fer__os_duplicate(fer__fd fd, fer__fd *copy);

/* Internet sockets. */

/** An address and a port, in the system's form. */
typedef struct fer__inet {
    uint32_t size;
    union {
        uint64_t align;
        unsigned char bytes[32];
    } room;
} fer__inet;

/** FER_EADDRESS, with a detail, for what is no literal address. */
fer_status fer__os_inet_parse(const char *host, uint16_t port, fer__inet *address);

/** `host` has FER__HOST_MAX bytes. */
enum { FER__HOST_MAX = 64 };
void fer__os_inet_text(const fer__inet *address, char *host, uint16_t *port);

/** Whether it is an address of this machine alone. */
int fer__os_inet_is_loopback(const fer__inet *address);

/** A TCP or, with `datagrams`, UDP socket of the address's family: non-blocking, close-on-exec. */
fer_status fer__os_socket_inet(const fer__inet *address, int datagrams, fer__fd *fd);

enum { FER__INET_IPV6_ONLY = 1, FER__INET_REUSE_PORT = 2 };
fer_status fer__os_bind_inet(fer__fd fd, const fer__inet *address, int datagrams, uint32_t flags);

/** Start to connect: FER_OK; FER_EALREADY when it is under way and will be writable. */
fer_status fer__os_connect_inet(fer__fd fd, const fer__inet *address);
fer_status fer__os_disconnect_inet(fer__fd fd);

/** The address of a socket (peer 0) or of its peer (peer 1). */
fer_status fer__os_inet_name(fer__fd fd, int peer, char *host, uint16_t *port);

fer_status fer__os_tcp_nodelay(fer__fd fd, int enable);
fer_status fer__os_tcp_keepalive(fer__fd fd, int enable, uint32_t delay_s);

/** Options of a UDP socket that are numbers, of either family. */
typedef enum fer__udp_option {
    FER__UDP_TTL,
    FER__UDP_MULTICAST_TTL,
    FER__UDP_MULTICAST_LOOP,
    FER__UDP_BROADCAST
} fer__udp_option;

fer_status fer__os_udp_set(fer__fd fd, fer__udp_option option, int value);

/**
 * Join or leave a group, on the interface that has the address `at`; NULL lets the system choose.
 * FER_EAFNOSUPPORT for an address of the other family.
 */
fer_status fer__os_udp_group(fer__fd fd, const fer__inet *group, const fer__inet *at, int join);

/** Send to groups by the interface that has the address `at`; NULL lets the system choose. */
fer_status fer__os_udp_interface(fer__fd fd, const fer__inet *at);

/** Send a datagram without blocking. `address` NULL on a connected socket. */
fer_status fer__os_send_to(fer__fd fd, const struct iovec *parts, size_t count,
                           const fer__inet *address);

/** Receive a datagram without blocking. */
fer_status fer__os_recv_from(fer__fd fd, void *buffer, size_t size, size_t *got, fer__inet *sender,
                             int *partial);

/* Threads and processes. */

/**
 * Take the value of an environment variable, and remove it. FER_ENOENT when there is none; FER_EADDRESS
 * when it is longer than `room`.
 */
fer_status fer__os_take_variable(const char *name, char *value, size_t room);

/** How many sockets a service manager passed to this process, and their names, or NULL. FER_ENOENT. */
fer_status fer__os_activated(unsigned long *count, const char **names);

/** A number that is the same in one process and another in the child of a fork. 0 on no memory. */
uint64_t fer__os_process_mark(void);

/** The same for who has called that before: 0, or the number. Only for fer__os_is_process(). */
extern _Atomic uint64_t fer__os_mark;

/** Whether the process is the one of that mark. */
static inline int fer__os_is_process(uint64_t mark) {
    return atomic_load_explicit(&fer__os_mark, memory_order_relaxed) == mark;
}

#endif
