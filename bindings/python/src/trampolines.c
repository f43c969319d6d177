/*
 * The callbacks that the library calls: one function for each type of callback.
 *
 * Each enters Python once and leaves it once. The object that a callback is about is not passed on:
 * the callable knows whose it is.
 */
#include "ferpy.h"

void ferpy_on_finalize(void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_call_free(user);
    ferpy_leave(gil);
}

void ferpy_on_finalize_object(void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    Py_DECREF((PyObject *)user);
    ferpy_leave(gil);
}

void ferpy_on_posted(fer_loop *loop, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(loop, user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

void ferpy_on_notify(fer_loop *loop, void *user) {
    PyGILState_STATE gil;
    (void)loop;
    if (!ferpy_enter(&gil)) {
        return;
    }
    /* The library must not be called from here, so nothing can be kept for the loop. */
    ferpy_deliver(NULL, user, PyTuple_New(0));
    ferpy_leave(gil);
}

void ferpy_on_connection(fer_handle *listener, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver(fer_handle_loop(listener), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

void ferpy_on_read(fer_handle *stream, fer_status status, const void *data, size_t size,
                   void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    /* With an error there are no bytes: NULL becomes None. */
    const char *bytes = status == FER_OK ? data : NULL;
    ferpy_deliver(fer_handle_loop(stream), user,
                  Py_BuildValue("(iy#)", (int)status, bytes, (Py_ssize_t)size));
    ferpy_leave(gil);
}

void ferpy_on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                    fer_kind pending, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    const char *bytes = status == FER_OK ? data : NULL;
    ferpy_deliver(fer_handle_loop(pipe), user,
                  Py_BuildValue("(iy#i)", (int)status, bytes, (Py_ssize_t)size, (int)pending));
    ferpy_leave(gil);
}

/* What came and from where. An empty datagram may have no data, and is bytes all the same. */
static PyObject *datagram_arguments(const fer_datagram *datagram) {
    return Py_BuildValue("(iN(si)i)", (int)FER_OK,
                         PyBytes_FromStringAndSize(datagram->data, (Py_ssize_t)datagram->size),
                         datagram->host, (int)datagram->port, (int)datagram->flags);
}

void ferpy_on_datagram(fer_handle *udp, fer_status status, const fer_datagram *datagram,
                       void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver(fer_handle_loop(udp), user,
                  status == FER_OK ? datagram_arguments(datagram)
                                   : Py_BuildValue("(iOOi)", (int)status, Py_None, Py_None, 0));
    ferpy_leave(gil);
}

void ferpy_on_stream(fer_handle *stream, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_handle_loop(stream), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

void ferpy_on_udp(fer_handle *udp, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_handle_loop(udp), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

void ferpy_on_handle_closed(fer_handle *handle, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_handle_loop(handle), user, PyTuple_New(0));
    ferpy_leave(gil);
}

void ferpy_on_channel_connected(fer_channel *channel, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_channel_loop(channel), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

/* A list of messages; NULL with an exception set. */
static PyObject *list_of(fer_channel *channel, const fer_message *messages, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; list && i < count; i++) {
        PyObject *message = ferpy_message(channel, &messages[i]);
        if (!message || PyList_SetItem(list, (Py_ssize_t)i, message) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

void ferpy_on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                       size_t count, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    PyObject *list = list_of(channel, messages, status == FER_OK ? count : 0);
    ferpy_deliver(fer_channel_loop(channel), user,
                  list ? Py_BuildValue("(iN)", (int)status, list) : NULL);
    ferpy_leave(gil);
}

void ferpy_on_sent(fer_channel *channel, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_channel_loop(channel), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

void ferpy_on_drain(fer_channel *channel, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver(fer_channel_loop(channel), user, PyTuple_New(0));
    ferpy_leave(gil);
}

void ferpy_on_channel_closed(fer_channel *channel, fer_status status, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_channel_loop(channel), user, Py_BuildValue("(i)", (int)status));
    ferpy_leave(gil);
}

/* What a server's callback is called with. The channel's reference goes with it, or is dropped. */
static PyObject *server_arguments(fer_status status, fer_channel *channel) {
    if (!channel) {
        return Py_BuildValue("(iO)", (int)status, Py_None);
    }
    PyObject *pointer = ferpy_wrap_channel(channel);
    PyObject *arguments = pointer ? Py_BuildValue("(iN)", (int)status, pointer) : NULL;
    if (!arguments) {
        fer_channel_unref(channel);
    }
    return arguments;
}

void ferpy_on_server_channel(fer_server *server, fer_status status, fer_channel *channel,
                             void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        fer_channel_unref(channel);
        return;
    }
    ferpy_deliver(fer_server_loop(server), user, server_arguments(status, channel));
    ferpy_leave(gil);
}

/* A client is turned away when nobody can be asked. */
int ferpy_on_server_allow(fer_server *server, const fer_credentials *who, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return 0;
    }
    PyObject *facts = ferpy_dict(who, ferpy_credentials_fields);
    int answer =
        ferpy_ask(fer_server_loop(server), user, facts ? Py_BuildValue("(N)", facts) : NULL);
    ferpy_leave(gil);
    return answer;
}

void ferpy_on_server_closed(fer_server *server, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_server_loop(server), user, PyTuple_New(0));
    ferpy_leave(gil);
}

void ferpy_on_timer(fer_timer *timer, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver(fer_timer_loop(timer), user, PyTuple_New(0));
    ferpy_leave(gil);
}

void ferpy_on_timer_closed(fer_timer *timer, void *user) {
    PyGILState_STATE gil;
    if (!ferpy_enter(&gil)) {
        return;
    }
    ferpy_deliver_last(fer_timer_loop(timer), user, PyTuple_New(0));
    ferpy_leave(gil);
}
