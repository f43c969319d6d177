/* A status that is not FER_OK becomes the exception that ferrule.error makes of it. */

%ignore FER_STATUS_MIN_;
%ignore FER_STATUS_MAX_;

%typemap(out) fer_status {
    if ($1 != FER_OK) {
        ferpy_raise($1);
        SWIG_fail;
    }
    $result = SWIG_Py_Void();
}

/* Any number is a status on the way in, also one that the enumeration does not have. */
%typemap(in) fer_status {
    long number = PyLong_AsLong($input);
    if (number == -1 && PyErr_Occurred()) {
        SWIG_fail;
    }
    $1 = (fer_status)number;
}
