/* What a function gives through pointers comes back as the result; two things are a tuple. */

/* Objects: the caller gets the reference, and gives it back with fer_..._unref(). */
%define %ferpy_new_object(TYPE, NAME)
%typemap(in, numinputs=0) TYPE **NAME (TYPE *made = NULL) {
    $1 = &made;
}
%typemap(argout) TYPE **NAME {
    Py_XDECREF($result);
    $result = SWIG_NewPointerObj(*$1, $*1_descriptor, 0);
}
%enddef

%ferpy_new_object(fer_loop, loop)
%ferpy_new_object(fer_handle, handle)
%ferpy_new_object(fer_channel, channel)
%ferpy_new_object(fer_server, server)
%ferpy_new_object(fer_timer, timer)

%typemap(in, numinputs=0) (fer_handle **a, fer_handle **b)
             (fer_handle *one = NULL, fer_handle *other = NULL) {
    $1 = &one;
    $2 = &other;
}
%typemap(argout) (fer_handle **a, fer_handle **b) {
    Py_XDECREF($result);
    $result = Py_BuildValue("(NN)", SWIG_NewPointerObj(*$1, $*1_descriptor, 0),
                            SWIG_NewPointerObj(*$2, $*2_descriptor, 0));
    if (!$result) {
        SWIG_fail;
    }
}

%wrapper %{
/* A pointer as the flat functions take it, for callbacks that hand an object over. */
PyObject *ferpy_wrap_channel(fer_channel *channel)
{
    return SWIG_NewPointerObj(channel, SWIGTYPE_p_fer_channel, 0);
}
%}

/* Numbers. */
%define %ferpy_new_number(TYPE, NAME, CONVERT)
%typemap(in, numinputs=0) TYPE *NAME (TYPE number = 0) {
    $1 = &number;
}
%typemap(argout) TYPE *NAME {
    Py_XDECREF($result);
    $result = CONVERT(*$1);
}
%enddef

%ferpy_new_number(int, fd, PyLong_FromLong)
%ferpy_new_number(int, ready, PyLong_FromLong)
%ferpy_new_number(fer_fd, fd, PyLong_FromSsize_t)
%ferpy_new_number(int32_t, bytes, PyLong_FromLong)
%ferpy_new_number(uint64_t, bytes, PyLong_FromUnsignedLongLong)
%ferpy_new_number(int64_t, timeout_ms, PyLong_FromLongLong)
%ferpy_new_number(size_t, written, PyLong_FromSize_t)

/* An object of the program's own that hangs on a handle or a channel. */
%typemap(in) (void *data, fer_finalizer finalizer) {
    Py_INCREF($input);
    $1 = $input;
    $2 = ferpy_on_finalize_object;
}
%typemap(out) void * {
    $result = $1 ? (PyObject *)$1 : Py_None;
    Py_INCREF($result);
}

%ignore fer_allocator;
%ignore fer_set_allocator;
