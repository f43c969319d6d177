/* Names and addresses. */
#include <string.h>

#include "ferpy.h"

int ferpy_text(PyObject *object, PyObject **bytes) {
    PyObject *text = PyOS_FSPath(object);

    *bytes = NULL;
    if (!text) {
        return -1;
    }
    if (!PyUnicode_Check(text)) {
        *bytes = text;
        return 0;
    }
    *bytes = PyUnicode_EncodeFSDefault(text);
    Py_DECREF(text);
    return *bytes ? 0 : -1;
}

int ferpy_address(PyObject *bytes, char **text) {
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(bytes, text, &size) < 0) {
        return -1;
    }
    if (strlen(*text) != (size_t)size) {
        PyErr_SetString(PyExc_ValueError, "a NUL byte in an address");
        return -1;
    }
    return 0;
}

int ferpy_host(PyObject *object, PyObject **held, char **text) {
    *held = NULL;
    *text = NULL;
    if (object == Py_None) {
        return 0;
    }
    if (!PyUnicode_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "a host is a str");
        return -1;
    }
    *held = PyUnicode_AsUTF8String(object);
    return *held ? ferpy_address(*held, text) : -1;
}

int ferpy_destination(PyObject *pair, PyObject **held, char **host, uint16_t *port) {
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "a tuple is required: host or None, port");
        return -1;
    }
    long number = PyLong_AsLong(PyTuple_GetItem(pair, 1));
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 0 || number > UINT16_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a port is a number from 0 to 65535");
        return -1;
    }
    *port = (uint16_t)number;
    return ferpy_host(PyTuple_GetItem(pair, 0), held, host);
}
