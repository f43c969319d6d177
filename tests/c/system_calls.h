/**
 * Stands between the library and the system with libuv: counts calls, and lets some fail or do less.
 *
 * For programs that are linked with --wrap for each of the calls. What the harness itself calls passes
 * through here, too: so watch only while it calls nothing of the kind.
 */
#ifndef FER_TESTS_SYSTEM_CALLS_H
#define FER_TESTS_SYSTEM_CALLS_H

#include <stddef.h>

/** X(name): the calls. CMakeLists.txt has the same list. */
#define SYSTEM_CALLS(X) \
    X(sendmsg)          \
    X(recvmsg)          \
    X(accept4)          \
    X(connect)          \
    X(socket)           \
    X(bind)             \
    X(listen)           \
    X(shutdown)         \
    X(setsockopt)       \
    X(poll)             \
    X(readv)            \
    X(writev)           \
    X(open)             \
    X(mkfifo)           \
    X(mkdtemp)          \
    X(flock)            \
    X(fstat)            \
    X(socketpair)       \
    X(fcntl)            \
    X(send)             \
    X(recv)             \
    X(memfd_create)     \
    X(mmap)             \
    X(clock_gettime)    \
    X(epoll_create1)    \
    X(epoll_ctl)        \
    X(timerfd_create)   \
    X(uv_loop_init)     \
    X(uv_mutex_init)    \
    X(uv_async_init)    \
    X(uv_poll_init)     \
    X(uv_poll_start)

enum {
#define SYSTEM_CALL_ENTRY(name) CALL_##name,
    SYSTEM_CALLS(SYSTEM_CALL_ENTRY)
#undef SYSTEM_CALL_ENTRY
        CALL_COUNT
};

typedef struct fault {
    int call;     /**< CALL_* */
    int error;    /**< errno value; 0 for a transfer of less */
    size_t first; /**< the first call that it happens to, counted from 1 */
    size_t every; /**< then every so many; 0 for once */
    size_t size;  /**< error 0: transfer so many bytes; 0 for different sizes */
} fault;

/** Begin to count, and have `fault` happen; NULL for none. */
void system_watch(const fault *fault);

/** End it. Returns how often the fault happened. */
size_t system_unwatch(void);

/** How many calls there were since system_watch(). */
size_t system_count(int call);

/** Whether the last sendmsg() had a piece that began at `data`. */
int system_sent_from(const void *data);

#endif
