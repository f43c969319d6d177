/* Structures of options are dicts (or None for the defaults), structures of facts come back as dicts. */

%define %ferpy_options(TYPE, INIT, FIELDS)
%typemap(in) const TYPE *options (TYPE filled = INIT) {
    $1 = NULL;
    if ($input != Py_None) {
        if (ferpy_fill(&filled, FIELDS, $input) < 0) {
            SWIG_fail;
        }
        $1 = &filled;
    }
}
%ignore TYPE;
%enddef

%define %ferpy_facts(TYPE, NAME, INIT, FIELDS)
%typemap(in, numinputs=0) TYPE *NAME (TYPE facts = INIT) {
    $1 = &facts;
}
%typemap(argout) TYPE *NAME {
    Py_XDECREF($result);
    $result = ferpy_dict($1, FIELDS);
    if (!$result) {
        SWIG_fail;
    }
}
%ignore TYPE;
%enddef

%ferpy_options(fer_bind_options, FER_BIND_OPTIONS_INIT, ferpy_bind_options_fields)
%ferpy_options(fer_channel_options, FER_CHANNEL_OPTIONS_INIT, ferpy_channel_options_fields)
%ferpy_facts(fer_channel_info, info, FER_CHANNEL_INFO_INIT, ferpy_channel_info_fields)
%ferpy_facts(fer_channel_stats, stats, FER_CHANNEL_STATS_INIT, ferpy_channel_stats_fields)
%ferpy_facts(fer_credentials, who, FER_CREDENTIALS_INIT, ferpy_credentials_fields)
