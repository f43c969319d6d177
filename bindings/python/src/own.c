/*
 * References of Python objects to objects of the library.
 *
 * They are let go in C, in whatever thread the collector runs, so that no Python code runs between the end
 * of a wait and the handlers of signals: what those raise inside of a destructor is lost.
 */
#include "ferpy.h"

static const char capsule_name[] = "ferrule.reference";

typedef struct reference {
    void *object;
    int (*is_closing)(void *object);
    void (*unref)(void *object);
    PyObject *text;    /* of the warning; its memory tells tracemalloc where the object was made */
    PyObject *dropped; /* called when the object was let go without having been closed; or None */
} reference;

/* Tell that an object was let go without having been closed. */
static void complain(PyObject *text, PyObject *dropped) {
    if (dropped != Py_None) {
        PyObject *result = PyObject_CallObject(dropped, NULL);
        if (!result) {
            PyErr_WriteUnraisable(dropped);
        }
        Py_XDECREF(result);
    }
    if (PyErr_ResourceWarning(text, 1, "%U", text) < 0) {
        PyErr_WriteUnraisable(text);
    }
}

static void let_go(PyObject *capsule) {
    reference *held = PyCapsule_GetPointer(capsule, capsule_name);
    int unclosed = !held->is_closing(held->object) && !ferpy_is_ending();
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;

    /* A destructor leaves the present exception as it is. */
    PyErr_Fetch(&type, &value, &traceback);
    held->unref(held->object);
    if (unclosed) {
        complain(held->text, held->dropped);
    }
    Py_DECREF(held->text);
    Py_DECREF(held->dropped);
    PyMem_Free(held);
    PyErr_Restore(type, value, traceback);
}

/* NULL, with an exception set and the reference let go, when there is no memory. */
static PyObject *own(reference made, const char *what) {
    reference *held = PyMem_Malloc(sizeof *held);
    PyObject *capsule = NULL;

    made.text = PyUnicode_FromFormat("unclosed %s at %p", what, made.object);
    if (held && made.text) {
        *held = made;
        capsule = PyCapsule_New(held, capsule_name, let_go);
    }
    if (!capsule) {
        Py_XDECREF(made.text);
        PyMem_Free(held);
        made.unref(made.object);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    Py_INCREF(made.dropped);
    return capsule;
}

static int handle_is_closing(void *object) {
    return fer_handle_is_closing(object);
}

static void handle_unref(void *object) {
    fer_handle_unref(object);
}

PyObject *ferpy_own_handle(fer_handle *handle) {
    static const char *const names[] = {
        [FER_KIND_PIPE] = "pipe", [FER_KIND_TCP] = "tcp", [FER_KIND_UDP] = "udp"};
    return own((reference){handle, handle_is_closing, handle_unref, NULL, Py_None},
               names[fer_handle_kind(handle)]);
}

static int channel_is_closing(void *object) {
    return fer_channel_is_closing(object);
}

static void channel_unref(void *object) {
    fer_channel_unref(object);
}

PyObject *ferpy_own_channel(fer_channel *channel, PyObject *dropped) {
    return own((reference){channel, channel_is_closing, channel_unref, NULL, dropped}, "channel");
}

static int server_is_closing(void *object) {
    return fer_server_is_closing(object);
}

static void server_unref(void *object) {
    fer_server_unref(object);
}

PyObject *ferpy_own_server(fer_server *server, PyObject *dropped) {
    return own((reference){server, server_is_closing, server_unref, NULL, dropped}, "server");
}

static int timer_is_closing(void *object) {
    return fer_timer_is_closing(object);
}

static void timer_unref(void *object) {
    fer_timer_unref(object);
}

PyObject *ferpy_own_timer(fer_timer *timer) {
    return own((reference){timer, timer_is_closing, timer_unref, NULL, Py_None}, "timer");
}
