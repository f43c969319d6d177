/**
 * The checks that every function of the ABI begins with.
 */
#ifndef FER_CAPI_CHECK_H
#define FER_CAPI_CHECK_H

#include "impl/callback.h"
#include "impl/handle.h"
#include "impl/loop.h"
#include "impl/object.h"
#include "impl/status.h"

/** Leave the function with a status that is not FER_OK. */
#define FER__TRY(expression)                  \
    do {                                      \
        fer_status fer__tried = (expression); \
        if (fer__tried != FER_OK)             \
            return fer__tried;                \
    } while (0)

/** As FER__TRY(), in a function that owns `user` even when it fails. */
#define FER__TRY_REGISTER(expression, user, finalizer)                \
    do {                                                              \
        fer_status fer__tried = (expression);                         \
        if (fer__tried != FER_OK)                                     \
            return fer__callback_refuse(fer__tried, user, finalizer); \
    } while (0)

/** FER_EINVAL, naming the argument, unless `valid`. */
#define FER__REQUIRE(valid, argument) \
    ((valid) ? FER_OK : fer__fail(FER_EINVAL, "invalid argument: " argument))

static inline fer_status fer__check_loop(const fer_loop *loop) {
    if (loop == NULL)
        return fer__fail(FER_EINVAL, "the loop is NULL");
    FER__TRY(fer__loop_check(loop));
    if (atomic_load(&loop->closed) || loop->leaving)
        return fer__fail(FER_ECLOSED, "the loop is closed");
    return FER_OK;
}

/** A loop made by fer_loop_new(). */
static inline fer_status fer__check_own_loop(const fer_loop *loop) {
    FER__TRY(fer__check_loop(loop));
    if (loop->kind != FER__LOOP_OWN)
        return fer__fail(FER_ENOTSUP, "the owner of a borrowed loop runs it");
    return FER_OK;
}

/** From any thread; a closed loop is refused where it is used, under its lock. */
static inline fer_status fer__check_loop_any_thread(const fer_loop *loop) {
    if (loop == NULL)
        return fer__fail(FER_EINVAL, "the loop is NULL");
    if (fer__loop_is_forked(loop))
        return fer__fail(FER_EFORK, "make a new loop in the child of a fork");
    return atomic_load(&loop->closed) ? fer__fail(FER_ECLOSED, "the loop is closed") : FER_OK;
}

static inline fer_status fer__check_open(const fer__object *object) {
    if (object->state != FER__OPEN)
        return fer__fail_plain(FER_ECLOSED);
    return FER_OK;
}

/** A handle that may be closed. */
static inline fer_status fer__check_handle_any(const fer_handle *handle) {
    if (handle == NULL)
        return fer__fail(FER_EINVAL, "the handle is NULL");
    return fer__loop_check(handle->object.loop);
}

static inline fer_status fer__check_handle(const fer_handle *handle) {
    FER__TRY(fer__check_handle_any(handle));
    return fer__check_open(&handle->object);
}

/** A handle that has a descriptor. */
static inline fer_status fer__check_fd(const fer_handle *handle) {
    if (handle->io.fd == FER__NO_FD)
        return fer__fail(FER_EBADF, "the handle is not open yet");
    return FER_OK;
}

/** The flags of a new TCP or UDP handle: at most one family. */
static inline fer_status fer__check_family(uint32_t flags) {
    return FER__REQUIRE(flags == 0 || flags == FER_INET_IPV4 || flags == FER_INET_IPV6, "flags");
}

/** A number that can be a descriptor. */
static inline fer_status fer__check_fd_number(fer_fd fd) {
    if (fd < 0 || fd > INT32_MAX)
        return fer__fail(FER_EBADF, "no descriptor has this number");
    return FER_OK;
}

static inline fer_status fer__check_pipe(const fer_handle *handle) {
    FER__TRY(fer__check_handle(handle));
    if (handle->kind != FER_KIND_PIPE)
        return fer__fail(FER_EKIND, "the handle is no pipe");
    return FER_OK;
}

static inline fer_status fer__check_stream(const fer_handle *handle) {
    FER__TRY(fer__check_handle(handle));
    if (handle->kind != FER_KIND_PIPE && handle->kind != FER_KIND_TCP)
        return fer__fail(FER_EKIND, "the handle is no stream");
    return FER_OK;
}

/** An array of pieces of bytes. */
static inline fer_status fer__check_parts(const fer_bytes *parts, size_t count) {
    size_t i;
    size_t total = 0;
    if (parts == NULL && count != 0)
        return fer__fail(FER_EINVAL, "the pieces are NULL");
    for (i = 0; i < count; i++) {
        if (parts[i].data == NULL && parts[i].size != 0)
            return fer__fail(FER_EINVAL, "piece %zu has a size and no data", i);
        if (parts[i].size > SIZE_MAX - total)
            return fer__fail(FER_EINVAL, "the pieces are too large together");
        total += parts[i].size;
    }
    return FER_OK;
}

/** An array of messages of one piece each. */
static inline fer_status fer__check_messages(const fer_bytes *messages, size_t count) {
    size_t i;
    FER__TRY(FER__REQUIRE(messages != NULL || count == 0, "messages"));
    for (i = 0; i < count; i++) {
        if (messages[i].data == NULL && messages[i].size != 0)
            return fer__fail(FER_EINVAL, "message %zu has a size and no data", i);
    }
    return FER_OK;
}

/**
 * Copy a structure of the caller, whatever its version: what it does not have is 0, and what this library
 * does not know must be 0. `least` is the size of the first version.
 */
static inline fer_status fer__copy_struct(void *to, size_t to_size, const void *from,
                                          size_t least) {
    uint32_t from_size = *(const uint32_t *)from;
    const unsigned char *bytes = from;
    size_t known = from_size < to_size ? from_size : to_size;
    size_t i;
    if (from_size < least || from_size > 4096)
        return fer__fail(FER_EINVAL, "struct_size is %u: set it with the _INIT",
                         (unsigned)from_size);
    for (i = to_size; i < from_size; i++) {
        if (bytes[i] != 0)
            return fer__fail(FER_EINVAL, "an option that this version does not know");
    }
    for (i = 0; i < to_size; i++)
        ((unsigned char *)to)[i] = i < known ? bytes[i] : 0;
    return FER_OK;
}

#endif
