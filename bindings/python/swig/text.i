/* Names of pipes and addresses: str, bytes or os.PathLike in, str out. */

%typemap(in) (const char *name, size_t size) (PyObject *held = NULL) {
    Py_ssize_t length;
    if (ferpy_text($input, &held) < 0 || PyBytes_AsStringAndSize(held, &$1, &length) < 0) {
        SWIG_fail;
    }
    $2 = (size_t)length;
}
%typemap(freearg) (const char *name, size_t size) {
    Py_XDECREF(held$argnum);
}

/* Text that C reads up to its NUL byte: one inside of it would hide the rest. */
%typemap(in) const char *address (PyObject *held = NULL) {
    if (ferpy_text($input, &held) < 0 || ferpy_address(held, &$1) < 0) {
        SWIG_fail;
    }
}
%typemap(freearg) const char *address {
    Py_XDECREF(held$argnum);
}

%typemap(in, numinputs=0) (char *buffer, size_t *size) (char text[FERPY_TEXT_MAX], size_t room) {
    room = sizeof text;
    $1 = text;
    $2 = &room;
}
%typemap(argout) (char *buffer, size_t *size) {
    Py_XDECREF($result);
    $result = PyUnicode_DecodeFSDefaultAndSize($1, (Py_ssize_t)*$2);
    if (!$result) {
        SWIG_fail;
    }
}
