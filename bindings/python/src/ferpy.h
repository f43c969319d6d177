/**
 * What the parts of the Python module share.
 *
 * Functions that return int give 0, or -1 with an exception set.
 */
#ifndef FERPY_H
#define FERPY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <ferrule.h>

#include "helpers.h"

/* Exceptions (raise.c). */

/** Set the exception for `status`, with what the library says about it. */
void ferpy_raise(fer_status status);

/** The same for a status that is about a handle, with its kind: a fer_kind, or one of these. */
void ferpy_raise_about(int kind, fer_status status);

enum { FERPY_NO_HANDLE = -1, FERPY_TIMER = -2 }; /* as ferrule.error has them */

/** The kind of a handle, for ferpy_raise_about(). */
int ferpy_kind(const fer_handle *handle);

/**
 * The present exception came out of a callback of `loop`: keep it for the call that runs the loop, and
 * stop that. When one is kept already, or for NULL, sys.unraisablehook is told, with `where`.
 */
void ferpy_keep_exception(fer_loop *loop, PyObject *where);

/** Raise an exception again, with its traceback. Its reference is taken. */
void ferpy_restore_exception(PyObject *exception);

/** The present exception is for the next callback that has a loop: see ferpy_keep_put_off(). */
void ferpy_put_off_exception(void);

/** Keep an exception that was put off in this thread for the call that runs `loop`. */
void ferpy_keep_put_off(fer_loop *loop);

/** Raise an exception that was put off in this thread: 1; 0 when there is none. */
int ferpy_raise_put_off(void);

/* Bytes (parts.c). */

enum { FERPY_PARTS_FEW = 4 };

/** Buffers that are held, as the library takes them. Not to be moved while it holds any. */
typedef struct ferpy_parts {
    fer_bytes *bytes;
    Py_buffer *views;
    size_t count;
    fer_bytes few_bytes[FERPY_PARTS_FEW];
    Py_buffer few_views[FERPY_PARTS_FEW];
} ferpy_parts;

/* clang-format off */
#define FERPY_PARTS_INIT { .bytes = NULL, .views = NULL, .count = 0 }
/* clang-format on */

/** Hold `data`, an object with the buffer protocol or a sequence of them. */
int ferpy_parts_hold(ferpy_parts *parts, PyObject *data);

/** Let go of everything. Doing it twice is allowed. */
void ferpy_parts_release(ferpy_parts *parts);

/* Descriptors that go out and come in with messages (descriptors.c). */

/** Numbers, as the library takes them. */
typedef struct ferpy_fds {
    fer_fd *numbers;
    size_t count;
} ferpy_fds;

/* clang-format off */
#define FERPY_FDS_INIT { .numbers = NULL, .count = 0 }
/* clang-format on */

/** Take the numbers of a sequence of them. */
int ferpy_fds_hold(ferpy_fds *fds, PyObject *sequence);

/** Free what holds them; the descriptors stay open. Doing it twice is allowed. */
void ferpy_fds_release(ferpy_fds *fds);

/**
 * A message that is being delivered, as Python has it: bytes, or with handles a tuple of bytes and of a
 * tuple of what holds them. NULL with an exception set; then no handle is lost.
 */
PyObject *ferpy_message(fer_channel *channel, const fer_message *message);

/* Payloads (body.c). */

/** Before the first channel. */
int ferpy_body_init(void);

/** The payload of a message that is being delivered, as bytes. Once for each. NULL with an exception set. */
PyObject *ferpy_payload(fer_channel *channel, const fer_message *message);

/* Calls (call.c). */

/** What a callback has as its `user`. */
typedef struct ferpy_call {
    PyObject *callable; /**< NULL: there is nothing to call, only buffers to let go */
    ferpy_parts parts;  /**< held until the call is freed */
} ferpy_call;

/** A call of `callable`; NULL for None. */
int ferpy_call_new(ferpy_call **call, PyObject *callable);

/** A call made of the tuple (bytes, callable or None). */
int ferpy_call_with_parts(ferpy_call **call, PyObject *pair);

/** A call made of the tuple (bytes, what goes along, callable or None); `along` is borrowed. */
int ferpy_call_passing(ferpy_call **call, PyObject *triple, PyObject **along);

/** NULL is ignored. */
void ferpy_call_free(ferpy_call *call);

/** Enter Python from a callback. 0 when the interpreter is ending: then Python must not be touched. */
int ferpy_enter(PyGILState_STATE *gil);

/**
 * Enter Python to get or give back memory, and to call nothing: no handler of a signal runs either. Possible as long as there
 * is an interpreter.
 */
int ferpy_enter_for_memory(PyGILState_STATE *gil);

/** Leave Python. The counterpart of an entry that gave 1. */
void ferpy_leave(PyGILState_STATE gil);

/**
 * Call with `arguments`, a new tuple, or NULL with an exception set. An exception is kept for `loop`:
 * see ferpy_keep_exception().
 */
void ferpy_deliver(fer_loop *loop, ferpy_call *call, PyObject *arguments);

/** Free the call, and do as ferpy_deliver() does. */
void ferpy_deliver_last(fer_loop *loop, ferpy_call *call, PyObject *arguments);

/**
 * Call with `arguments` as ferpy_deliver() does. The number that the callable answers; 0 when it raised.
 */
int ferpy_ask(fer_loop *loop, ferpy_call *call, PyObject *arguments);

/** Note that the interpreter is ending. */
void ferpy_stop_entering(void);

/** Whether the interpreter is ending. */
int ferpy_is_ending(void);

/* Text (text.c). */

enum { FERPY_TEXT_MAX = 16384 }; /**< room for any address: two paths, and what is around them */

/** str, bytes or os.PathLike to bytes, as the file system has them. */
int ferpy_text(PyObject *object, PyObject **bytes);

/** The text of an address; it has no NUL byte inside. */
int ferpy_address(PyObject *bytes, char **text);

/** A str without a NUL byte, as `text` of the new object `held`; None is NULL. */
int ferpy_host(PyObject *object, PyObject **held, char **text);

/** A tuple of what ferpy_host() takes, and a port. */
int ferpy_destination(PyObject *pair, PyObject **held, char **host, uint16_t *port);

/* Structures (fields.c). */

/** FERPY_BYTES: a pointer, and a size_t right after it. They are of the bytes object in the dict, which lives as long. */
typedef enum ferpy_type { FERPY_U32, FERPY_I32, FERPY_U64, FERPY_I64, FERPY_BYTES } ferpy_type;

/** One field of a structure; a NULL name ends a table of them. */
typedef struct ferpy_field {
    const char *name;
    size_t offset;
    ferpy_type type;
} ferpy_field;

extern const ferpy_field ferpy_bind_options_fields[];
extern const ferpy_field ferpy_channel_options_fields[];
extern const ferpy_field ferpy_channel_info_fields[];
extern const ferpy_field ferpy_channel_stats_fields[];
extern const ferpy_field ferpy_credentials_fields[];

/** Set the fields that `dict` names. */
int ferpy_fill(void *structure, const ferpy_field *fields, PyObject *dict);

/** All fields. NULL with an exception set. */
PyObject *ferpy_dict(const void *structure, const ferpy_field *fields);

/* In what SWIG makes (pointers.i). */

/** The pointer as the flat functions take it. NULL with an exception set. */
PyObject *ferpy_wrap_channel(fer_channel *channel);

/* Callbacks (trampolines.c). */

void ferpy_on_finalize(void *user);
void ferpy_on_finalize_object(void *user);
void ferpy_on_posted(fer_loop *loop, fer_status status, void *user);
void ferpy_on_notify(fer_loop *loop, void *user);
void ferpy_on_connection(fer_handle *listener, fer_status status, void *user);
void ferpy_on_read(fer_handle *stream, fer_status status, const void *data, size_t size,
                   void *user);
void ferpy_on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                    fer_kind pending, void *user);
void ferpy_on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                       void *user);
void ferpy_on_stream(fer_handle *stream, fer_status status, void *user);
void ferpy_on_udp(fer_handle *udp, fer_status status, void *user);
void ferpy_on_handle_closed(fer_handle *handle, void *user);
void ferpy_on_channel_connected(fer_channel *channel, fer_status status, void *user);
void ferpy_on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                       size_t count, void *user);
void ferpy_on_sent(fer_channel *channel, fer_status status, void *user);
void ferpy_on_drain(fer_channel *channel, void *user);
void ferpy_on_channel_closed(fer_channel *channel, fer_status status, void *user);
void ferpy_on_server_channel(fer_server *server, fer_status status, fer_channel *channel,
                             void *user);
int ferpy_on_server_allow(fer_server *server, const fer_credentials *who, void *user);
void ferpy_on_server_closed(fer_server *server, void *user);
void ferpy_on_timer(fer_timer *timer, void *user);
void ferpy_on_timer_closed(fer_timer *timer, void *user);

#endif
