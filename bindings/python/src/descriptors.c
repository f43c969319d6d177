/*
 * Descriptors: those that go out with a message, and the handles that came with one.
 *
 * What came is held by a capsule from the first instant, so that whatever becomes of the message (an
 * exception, a cancelled task, an inbox that nobody empties), its descriptors are closed.
 */
#include <unistd.h>

#include "ferpy.h"

static const char capsule_name[] = "ferrule.received";

typedef struct received {
    int fd; /* -1: somebody took it */
    int kind;
    PyObject *text; /* of the warning; NULL until the program has it */
} received;

int ferpy_fds_hold(ferpy_fds *fds, PyObject *sequence) {
    PyObject *numbers = PySequence_Tuple(sequence);
    if (!numbers) {
        return -1;
    }
    const size_t count = (size_t)PyTuple_Size(numbers);
    int result = 0;

    fds->count = 0;
    fds->numbers = count > 0 ? PyMem_Malloc(count * sizeof *fds->numbers) : NULL;
    if (count > 0 && !fds->numbers) {
        PyErr_NoMemory();
        result = -1;
    }
    for (; result == 0 && fds->count < count; fds->count++) {
        PyObject *number = PyTuple_GetItem(numbers, (Py_ssize_t)fds->count);
        fds->numbers[fds->count] = PyLong_AsSsize_t(number);
        result = PyErr_Occurred() ? -1 : 0;
    }
    if (result < 0) {
        ferpy_fds_release(fds);
    }
    Py_DECREF(numbers);
    return result;
}

void ferpy_fds_release(ferpy_fds *fds) {
    PyMem_Free(fds->numbers);
    fds->numbers = NULL;
    fds->count = 0;
}

static void let_go(PyObject *capsule) {
    received *held = PyCapsule_GetPointer(capsule, capsule_name);
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;

    /* A destructor leaves the present exception as it is. */
    PyErr_Fetch(&type, &value, &traceback);
    if (held->fd >= 0) {
        (void)close(held->fd); /* Whatever it says, the descriptor is gone. */
        if (held->text && !ferpy_is_ending() &&
            PyErr_ResourceWarning(held->text, 1, "%U", held->text) < 0) {
            PyErr_WriteUnraisable(held->text);
        }
    }
    Py_XDECREF(held->text);
    PyMem_Free(held);
    PyErr_Restore(type, value, traceback);
}

/* Take handle `index` out of the message. NULL with an exception set. */
static PyObject *take(fer_channel *channel, const fer_message *message, size_t index) {
    received *held = PyMem_Malloc(sizeof *held);
    if (!held) {
        return PyErr_NoMemory();
    }
    held->fd = -1;
    held->kind = message->handles[index].kind;
    held->text = NULL;
    PyObject *capsule = PyCapsule_New(held, capsule_name, let_go);
    if (!capsule) {
        PyMem_Free(held);
        return NULL;
    }
    fer_fd fd = -1;
    fer_status status = fer_message_take_fd(channel, message, index, &fd);
    if (status != FER_OK) {
        ferpy_raise(status);
        Py_DECREF(capsule);
        return NULL;
    }
    held->fd = (int)fd;
    return capsule;
}

static PyObject *take_all(fer_channel *channel, const fer_message *message) {
    PyObject *handles = PyTuple_New((Py_ssize_t)message->handle_count);

    for (size_t i = 0; handles && i < message->handle_count; i++) {
        PyObject *capsule = take(channel, message, i);
        if (!capsule || PyTuple_SetItem(handles, (Py_ssize_t)i, capsule) < 0) {
            Py_CLEAR(handles);
        }
    }
    return handles;
}

PyObject *ferpy_message(fer_channel *channel, const fer_message *message) {
    PyObject *payload = ferpy_payload(channel, message);

    if (!payload || message->handle_count == 0) {
        return payload;
    }
    PyObject *handles = take_all(channel, message);
    if (!handles) {
        Py_DECREF(payload);
        return NULL;
    }
    return Py_BuildValue("(NN)", payload, handles);
}

static received *received_of(PyObject *capsule) {
    return PyCapsule_GetPointer(capsule, capsule_name);
}

PyObject *ferpy_received_kind(PyObject *capsule) {
    const received *held = received_of(capsule);
    return held ? PyLong_FromLong(held->kind) : NULL;
}

PyObject *ferpy_received_fileno(PyObject *capsule) {
    const received *held = received_of(capsule);
    return held ? PyLong_FromLong(held->fd) : NULL;
}

PyObject *ferpy_received_detach(PyObject *capsule) {
    received *held = received_of(capsule);
    PyObject *number = held ? PyLong_FromLong(held->fd) : NULL;

    if (number) {
        held->fd = -1;
    }
    return number;
}

PyObject *ferpy_received_give(PyObject *capsule) {
    received *held = received_of(capsule);
    if (!held) {
        return NULL;
    }
    if (!held->text) {
        held->text = PyUnicode_FromFormat("unclosed received handle, descriptor %d", held->fd);
        if (!held->text) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}
