#include <string.h>

#include "handle.h"
#include "mem.h"
#include "status.h"

enum {
    READ_BATCH = 16, /* reads in one turn, so that other handles get theirs */
    SENT_BATCH = 64, /* completions in one turn of what completions wrote, for the same reason */
    DEFAULT_BACKLOG = 511
};

static int is_open(const fer_handle *stream) {
    return stream->object.state == FER__OPEN;
}

/* What the descriptor is watched for follows from what the stream is about. */
fer_status fer__stream_watch(fer_handle *stream) {
    uint32_t events = 0;
    if (stream->phase == FER__PHASE_CONNECTING) {
        int waits = stream->broken == FER_EALREADY && stream->attempt == NULL;
        return fer__io_want(&stream->io, waits ? FER__WAIT_WRITE : 0u);
    }
    if (stream->in.cb != NULL && !stream->ended)
        events |= FER__WAIT_READ;
    if (stream->out.queued > 0)
        events |= FER__WAIT_WRITE;
    return fer__io_want(&stream->io, events);
}

/* Callbacks. */

static void call_once(fer_handle *stream, fer__once *once, fer_status status) {
    fer_stream_cb cb = once->cb;
    once->cb = NULL;
    if (cb == NULL)
        return;
    if (status != FER_OK)
        fer__fail_plain(status);
    cb(stream, status, once->user);
}

/* What a callback gets that waited for the bytes before it. */
static fer_status outcome(const fer_handle *stream, int written) {
    if (written)
        return FER_OK;
    return stream->broken != FER_OK ? stream->broken : FER_ECANCELED;
}

static void run_sent(fer_handle *stream) {
    fer__pool *pool = &stream->object.loop->pool;
    const fer__sent *last = stream->out.sent_tail;
    int made = 0;
    for (;;) {
        int given_up = !is_open(stream) || stream->broken != FER_OK;
        fer__sent *sent;
        fer__once once;
        fer_status status;
        if (made >= SENT_BATCH && !given_up) {
            fer__object_due(&stream->object);
            return;
        }
        sent = fer__sendq_take_sent(&stream->out, given_up);
        if (sent == NULL)
            return;
        made += last == NULL;
        if (sent == last)
            last = NULL;
        once.cb = (fer_stream_cb)sent->cb;
        once.user = sent->user;
        status = outcome(stream, sent->end <= stream->out.written);
        fer__pool_give_node(pool, sent);
        call_once(stream, &once, status);
    }
}

static void run_connect(fer_handle *stream) {
    fer_status status = is_open(stream) ? stream->broken : FER_ECANCELED;
    if (status == FER_EALREADY)
        return;
    stream->broken = FER_OK;
    if (status == FER_OK)
        stream->phase = FER__PHASE_CONNECTED;
    else
        stream->phase = stream->io.fd == FER__NO_FD ? FER__PHASE_NEW : FER__PHASE_FAILED;
    call_once(stream, &stream->once, status);
}

/* Writing. */

static void finish_shutdown(fer_handle *stream) {
    if (!stream->shutdown_asked || stream->shutdown_done || stream->out.queued > 0)
        return;
    if (stream->broken == FER_OK)
        stream->broken = fer__os_shutdown_write(stream->io.fd);
    stream->shutdown_done = stream->broken == FER_OK;
    fer__object_due(&stream->object);
}

static void write_failed(fer_handle *stream, fer_status status) {
    stream->broken = status;
    fer__sendq_drop(&stream->out, &stream->object.loop->pool);
    fer__object_due(&stream->object);
}

static void write_more(fer_handle *stream) {
    fer_status status = fer__sendq_write(&stream->out, &stream->object.loop->pool, stream->io.fd);
    if (status != FER_OK && status != FER_EAGAIN)
        write_failed(stream, status);
    if (fer__sendq_has_sent(&stream->out))
        fer__object_due(&stream->object);
    finish_shutdown(stream);
}

fer_status fer__stream_can_write(const fer_handle *stream) {
    if (stream->phase != FER__PHASE_CONNECTED)
        return fer__fail_plain(FER_ENOTCONN);
    if (stream->shutdown_asked)
        return fer__fail(FER_EPIPE, "the stream was shut down for writing");
    return stream->broken == FER_OK ? FER_OK : fer__fail_plain(stream->broken);
}

/* The pieces in the system's form; on the heap when there are many. NULL on no memory. */
struct iovec *fer__to_iovec(const fer_bytes *parts, size_t count, struct iovec *room) {
    struct iovec *iov = room;
    size_t i;
    if (count > FER__PARTS_ON_STACK) {
        if (count > SIZE_MAX / sizeof *iov)
            return NULL;
        iov = fer__malloc(count * sizeof *iov);
    }
    for (i = 0; iov != NULL && i < count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)parts[i].data;
        iov[i].iov_len = parts[i].size;
    }
    return iov;
}

fer_status fer__stream_wrote(fer_handle *stream, fer_status status) {
    if (status == FER_ENOMEM || status == FER_EMFILE || status == FER_ETOOMANYREFS)
        return fer__fail_plain(status);
    if (status != FER_OK) {
        write_failed(stream, status);
        return fer__fail_plain(status);
    }
    if (fer__sendq_has_sent(&stream->out))
        fer__object_due(&stream->object);
    if (stream->out.queued > 0 && (stream->io.wanted & FER__WAIT_WRITE) == 0) {
        status = fer__stream_watch(stream);
        if (status != FER_OK)
            write_failed(stream, status);
    }
    return FER_OK;
}

fer_status fer__stream_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                             fer_stream_cb cb, void *user) {
    struct iovec room[FER__PARTS_ON_STACK];
    struct iovec *iov;
    unsigned how = stream->out.queued == 0 ? FER__PUSH_NOW : 0;
    fer_status status = fer__stream_can_write(stream);
    if (status != FER_OK)
        return status;
    iov = fer__to_iovec(parts, count, room);
    if (iov == NULL)
        return fer__fail_plain(FER_ENOMEM);
    how |= cb != NULL ? FER__PUSH_REFER : 0u;
    status = fer__sendq_push(&stream->out, &stream->object.loop->pool, stream->io.fd, iov, count,
                             how, (void (*)(void))cb, user);
    if (iov != room)
        fer__free(iov);
    return fer__stream_wrote(stream, status);
}

fer_status fer__stream_try_write(fer_handle *stream, const fer_bytes *parts, size_t count,
                                 size_t *written) {
    struct iovec room[FER__PARTS_ON_STACK];
    fer_status status = fer__stream_can_write(stream);
    *written = 0;
    if (status != FER_OK)
        return status;
    if (stream->out.queued > 0)
        return fer__fail(FER_EAGAIN, "earlier writes are not done");
    while (count > 0 && parts->size == 0) {
        parts++;
        count--;
    }
    /* A part of the bytes is a good answer, so many pieces need no memory. */
    if (count > FER__PARTS_ON_STACK)
        count = FER__PARTS_ON_STACK;
    status = fer__os_send(stream->io.fd, fer__to_iovec(parts, count, room), count, written);
    stream->out.written += *written;
    if (status != FER_OK && status != FER_EAGAIN)
        write_failed(stream, status);
    return status == FER_OK ? FER_OK : fer__fail_plain(status);
}

fer_status fer__stream_shutdown(fer_handle *stream, fer_stream_cb cb, void *user) {
    if (stream->phase != FER__PHASE_CONNECTED)
        return fer__fail_plain(FER_ENOTCONN);
    if (stream->shutdown_asked)
        return fer__fail_plain(FER_EALREADY);
    stream->shutdown_asked = 1;
    stream->once.cb = cb;
    stream->once.user = user;
    finish_shutdown(stream);
    return FER_OK;
}

/* Reading. */

static void call_read(fer_handle *stream, fer_status status, const void *data, size_t size) {
    void (*cb)(void) = stream->in.cb;
    void *user = stream->in.user;
    fer__frame frame;
    fer__callback_enter(&stream->in, &frame);
    if (status != FER_OK) {
        stream->ended = 1;
        fer__callback_retire(&stream->in);
        data = NULL;
    }
    if (stream->read2)
        ((fer_read2_cb)cb)(stream, status, data, size, fer__ipc_pending_kind(stream), user);
    else
        ((fer_read_cb)cb)(stream, status, data, size, user);
    fer__callback_leave(&stream->in, &frame);
}

static void read_more(fer_handle *stream) {
    uint8_t *buffer = fer__pool_read_buffer(&stream->object.loop->pool);
    int i;
    if (buffer == NULL) {
        call_read(stream, FER_ENOMEM, NULL, 0);
        return;
    }
    for (i = 0; i < READ_BATCH && stream->in.cb != NULL && is_open(stream); i++) {
        struct iovec iov = {buffer, FER__READ_SIZE};
        size_t got = 0;
        uint32_t flags = 0;
        fer_status status = stream->ipc == NULL
                                ? fer__os_recv(stream->io.fd, &iov, 1, &got, &flags)
                                : fer__ipc_read(stream, buffer, FER__READ_SIZE, &got);
        if (status == FER_EAGAIN)
            return;
        call_read(stream, status, buffer, got);
        /* A read stops where a handle rides, so a short one of an ipc pipe says nothing. */
        if (status != FER_OK || (got < FER__READ_SIZE && stream->ipc == NULL))
            return;
    }
}

/* Go on to watch after callbacks. */
static void watch_on(fer_handle *stream) {
    fer_status status;
    if (!is_open(stream))
        return;
    status = fer__stream_watch(stream);
    if (status != FER_OK && stream->in.cb != NULL)
        call_read(stream, status, NULL, 0);
}

/* The first read of what was accepted does not wait for the loop to say that there is something. */
static void read_first(fer_handle *stream) {
    if (!stream->fresh || stream->in.cb == NULL || !is_open(stream))
        return;
    stream->fresh = 0;
    read_more(stream);
    watch_on(stream);
}

void fer__stream_run(fer_handle *stream) {
    if (stream->phase == FER__PHASE_CONNECTING)
        run_connect(stream);
    run_sent(stream);
    if (stream->shutdown_asked && !fer__sendq_has_sent(&stream->out) &&
        (stream->shutdown_done || stream->broken != FER_OK || !is_open(stream)))
        call_once(stream, &stream->once, outcome(stream, stream->shutdown_done));
    read_first(stream);
}

void fer__stream_ready(fer_handle *stream, uint32_t events) {
    if (stream->phase == FER__PHASE_CONNECTING) {
        stream->broken = fer__os_socket_error(stream->io.fd);
        fer__object_due(&stream->object);
        fer__io_want(&stream->io, 0);
        return;
    }
    if ((events & FER__WAIT_WRITE) != 0)
        write_more(stream);
    if ((events & FER__WAIT_READ) != 0 && stream->in.cb != NULL)
        read_more(stream);
    watch_on(stream);
}

static fer_status start_reading(fer_handle *stream, int read2, void (*cb)(void), void *user,
                                fer_finalizer finalizer) {
    fer_status status = FER_OK;
    if (stream->phase != FER__PHASE_CONNECTED)
        status = FER_ENOTCONN;
    else if (stream->in.cb != NULL)
        status = FER_EALREADY;
    else if (stream->ended)
        status = FER_EOF;
    if (status != FER_OK)
        return fer__callback_refuse(fer__fail_plain(status), user, finalizer);
    fer__callback_set(&stream->in, cb, user, finalizer);
    stream->read2 = read2 != 0;
    /* Who connects mostly has something to say: it is there before the loop would tell. */
    if (stream->fresh) {
        fer__object_due(&stream->object);
        return FER_OK;
    }
    status = fer__stream_watch(stream);
    if (status != FER_OK)
        fer__callback_retire(&stream->in);
    return status;
}

fer_status fer__stream_read_start(fer_handle *stream, fer_read_cb cb, void *user,
                                  fer_finalizer finalizer) {
    return start_reading(stream, 0, (void (*)(void))cb, user, finalizer);
}

fer_status fer__stream_read_start2(fer_handle *stream, fer_read2_cb cb, void *user,
                                   fer_finalizer finalizer) {
    return start_reading(stream, 1, (void (*)(void))cb, user, finalizer);
}

fer_status fer__stream_read_stop(fer_handle *stream) {
    if (stream->listener != NULL)
        return FER_OK;
    fer__callback_retire(&stream->in);
    return fer__stream_watch(stream);
}

int fer__stream_is_readable(const fer_handle *stream) {
    return is_open(stream) && stream->phase == FER__PHASE_CONNECTED && !stream->ended;
}

int fer__stream_is_writable(const fer_handle *stream) {
    return is_open(stream) && stream->phase == FER__PHASE_CONNECTED && !stream->shutdown_asked &&
           stream->broken == FER_OK;
}

/* Listening. */

static void on_connection(fer__listener *listener, fer_status status) {
    fer_handle *stream = FER__CONTAINER(listener->io, fer_handle, io);
    fer_connection_cb cb = (fer_connection_cb)stream->in.cb;
    fer__frame frame;
    fer__callback_enter(&stream->in, &frame);
    cb(stream, status, stream->in.user);
    fer__callback_leave(&stream->in, &frame);
}

static fer_status start_listening(fer_handle *stream, int backlog) {
    fer__listener *listener;
    fer_status status;
    if (stream->listener != NULL)
        return fer__fail_plain(FER_EALREADY);
    if (stream->phase == FER__PHASE_CONNECTED || stream->phase == FER__PHASE_CONNECTING)
        return fer__fail_plain(FER_EISCONN);
    if (stream->phase != FER__PHASE_BOUND)
        return fer__fail(FER_EDESTADDRREQ, "bind before listening");
    listener = fer__zalloc(sizeof *listener);
    if (listener == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer__os_listen(stream->io.fd, backlog == 0 ? DEFAULT_BACKLOG : backlog);
    if (status == FER_OK)
        status = fer__listener_start(listener, &stream->io, on_connection);
    if (status != FER_OK) {
        fer__free(listener);
        return fer__fail_plain(status);
    }
    stream->listener = listener;
    stream->phase = FER__PHASE_LISTENING;
    return FER_OK;
}

fer_status fer__stream_listen(fer_handle *stream, int backlog, fer_connection_cb cb, void *user,
                              fer_finalizer finalizer) {
    fer_status status = start_listening(stream, backlog);
    if (status != FER_OK)
        return fer__callback_refuse(status, user, finalizer);
    fer__callback_set(&stream->in, (void (*)(void))cb, user, finalizer);
    return FER_OK;
}

fer_status fer__stream_accept(fer_handle *listener, fer_handle *client) {
    fer__fd fd = FER__NO_FD;
    fer_status status;
    if (!fer__handle_is_blank(client))
        return fer__fail_plain(FER_EISCONN);
    if (listener->ipc != NULL && listener->listener == NULL)
        return fer__ipc_accept(listener, client);
    if (client->kind != listener->kind)
        return fer__fail(FER_EKIND, "the client is of another kind than the listener");
    if (listener->listener == NULL)
        return fer__fail(FER_EINVAL, "the stream does not listen");
    status = fer__listener_take(listener->listener, &fd);
    if (status != FER_OK)
        return fer__fail_plain(status);
    fer__handle_adopt(client, fd, FER__PHASE_CONNECTED);
    client->fresh = 1;
    client->name = fer__name_ref(listener->name);
    return FER_OK;
}
