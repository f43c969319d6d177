/*
 * A status that is not FER_OK becomes the exception that ferrule.error makes of it: by the status, and by what the first
 * argument is, as errors of pipes, of timers and so on have classes of their own.
 */

%ignore FER_STATUS_MIN_;
%ignore FER_STATUS_MAX_;

%{
/* The kind for ferpy_raise_about(), by the type of what a call is made on. */
#define FERPY_HANDLE_OR_NULL(subject) _Generic((subject), fer_handle *: (subject), default: NULL)
#define FERPY_KIND_OF(subject)                                           \
    _Generic((subject),                                                  \
        fer_handle *: ferpy_kind(FERPY_HANDLE_OR_NULL(subject)),         \
        fer_timer *: FERPY_TIMER,                                        \
        default: FERPY_NO_HANDLE)
%}

%typemap(out) fer_status {
    if ($1 != FER_OK) {
        ferpy_raise_about(FERPY_KIND_OF(arg1), $1);
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
