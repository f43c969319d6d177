#include "ferrule/pipe.h"

#include <string.h>

#include "check.h"

/* The size of a name; FER_EINVAL for NULL. */
static fer_status name_size(const char *name, size_t *size) {
    FER__TRY(FER__REQUIRE(name != NULL, "name"));
    if (*size == FER_ZSTRING)
        *size = strlen(name);
    return FER_OK;
}

fer_status fer_pipe_new(fer_loop *loop, uint32_t flags, fer_handle **handle) {
    FER__TRY(FER__REQUIRE(handle != NULL, "handle"));
    *handle = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE((flags & ~FER_PIPE_IPC) == 0, "flags"));
    return fer__pipe_new(loop, flags, handle);
}

fer_status fer_pipe_bind(fer_handle *pipe, const char *name, size_t size,
                         const fer_bind_options *options) {
    fer_bind_options known = FER_BIND_OPTIONS_INIT;
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(name_size(name, &size));
    if (options != NULL)
        FER__TRY(fer__copy_struct(&known, sizeof known, options, sizeof known));
    FER__TRY(FER__REQUIRE((known.flags & ~FER_BIND_KEEP_FILE) == 0, "flags"));
    FER__TRY(FER__REQUIRE((known.mode & ~0777u) == 0, "mode"));
    return fer__pipe_bind(pipe, name, size, &known);
}

fer_status fer_pipe_connect(fer_handle *pipe, const char *name, size_t size, fer_stream_cb cb,
                            void *user) {
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(name_size(name, &size));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    return fer__pipe_connect(pipe, name, size, cb, user);
}

fer_status fer_pipe_open(fer_handle *pipe, fer_fd fd) {
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(fer__check_fd_number(fd));
    return fer__pipe_open(pipe, (fer__fd)fd);
}

fer_status fer_pipe_getsockname(const fer_handle *pipe, char *buffer, size_t *size) {
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(FER__REQUIRE(size != NULL && (buffer != NULL || *size == 0), "buffer"));
    return fer__pipe_name(pipe, 0, buffer, size);
}

fer_status fer_pipe_getpeername(const fer_handle *pipe, char *buffer, size_t *size) {
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(FER__REQUIRE(size != NULL && (buffer != NULL || *size == 0), "buffer"));
    return fer__pipe_name(pipe, 1, buffer, size);
}

fer_status fer_pipe_pair(fer_loop *loop, uint32_t flags, fer_handle **a, fer_handle **b) {
    FER__TRY(FER__REQUIRE(a != NULL && b != NULL, "a or b"));
    *a = NULL;
    *b = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE((flags & ~FER_PIPE_IPC) == 0, "flags"));
    return fer__pipe_pair(loop, flags, a, b);
}

fer_status fer_pipe_pending_instances(fer_handle *pipe, int32_t count) {
    FER__TRY(fer__check_pipe(pipe));
    return FER__REQUIRE(count > 0, "count");
}

fer_status fer_pipe_chmod(fer_handle *pipe, uint32_t mode) {
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(FER__REQUIRE((mode & ~0777u) == 0, "mode"));
    if (pipe->bound == NULL || pipe->bound->file == NULL)
        return fer__fail(FER_EINVAL, "the pipe is not bound to a path");
    return fer__os_chmod_pipe(pipe->bound, mode);
}

fer_status fer_pipe_peer_credentials(const fer_handle *pipe, fer_credentials *who) {
    fer_credentials known = FER_CREDENTIALS_INIT;
    FER__TRY(fer__check_pipe(pipe));
    FER__TRY(FER__REQUIRE(who != NULL, "who"));
    if (who->struct_size < sizeof known)
        return fer__fail(FER_EINVAL, "struct_size is %u: set it with FER_CREDENTIALS_INIT",
                         (unsigned)who->struct_size);
    if (pipe->phase != FER__PHASE_CONNECTED)
        return fer__fail_plain(FER_ENOTCONN);
    FER__TRY(fer__os_peer_credentials(pipe->io.fd, &known.pid, &known.uid, &known.gid));
    known.struct_size = who->struct_size;
    *who = known;
    return FER_OK;
}
