/* The blocking face: servers. */
#include "sync.h"

#include "deadline.h"
#include "look.h"
#include "status.h"

fer_status fer__sync_listen(const char *address, const fer_channel_options *options,
                            fer_server **out) {
    fer_loop *loop = NULL;
    fer_status status = fer__loop_new_blocking(&loop);
    if (status != FER_OK)
        return status;
    status = fer__server_listen(loop, address, options, NULL, NULL, NULL, out);
    fer__sync_settle(loop);
    fer__loop_unref(loop);
    return status;
}

/* Take a channel off its server's loop, to one of its own. */
static void move_to(fer_channel *channel, fer_loop *loop) {
    fer_loop *old = channel->object.loop;
    fer__sync_settle(old);
    fer__look_forget(channel);
    fer__link_remove(&channel->object.all);
    fer__io_want(&channel->io, 0);
    fer__loop_ref(loop);
    channel->object.loop = loop;
    channel->io.loop = loop;
    if (channel->fifo != NULL) {
        fer__link_remove(&channel->fifo->io.link);
        channel->fifo->io.loop = loop;
    }
    fer__link_append(&loop->objects, &channel->object.all);
    fer__loop_unref(old);
}

static fer_status take_next(fer_server *server, int64_t timeout_ms, fer_channel **out) {
    int64_t limit = fer__deadline_after(timeout_ms);
    fer_loop *loop = NULL;
    fer_status status = fer__loop_new_blocking(&loop);
    if (status != FER_OK)
        return status;
    server->trouble = FER_OK;
    while (status == FER_OK && fer__link_alone(&server->accepted) && server->trouble == FER_OK) {
        status = fer__server_await(server);
        /* FIFOs that could be opened at once are ready now, and nothing would end the wait for them. */
        fer__sync_settle(server->object.loop);
        if (status == FER_OK && fer__link_alone(&server->accepted))
            status = fer__sync_turn(server->object.loop, limit);
        /* Its callback may have dropped it: the one owner left is who called this. */
        if (atomic_load(&server->object.owners) == 1)
            status = fer__fail_plain(FER_ECLOSED);
    }
    if (fer__link_alone(&server->accepted)) {
        /* What has come counts, also when it came with the end of the time. */
        if (server->trouble != FER_OK && (status == FER_OK || status == FER_ETIMEDOUT))
            status = fer__fail_plain(server->trouble);
        fer__loop_unref(loop);
        return status;
    }
    *out = FER__CONTAINER(server->accepted.next, fer_channel, object.reap);
    fer__link_remove(&(*out)->object.reap);
    move_to(*out, loop);
    fer__loop_unref(loop);
    return FER_OK;
}

/* What is to be done without anything that comes: clients nobody has taken yet, deadlines. */
static fer_status set_time(const fer_server *server) {
    const fer_loop *loop = server->object.loop;
    int now = !fer__link_alone(&server->accepted) || !fer__link_alone(&loop->ready);
    return fer__os_watch_time(&loop->watch, now ? 0 : fer__deadline_next(loop));
}

fer_status fer__sync_accept(fer_server *server, int64_t timeout_ms, fer_channel **out) {
    fer_status status = take_next(server, timeout_ms, out);
    /* To set the time of a timer fails for none that is open. */
    if (server->object.loop->watch.fd != FER__NO_FD)
        (void)set_time(server);
    return status;
}

static fer_status show_all(const fer_loop *loop) {
    const fer__link *at;
    fer_status status = FER_OK;
    for (at = loop->ios.next; at != &loop->ios && status == FER_OK; at = at->next) {
        fer__io *io = FER__CONTAINER(at, fer__io, link);
        status = fer__io_show(io, io->wanted);
    }
    return status;
}

static void hide_all(fer_loop *loop) {
    const fer__link *at;
    fer__os_watch_close(&loop->watch);
    for (at = loop->ios.next; at != &loop->ios; at = at->next)
        FER__CONTAINER(at, fer__io, link)->armed = 0;
}

fer_status fer__sync_server_fileno(fer_server *server, fer__fd *fd) {
    fer_loop *loop = server->object.loop;
    fer_status status = FER_OK;
    if (server->fifos != NULL)
        return fer__fail(FER_ENOTSUP, "FIFOs have one client at a time: accept when it has gone");
    if (loop->watch.fd == FER__NO_FD) {
        status = fer__os_watch_open(&loop->watch);
        if (status == FER_OK)
            status = show_all(loop);
        if (status == FER_OK)
            status = set_time(server);
        if (status != FER_OK) {
            fer__detail detail;
            fer__detail_keep(&detail);
            hide_all(loop);
            return fer__fail_kept(status, &detail);
        }
    }
    *fd = loop->watch.fd;
    return FER_OK;
}
