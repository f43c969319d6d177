/* The functions of ferrule/pipe.h that pass handles. */
#include "check.h"
#include "ferrule/pipe.h"

static fer_status check_ipc(const fer_handle *pipe) {
    FER__TRY(fer__check_pipe(pipe));
    if (pipe->ipc == NULL)
        return fer__fail(FER_EINVAL, "the pipe was made without FER_PIPE_IPC");
    return FER_OK;
}

int fer_pipe_is_ipc(const fer_handle *pipe) {
    return pipe != NULL && pipe->ipc != NULL;
}

fer_status fer_pipe_pass(fer_handle *pipe, const fer_bytes *parts, size_t count, fer_handle *pass,
                         fer_stream_cb cb, void *user) {
    FER__TRY(check_ipc(pipe));
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(fer__check_handle(pass));
    FER__TRY(fer__check_fd(pass));
    if (pass == pipe)
        return fer__fail(FER_EINVAL, "a pipe cannot be passed over itself");
    return fer__ipc_pass(pipe, parts, count, pass->io.fd, cb, user);
}

fer_status fer_pipe_pass_fd(fer_handle *pipe, const fer_bytes *parts, size_t count, fer_fd fd,
                            fer_stream_cb cb, void *user) {
    FER__TRY(check_ipc(pipe));
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(fer__check_fd_number(fd));
    if (fer__os_kind_of((fer__fd)fd) == FER_KIND_NONE)
        return fer__fail_plain(FER_EBADF);
    return fer__ipc_pass(pipe, parts, count, (fer__fd)fd, cb, user);
}

fer_status fer_pipe_read_start2(fer_handle *pipe, fer_read2_cb cb, void *user,
                                fer_finalizer finalizer) {
    FER__TRY_REGISTER(check_ipc(pipe), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    return fer__stream_read_start2(pipe, cb, user, finalizer);
}

size_t fer_pipe_pending_count(const fer_handle *pipe) {
    return pipe == NULL || pipe->ipc == NULL ? 0 : pipe->ipc->count;
}

fer_kind fer_pipe_pending_kind(const fer_handle *pipe) {
    return pipe == NULL ? FER_KIND_NONE : fer__ipc_pending_kind(pipe);
}

fer_status fer_pipe_accept_fd(fer_handle *pipe, fer_fd *fd) {
    fer__fd taken = FER__NO_FD;
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(check_ipc(pipe));
    FER__TRY(fer__ipc_accept_fd(pipe, &taken));
    *fd = taken;
    return FER_OK;
}
