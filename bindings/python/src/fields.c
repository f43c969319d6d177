/* Structures that cross the border, as dicts. */
#include <stddef.h>

#include "ferpy.h"

/* clang-format off */
#define FIELD(structure, name, type) { #name, offsetof(structure, name), type }
#define FIELD_END { NULL, 0, FERPY_U32 }
/* clang-format on */

const ferpy_field ferpy_bind_options_fields[] = {
    FIELD(fer_bind_options, flags, FERPY_U32),
    FIELD(fer_bind_options, mode, FERPY_U32),
    FIELD_END,
};

const ferpy_field ferpy_channel_options_fields[] = {
    FIELD(fer_channel_options, flags, FERPY_U32),
    FIELD(fer_channel_options, wire, FERPY_I32),
    FIELD(fer_channel_options, max_handles, FERPY_U32),
    FIELD(fer_channel_options, max_message, FERPY_U64),
    FIELD(fer_channel_options, high_water, FERPY_U64),
    FIELD(fer_channel_options, hard_cap, FERPY_U64),
    FIELD(fer_channel_options, connect_timeout_ms, FERPY_I64),
    FIELD(fer_channel_options, handshake_timeout_ms, FERPY_I64),
    FIELD(fer_channel_options, close_timeout_ms, FERPY_I64),
    FIELD(fer_channel_options, frame_timeout_ms, FERPY_I64),
    FIELD(fer_channel_options, secret, FERPY_BYTES),
    FIELD(fer_channel_options, busy_poll_us, FERPY_I64),
    FIELD_END,
};

const ferpy_field ferpy_channel_info_fields[] = {
    FIELD(fer_channel_info, wire, FERPY_I32),
    FIELD(fer_channel_info, version, FERPY_U32),
    FIELD(fer_channel_info, max_message, FERPY_U64),
    FIELD(fer_channel_info, peer_max_message, FERPY_U64),
    FIELD(fer_channel_info, max_handles, FERPY_U32),
    FIELD(fer_channel_info, peer_max_handles, FERPY_U32),
    FIELD(fer_channel_info, queued, FERPY_U64),
    FIELD(fer_channel_info, high_water, FERPY_U64),
    FIELD_END,
};

const ferpy_field ferpy_channel_stats_fields[] = {
    FIELD(fer_channel_stats, messages_in, FERPY_U64),
    FIELD(fer_channel_stats, messages_out, FERPY_U64),
    FIELD(fer_channel_stats, bytes_in, FERPY_U64),
    FIELD(fer_channel_stats, bytes_out, FERPY_U64),
    FIELD(fer_channel_stats, handles_in, FERPY_U64),
    FIELD(fer_channel_stats, handles_out, FERPY_U64),
    FIELD(fer_channel_stats, queued, FERPY_U64),
    FIELD(fer_channel_stats, high_water_hits, FERPY_U64),
    FIELD_END,
};

const ferpy_field ferpy_credentials_fields[] = {
    FIELD(fer_credentials, pid, FERPY_I64),
    FIELD(fer_credentials, uid, FERPY_U32),
    FIELD(fer_credentials, gid, FERPY_U32),
    FIELD_END,
};

static int out_of_range(const char *name) {
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Format(PyExc_ValueError, "%s is out of range", name);
    }
    return -1;
}

static int set_unsigned(void *place, const ferpy_field *field, PyObject *value) {
    unsigned long long number = PyLong_AsUnsignedLongLong(value);

    if (PyErr_Occurred() || (field->type == FERPY_U32 && number > UINT32_MAX)) {
        return out_of_range(field->name);
    }
    if (field->type == FERPY_U32) {
        *(uint32_t *)place = (uint32_t)number;
    } else {
        *(uint64_t *)place = (uint64_t)number;
    }
    return 0;
}

static int set_signed(void *place, const ferpy_field *field, PyObject *value) {
    long long number = PyLong_AsLongLong(value);

    if (PyErr_Occurred() ||
        (field->type == FERPY_I32 && (number > INT32_MAX || number < INT32_MIN))) {
        return out_of_range(field->name);
    }
    if (field->type == FERPY_I32) {
        *(int32_t *)place = (int32_t)number;
    } else {
        *(int64_t *)place = (int64_t)number;
    }
    return 0;
}

_Static_assert(offsetof(fer_channel_options, secret_size) ==
                   offsetof(fer_channel_options, secret) + sizeof(void *),
               "a FERPY_BYTES field is a pointer with its size after it");

static int set_bytes(void *place, const ferpy_field *field, PyObject *value) {
    if (!PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be bytes", field->name);
        return -1;
    }
    *(const void **)place = PyBytes_AsString(value);
    *(size_t *)((char *)place + sizeof(void *)) = (size_t)PyBytes_Size(value);
    return 0;
}

static int set_field(void *structure, const ferpy_field *field, PyObject *value) {
    void *place = (char *)structure + field->offset;

    if (field->type == FERPY_BYTES) {
        return set_bytes(place, field, value);
    }
    if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int", field->name);
        return -1;
    }
    if (field->type == FERPY_U32 || field->type == FERPY_U64) {
        return set_unsigned(place, field, value);
    }
    return set_signed(place, field, value);
}

static const ferpy_field *find(const ferpy_field *fields, PyObject *name) {
    for (; PyUnicode_Check(name) && fields->name; fields++) {
        if (PyUnicode_CompareWithASCIIString(name, fields->name) == 0) {
            return fields;
        }
    }
    PyErr_Format(PyExc_TypeError, "no such option: %R", name);
    return NULL;
}

int ferpy_fill(void *structure, const ferpy_field *fields, PyObject *dict) {
    PyObject *name;
    PyObject *value;
    Py_ssize_t position = 0;

    if (!PyDict_Check(dict)) {
        PyErr_SetString(PyExc_TypeError, "options are a dict or None");
        return -1;
    }
    while (PyDict_Next(dict, &position, &name, &value)) {
        const ferpy_field *field = find(fields, name);
        if (!field || set_field(structure, field, value) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *get_field(const void *structure, const ferpy_field *field) {
    const void *place = (const char *)structure + field->offset;

    switch (field->type) {
    case FERPY_U32: return PyLong_FromUnsignedLong(*(const uint32_t *)place);
    case FERPY_I32: return PyLong_FromLong(*(const int32_t *)place);
    case FERPY_U64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)place);
    case FERPY_I64: return PyLong_FromLongLong(*(const int64_t *)place);
    case FERPY_BYTES: break; /* only ever goes in */
    }
    PyErr_Format(PyExc_SystemError, "%s is never told", field->name);
    return NULL;
}

PyObject *ferpy_dict(const void *structure, const ferpy_field *fields) {
    PyObject *dict = PyDict_New();

    for (; dict && fields->name; fields++) {
        PyObject *value = get_field(structure, fields);
        if (!value || PyDict_SetItemString(dict, fields->name, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(value);
    }
    return dict;
}
