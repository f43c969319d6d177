#include <string.h>

#include "handle.h"
#include "mem.h"
#include "status.h"

enum {
    BOUND_BACKLOG = 511,
    DEFAULT_MODE = 0600,
    RETRY_FIRST_MS = 1, /* after a listener's queue was full; then twice as long each time */
    RETRY_MOST_MS = 64
};

/* Names. */

static fer__name *make_name(const char *text, size_t size) {
    fer__name *name = fer__malloc(sizeof *name + size + 1);
    if (name == NULL)
        return NULL;
    atomic_init(&name->owners, 1);
    name->size = size;
    memcpy(name->text, text, size);
    name->text[size] = '\0';
    return name;
}

fer__name *fer__name_ref(fer__name *name) {
    if (name != NULL)
        atomic_fetch_add_explicit(&name->owners, 1, memory_order_relaxed);
    return name;
}

void fer__name_unref(fer__name *name) {
    if (name != NULL && atomic_fetch_sub_explicit(&name->owners, 1, memory_order_acq_rel) == 1)
        fer__free(name);
}

fer_status fer__pipe_name(const fer_handle *pipe, int peer, char *buffer, size_t *size) {
    const fer__name *name = pipe->name;
    if (pipe->io.fd == FER__NO_FD)
        return fer__fail(FER_EBADF, "the pipe is not open yet");
    if (name == NULL || pipe->names_peer != (unsigned)peer)
        return fer__os_pipe_name(pipe->io.fd, peer, buffer, size);
    if (name->size + 1 > *size) {
        *size = name->size + 1;
        return fer__fail(FER_ENOBUFS, "the name needs %lu bytes", (unsigned long)*size);
    }
    memcpy(buffer, name->text, name->size + 1);
    *size = name->size;
    return FER_OK;
}

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

static fer_status bind_socket(fer_handle *pipe, const char *name, size_t size,
                              const fer_bind_options *options) {
    uint32_t mode = options->mode == 0 ? (uint32_t)DEFAULT_MODE : options->mode;
    int keep = (options->flags & FER_BIND_KEEP_FILE) != 0;
    fer_status status;
    pipe->bound = fer__zalloc(sizeof *pipe->bound);
    /* The system may know a path in another form, and does not tell it to those that are accepted. */
    pipe->name = name[0] != '\0' ? make_name(name, size) : NULL;
    if (pipe->bound == NULL || (pipe->name == NULL && name[0] != '\0'))
        status = fer__fail_plain(FER_ENOMEM);
    else
        status = fer__os_bind_pipe(pipe->io.fd, name, size, mode, keep, BOUND_BACKLOG, pipe->bound);
    if (status == FER_OK)
        return FER_OK;
    fer__free(pipe->bound);
    pipe->bound = NULL;
    fer__name_unref(pipe->name);
    pipe->name = NULL;
    return status;
}

fer_status fer__pipe_bind(fer_handle *pipe, const char *name, size_t size,
                          const fer_bind_options *options) {
    fer_status status = fer__os_check_name(name, size);
    if (status == FER_OK)
        status = make_socket(pipe);
    if (status != FER_OK)
        return status;
    status = bind_socket(pipe, name, size, options);
    if (status != FER_OK) {
        drop_socket(pipe);
        return status;
    }
    pipe->phase = FER__PHASE_BOUND;
    return FER_OK;
}

/* Connecting. */

/* Of a name that the system has in a form that only the listener understands, keep the one asked for. */
static fer_status keep_peer_name(fer_handle *pipe, const char *name, size_t size) {
    if (!fer__os_pipe_peer_is_hidden(pipe->io.fd))
        return FER_OK;
    pipe->name = make_name(name, size);
    if (pipe->name == NULL)
        return fer__fail_plain(FER_ENOMEM);
    pipe->names_peer = 1;
    return FER_OK;
}

static fer_status try_to_connect(fer_handle *pipe, const char *name, size_t size) {
    fer_status status = fer__os_connect_pipe(pipe->io.fd, name, size);
    if (status == FER_OK)
        status = keep_peer_name(pipe, name, size);
    if (status != FER_OK && status != FER_EAGAIN)
        drop_socket(pipe);
    return status;
}

void fer__pipe_end_attempt(fer_handle *pipe) {
    fer__attempt *attempt = pipe->attempt;
    if (attempt == NULL)
        return;
    pipe->attempt = NULL;
    fer__deadline_clear(pipe->object.loop, &attempt->retry);
    fer__free(attempt);
}

static void wait_for_room(fer__attempt *attempt) {
    fer__deadline_set(attempt->pipe->object.loop, &attempt->retry, attempt->delay);
    attempt->delay *= 2;
    if (attempt->delay > RETRY_MOST_MS)
        attempt->delay = RETRY_MOST_MS;
}

static void on_retry(fer__deadline *deadline) {
    fer__attempt *attempt = FER__CONTAINER(deadline, fer__attempt, retry);
    fer_handle *pipe = attempt->pipe;
    fer_status status = try_to_connect(pipe, attempt->name, attempt->size);
    if (status == FER_EAGAIN) {
        wait_for_room(attempt);
        return;
    }
    pipe->broken = status;
    fer__pipe_end_attempt(pipe);
    fer__object_due(&pipe->object);
}

/* A blocking connect would wait until the listener's queue has room. The system does not tell when. */
static fer_status start_attempt(fer_handle *pipe, const char *name, size_t size) {
    fer__attempt *attempt = fer__malloc(sizeof *attempt + size);
    if (attempt == NULL) {
        drop_socket(pipe);
        return fer__fail_plain(FER_ENOMEM);
    }
    fer__deadline_init(&attempt->retry, on_retry);
    fer__deadline_hold(pipe->object.loop, &attempt->retry, pipe->object.holds_loop);
    attempt->pipe = pipe;
    attempt->delay = RETRY_FIRST_MS;
    attempt->size = size;
    memcpy(attempt->name, name, size);
    pipe->attempt = attempt;
    wait_for_room(attempt);
    return FER_EALREADY;
}

fer_status fer__pipe_connect(fer_handle *pipe, const char *name, size_t size, fer_stream_cb cb,
                             void *user) {
    fer_status status = fer__os_check_name(name, size);
    if (status == FER_OK)
        status = make_socket(pipe);
    if (status != FER_OK)
        return status;
    status = try_to_connect(pipe, name, size);
    if (status == FER_EAGAIN)
        status = start_attempt(pipe, name, size);
    if (status == FER_ENAMETOOLONG || status == FER_ENOMEM)
        return status;
    pipe->broken = status;
    pipe->phase = FER__PHASE_CONNECTING;
    pipe->once.cb = cb;
    pipe->once.user = user;
    if (status != FER_EALREADY)
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
