/* Addresses of the Internet: a host is a str. On the way out, host and port are a tuple. */

/* None is C's NULL. */
%typemap(in) const char *host (PyObject *held = NULL) {
    if (ferpy_host($input, &held, &$1) < 0) {
        SWIG_fail;
    }
}
%typemap(freearg) const char *host {
    Py_XDECREF(held$argnum);
}

%apply const char *host { const char *group, const char *local, const char *name };

/* The one comes before the other, so that the port finds the host as the result. */
%typemap(in, numinputs=0) char host[ANY] (char text[$1_dim0]) {
    $1 = text;
}
%typemap(argout) char host[ANY] {
    Py_XDECREF($result);
    $result = PyUnicode_FromString($1);
    if (!$result) {
        SWIG_fail;
    }
}
%typemap(in, numinputs=0) uint16_t *port (uint16_t number = 0) {
    $1 = &number;
}
%typemap(argout) uint16_t *port {
    $result = Py_BuildValue("(Ni)", $result, (int)*$1);
    if (!$result) {
        SWIG_fail;
    }
}

%ignore fer_datagram;
