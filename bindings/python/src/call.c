/* Calls from the library into Python: what is called, and how Python is entered and left. */
#include <stdatomic.h>

#include "ferpy.h"

static atomic_int ending;

void ferpy_stop_entering(void) {
    atomic_store(&ending, 1);
}

int ferpy_is_ending(void) {
    return atomic_load(&ending) || !Py_IsInitialized();
}

int ferpy_enter_for_memory(PyGILState_STATE *gil) {
    if (!Py_IsInitialized()) {
        return 0;
    }
    *gil = PyGILState_Ensure();
    return 1;
}

int ferpy_enter(PyGILState_STATE *gil) {
    if (ferpy_is_ending() || !ferpy_enter_for_memory(gil)) {
        return 0;
    }
    /* The first Python code after a wait may be a destructor, which would swallow what a signal handler raises. */
    if (*gil == PyGILState_UNLOCKED && PyErr_CheckSignals() < 0) {
        ferpy_put_off_exception();
    }
    return 1;
}

void ferpy_leave(PyGILState_STATE gil) {
    PyGILState_Release(gil);
}

static int make(ferpy_call **call, PyObject *callable) {
    if (callable != Py_None && !PyCallable_Check(callable)) {
        PyErr_SetString(PyExc_TypeError, "a callable or None is required");
        return -1;
    }
    ferpy_call *made = PyMem_Malloc(sizeof *made);
    if (!made) {
        PyErr_NoMemory();
        return -1;
    }
    made->callable = callable == Py_None ? NULL : callable;
    Py_XINCREF(made->callable);
    made->parts.bytes = NULL;
    made->parts.views = NULL;
    made->parts.count = 0;
    *call = made;
    return 0;
}

int ferpy_call_new(ferpy_call **call, PyObject *callable) {
    *call = NULL;
    return callable == Py_None ? 0 : make(call, callable);
}

/* A call made of a tuple of `size`: the first is the bytes, the last the callable. */
static int make_with_parts(ferpy_call **call, PyObject *tuple, Py_ssize_t size) {
    *call = NULL;
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != size) {
        PyErr_Format(PyExc_TypeError, "a tuple of %zd is required: bytes, ..., callable or None",
                     size);
        return -1;
    }
    if (make(call, PyTuple_GetItem(tuple, size - 1)) < 0) {
        return -1;
    }
    if (ferpy_parts_hold(&(*call)->parts, PyTuple_GetItem(tuple, 0)) < 0) {
        ferpy_call_free(*call);
        *call = NULL;
        return -1;
    }
    return 0;
}

int ferpy_call_with_parts(ferpy_call **call, PyObject *pair) {
    return make_with_parts(call, pair, 2);
}

int ferpy_call_passing(ferpy_call **call, PyObject *triple, PyObject **along) {
    if (make_with_parts(call, triple, 3) < 0) {
        return -1;
    }
    *along = PyTuple_GetItem(triple, 1);
    return 0;
}

void ferpy_call_free(ferpy_call *call) {
    if (!call) {
        return;
    }
    ferpy_parts_release(&call->parts);
    Py_XDECREF(call->callable);
    PyMem_Free(call);
}

/* Takes the reference to `callable`, because the call that it is from may be freed meanwhile. */
static void deliver(fer_loop *loop, PyObject *callable, PyObject *arguments) {
    PyObject *result = arguments ? PyObject_CallObject(callable, arguments) : NULL;

    if (!result) {
        ferpy_keep_exception(loop, callable);
    }
    ferpy_keep_put_off(loop);
    Py_XDECREF(result);
    Py_XDECREF(arguments);
    Py_DECREF(callable);
}

void ferpy_deliver(fer_loop *loop, ferpy_call *call, PyObject *arguments) {
    Py_INCREF(call->callable);
    deliver(loop, call->callable, arguments);
}

int ferpy_ask(fer_loop *loop, ferpy_call *call, PyObject *arguments) {
    PyObject *callable = call->callable;
    PyObject *result = NULL;
    int answer = 0;

    Py_INCREF(callable);
    result = arguments ? PyObject_CallObject(callable, arguments) : NULL;
    if (result) {
        answer = (int)PyLong_AsLong(result);
    }
    if (PyErr_Occurred()) {
        answer = 0;
        ferpy_keep_exception(loop, callable);
    }
    ferpy_keep_put_off(loop);
    Py_XDECREF(result);
    Py_XDECREF(arguments);
    Py_DECREF(callable);
    return answer;
}

void ferpy_deliver_last(fer_loop *loop, ferpy_call *call, PyObject *arguments) {
    PyObject *callable = call->callable;

    call->callable = NULL;
    ferpy_call_free(call);
    if (callable) {
        deliver(loop, callable, arguments);
        return;
    }
    /* Nobody asked for the news; making them may have failed. */
    Py_XDECREF(arguments);
    PyErr_Clear();
}
