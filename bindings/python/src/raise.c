/* Exceptions: from statuses, and from callbacks to the call that runs the loop. */
#include "ferpy.h"

static PyObject *error_factory;

/* The address of a loop -> the first exception that came out of a callback of it. */
static PyObject *kept;

/* The address of a loop -> who is told of such exceptions first. */
static PyObject *hooks;

/* What a signal handler raised on the way into a callback. Only the main thread runs such handlers. */
static PyObject *put_off;
static unsigned long put_off_thread;

PyObject *ferpy_set_error_factory(PyObject *factory) {
    /* Callbacks enter Python by PyGILState_Ensure(), which knows the main interpreter only. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "ferrule is for the main interpreter, not for others");
        return NULL;
    }
    Py_INCREF(factory);
    Py_XDECREF(error_factory);
    error_factory = factory;
    Py_RETURN_NONE;
}

static void raise_with(int kind, fer_status status, PyObject *detail) {
    if (!error_factory) {
        PyErr_SetString(PyExc_RuntimeError, fer_status_name(status));
        return;
    }
    PyObject *error = PyObject_CallFunction(error_factory, "iOi", (int)status, detail, kind);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

int ferpy_kind(const fer_handle *handle) {
    return (int)fer_handle_kind(handle);
}

void ferpy_raise(fer_status status) {
    ferpy_raise_about(FERPY_NO_HANDLE, status);
}

void ferpy_raise_about(int kind, fer_status status) {
    /* Read before anything that can call into the library. */
    PyObject *detail = PyUnicode_DecodeFSDefault(fer_status_detail());

    if (!detail) {
        return;
    }
    /* A handler that raises, such as that of Ctrl-C, comes before the news that a signal came. */
    if (status != FER_EINTR || PyErr_CheckSignals() == 0) {
        raise_with(kind, status, detail);
    }
    Py_DECREF(detail);
}

/* 1 when `exception` was kept, 0 when it could not be. */
static int keep(fer_loop *loop, PyObject *exception) {
    int done = 0;

    if (!kept) {
        kept = PyDict_New();
    }
    PyObject *key = kept ? PyLong_FromVoidPtr(loop) : NULL;
    if (key && PyDict_Contains(kept, key) == 0 && PyDict_SetItem(kept, key, exception) == 0) {
        done = fer_loop_fail(loop, FER_ECALLBACK) == FER_OK || PyDict_DelItem(kept, key) < 0;
    }
    Py_XDECREF(key);
    PyErr_Clear();
    return done;
}

/* Take the present exception, which has its traceback. */
static PyObject *fetch(void) {
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

void ferpy_restore_exception(PyObject *exception) {
    PyObject *type = (PyObject *)Py_TYPE(exception);

    Py_INCREF(type);
    PyErr_Restore(type, exception, PyException_GetTraceback(exception));
}

PyObject *ferpy_set_hook(fer_loop *loop, PyObject *hook) {
    PyObject *key = PyLong_FromVoidPtr(loop);
    int done = -1;

    if (!hooks) {
        hooks = PyDict_New();
    }
    if (hooks && key) {
        if (hook != Py_None) {
            done = PyDict_SetItem(hooks, key, hook);
        } else {
            done = PyDict_Contains(hooks, key);
            done = done > 0 ? PyDict_DelItem(hooks, key) : done;
        }
    }
    Py_XDECREF(key);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The exception that is left after the loop's hook was told of `exception`, which is taken; NULL for none. */
static PyObject *tell_hook(fer_loop *loop, PyObject *exception) {
    PyObject *key = PyLong_FromVoidPtr(loop);
    PyObject *hook = key && hooks ? PyDict_GetItemWithError(hooks, key) : NULL;
    int taken = 0;

    Py_XDECREF(key);
    if (hook) {
        Py_INCREF(hook);
        PyObject *answer = PyObject_CallFunctionObjArgs(hook, exception, NULL);
        taken = answer ? PyObject_IsTrue(answer) : 0;
        Py_XDECREF(answer);
        Py_DECREF(hook);
    }
    if (PyErr_Occurred()) {
        Py_DECREF(exception);
        return fetch();
    }
    if (taken) {
        Py_CLEAR(exception);
    }
    return exception;
}

void ferpy_keep_exception(fer_loop *loop, PyObject *where) {
    PyObject *exception = fetch();

    if (loop) {
        exception = tell_hook(loop, exception);
        if (!exception) {
            return;
        }
    }
    if (loop && keep(loop, exception)) {
        Py_DECREF(exception);
        return;
    }
    ferpy_restore_exception(exception);
    PyErr_WriteUnraisable(where);
}

void ferpy_put_off_exception(void) {
    if (put_off) {
        PyErr_WriteUnraisable(NULL);
        return;
    }
    put_off = fetch();
    put_off_thread = PyThread_get_thread_ident();
}

int ferpy_raise_put_off(void) {
    if (!put_off || PyThread_get_thread_ident() != put_off_thread) {
        return 0;
    }
    PyObject *exception = put_off;

    put_off = NULL;
    ferpy_restore_exception(exception);
    return 1;
}

void ferpy_keep_put_off(fer_loop *loop) {
    if (loop && ferpy_raise_put_off()) {
        ferpy_keep_exception(loop, Py_None);
    }
}

PyObject *ferpy_take_exception(fer_loop *loop) {
    PyObject *key = PyLong_FromVoidPtr(loop);
    PyObject *exception = key && kept ? PyDict_GetItemWithError(kept, key) : NULL;

    Py_XINCREF(exception);
    if (exception && PyDict_DelItem(kept, key) < 0) {
        Py_CLEAR(exception);
    }
    Py_XDECREF(key);
    if (!exception && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return exception;
}
