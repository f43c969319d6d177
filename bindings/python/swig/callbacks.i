/*
 * Callbacks: a callable, or None for no callback. `user` is the call that holds it.
 *
 * One-shot ones own their call once the function has succeeded; the library calls them exactly once then.
 * Registered ones come with a finalizer, which owns the call as soon as the function is entered.
 */

%define %ferpy_once(TYPE, TRAMPOLINE)
%typemap(in) (TYPE cb, void *user) (ferpy_call *call = NULL) {
    if (ferpy_call_new(&call, $input) < 0) {
        SWIG_fail;
    }
    $1 = call ? TRAMPOLINE : NULL;
    $2 = call;
}
%typemap(argout) (TYPE cb, void *user) {
    call$argnum = NULL;
}
%typemap(freearg) (TYPE cb, void *user) {
    ferpy_call_free(call$argnum);
}
%enddef

%define %ferpy_registered(TYPE, TRAMPOLINE)
%typemap(in) (TYPE cb, void *user, fer_finalizer finalizer) (ferpy_call *call = NULL) {
    if (ferpy_call_new(&call, $input) < 0) {
        SWIG_fail;
    }
    $1 = call ? TRAMPOLINE : NULL;
    $2 = call;
    $3 = call ? ferpy_on_finalize : NULL;
}
%typemap(check) (TYPE cb, void *user, fer_finalizer finalizer) {
    call$argnum = NULL;
}
%typemap(freearg) (TYPE cb, void *user, fer_finalizer finalizer) {
    ferpy_call_free(call$argnum);
}
%enddef

/* Its callback is called twice; two connected descriptors do the same. */
%ignore fer_channel_pair;

%ferpy_once(fer_posted_cb, ferpy_on_posted)
%ferpy_once(fer_stream_cb, ferpy_on_stream)
%ferpy_once(fer_handle_closed_cb, ferpy_on_handle_closed)
%ferpy_once(fer_channel_connected_cb, ferpy_on_channel_connected)
%ferpy_once(fer_sent_cb, ferpy_on_sent)
%ferpy_once(fer_channel_closed_cb, ferpy_on_channel_closed)
%ferpy_once(fer_server_closed_cb, ferpy_on_server_closed)
%ferpy_once(fer_timer_closed_cb, ferpy_on_timer_closed)

%ferpy_registered(fer_notify_cb, ferpy_on_notify)
%ferpy_registered(fer_connection_cb, ferpy_on_connection)
%ferpy_registered(fer_read_cb, ferpy_on_read)
%ferpy_registered(fer_read2_cb, ferpy_on_read2)
%ferpy_registered(fer_datagram_cb, ferpy_on_datagram)
%ferpy_registered(fer_messages_cb, ferpy_on_messages)
%ferpy_registered(fer_drain_cb, ferpy_on_drain)
%ferpy_registered(fer_server_channel_cb, ferpy_on_server_channel)
%ferpy_registered(fer_server_allow_cb, ferpy_on_server_allow)
%ferpy_registered(fer_timer_cb, ferpy_on_timer)
