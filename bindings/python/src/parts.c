/* Buffers of Python as the library's pieces of bytes. */
#include "ferpy.h"

static int hold_one(ferpy_parts *parts, PyObject *object) {
    Py_buffer *view = &parts->views[parts->count];

    if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    parts->bytes[parts->count].data = view->buf;
    parts->bytes[parts->count].size = (size_t)view->len;
    parts->count++;
    return 0;
}

static int make_room(ferpy_parts *parts, size_t count) {
    parts->bytes = parts->few_bytes;
    parts->views = parts->few_views;
    parts->count = 0;
    if (count <= FERPY_PARTS_FEW) {
        return 0;
    }
    parts->bytes = NULL;
    parts->views = NULL;
    if (count <= PY_SSIZE_T_MAX / sizeof(Py_buffer)) {
        parts->bytes = PyMem_Malloc(count * sizeof(fer_bytes));
        parts->views = PyMem_Malloc(count * sizeof(Py_buffer));
    }
    if (parts->bytes && parts->views) {
        return 0;
    }
    ferpy_parts_release(parts);
    PyErr_NoMemory();
    return -1;
}

static int hold_sequence(ferpy_parts *parts, PyObject *sequence) {
    /* A tuple of its own: what the code of the buffers does cannot change it. */
    PyObject *objects = PySequence_Tuple(sequence);
    if (!objects) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(objects);
    int result = make_room(parts, (size_t)count);

    for (Py_ssize_t i = 0; result == 0 && i < count; i++) {
        result = hold_one(parts, PyTuple_GetItem(objects, i));
    }
    if (result < 0) {
        ferpy_parts_release(parts);
    }
    Py_DECREF(objects);
    return result;
}

int ferpy_parts_hold(ferpy_parts *parts, PyObject *data) {
    if (PyObject_CheckBuffer(data)) {
        if (make_room(parts, 1) < 0) {
            return -1;
        }
        return hold_one(parts, data);
    }
    if (PySequence_Check(data) && !PyUnicode_Check(data)) {
        return hold_sequence(parts, data);
    }
    PyErr_SetString(PyExc_TypeError, "a bytes-like object or a sequence of them is required");
    return -1;
}

void ferpy_parts_release(ferpy_parts *parts) {
    while (parts->count > 0) {
        parts->count--;
        PyBuffer_Release(&parts->views[parts->count]);
    }
    if (parts->bytes != parts->few_bytes) {
        PyMem_Free(parts->bytes);
    }
    if (parts->views != parts->few_views) {
        PyMem_Free(parts->views);
    }
    parts->bytes = NULL;
    parts->views = NULL;
}
