/* Bytes in: an object with the buffer protocol, or a sequence of them. Messages out: bytes. */

%ignore fer_bytes;
%ignore fer_message;
%ignore fer_passed;

/* Handles are taken out of a message as it comes: see ferpy_message(). */
%ignore fer_message_take;
%ignore fer_message_take_fd;
/* So are large payloads. */
%ignore fer_body_memory;
%ignore FER_BODY_MEMORY_COLD;
%ignore fer_channel_set_body_memory;
%ignore fer_message_take_data;
/* Objects of several kinds are sent one after another: see ferpy_channel_send_many(). */
%ignore fer_channel_send_many;
%ignore fer_sync_send_many;

%typemap(in) (const fer_bytes *parts, size_t count) (ferpy_parts held = FERPY_PARTS_INIT) {
    if (ferpy_parts_hold(&held, $input) < 0) {
        SWIG_fail;
    }
    $1 = held.bytes;
    $2 = held.count;
}
%typemap(freearg) (const fer_bytes *parts, size_t count) {
    ferpy_parts_release(&held$argnum);
}

/* Bytes with a completion, as a tuple (bytes, callable or None): the buffers are held until it is called. */
%typemap(in) (const fer_bytes *parts, size_t count, fer_stream_cb cb, void *user)
             (ferpy_call *call = NULL) {
    if (ferpy_call_with_parts(&call, $input) < 0) {
        SWIG_fail;
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $3 = call->callable ? ferpy_on_stream : NULL;
    $4 = call->callable ? call : NULL;
}
%typemap(in) (const fer_bytes *parts, size_t count, fer_handle *const *handles, size_t handle_count,
              fer_sent_cb cb, void *user) (ferpy_call *call = NULL) {
    if (ferpy_call_with_parts(&call, $input) < 0) {
        SWIG_fail;
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $3 = NULL;
    $4 = 0;
    $5 = call->callable ? ferpy_on_sent : NULL;
    $6 = call->callable ? call : NULL;
}

/* The same with what is passed along in between: (bytes, handle or descriptor, callable or None). */
%typemap(in) (const fer_bytes *parts, size_t count, fer_handle *pass, fer_stream_cb cb, void *user)
             (ferpy_call *call = NULL, PyObject *along = NULL, void *pointer = NULL) {
    if (ferpy_call_passing(&call, $input, &along) < 0) {
        SWIG_fail;
    }
    if (!SWIG_IsOK(SWIG_ConvertPtr(along, &pointer, $3_descriptor, 0))) {
        SWIG_exception_fail(SWIG_TypeError, "a handle is required");
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $3 = pointer;
    $4 = call->callable ? ferpy_on_stream : NULL;
    $5 = call->callable ? call : NULL;
}
%typemap(in) (const fer_bytes *parts, size_t count, fer_fd fd, fer_stream_cb cb, void *user)
             (ferpy_call *call = NULL, PyObject *along = NULL) {
    if (ferpy_call_passing(&call, $input, &along) < 0) {
        SWIG_fail;
    }
    $3 = PyLong_AsSsize_t(along);
    if (PyErr_Occurred()) {
        SWIG_fail;
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $4 = call->callable ? ferpy_on_stream : NULL;
    $5 = call->callable ? call : NULL;
}

/* The same with where to in between: (bytes, (host or None, port), callable or None). */
%typemap(in) (const fer_bytes *parts, size_t count, const char *host, uint16_t port, fer_udp_cb cb,
              void *user) (ferpy_call *call = NULL, PyObject *along = NULL, PyObject *held = NULL) {
    if (ferpy_call_passing(&call, $input, &along) < 0 ||
        ferpy_destination(along, &held, &$3, &$4) < 0) {
        SWIG_fail;
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $5 = call->callable ? ferpy_on_udp : NULL;
    $6 = call->callable ? call : NULL;
}
%typemap(argout) (const fer_bytes *parts, size_t count, const char *host, uint16_t port,
                  fer_udp_cb cb, void *user) {
    if (call$argnum->callable) {
        call$argnum = NULL;
    }
}
%typemap(freearg) (const fer_bytes *parts, size_t count, const char *host, uint16_t port,
                   fer_udp_cb cb, void *user) {
    Py_XDECREF(held$argnum);
    ferpy_call_free(call$argnum);
}


/* Descriptors that go with a message: a sequence of numbers. */
%typemap(in) (const fer_fd *fds, size_t fd_count) (ferpy_fds held = FERPY_FDS_INIT) {
    if (ferpy_fds_hold(&held, $input) < 0) {
        SWIG_fail;
    }
    $1 = held.numbers;
    $2 = held.count;
}
%typemap(freearg) (const fer_fd *fds, size_t fd_count) {
    ferpy_fds_release(&held$argnum);
}

/* With a completion: (bytes, descriptors, callable or None). */
%typemap(in) (const fer_bytes *parts, size_t count, const fer_fd *fds, size_t fd_count,
              fer_sent_cb cb, void *user)
             (ferpy_call *call = NULL, ferpy_fds held = FERPY_FDS_INIT, PyObject *along = NULL) {
    if (ferpy_call_passing(&call, $input, &along) < 0 || ferpy_fds_hold(&held, along) < 0) {
        SWIG_fail;
    }
    $1 = call->parts.bytes;
    $2 = call->parts.count;
    $3 = held.numbers;
    $4 = held.count;
    $5 = call->callable ? ferpy_on_sent : NULL;
    $6 = call->callable ? call : NULL;
}

/* After a success the completion owns the call, if there is one. */
%typemap(argout) (const fer_bytes *parts, size_t count, fer_stream_cb cb, void *user),
                 (const fer_bytes *parts, size_t count, fer_handle *pass, fer_stream_cb cb,
                  void *user),
                 (const fer_bytes *parts, size_t count, fer_fd fd, fer_stream_cb cb, void *user),
                 (const fer_bytes *parts, size_t count, fer_handle *const *handles,
                  size_t handle_count, fer_sent_cb cb, void *user),
                 (const fer_bytes *parts, size_t count, const fer_fd *fds, size_t fd_count,
                  fer_sent_cb cb, void *user) {
    if (call$argnum->callable) {
        call$argnum = NULL;
    }
}
%typemap(freearg) (const fer_bytes *parts, size_t count, fer_stream_cb cb, void *user),
                  (const fer_bytes *parts, size_t count, fer_handle *pass, fer_stream_cb cb,
                   void *user),
                  (const fer_bytes *parts, size_t count, fer_fd fd, fer_stream_cb cb, void *user),
                  (const fer_bytes *parts, size_t count, fer_handle *const *handles,
                   size_t handle_count, fer_sent_cb cb, void *user) {
    ferpy_call_free(call$argnum);
}
%typemap(freearg) (const fer_bytes *parts, size_t count, const fer_fd *fds, size_t fd_count,
                   fer_sent_cb cb, void *user) {
    ferpy_fds_release(&held$argnum);
    ferpy_call_free(call$argnum);
}

/* The channel that a message comes from is the first argument. */
%typemap(in, numinputs=0) fer_message *message (fer_message received) {
    $1 = &received;
}
%typemap(argout) fer_message *message {
    Py_XDECREF($result);
    $result = ferpy_message(arg1, $1);
    if (!$result) {
        SWIG_fail;
    }
}
