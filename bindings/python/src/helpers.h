/**
 * What the Python classes need beside the public headers; wrapped along with them.
 *
 * Each of these saves a crossing of the border on a path that is taken for every message or every turn
 * of a loop, or is about Python itself. They return a new reference, or NULL with an exception set.
 */
#ifndef FERPY_HELPERS_H
#define FERPY_HELPERS_H

/** The callable `factory(status, detail)` that makes the exception for a status. In the main interpreter only. */
PyObject *ferpy_set_error_factory(PyObject *factory);

/**
 * Have `hook(exception)` called with what a callback of `loop` raises; when it gives something true, the loop goes
 * on. What it raises takes the place of the exception. None: no hook.
 */
PyObject *ferpy_set_hook(fer_loop *loop, PyObject *hook);

/** Take the exception that a callback of `loop` raised; None when there is none. */
PyObject *ferpy_take_exception(fer_loop *loop);

/** Raise what the handler of a signal has raised in a callback, or run the handlers that are due. */
PyObject *ferpy_check_signals(void);

/** From now on no callback enters Python: the interpreter is about to end. */
PyObject *ferpy_shutdown(void);

/** Whether the environment has a variable: os.environ is a copy of it that C does not change. */
PyObject *ferpy_has_variable(const char *name);

/**
 * Take over a reference: it is let go with the object that this gives, in any thread.
 *
 * When the handle, channel, server or timer is not closed then, `dropped` is called (None: nothing is), and there
 * is a ResourceWarning.
 */
PyObject *ferpy_own_handle(fer_handle *handle);
PyObject *ferpy_own_channel(fer_channel *channel, PyObject *dropped);
PyObject *ferpy_own_server(fer_server *server, PyObject *dropped);
PyObject *ferpy_own_timer(fer_timer *timer);

/** Receive large messages of an open channel straight into bytes objects. Before the first message. */
PyObject *ferpy_channel_use_bytes(fer_channel *channel);

/**
 * A turn of an embedded loop: fer_loop_step() without waiting, then fer_loop_timeout().
 *
 * Gives milliseconds, -1 for no limit. What a callback raised comes out of it.
 */
PyObject *ferpy_loop_turn(fer_loop *loop);

/** As fer_loop_linger(), and when there is something, ferpy_loop_turn(); None when there is not. */
PyObject *ferpy_loop_linger(fer_loop *loop);

/**
 * Send a message without a callback, and tell whether the channel is still writable.
 *
 * Read-only buffers of 64 KiB and more in sum are held until the kernel has them; others are copied
 * as far as the kernel does not take them at once.
 */
PyObject *ferpy_channel_send(fer_channel *channel, PyObject *data);

/**
 * The same with messages of a list, from index `first` on, until the channel is no longer writable. Gives the index of
 * the first that was not sent, and whether the channel is still writable.
 */
PyObject *ferpy_channel_send_many(fer_channel *channel, PyObject *messages, long first);

/** The same with a sequence of descriptors, which stay the caller's. */
PyObject *ferpy_channel_send_fds(fer_channel *channel, PyObject *data, PyObject *fds);

/**
 * On a blocking channel: send messages of a list, from index `first` on, with the interpreter let go while it waits.
 *
 * Gives the index of the first that was not accepted, and FER_OK, which says nothing about how many are left; FER_EINTR when the
 * last of them was accepted and has yet to be flushed; FER_EAGAIN. Other statuses are raised, FER_ETIMEDOUT, too.
 */
PyObject *ferpy_sync_send_many(fer_channel *channel, PyObject *messages, long first,
                               long long timeout_ms);

/** On a blocking channel: wait for a message; a list of it and of those that are there already, up to `limit`. */
PyObject *ferpy_sync_receive_many(fer_channel *channel, long limit, long long timeout_ms);

/**
 * On a blocking channel: wait for a message and copy it into a writable buffer. Gives its size; the message, when it does
 * not fit.
 */
PyObject *ferpy_sync_receive_into(fer_channel *channel, PyObject *buffer, long long timeout_ms);

/**
 * About a handle that came with a message, as the messages have it: it is closed when it is dropped.
 *
 * Its kind; its descriptor, -1 when that is gone; the descriptor, which is the caller's from now on, or -1.
 * After ferpy_received_give() there is a ResourceWarning when it is dropped with its descriptor.
 */
PyObject *ferpy_received_kind(PyObject *capsule);
PyObject *ferpy_received_fileno(PyObject *capsule);
PyObject *ferpy_received_detach(PyObject *capsule);
PyObject *ferpy_received_give(PyObject *capsule);

#endif
