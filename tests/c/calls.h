/**
 * Every function of the interface that takes an object, as a table: for the tests that hold all of them
 * against a wrong thread, a forked child, a closed object, NULL and an object of another kind.
 */
#ifndef FER_TESTS_CALLS_H
#define FER_TESTS_CALLS_H

#include "fixture.h"

/** What the functions are called with. */
typedef struct objects {
    fer_loop *loop;
    fer_handle *pipe;
    fer_handle *tcp;
    fer_handle *udp;
    fer_channel *channel;
    fer_server *server;
    fer_channel *blocking; /**< a blocking channel */
    fer_server *acceptor;  /**< a blocking server */
    noted finalized;       /**< of what was to be registered */
    noted unexpected;      /**< calls of one-shot callbacks of functions that failed */
} objects;

/** Which object the function takes. */
typedef enum call_object {
    CALL_LOOP,
    CALL_PIPE,
    CALL_TCP,
    CALL_UDP,
    CALL_CHANNEL,
    CALL_SERVER,
    CALL_BLOCKING,
    CALL_ACCEPTOR
} call_object;

enum {
    CALL_ANY_THREAD = 1,   /**< is allowed from any thread */
    CALL_WHEN_CLOSED = 2,  /**< works on a closed object */
    CALL_REGISTERS = 4,    /**< has a finalizer, objects.finalized, called when it fails */
    CALL_EVEN_BLOCKING = 8 /**< is for blocking channels or servers too */
};

typedef struct call {
    const char *name;
    call_object object;
    unsigned flags;
    fer_status (*call)(objects *objects);
} call;

extern const call calls[];
extern const size_t call_count;

/** Those of calls_handles.c, which come before the others. */
extern const call handle_calls[];
extern const size_t handle_call_count;

/**
 * Make all calls for which `wanted` says so (NULL: all), expecting the same status of each, finalizers
 * called and nothing else. Returns how many did otherwise, having printed which.
 */
size_t calls_expect(objects *objects, fer_status expected, int (*wanted)(const call *call));

#endif
