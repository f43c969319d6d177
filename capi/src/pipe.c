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
    FER__TRY(FER__REQUIRE(flags == 0, "flags"));
    return fer__handle_new(loop, FER_KIND_PIPE, handle);
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
    if (fd < 0 || fd > INT32_MAX)
        return fer__fail(FER_EBADF, "no descriptor has this number");
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
