/* Pipes over which handles are passed. */
#include "handle.h"
#include "mem.h"
#include "status.h"

/** A descriptor that came and that nobody took yet. A node of the pool. */
typedef struct fer__received {
    fer__link link;
    fer__fd fd;
    fer_kind kind;
    fer__progress progress;
} fer__received;

_Static_assert(sizeof(fer__received) <= sizeof(fer__node), "a received handle is a node");

fer_status fer__pipe_new(fer_loop *loop, uint32_t flags, fer_handle **out) {
    fer__ipc *ipc = NULL;
    fer_status status;
    if ((flags & FER_PIPE_IPC) != 0) {
        ipc = fer__zalloc(sizeof *ipc);
        if (ipc == NULL)
            return fer__fail_plain(FER_ENOMEM);
        fer__link_init(&ipc->received);
    }
    status = fer__handle_new(loop, FER_KIND_PIPE, out);
    if (status != FER_OK) {
        fer__free(ipc);
        return status;
    }
    (*out)->ipc = ipc;
    return FER_OK;
}

/* Sending. */

fer_status fer__ipc_pass(fer_handle *pipe, const fer_bytes *parts, size_t count, fer__fd pass,
                         fer_stream_cb cb, void *user) {
    struct iovec room[FER__PARTS_ON_STACK];
    struct iovec *iov;
    unsigned how = FER__PUSH_NOW | (cb != NULL ? FER__PUSH_REFER : 0u);
    fer_status status = fer__stream_can_write(pipe);
    size_t size = 0;
    size_t i;
    if (status != FER_OK)
        return status;
    for (i = 0; i < count; i++)
        size += parts[i].size;
    /* The kernel drops a descriptor that no byte carries, and says nothing. */
    if (size == 0)
        return fer__fail(FER_EINVAL, "a handle rides on a byte: there is none");
    iov = fer__to_iovec(parts, count, room);
    if (iov == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer__sendq_pass(&pipe->out, &pipe->object.loop->pool, pipe->io.fd, iov, count, how,
                             &pass, 1, (void (*)(void))cb, user);
    if (iov != room)
        fer__free(iov);
    return fer__stream_wrote(pipe, status);
}

/* Receiving. */

static int keep(fer_handle *pipe, fer__fd fd) {
    fer__received *received = fer__pool_node(&pipe->object.loop->pool);
    if (received == NULL)
        return 0;
    received->fd = fd;
    received->kind = fer__os_identify(fd, &received->progress);
    fer__link_append(&pipe->ipc->received, &received->link);
    pipe->ipc->count++;
    return 1;
}

/* Keep all of them, or close all of them. */
static fer_status keep_all(fer_handle *pipe, const fer__fd *fds, size_t count) {
    fer_status status = FER_OK;
    size_t i;
    if (pipe->ipc->count + count > FER_PENDING_MAX)
        status = fer__fail(FER_EPROTO, "more than %d handles wait to be accepted", FER_PENDING_MAX);
    for (i = 0; i < count; i++) {
        if (status == FER_OK && !keep(pipe, fds[i]))
            status = fer__fail(FER_ENOMEM, "no memory to keep a handle that came");
        if (status != FER_OK)
            fer__os_close(fds[i]);
    }
    if (status != FER_OK)
        fer__ipc_drop(pipe);
    return status;
}

fer_status fer__ipc_read(fer_handle *pipe, void *buffer, size_t size, size_t *got) {
    fer__fd fds[FER__FDS_MAX];
    struct iovec iov = {buffer, size};
    size_t count = 0;
    fer_status status = fer__os_recv_fds(pipe->io.fd, &iov, 1, 0, got, fds, &count);
    if (count == 0)
        return status;
    return keep_all(pipe, fds, count);
}

fer_kind fer__ipc_pending_kind(const fer_handle *pipe) {
    if (pipe->ipc == NULL || pipe->ipc->count == 0)
        return FER_KIND_NONE;
    return FER__CONTAINER(pipe->ipc->received.next, fer__received, link)->kind;
}

static fer__fd take(fer_handle *pipe, fer__progress *progress) {
    fer__received *first = FER__CONTAINER(pipe->ipc->received.next, fer__received, link);
    fer__fd fd = first->fd;
    *progress = first->progress;
    fer__link_remove(&first->link);
    fer__pool_give_node(&pipe->object.loop->pool, first);
    pipe->ipc->count--;
    return fd;
}

fer_status fer__ipc_accept(fer_handle *pipe, fer_handle *client) {
    fer_kind kind = fer__ipc_pending_kind(pipe);
    fer__progress progress;
    fer__fd fd;
    if (kind == FER_KIND_NONE)
        return fer__fail(FER_EAGAIN, "no received handle waits");
    if (kind != (fer_kind)client->kind)
        return fer__fail(FER_EKIND, "the received handle is of another kind");
    fd = take(pipe, &progress);
    /* Others have the socket, too: since it came, they may have taken it further. */
    if (progress != FER__SOCKET_CONNECTED)
        progress = fer__os_progress(fd);
    fer__handle_adopt_known(client, fd, progress);
    return FER_OK;
}

fer_status fer__ipc_accept_fd(fer_handle *pipe, fer__fd *fd) {
    fer__progress progress;
    if (pipe->ipc->count == 0)
        return fer__fail(FER_EAGAIN, "no received handle waits");
    *fd = take(pipe, &progress);
    return FER_OK;
}

void fer__ipc_drop(fer_handle *pipe) {
    fer__progress progress;
    while (pipe->ipc != NULL && pipe->ipc->count > 0)
        fer__os_close(take(pipe, &progress));
}
