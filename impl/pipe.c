#include <string.h>

#include "handle.h"
#include "mem.h"
#include "status.h"

enum { BOUND_BACKLOG = 511, DEFAULT_MODE = 0600 };

/* Give a new pipe a socket. */
static fer_status make_socket(fer_handle *pipe) {
    if (pipe->phase == FER__PHASE_CONNECTING)
        return fer__fail_plain(FER_EALREADY);
    if (pipe->phase == FER__PHASE_CONNECTED)
        return fer__fail_plain(FER_EISCONN);
    if (pipe->phase != FER__PHASE_NEW)
        return fer__fail(FER_EINVAL, "the pipe is bound already");
    return fer__os_socket_pipe(&pipe->io.fd);
}

static void drop_socket(fer_handle *pipe) {
    fer__os_close(pipe->io.fd);
    pipe->io.fd = FER__NO_FD;
}

fer_status fer__pipe_bind(fer_handle *pipe, const char *name, size_t size,
                          const fer_bind_options *options) {
    uint32_t mode = options->mode == 0 ? (uint32_t)DEFAULT_MODE : options->mode;
    int keep = (options->flags & FER_BIND_KEEP_FILE) != 0;
    fer__bound *bound;
    fer_status status = fer__os_check_name(name, size);
    if (status == FER_OK)
        status = make_socket(pipe);
    if (status != FER_OK)
        return status;
    bound = fer__zalloc(sizeof *bound);
    if (bound == NULL)
        status = fer__fail_plain(FER_ENOMEM);
    else
        status = fer__os_bind_pipe(pipe->io.fd, name, size, mode, keep, BOUND_BACKLOG, bound);
    if (status != FER_OK) {
        fer__free(bound);
        drop_socket(pipe);
        return status;
    }
    pipe->bound = bound;
    pipe->phase = FER__PHASE_BOUND;
    return FER_OK;
}

fer_status fer__pipe_connect(fer_handle *pipe, const char *name, size_t size, fer_stream_cb cb,
                             void *user) {
    fer_status status = fer__os_check_name(name, size);
    if (status == FER_OK)
        status = make_socket(pipe);
    if (status != FER_OK)
        return status;
    pipe->connect_status = fer__os_connect_pipe(pipe->io.fd, name, size);
    if (pipe->connect_status == FER_ENAMETOOLONG || pipe->connect_status == FER_ENOMEM) {
        drop_socket(pipe);
        return pipe->connect_status;
    }
    if (pipe->connect_status != FER_OK)
        drop_socket(pipe);
    pipe->phase = FER__PHASE_CONNECTING;
    pipe->connect.cb = cb;
    pipe->connect.user = user;
    fer__object_due(&pipe->object);
    return FER_OK;
}

fer_status fer__pipe_open(fer_handle *pipe, fer__fd fd) {
    fer_status status;
    if (pipe->phase != FER__PHASE_NEW)
        return fer__fail_plain(FER_EISCONN);
    status = fer__os_check_pipe(fd);
    if (status != FER_OK)
        return status;
    pipe->io.keep_mode = 1;
    fer__handle_adopt(pipe, fd, fer__os_is_listening(fd) ? FER__PHASE_BOUND : FER__PHASE_CONNECTED);
    return FER_OK;
}

fer_status fer__pipe_name(const fer_handle *pipe, int peer, char *buffer, size_t *size) {
    size_t length;
    if (pipe->io.fd == FER__NO_FD)
        return fer__fail(FER_EBADF, "the pipe is not open yet");
    /* What was asked for; the socket may know the path in a shorter form. */
    if (peer || pipe->bound == NULL || pipe->bound->path == NULL)
        return fer__os_pipe_name(pipe->io.fd, peer, buffer, size);
    length = strlen(pipe->bound->path);
    if (length + 1 > *size) {
        *size = length + 1;
        return fer__fail_plain(FER_ENOBUFS);
    }
    memcpy(buffer, pipe->bound->path, length + 1);
    *size = length;
    return FER_OK;
}

static fer_status make_pair(fer_loop *loop, uint32_t flags, fer__fd fds[2], fer_handle *pipes[2]) {
    fer_status status = fer__os_socket_pair(fds);
    int i;
    for (i = 0; i < 2 && status == FER_OK; i++)
        status = fer__pipe_new(loop, flags, &pipes[i]);
    for (i = 0; i < 2 && status == FER_OK; i++)
        fer__handle_adopt(pipes[i], fds[i], FER__PHASE_CONNECTED);
    return status;
}

fer_status fer__pipe_pair(fer_loop *loop, uint32_t flags, fer_handle **a, fer_handle **b) {
    fer__fd fds[2] = {FER__NO_FD, FER__NO_FD};
    fer_handle *pipes[2] = {NULL, NULL};
    fer_status status = make_pair(loop, flags, fds, pipes);
    if (status != FER_OK) {
        int i;
        for (i = 0; i < 2; i++) {
            fer__os_close(fds[i]);
            if (pipes[i] != NULL)
                fer__object_unref(&pipes[i]->object);
        }
        return fer__fail_plain(status);
    }
    *a = pipes[0];
    *b = pipes[1];
    return FER_OK;
}
