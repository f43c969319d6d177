/* What the Python classes need beside the public headers: helpers.h. */
#include <stdlib.h>

#include "ferpy.h"

enum { HOLD_SIZE = 64 * 1024 }; /* from here on, holding a buffer is cheaper than copying it */

PyObject *ferpy_check_signals(void) {
    if (ferpy_raise_put_off() || PyErr_CheckSignals() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ferpy_shutdown(void) {
    ferpy_stop_entering();
    Py_RETURN_NONE;
}

PyObject *ferpy_has_variable(const char *name) {
    return PyBool_FromLong(name && getenv(name));
}

/* Raise what a callback raised, or `status` itself when there is no such thing. */
static PyObject *raise_turn(fer_loop *loop, fer_status status) {
    PyObject *exception = NULL;

    if (status == FER_ECALLBACK) {
        exception = ferpy_take_exception(loop);
        if (!exception) {
            return NULL;
        }
    }
    if (!exception || exception == Py_None) {
        Py_XDECREF(exception);
        ferpy_raise(status);
        return NULL;
    }
    /* The traceback goes on from where the callback raised. */
    ferpy_restore_exception(exception);
    return NULL;
}

PyObject *ferpy_loop_turn(fer_loop *loop) {
    int64_t timeout_ms = -1;
    fer_status status = fer_loop_step(loop, 0);

    if (status == FER_OK) {
        status = fer_loop_timeout(loop, &timeout_ms);
    }
    if (status != FER_OK) {
        return raise_turn(loop, status);
    }
    return PyLong_FromLongLong(timeout_ms);
}

PyObject *ferpy_loop_linger(fer_loop *loop) {
    int ready = 0;
    fer_status status;

    Py_BEGIN_ALLOW_THREADS;
    status = fer_loop_linger(loop, &ready);
    Py_END_ALLOW_THREADS;
    if (status != FER_OK) {
        ferpy_raise(status);
        return NULL;
    }
    if (!ready) {
        Py_RETURN_NONE;
    }
    return ferpy_loop_turn(loop);
}

static int worth_holding(const ferpy_parts *parts) {
    size_t size = 0;

    for (size_t i = 0; i < parts->count; i++) {
        if (!parts->views[i].readonly) {
            return 0;
        }
        size += parts->bytes[i].size;
    }
    return size >= HOLD_SIZE;
}

/* FER_ENOMEM, with an exception set, when the buffers cannot be held. */
static fer_status send_held(fer_channel *channel, PyObject *data, const ferpy_fds *fds) {
    ferpy_call *call = NULL;
    PyObject *pair = PyTuple_Pack(2, data, Py_None);

    if (!pair || ferpy_call_with_parts(&call, pair) < 0) {
        Py_XDECREF(pair);
        return FER_ENOMEM;
    }
    Py_DECREF(pair);
    fer_status status = fer_channel_send_fds(channel, call->parts.bytes, call->parts.count,
                                             fds->numbers, fds->count, ferpy_on_sent, call);
    if (status != FER_OK) {
        ferpy_raise(status);
        ferpy_call_free(call);
    }
    return status;
}

static fer_status send_copied(fer_channel *channel, const ferpy_parts *parts,
                              const ferpy_fds *fds) {
    fer_status status = fer_channel_send_fds(channel, parts->bytes, parts->count, fds->numbers,
                                             fds->count, NULL, NULL);

    if (status != FER_OK) {
        ferpy_raise(status);
    }
    return status;
}

static PyObject *send_with(fer_channel *channel, PyObject *data, const ferpy_fds *fds) {
    ferpy_parts parts = FERPY_PARTS_INIT;
    fer_status status;

    if (ferpy_parts_hold(&parts, data) < 0) {
        return NULL;
    }
    if (worth_holding(&parts)) {
        status = send_held(channel, data, fds);
    } else {
        status = send_copied(channel, &parts, fds);
    }
    ferpy_parts_release(&parts);
    return status == FER_OK ? PyBool_FromLong(fer_channel_is_writable(channel)) : NULL;
}

PyObject *ferpy_channel_send(fer_channel *channel, PyObject *data) {
    const ferpy_fds none = FERPY_FDS_INIT;

    return send_with(channel, data, &none);
}

PyObject *ferpy_channel_send_many(fer_channel *channel, PyObject *messages, long first) {
    const ferpy_fds none = FERPY_FDS_INIT;
    Py_ssize_t count = PyList_Size(messages);
    Py_ssize_t next = first;
    int writable = fer_channel_is_writable(channel);

    if (count < 0) {
        return NULL;
    }
    while (next < count && (writable || next == first)) {
        PyObject *message = PyList_GetItem(messages, next);
        if (!message) {
            return NULL;
        }
        /* What makes the buffer may change the list. */
        Py_INCREF(message);
        PyObject *result = send_with(channel, message, &none);
        Py_DECREF(message);
        if (!result) {
            return NULL;
        }
        writable = PyObject_IsTrue(result);
        Py_DECREF(result);
        next++;
    }
    return Py_BuildValue("(nO)", next, writable ? Py_True : Py_False);
}

PyObject *ferpy_channel_send_fds(fer_channel *channel, PyObject *data, PyObject *fds) {
    ferpy_fds held = FERPY_FDS_INIT;

    if (ferpy_fds_hold(&held, fds) < 0) {
        return NULL;
    }
    PyObject *result = send_with(channel, data, &held);
    ferpy_fds_release(&held);
    return result;
}
