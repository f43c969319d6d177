/*
 * Payloads of large messages are received into bytes objects: what the program gets is where they arrived.
 *
 * The library knows the bytes inside of an object, and these are as far from its beginning in all of them.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ferpy.h"

enum {
    LEAST = 32 * 1024,           /* from here on, a copy costs more than memory of its own */
    KEPT_FREE = 8 * 1024 * 1024, /* see keep_free() */
};

static Py_ssize_t offset;
static int may_resize;

/*
 * The stable ABI has no function that gives a bytes object another size; it has those that one is made with. This tells
 * whether they are what this interpreter uses: a block of the object allocator, with a byte for a NUL behind the payload.
 */
static int is_plain_block(void) {
#if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS)
    return 0;
#else
    PyObject *basic = PyObject_GetAttrString((PyObject *)&PyBytes_Type, "__basicsize__");
    Py_ssize_t size = basic ? PyLong_AsSsize_t(basic) : -1;

    Py_XDECREF(basic);
    return size == offset + 1 &&
           (uintptr_t)PyType_GetSlot(&PyBytes_Type, Py_tp_free) == (uintptr_t)PyObject_Free;
#endif
}

int ferpy_body_init(void) {
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, LEAST);
    if (!bytes) {
        return -1;
    }
    offset = PyBytes_AsString(bytes) - (char *)bytes;
    Py_DECREF(bytes);
    may_resize = is_plain_block();
    return PyErr_Occurred() ? -1 : 0;
}

static void *memory_of(PyObject *bytes) {
    return (char *)bytes + offset;
}

static PyObject *bytes_in(void *memory) {
    return (PyObject *)((char *)memory - offset);
}

/*
 * Have glibc keep free memory of some MB for the next messages. It learns that from the first large block that is
 * freed; until then it gives each back to the system, and every message pays for new pages.
 */
static void keep_free(void) {
    static atomic_flag done = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&done)) {
        void *volatile block = malloc(KEPT_FREE);
        free(block);
    }
}

static void *allocate(size_t size, void *user) {
    PyGILState_STATE gil;
    (void)user;
    if (!ferpy_enter_for_memory(&gil)) {
        return NULL;
    }
    keep_free();
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!bytes) {
        PyErr_Clear(); /* The library says FER_ENOMEM. */
    }
    ferpy_leave(gil);
    return bytes ? memory_of(bytes) : NULL;
}

static void release(void *memory, void *user) {
    PyGILState_STATE gil;
    (void)user;
    if (ferpy_enter_for_memory(&gil)) {
        Py_DECREF(bytes_in(memory));
        ferpy_leave(gil);
    }
}

/* Large blocks get their new size without a copy, and without the memory for one. */
static void *resize_block(void *memory, size_t size) {
    PyObject *bytes = PyObject_Realloc(bytes_in(memory), (size_t)offset + size + 1);
    if (!bytes) {
        return NULL;
    }
    PyObject_InitVar((PyVarObject *)bytes, &PyBytes_Type, (Py_ssize_t)size);
    char *moved = memory_of(bytes);
    moved[size] = 0;
    return moved;
}

static void *copy_block(void *memory, size_t size) {
    size_t have = (size_t)PyBytes_Size(bytes_in(memory));
    void *made = allocate(size, NULL);

    if (made) {
        memcpy(made, memory, have < size ? have : size);
        Py_DECREF(bytes_in(memory));
    }
    return made;
}

static void *resize(void *memory, size_t size, void *user) {
    PyGILState_STATE gil;
    (void)user;
    if (!ferpy_enter_for_memory(&gil)) {
        return NULL;
    }
    void *resized = may_resize ? resize_block(memory, size) : copy_block(memory, size);
    ferpy_leave(gil);
    return resized;
}

PyObject *ferpy_channel_use_bytes(fer_channel *channel) {
    fer_body_memory memory = FER_BODY_MEMORY_INIT;

    memory.least = LEAST;
    memory.allocate = allocate;
    memory.resize = resize;
    memory.release = release;
    fer_status status = fer_channel_set_body_memory(channel, &memory);
    if (status != FER_OK) {
        ferpy_raise(status);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ferpy_payload(fer_channel *channel, const fer_message *message) {
    void *memory = NULL;
    fer_status status =
        message->size < LEAST ? FER_ENOENT : fer_message_take_data(channel, message, &memory);

    if (status == FER_OK) {
        return bytes_in(memory);
    }
    if (status == FER_ENOENT) {
        return PyBytes_FromStringAndSize(message->data, (Py_ssize_t)message->size);
    }
    ferpy_raise(status);
    return NULL;
}
