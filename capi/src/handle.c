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
    if (handle->io.fd == FER__NO_FD)
        return fer__fail(FER_EBADF, "the handle is not open yet");
    *fd = handle->io.fd;
    return FER_OK;
}
