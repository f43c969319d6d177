/* Several messages at a time, and messages into buffers, for calls that wait: helpers.h. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ferpy.h"

enum {
    BATCH = 256,     /* messages whose buffers are held at a time */
    ENOUGH = 1 << 20 /* bytes, from which on a list of messages waits for no more */
};

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds that are left until `limit`; -1 for no limit. */
static int64_t left(int64_t limit) {
    int64_t rest = limit < 0 ? -1 : limit - now_ms();

    return limit >= 0 && rest < 0 ? 0 : rest;
}

/* How many messages of the list to hold from `first` on; -1, with an exception set, when it is none. */
static Py_ssize_t count_some(PyObject *messages, Py_ssize_t first) {
    Py_ssize_t count = PyList_Size(messages);

    if (count < 0) {
        return -1;
    }
    count = count > first ? count - first : 0;
    return count < BATCH ? count : BATCH;
}

/* Hold `room` messages of the list from `first` on. How many that were; -1, with an exception set, for none. */
static Py_ssize_t hold_some(ferpy_parts *held, Py_ssize_t room, PyObject *messages,
                            Py_ssize_t first) {
    Py_ssize_t taken = 0;

    while (taken < room) {
        PyObject *message = PyList_GetItem(messages, first + taken);
        if (!message) {
            break;
        }
        /* What makes the buffer may change the list. */
        Py_INCREF(message);
        int result = ferpy_parts_hold(&held[taken], message);
        Py_DECREF(message);
        if (result < 0) {
            break;
        }
        taken++;
    }
    if (PyErr_Occurred()) {
        if (taken == 0) {
            return -1;
        }
        /* Those before it are sent; then it is the first. */
        PyErr_Clear();
    }
    return taken;
}

/* Those from `held` on that are of one piece: they are sent by one call of the library. */
static size_t gather(const ferpy_parts *held, Py_ssize_t count, fer_bytes *messages) {
    static const fer_bytes empty = {NULL, 0};
    size_t n = 0;

    while ((Py_ssize_t)n < count && held[n].count <= 1) {
        messages[n] = held[n].count == 1 ? held[n].bytes[0] : empty;
        n++;
    }
    return n;
}

/* Send until one is not sent as a whole. How many were accepted. */
static Py_ssize_t send_some(fer_channel *channel, const ferpy_parts *held, Py_ssize_t count,
                            int64_t timeout_ms, fer_status *status) {
    int64_t limit = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    fer_bytes messages[BATCH];
    Py_ssize_t sent = 0;

    while (sent < count && *status == FER_OK) {
        const ferpy_parts *next = held + sent;
        size_t many = gather(next, count - sent, messages);
        size_t accepted = 0;
        if (many > 0) {
            *status = fer_sync_send_many(channel, messages, many, left(limit), &accepted);
        } else {
            *status = fer_sync_send(channel, next->bytes, next->count, left(limit));
            accepted =
                *status == FER_OK || *status == FER_EINTR || *status == FER_ETIMEDOUT ? 1 : 0;
        }
        sent += (Py_ssize_t)accepted;
    }
    return sent;
}

PyObject *ferpy_sync_send_many(fer_channel *channel, PyObject *messages, long first,
                               long long timeout_ms) {
    static const ferpy_parts none = FERPY_PARTS_INIT;
    fer_status status = FER_OK;
    Py_ssize_t room = count_some(messages, first);

    if (room < 0) {
        return NULL;
    }
    ferpy_parts *held = PyMem_Malloc((size_t)room * sizeof *held);
    if (!held) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < room; i++) {
        held[i] = none;
    }
    Py_ssize_t count = hold_some(held, room, messages, first);
    Py_ssize_t sent = 0;
    if (count > 0) {
        Py_BEGIN_ALLOW_THREADS;
        sent = send_some(channel, held, count, timeout_ms, &status);
        Py_END_ALLOW_THREADS;
    }
    if (count >= 0 && status != FER_OK && status != FER_EINTR && status != FER_EAGAIN) {
        ferpy_raise(status);
        count = -1;
    }
    for (Py_ssize_t i = 0; i < room; i++) {
        ferpy_parts_release(&held[i]);
    }
    PyMem_Free(held);
    return count < 0 ? NULL : Py_BuildValue("(ni)", (Py_ssize_t)first + sent, (int)status);
}

PyObject *ferpy_sync_receive_many(fer_channel *channel, long limit, long long timeout_ms) {
    fer_message message;
    fer_status status;
    size_t size = 0;
    PyObject *messages = PyList_New(0);

    if (!messages) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = fer_sync_receive(channel, timeout_ms, &message);
    Py_END_ALLOW_THREADS;
    if (status != FER_OK) {
        Py_DECREF(messages);
        ferpy_raise(status);
        return NULL;
    }
    while (status == FER_OK) {
        PyObject *object = ferpy_message(channel, &message);
        if (!object || PyList_Append(messages, object) < 0) {
            Py_XDECREF(object);
            Py_DECREF(messages);
            return NULL;
        }
        Py_DECREF(object);
        size += message.size;
        /* A peer that keeps up would fill any memory. */
        if (PyList_Size(messages) >= limit || size >= ENOUGH) {
            break;
        }
        /* It does not wait. That none is there, or will come, the next call tells. */
        status = fer_sync_receive(channel, 0, &message);
    }
    return messages;
}

/* Nobody else will take them. */
static void close_handles(fer_channel *channel, const fer_message *message) {
    for (size_t i = 0; i < message->handle_count; i++) {
        fer_fd fd = -1;
        if (fer_message_take_fd(channel, message, i, &fd) == FER_OK) {
            close((int)fd);
        }
    }
}

PyObject *ferpy_sync_receive_into(fer_channel *channel, PyObject *buffer, long long timeout_ms) {
    Py_buffer view;
    fer_message message;
    fer_status status;
    PyObject *result = NULL;

    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = fer_sync_receive(channel, timeout_ms, &message);
    Py_END_ALLOW_THREADS;
    if (status != FER_OK) {
        ferpy_raise(status);
    } else if (message.size > (size_t)view.len) {
        result = ferpy_message(channel, &message);
    } else {
        if (message.size > 0) {
            memcpy(view.buf, message.data, message.size);
        }
        close_handles(channel, &message);
        result = PyLong_FromSize_t(message.size);
    }
    PyBuffer_Release(&view);
    return result;
}
