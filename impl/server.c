#include "server.h"

#include <string.h>

#include "mem.h"
#include "status.h"

enum { BACKLOG = 511, MODE = 0600 };

static fer_server *from_object(fer__object *object) {
    return FER__CONTAINER(object, fer_server, object);
}

/* Callbacks. */

static void call_on_channel(fer_server *server, fer_status status, fer_channel *channel) {
    fer_server_channel_cb cb = (fer_server_channel_cb)server->on_channel.cb;
    fer__frame frame;
    fer__callback_enter(&server->on_channel, &frame);
    cb(server, status, channel, server->on_channel.user);
    fer__callback_leave(&server->on_channel, &frame);
}

static void tell(fer_server *server, fer_status status, fer_channel *channel) {
    if (server->blocking == NULL)
        call_on_channel(server, status, channel);
    else if (status == FER_OK)
        fer__link_append(&server->accepted, &channel->object.reap);
    else if (status == FER_EMFILE || status == FER_ENFILE || status == FER_ENOMEM)
        server->trouble = status;
}

static void on_opened(fer_channel *channel, fer_status status, void *user) {
    fer_server *server = user;
    int open = server->object.state == FER__OPEN;
    if (status != FER_OK || !open)
        fer__object_unref(&channel->object);
    if (open)
        tell(server, status, status == FER_OK ? channel : NULL);
    fer__object_release(&server->object);
}

static void on_connection(fer__listener *listener, fer_status status) {
    fer_server *server = FER__CONTAINER(listener, fer_server, listener);
    fer__fd fd = FER__NO_FD;
    fer_channel *channel = NULL;
    if (status == FER_OK)
        status = fer__listener_take(listener, &fd);
    if (status == FER_OK) {
        /* Until on_opened(). */
        fer__object_hold(&server->object);
        status = fer__channel_accept(server->object.loop, &server->options, fd, on_opened, server,
                                     &channel);
        if (status == FER_OK)
            fer__link_append(&server->half_open, &channel->opening->link);
        else
            fer__object_release(&server->object);
    }
    if (status != FER_OK && server->object.state == FER__OPEN)
        tell(server, status, NULL);
}

/* The object. */

static void run(fer__object *object) {
    fer_server *server = from_object(object);
    if (object->state == FER__CLOSED)
        fer__object_run_close_requests(object);
    else if (object->state == FER__CLOSING && server->io_closed)
        fer__object_finish_close(object);
}

static void on_io_closed(fer__io *io) {
    fer_server *server = FER__CONTAINER(io, fer_server, io);
    server->io_closed = 1;
    fer__object_due(&server->object);
}

static void abort_server(fer__object *object) {
    fer_server *server = from_object(object);
    if (object->state != FER__OPEN)
        return;
    object->state = FER__CLOSING;
    fer__listener_stop(&server->listener);
    fer__os_unbind_pipe(&server->bound);
    while (!fer__link_alone(&server->half_open)) {
        fer__opening *opening = FER__CONTAINER(server->half_open.next, fer__opening, link);
        fer__link_remove(&opening->link);
        fer__channel_abort(opening->channel);
    }
    while (!fer__link_alone(&server->accepted)) {
        fer__object *accepted = FER__CONTAINER(server->accepted.next, fer__object, reap);
        fer__link_remove(&accepted->reap);
        fer__object_unref(accepted);
    }
    fer__callback_retire(&server->on_channel);
    fer__io_close(&server->io, on_io_closed);
}

static void call_closed(fer__object *object, void (*cb)(void), void *user) {
    ((fer_server_closed_cb)cb)(from_object(object), user);
}

static void destroy(fer__object *object) {
    fer__free(from_object(object)->address);
    fer__free(from_object(object)->blocking);
}

static const fer__class server_class = {run, abort_server, call_closed, destroy};

static void on_ready(fer__io *io, uint32_t events) {
    fer_server *server = FER__CONTAINER(io, fer_server, io);
    (void)events;
    fer__object_hold(&server->object);
    fer__listener_ready(&server->listener);
    fer__object_release(&server->object);
}

/* Listening. */

static fer_status bind_address(const char *address, fer__fd *fd, fer__bound *bound) {
    char *name = fer__malloc(FER__PIPE_NAME_MAX);
    size_t size = 0;
    fer_status status;
    if (name == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer__channel_pipe_name(address, name, &size);
    if (status == FER_OK)
        status = fer__os_socket_pipe(fd);
    if (status == FER_OK) {
        status = fer__os_bind_pipe(*fd, name, size, MODE, 0, BACKLOG, bound);
        if (status != FER_OK) {
            fer__os_close(*fd);
            *fd = FER__NO_FD;
        }
    }
    fer__free(name);
    return status;
}

/* The memory of a server, and what it owns. */
static fer_server *make(fer_loop *loop, const char *address) {
    fer_server *server = fer__zalloc(sizeof *server);
    size_t size = strlen(address) + 1;
    if (server == NULL)
        return NULL;
    server->address = fer__malloc(size);
    if (loop->kind == FER__LOOP_BLOCKING)
        server->blocking = fer__zalloc(sizeof *server->blocking);
    if (server->address == NULL || (loop->kind == FER__LOOP_BLOCKING && server->blocking == NULL)) {
        fer__free(server->address);
        fer__free(server->blocking);
        fer__free(server);
        return NULL;
    }
    memcpy(server->address, address, size);
    return server;
}

static fer_status start(fer_loop *loop, const char *address, const fer_channel_options *options,
                        fer_server **out) {
    fer__fd fd = FER__NO_FD;
    fer__bound bound = {0};
    fer_server *server;
    fer_status status = bind_address(address, &fd, &bound);
    if (status != FER_OK)
        return status;
    server = make(loop, address);
    if (server == NULL) {
        fer__os_unbind_pipe(&bound);
        fer__os_close(fd);
        return fer__fail_plain(FER_ENOMEM);
    }
    fer__object_init(&server->object, &server_class, loop);
    fer__io_init(&server->io, loop, on_ready);
    fer__link_init(&server->half_open);
    fer__link_init(&server->accepted);
    server->io.fd = fd;
    server->bound = bound;
    server->options = *options;
    status = fer__listener_start(&server->listener, &server->io, on_connection);
    if (status != FER_OK) {
        abort_server(&server->object);
        fer__object_unref(&server->object);
        return status;
    }
    *out = server;
    return FER_OK;
}

fer_status fer__server_listen(fer_loop *loop, const char *address,
                              const fer_channel_options *options, fer_server_channel_cb cb,
                              void *user, fer_finalizer finalizer, fer_server **out) {
    fer_server *server = NULL;
    fer_status status = start(loop, address, options, &server);
    if (status != FER_OK)
        return fer__callback_refuse(status, user, finalizer);
    fer__callback_set(&server->on_channel, (void (*)(void))cb, user, finalizer);
    *out = server;
    return FER_OK;
}

fer_status fer__server_close(fer_server *server, fer_server_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&server->object, (void (*)(void))cb, user);
    if (status == FER_OK)
        abort_server(&server->object);
    return status;
}

fer_status fer__server_address(const fer_server *server, char *buffer, size_t *size) {
    size_t length = strlen(server->address);
    if (length + 1 > *size) {
        *size = length + 1;
        return fer__fail_plain(FER_ENOBUFS);
    }
    memcpy(buffer, server->address, length + 1);
    *size = length;
    return FER_OK;
}

void fer__server_hold_loop(fer_server *server, int hold) {
    server->object.holds_loop = hold != 0;
    fer__io_hold(&server->io, hold);
}
