#include "ferrule/handle.h"

#include "check.h"

fer_handle *fer_handle_ref(fer_handle *handle) {
    if (handle != NULL)
        fer__object_ref(&handle->object);
    return handle;
}

void fer_handle_unref(fer_handle *handle) {
    if (handle != NULL)
        fer__object_unref(&handle->object);
}

fer_status fer_handle_close(fer_handle *handle, fer_handle_closed_cb cb, void *user) {
    FER__TRY(fer__check_handle_any(handle));
    return fer__handle_close(handle, cb, user);
}

int fer_handle_is_closing(const fer_handle *handle) {
    return handle == NULL || handle->object.state != FER__OPEN;
}

fer_kind fer_handle_kind(const fer_handle *handle) {
    return handle == NULL ? FER_KIND_NONE : (fer_kind)handle->kind;
}

fer_loop *fer_handle_loop(const fer_handle *handle) {
    return handle == NULL ? NULL : handle->object.loop;
}

fer_status fer_handle_set_data(fer_handle *handle, void *data, fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_handle_any(handle), data, finalizer);
    fer__object_set_data(&handle->object, data, finalizer);
    return FER_OK;
}

void *fer_handle_data(const fer_handle *handle) {
    return handle == NULL ? NULL : handle->object.data;
}

fer_status fer_handle_hold_loop(fer_handle *handle, int hold) {
    FER__TRY(fer__check_handle(handle));
    fer__handle_hold_loop(handle, hold);
    return FER_OK;
}

int fer_handle_holds_loop(const fer_handle *handle) {
    return handle != NULL && handle->object.holds_loop;
}

fer_status fer_handle_fileno(const fer_handle *handle, fer_fd *fd) {
    FER__TRY(fer__check_handle(handle));
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(fer__check_fd(handle));
    *fd = handle->io.fd;
    return FER_OK;
}

fer_status fer_handle_detach(fer_handle *handle, fer_fd *fd) {
    fer__fd taken = FER__NO_FD;
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(fer__check_handle(handle));
    FER__TRY(fer__handle_detach(handle, &taken));
    *fd = taken;
    return FER_OK;
}

fer_kind fer_handle_kind_of(fer_fd fd) {
    return fd < 0 || fd > INT32_MAX ? FER_KIND_NONE : fer__os_kind_of((fer__fd)fd);
}

static fer_status buffer_size(const fer_handle *handle, int receive, int32_t *bytes) {
    FER__TRY(fer__check_handle(handle));
    FER__TRY(FER__REQUIRE(bytes != NULL, "bytes"));
    FER__TRY(fer__check_fd(handle));
    return fer__os_buffer_size(handle->io.fd, receive, bytes);
}

static fer_status set_buffer_size(fer_handle *handle, int receive, int32_t bytes) {
    FER__TRY(fer__check_handle(handle));
    FER__TRY(FER__REQUIRE(bytes > 0, "bytes"));
    FER__TRY(fer__check_fd(handle));
    return fer__os_set_buffer_size(handle->io.fd, receive, bytes);
}

fer_status fer_handle_send_buffer_size(const fer_handle *handle, int32_t *bytes) {
    return buffer_size(handle, 0, bytes);
}

fer_status fer_handle_set_send_buffer_size(fer_handle *handle, int32_t bytes) {
    return set_buffer_size(handle, 0, bytes);
}

fer_status fer_handle_receive_buffer_size(const fer_handle *handle, int32_t *bytes) {
    return buffer_size(handle, 1, bytes);
}

fer_status fer_handle_set_receive_buffer_size(fer_handle *handle, int32_t bytes) {
    return set_buffer_size(handle, 1, bytes);
}
