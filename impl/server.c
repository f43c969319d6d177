#include "server.h"

#include <string.h>

#include "access.h"
#include "mem.h"
#include "status.h"

enum {
    LEAVING_MS = 200, /* for a client to see that its channel was closed */
    LOOK_MS = 5,      /* between two looks whether it has */
    RETRY_AFTER_MS =
        100, /* after a client, or a file, that was not what it should be, or without memory */
    HELD_MS = INT32_MAX /* while a client has the FIFOs: the server holds its loop all the same */
};

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

/* Whether only the one client is concerned. */
static int is_of_client(fer_status status) {
    return status == FER_EPROTO || status == FER_EVERSION || status == FER_ECONNRESET ||
           status == FER_ETIMEDOUT || status == FER_EPIPE || status == FER_ECANCELED ||
           status == FER_EACCES || status == FER_ECONNABORTED || status == FER_EBUSY;
}

static void tell(fer_server *server, fer_status status, fer_channel *channel) {
    if (server->blocking == NULL)
        call_on_channel(server, status, channel);
    else if (status == FER_OK)
        fer__link_append(&server->accepted, &channel->object.reap);
    else if (!is_of_client(status))
        server->trouble = status;
}

static void await_next(fer_server *server) {
    fer_status status = fer__server_await(server);
    if (status == FER_OK)
        return;
    fer__deadline_set(server->object.loop, &server->fifos->retry, RETRY_AFTER_MS);
    tell(server, status, NULL);
}

static void on_retry(fer__deadline *deadline) {
    fer__fifos *fifos = FER__CONTAINER(deadline, fer__fifos, retry);
    if (fifos->busy)
        fer__deadline_set(fifos->server->object.loop, deadline, HELD_MS);
    else
        await_next(fifos->server);
}

/* A channel is closed: on FIFOs the next client may come. */
static void on_gone(fer_channel *channel, void *user) {
    fer_server *server = user;
    if (!fer__link_alone(&channel->at_server)) {
        fer__link_remove(&channel->at_server);
        server->channel_count--;
    }
    if (server->object.state == FER__OPEN && server->fifos != NULL) {
        server->fifos->busy = 0;
        if (server->fifos->failed)
            fer__deadline_set(server->object.loop, &server->fifos->retry, RETRY_AFTER_MS);
        else
            await_next(server);
    }
    if (server->draining && server->channel_count == 0)
        fer__object_due(&server->object);
    fer__object_release(&server->object);
}

/* A channel is given out: know it until it is closed. One of a blocking server leaves the loop. */
static void know(fer_server *server, fer_channel *channel) {
    if (server->blocking != NULL)
        return;
    fer__link_append(&server->channels, &channel->at_server);
    server->channel_count++;
    if (channel->gone == NULL) {
        fer__object_hold(&server->object);
        channel->gone = on_gone;
        channel->gone_user = server;
    }
}

/* Only open channels count: clients that say nothing must not keep those out that do. */
static fer_status check_room(const fer_server *server) {
    if (server->max_channels == 0 ||
        server->channel_count + server->admitted_count < server->max_channels)
        return FER_OK;
    return fer__fail(FER_EBUSY, "%u channels are open", (unsigned)server->max_channels);
}

static fer_status admit(fer_channel *channel, void *user) {
    fer_server *server = user;
    fer_status status = check_room(server);
    if (status == FER_OK) {
        channel->admitted = 1;
        server->admitted_count++;
    }
    return status;
}

static void on_opened(fer_channel *channel, fer_status status, void *user) {
    fer_server *server = user;
    int open = server->object.state == FER__OPEN;
    server->half_open_count--;
    if (channel->admitted)
        server->admitted_count--;
    /* On the plain wire others may have come first. */
    else if (open && status == FER_OK)
        status = check_room(server);
    channel->admitted = 0;
    if (open && server->fifos != NULL) {
        server->fifos->failed = status != FER_OK;
        server->fifos->wary = INT64_MAX;
    }
    if (status == FER_OK && open)
        know(server, channel);
    if (open && server->fifos != NULL && status == FER_OK)
        fer__channel_hold_loop(channel, FER_CHANNEL_HOLD_WAITING);
    if (status != FER_OK || !open)
        fer__object_unref(&channel->object);
    if (open)
        tell(server, status, status == FER_OK ? channel : NULL);
    fer__object_release(&server->object);
}

/* Whether a client may be served; nothing of it has been read. */
static fer_status check_client(fer_server *server, fer__fd fd) {
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_server_allow_cb cb = (fer_server_allow_cb)server->allow.cb;
    fer_status status = fer__access_peer(server->line, fd, 0, &who);
    fer__frame frame;
    int allowed;
    if (status != FER_OK && status != FER_ENOTSUP)
        return status;
    if (cb == NULL)
        return status == FER_ENOTSUP || fer__access_is_own(&who)
                   ? FER_OK
                   : fer__fail(FER_EACCES, "a client of user %u is not served", (unsigned)who.uid);
    fer__callback_enter(&server->allow, &frame);
    allowed = cb(server, &who, server->allow.user);
    fer__callback_leave(&server->allow, &frame);
    if (allowed < 0)
        return fer__fail_plain((fer_status)allowed);
    return allowed ? FER_OK : fer__fail(FER_EACCES, "the client was not allowed");
}

/* Make room for one more client that has not said hello: who has had the most time has had enough. */
static void limit_half_open(fer_server *server) {
    fer__opening *oldest;
    if (server->half_open_count < server->max_half_open || fer__link_alone(&server->half_open))
        return;
    oldest = FER__CONTAINER(server->half_open.next, fer__opening, link);
    fer__link_remove(&oldest->link);
    fer__channel_opened(oldest->channel,
                        fer__fail(FER_ECONNABORTED, "too many clients have not said hello"));
}

static fer_status begin_channel(fer_server *server, fer__fd fd) {
    fer_channel *channel = NULL;
    fer_status status;
    limit_half_open(server);
    /* Until on_opened(). */
    fer__object_hold(&server->object);
    server->half_open_count++;
    status =
        fer__channel_accept(server->object.loop, &server->options, server->line, fd,
                            server->max_channels > 0 ? admit : NULL, on_opened, server, &channel);
    if (status != FER_OK) {
        server->half_open_count--;
        fer__object_release(&server->object);
        return status;
    }
    fer__link_append(&server->half_open, &channel->opening->link);
    return FER_OK;
}

static void on_connection(fer__listener *listener, fer_status status) {
    fer_server *server = FER__CONTAINER(listener, fer_server, listener);
    fer__fd fd = FER__NO_FD;
    if (status == FER_OK)
        status = fer__listener_take(listener, &fd);
    if (status == FER_OK)
        status = check_room(server);
    if (status == FER_OK)
        status = check_client(server, fd);
    /* What decided may have closed the server. */
    if (status == FER_OK && server->object.state == FER__OPEN)
        status = begin_channel(server, fd);
    else
        fer__os_close(fd);
    if (status != FER_OK && server->object.state == FER__OPEN)
        tell(server, status, NULL);
}

/* FIFOs. */

static int copy_place(const fer__place *from, fer__place *to) {
    size_t size = strlen(from->second) + 1;
    *to = *from;
    to->name = fer__malloc(strlen(from->name) + 1);
    to->second = fer__malloc(size);
    if (to->name == NULL || to->second == NULL) {
        fer__place_free(to);
        return 0;
    }
    memcpy(to->name, from->name, strlen(from->name) + 1);
    memcpy(to->second, from->second, size);
    return 1;
}

/*
 * Both ends of a FIFO are open to anybody: a client whose channel was closed here would go on in the next. It
 * gets a moment to see that. It is not to be told from one that came as soon as it went, so no more than that.
 */
static int has_left(fer__fifos *fifos) {
    int64_t now = fer__os_now();
    if (fifos->wary == INT64_MAX)
        fifos->wary = now + LEAVING_MS;
    return now >= fifos->wary || !fer__os_is_fifo_locked(fifos->place.second, 0);
}

fer_status fer__server_await(fer_server *server) {
    fer__fifos *fifos = server->fifos;
    fer_channel *channel = NULL;
    fer__place place;
    fer_status status;
    if (fifos == NULL || fifos->busy || !fer__link_alone(&server->half_open) ||
        !fer__link_alone(&server->accepted))
        return FER_OK;
    if (!has_left(fifos)) {
        fer__deadline_set(server->object.loop, &fifos->retry, LOOK_MS);
        return FER_OK;
    }
    if (!copy_place(&fifos->place, &place))
        return fer__fail_plain(FER_ENOMEM);
    /* Until on_opened(). */
    fer__object_hold(&server->object);
    server->half_open_count++;
    status = fer__channel_await(server->object.loop, &place, &server->options, on_opened, server,
                                &channel);
    if (status != FER_OK) {
        fer__place_free(&place);
        server->half_open_count--;
        fer__object_release(&server->object);
        return status;
    }
    fer__link_append(&server->half_open, &channel->opening->link);
    fer__channel_hold_loop(channel, (fer_channel_hold)server->object.holds_loop);
    /* A channel of a blocking server leaves its loop: the next accept looks for itself. */
    if (server->blocking == NULL) {
        fer__object_hold(&server->object);
        channel->gone = on_gone;
        channel->gone_user = server;
        fifos->busy = 1;
        fer__deadline_set(server->object.loop, &fifos->retry, HELD_MS);
    }
    return FER_OK;
}

/* The object. */

static void run(fer__object *object) {
    fer_server *server = from_object(object);
    /* on_gone() of the last channel comes back here. */
    if (server->draining && server->channel_count > 0)
        return;
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
    if (server->fifos == NULL)
        fer__listener_stop(&server->listener);
    else
        fer__deadline_clear(object->loop, &server->fifos->retry);
    fer__fifos_undo(server->fifos);
    server->fifos = NULL;
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
    fer__callback_retire(&server->allow);
    fer__io_close(&server->io, on_io_closed);
    fer__os_watch_close(&object->loop->watch);
}

static void call_closed(fer__object *object, void (*cb)(void), void *user) {
    ((fer_server_closed_cb)cb)(from_object(object), user);
}

static void destroy(fer__object *object) {
    fer__secret_wipe(from_object(object)->secret, from_object(object)->options.secret_size);
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

/* The memory of a server. */
static fer_server *make(fer_loop *loop, const fer_channel_options *options) {
    fer_server *server = fer__zalloc(sizeof *server);
    if (server == NULL)
        return NULL;
    server->options = *options;
    if (options->secret != NULL) {
        server->secret = fer__malloc(options->secret_size);
        if (server->secret == NULL) {
            fer__free(server);
            return NULL;
        }
        memcpy(server->secret, options->secret, options->secret_size);
        server->options.secret = server->secret;
    }
    if (loop->kind == FER__LOOP_BLOCKING) {
        server->blocking = fer__zalloc(sizeof *server->blocking);
        if (server->blocking == NULL) {
            fer__secret_wipe(server->secret, server->options.secret_size);
            fer__free(server);
            return NULL;
        }
    }
    return server;
}

static fer_status start(fer_loop *loop, const char *address, const fer_channel_options *options,
                        fer_server **out) {
    fer__site site;
    fer_server *server;
    fer_status status = fer__site_make(address, options, &site);
    if (status != FER_OK)
        return status;
    server = make(loop, options);
    if (server == NULL) {
        fer__site_undo(&site);
        return fer__fail_plain(FER_ENOMEM);
    }
    fer__object_init(&server->object, &server_class, loop);
    fer__io_init(&server->io, loop, on_ready);
    fer__link_init(&server->half_open);
    fer__link_init(&server->accepted);
    fer__link_init(&server->channels);
    server->max_half_open = FER__HALF_OPEN;
    server->io.fd = site.fd;
    server->bound = site.bound;
    server->line = site.line;
    server->fifos = site.fifos;
    server->address = site.address;
    if (site.fifos != NULL) {
        site.fifos->server = server;
        fer__deadline_init(&site.fifos->retry, on_retry);
    }
    status = site.fifos != NULL
                 ? fer__server_await(server)
                 : fer__listener_start(&server->listener, &server->io, on_connection);
    if (status != FER_OK) {
        fer__detail detail;
        fer__detail_keep(&detail);
        if (site.is_given)
            server->io.fd = FER__NO_FD;
        abort_server(&server->object);
        fer__object_unref(&server->object);
        return fer__fail_kept(status, &detail);
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

fer_status fer__server_drain(fer_server *server, fer_server_closed_cb cb, void *user) {
    fer_status status = fer__object_add_close_request(&server->object, (void (*)(void))cb, user);
    const fer__link *at;
    if (status != FER_OK)
        return status;
    /* Before, so that nobody is told of the end while a channel is open. */
    server->draining = 1;
    abort_server(&server->object);
    for (at = server->channels.next; at != &server->channels; at = at->next)
        (void)fer__channel_close(FER__CONTAINER(at, fer_channel, at_server), NULL, NULL);
    return FER_OK;
}

void fer__server_abort(fer_server *server) {
    fer__link *at = server->channels.next;
    server->draining = 1;
    abort_server(&server->object);
    while (at != &server->channels) {
        fer_channel *channel = FER__CONTAINER(at, fer_channel, at_server);
        at = at->next;
        fer__channel_abort(channel);
    }
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
    if (server->fifos == NULL)
        return;
    fer__deadline_hold(server->object.loop, &server->fifos->retry, hold);
    if (!fer__link_alone(&server->half_open))
        fer__channel_hold_loop(FER__CONTAINER(server->half_open.next, fer__opening, link)->channel,
                               hold);
}
