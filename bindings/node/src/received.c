#include "received.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "class.h"
#include "ferrule/handle.h"
#include "value.h"

/** What JavaScript's object is wrapped around. */
typedef struct received {
    fer_fd fd; /**< -1 once it is somebody else's, or closed */
} received;

/** A random number, chosen once: another addon's object differs. */
static const napi_type_tag tag = {0x94d1c07a5be8432fu, 0xa6730f2ec5194bd8u};

/** The descriptor may not be closed twice, whatever close(2) says: the number can be another's by then. */
static void close_fd(received *owner) {
    if (owner->fd >= 0) {
        (void)close((int)owner->fd);
        owner->fd = -1;
    }
}

/** The collector, or the end of the environment, took JavaScript's object. */
static void on_collected(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    close_fd(data);
    free(data);
}

/** Make an object that owns nothing yet. */
static napi_status make_object(napi_env env, napi_value *object, received **made) {
    FER_NODE_TRY(napi_create_object(env, object));
    FER_NODE_TRY(napi_type_tag_object(env, *object, &tag));
    received *owner = malloc(sizeof *owner);
    if (owner == NULL) {
        return napi_generic_failure;
    }
    owner->fd = -1;
    napi_status status = napi_wrap(env, *object, owner, on_collected, NULL, NULL);
    if (status != napi_ok) {
        free(owner);
        return status;
    }
    *made = owner;
    return napi_ok;
}

napi_status fer_node_received_new(napi_env env, fer_channel *channel, const fer_message *message,
                                  size_t index, napi_value *object) {
    received *owner = NULL;
    FER_NODE_TRY(make_object(env, object, &owner));
    /* Last: from here on the object closes it. */
    return fer_message_take_fd(channel, message, index, &owner->fd) == FER_OK
               ? napi_ok
               : napi_generic_failure;
}

/** receivedCopy(fd): an object that owns a duplicate, or a status. */
static napi_value received_copy(napi_env env, napi_callback_info info) {
    size_t argc = 1;
    napi_value value = NULL;
    napi_value object = NULL;
    int32_t fd = -1;
    received *owner = NULL;
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, &value, NULL, NULL), NULL);
    if (!fer_node_get_int(env, value, &fd)) {
        return NULL;
    }
    FER_NODE_CALL(env, make_object(env, &object, &owner), NULL);
    owner->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return owner->fd >= 0 ? object : fer_node_status(env, errno == EBADF ? FER_EBADF : FER_EMFILE);
}

/** The owner behind the argument of a call; NULL, with an exception thrown, when it is something else. */
static received *owner_of(napi_env env, napi_callback_info info) {
    size_t argc = 1;
    napi_value value = NULL;
    napi_valuetype type = napi_undefined;
    bool tagged = false;
    void *data = NULL;
    FER_NODE_CALL(env, napi_get_cb_info(env, info, &argc, &value, NULL, NULL), NULL);
    FER_NODE_CALL(env, napi_typeof(env, value, &type), NULL);
    if (type == napi_object) {
        FER_NODE_CALL(env, napi_check_object_type_tag(env, value, &tag, &tagged), NULL);
    }
    if (!tagged) {
        fer_node_throw_type(env, "ERR_INVALID_ARG_TYPE", "not a received handle of ferrule");
        return NULL;
    }
    FER_NODE_CALL(env, napi_unwrap(env, value, &data), NULL);
    return data;
}

/** receivedFd(received): the descriptor; -1 when it is gone. */
static napi_value received_fd(napi_env env, napi_callback_info info) {
    const received *owner = owner_of(env, info);
    return owner == NULL ? NULL : fer_node_number(env, (double)owner->fd);
}

/** receivedKind(received): the number of its kind. */
static napi_value received_kind(napi_env env, napi_callback_info info) {
    const received *owner = owner_of(env, info);
    return owner == NULL ? NULL : fer_node_number(env, (double)fer_handle_kind_of(owner->fd));
}

/** receivedRelease(received): the descriptor is somebody else's now. */
static napi_value received_release(napi_env env, napi_callback_info info) {
    received *owner = owner_of(env, info);
    if (owner != NULL) {
        owner->fd = -1;
    }
    return NULL;
}

/** receivedClose(received): once, or not at all when it is gone. */
static napi_value received_close(napi_env env, napi_callback_info info) {
    received *owner = owner_of(env, info);
    if (owner != NULL) {
        close_fd(owner);
    }
    return NULL;
}

napi_status fer_node_received_init(napi_env env, napi_value exports) {
    static const napi_property_descriptor functions[] = {
        FER_NODE_METHOD("receivedCopy", received_copy),
        FER_NODE_METHOD("receivedFd", received_fd),
        FER_NODE_METHOD("receivedKind", received_kind),
        FER_NODE_METHOD("receivedRelease", received_release),
        FER_NODE_METHOD("receivedClose", received_close),
    };
    return napi_define_properties(env, exports, FER_NODE_COUNT(functions), functions);
}
