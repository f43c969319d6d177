/* Exceptions: from statuses, and from callbacks to the call that runs the loop. */
#include "ferpy.h"

static PyObject *error_factory;

/* The address of a loop -> the first exception that came out of a callback of it. */
static PyObject *kept;

PyObject *ferpy_set_error_factory(PyObject *factory)
{
    Py_INCREF(factory);
    Py_XDECREF(error_factory);
    error_factory = factory;
    Py_RETURN_NONE;
}

static void raise_with(fer_status status, PyObject *detail)
{
    if (!error_factory) {
        PyErr_SetString(PyExc_RuntimeError, fer_status_name(status));
        return;
    }
    PyObject *error = PyObject_CallFunction(error_factory, "iO", (int)status, detail);
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

void ferpy_raise(fer_status status)
{
    /* Read before anything that can call into the library. */
    PyObject *detail = PyUnicode_DecodeFSDefault(fer_status_detail());

    if (!detail) {
        return;
    }
    /* A handler that raises, such as that of Ctrl-C, comes before the news that a signal came. */
    if (status != FER_EINTR || PyErr_CheckSignals() == 0) {
        raise_with(status, detail);
    }
    Py_DECREF(detail);
}

/* 1 when `exception` was kept, 0 when it could not be. */
static int keep(fer_loop *loop, PyObject *exception)
{
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

void ferpy_keep_exception(fer_loop *loop, PyObject *where)
{
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) {
        PyException_SetTraceback(value, traceback);
    }
    if (loop && keep(loop, value)) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return;
    }
    PyErr_Restore(type, value, traceback);
    PyErr_WriteUnraisable(where);
}

PyObject *ferpy_take_exception(fer_loop *loop)
{
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
