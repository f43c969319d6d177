/* Every function that takes an object, with calls_handles.c. The other arguments are good. */
#include "calls.h"

#include <stdio.h>

static const fer_bytes text = {"text", 4};

/* Loops. */

static fer_status run(objects *o) {
    return fer_loop_run(o->loop);
}

static fer_status step(objects *o) {
    return fer_loop_step(o->loop, 0);
}

static fer_status stop(objects *o) {
    return fer_loop_stop(o->loop);
}

static fer_status fail_loop(objects *o) {
    return fer_loop_fail(o->loop, FER_ECALLBACK);
}

static fer_status wake(objects *o) {
    return fer_loop_wake(o->loop);
}

static fer_status post(objects *o) {
    return fer_loop_post(o->loop, note_posted, &o->unexpected);
}

static fer_status fd(objects *o) {
    int number;
    return fer_loop_fd(o->loop, &number);
}

static fer_status timeout(objects *o) {
    int64_t ms;
    return fer_loop_timeout(o->loop, &ms);
}

static fer_status linger(objects *o) {
    int ready;
    return fer_loop_linger(o->loop, &ready);
}

static void on_notify(fer_loop *loop, void *user) {
    (void)loop;
    note(user, FER_OK);
}

static fer_status set_notify(objects *o) {
    return fer_loop_set_notify(o->loop, on_notify, &o->finalized, note_finalized);
}

static fer_status adopt(objects *o) {
    return fer_loop_adopt(o->loop);
}

static fer_status close_objects(objects *o) {
    return fer_loop_close_objects(o->loop);
}

static fer_status close_loop(objects *o) {
    return fer_loop_close(o->loop);
}

static fer_status new_pipe(objects *o) {
    fer_handle *made = NULL;
    return fer_pipe_new(o->loop, 0, &made);
}

static fer_status connect_channel(objects *o) {
    fer_channel *made = NULL;
    return fer_channel_connect(o->loop, "pipe:/nowhere", NULL, note_connected, &o->unexpected,
                               &made);
}

static fer_status pair_channels(objects *o) {
    fer_channel *made[2] = {NULL, NULL};
    return fer_channel_pair(o->loop, NULL, note_connected, &o->unexpected, made);
}

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    fer_channel_unref(channel);
    note(user, status);
}

static fer_status listen_server(objects *o) {
    fer_server *made = NULL;
    return fer_server_listen(o->loop, "pipe:/nowhere/at/all", NULL, on_channel, &o->finalized,
                             note_finalized, &made);
}

static fer_status parent_channel(objects *o) {
    fer_channel *made = NULL;
    return fer_channel_parent(o->loop, NULL, note_connected, &o->unexpected, &made);
}

/* Pipes. */

static fer_status close_handle(objects *o) {
    return fer_handle_close(o->pipe, NULL, NULL);
}

static fer_status set_handle_data(objects *o) {
    return fer_handle_set_data(o->pipe, &o->finalized, note_finalized);
}

static fer_status hold_loop_handle(objects *o) {
    return fer_handle_hold_loop(o->pipe, 1);
}

static fer_status handle_fileno(objects *o) {
    fer_fd number;
    return fer_handle_fileno(o->pipe, &number);
}

static fer_status bind_pipe(objects *o) {
    return fer_pipe_bind(o->pipe, "/nowhere/at/all", FER_ZSTRING, NULL);
}

static fer_status connect_pipe(objects *o) {
    return fer_pipe_connect(o->pipe, "/nowhere", FER_ZSTRING, note_stream, &o->unexpected);
}

static fer_status open_pipe(objects *o) {
    return fer_pipe_open(o->pipe, 0);
}

static fer_status pipe_sockname(objects *o) {
    char buffer[256];
    size_t size = sizeof buffer;
    return fer_pipe_getsockname(o->pipe, buffer, &size);
}

static fer_status pipe_peername(objects *o) {
    char buffer[256];
    size_t size = sizeof buffer;
    return fer_pipe_getpeername(o->pipe, buffer, &size);
}

static fer_status listen_stream(objects *o) {
    return fer_stream_listen(o->pipe, 0, note_connection, &o->finalized, note_finalized);
}

static fer_status accept_stream(objects *o) {
    return fer_stream_accept(o->pipe, o->pipe);
}

static void on_read(fer_handle *stream, fer_status status, const void *data, size_t size,
                    void *user) {
    (void)stream;
    (void)data;
    (void)size;
    note(user, status);
}

static fer_status read_start(objects *o) {
    return fer_stream_read_start(o->pipe, on_read, &o->finalized, note_finalized);
}

static fer_status read_stop(objects *o) {
    return fer_stream_read_stop(o->pipe);
}

static fer_status write_stream(objects *o) {
    return fer_stream_write(o->pipe, &text, 1, note_stream, &o->unexpected);
}

static fer_status try_write(objects *o) {
    size_t written;
    return fer_stream_try_write(o->pipe, &text, 1, &written);
}

static fer_status shutdown_stream(objects *o) {
    return fer_stream_shutdown(o->pipe, note_stream, &o->unexpected);
}

/* Channels. */

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)channel;
    (void)messages;
    (void)count;
    note(user, status);
}

static fer_status receive(objects *o) {
    return fer_channel_receive(o->channel, on_messages, &o->finalized, note_finalized);
}

static fer_status pause_channel(objects *o) {
    return fer_channel_pause(o->channel);
}

static fer_status resume(objects *o) {
    return fer_channel_resume(o->channel);
}

static fer_status send_message(objects *o) {
    return fer_channel_send(o->channel, &text, 1, NULL, 0, note_sent, &o->unexpected);
}

static const fer_fd input[] = {0};

static fer_status send_many(objects *o) {
    const fer_bytes messages[2] = {piece("one", 3), piece("two", 3)};
    size_t accepted = 2;
    return fer_channel_send_many(o->channel, messages, 2, &accepted);
}

static fer_status send_fds(objects *o) {
    return fer_channel_send_fds(o->channel, &text, 1, input, 1, note_sent, &o->unexpected);
}

static fer_status cork(objects *o) {
    return fer_channel_cork(o->channel);
}

static fer_status uncork(objects *o) {
    return fer_channel_uncork(o->channel);
}

static fer_status flush(objects *o) {
    return fer_channel_flush(o->channel, note_sent, &o->unexpected);
}

static fer_status unsent(objects *o) {
    uint64_t bytes;
    return fer_channel_unsent(o->channel, &bytes);
}

/* A message of nobody: whose channel may not be used is told that first. */
static const fer_message message_of_nobody = {"text", 4, NULL, 0};

static fer_status take_handle(objects *o) {
    fer_handle *handle = NULL;
    return fer_message_take(o->channel, &message_of_nobody, 0, &handle);
}

/* That there is no such message is all that can be wrong with it. */
static fer_status take_fd(objects *o) {
    fer_fd taken;
    fer_status status = fer_message_take_fd(o->channel, &message_of_nobody, 0, &taken);
    return status == FER_EINVAL && o->channel != NULL ? FER_OK : status;
}

static void *no_memory(size_t size, void *user) {
    (void)size;
    (void)user;
    return NULL;
}

static void *same_memory(void *memory, size_t size, void *user) {
    (void)size;
    (void)user;
    return memory;
}

static void keep_memory(void *memory, void *user) {
    (void)memory;
    (void)user;
}

/* It can be chosen once. */
static fer_status set_body_memory(objects *o) {
    const fer_body_memory memory = {sizeof memory, 0,           SIZE_MAX, no_memory,
                                    same_memory,   keep_memory, NULL};
    fer_status status = fer_channel_set_body_memory(o->channel, &memory);
    return status == FER_EALREADY ? FER_OK : status;
}

static fer_status take_data(objects *o) {
    void *taken;
    fer_status status = fer_message_take_data(o->channel, &message_of_nobody, &taken);
    return status == FER_ENOENT ? FER_OK : status;
}

static fer_status on_drain(objects *o) {
    return fer_channel_on_drain(o->channel, note_drain, &o->finalized, note_finalized);
}

static fer_status close_channel(objects *o) {
    return fer_channel_close(o->channel, NULL, NULL);
}

static fer_status abort_channel(objects *o) {
    return fer_channel_abort(o->channel);
}

static fer_status get_info(objects *o) {
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    return fer_channel_get_info(o->channel, &info);
}

static fer_status hold_loop_channel(objects *o) {
    return fer_channel_hold_loop(o->channel, 1);
}

static fer_status set_channel_data(objects *o) {
    return fer_channel_set_data(o->channel, &o->finalized, note_finalized);
}

static fer_status get_stats(objects *o) {
    fer_channel_stats stats = FER_CHANNEL_STATS_INIT;
    return fer_channel_get_stats(o->channel, &stats);
}

static fer_status peer_credentials(objects *o) {
    fer_credentials who = FER_CREDENTIALS_INIT;
    return fer_channel_peer_credentials(o->channel, &who);
}

/* Servers. */

static int allow_all(fer_server *server, const fer_credentials *who, void *user) {
    (void)server;
    (void)who;
    note(user, FER_OK);
    return 1;
}

static fer_status on_allow(objects *o) {
    return fer_server_on_allow(o->server, allow_all, &o->finalized, note_finalized);
}

static fer_status set_limits(objects *o) {
    return fer_server_set_limits(o->server, 0, 0);
}

static fer_status drain_server(objects *o) {
    return fer_server_drain(o->server, NULL, NULL);
}

static fer_status abort_server(objects *o) {
    return fer_server_abort(o->server);
}

static fer_status close_server(objects *o) {
    return fer_server_close(o->server, NULL, NULL);
}

static fer_status server_address(objects *o) {
    char buffer[256];
    size_t size = sizeof buffer;
    return fer_server_address(o->server, buffer, &size);
}

static fer_status hold_loop_server(objects *o) {
    return fer_server_hold_loop(o->server, 1);
}

/* The blocking face. */

static fer_status sync_send(objects *o) {
    return fer_sync_send(o->blocking, &text, 1, 0);
}

static fer_status sync_send_many(objects *o) {
    size_t accepted = 2;
    return fer_sync_send_many(o->blocking, &text, 1, 0, &accepted);
}

static fer_status sync_send_fds(objects *o) {
    return fer_sync_send_fds(o->blocking, &text, 1, input, 1, 0);
}

static fer_status sync_flush(objects *o) {
    return fer_sync_flush(o->blocking, 0);
}

static fer_status sync_receive(objects *o) {
    fer_message message;
    return fer_sync_receive(o->blocking, 0, &message);
}

static fer_status sync_close(objects *o) {
    return fer_sync_close(o->blocking, 0);
}

static fer_status sync_fileno(objects *o) {
    int number;
    return fer_sync_fileno(o->blocking, &number);
}

static fer_status sync_server_fileno(objects *o) {
    int number;
    return fer_sync_server_fileno(o->acceptor, &number);
}

static fer_status sync_accept(objects *o) {
    fer_channel *accepted = NULL;
    return fer_sync_accept(o->acceptor, 0, &accepted);
}

enum {
    ANY = CALL_ANY_THREAD,
    CLOSED = CALL_WHEN_CLOSED,
    REGISTERS = CALL_REGISTERS,
    EVEN = CALL_EVEN_BLOCKING
};

/* Those that close, and those that change what the others need, come last. */
const call calls[] = {
    {"fer_loop_fd", CALL_LOOP, 0, fd},
    {"fer_loop_timeout", CALL_LOOP, 0, timeout},
    {"fer_loop_linger", CALL_LOOP, 0, linger},
    {"fer_loop_stop", CALL_LOOP, ANY, stop},
    {"fer_loop_wake", CALL_LOOP, ANY, wake},
    {"fer_loop_post", CALL_LOOP, ANY, post},
    {"fer_loop_fail", CALL_LOOP, 0, fail_loop},
    {"fer_loop_set_notify", CALL_LOOP, REGISTERS, set_notify},
    {"fer_loop_adopt", CALL_LOOP, ANY, adopt},
    {"fer_loop_run", CALL_LOOP, 0, run},
    {"fer_loop_step", CALL_LOOP, 0, step},
    {"fer_pipe_new", CALL_LOOP, 0, new_pipe},
    {"fer_channel_connect", CALL_LOOP, 0, connect_channel},
    {"fer_channel_pair", CALL_LOOP, 0, pair_channels},
    {"fer_channel_parent", CALL_LOOP, 0, parent_channel},
    {"fer_server_listen", CALL_LOOP, REGISTERS, listen_server},
    {"fer_handle_hold_loop", CALL_PIPE, 0, hold_loop_handle},
    {"fer_handle_fileno", CALL_PIPE, 0, handle_fileno},
    {"fer_handle_set_data", CALL_PIPE, CLOSED | REGISTERS, set_handle_data},
    {"fer_pipe_getsockname", CALL_PIPE, 0, pipe_sockname},
    {"fer_pipe_getpeername", CALL_PIPE, 0, pipe_peername},
    {"fer_pipe_bind", CALL_PIPE, 0, bind_pipe},
    {"fer_pipe_connect", CALL_PIPE, 0, connect_pipe},
    {"fer_pipe_open", CALL_PIPE, 0, open_pipe},
    {"fer_stream_listen", CALL_PIPE, REGISTERS, listen_stream},
    {"fer_stream_accept", CALL_PIPE, 0, accept_stream},
    {"fer_stream_read_start", CALL_PIPE, REGISTERS, read_start},
    {"fer_stream_read_stop", CALL_PIPE, 0, read_stop},
    {"fer_stream_write", CALL_PIPE, 0, write_stream},
    {"fer_stream_try_write", CALL_PIPE, 0, try_write},
    {"fer_stream_shutdown", CALL_PIPE, 0, shutdown_stream},
    {"fer_channel_receive", CALL_CHANNEL, REGISTERS, receive},
    {"fer_channel_pause", CALL_CHANNEL, 0, pause_channel},
    {"fer_channel_resume", CALL_CHANNEL, 0, resume},
    {"fer_channel_send", CALL_CHANNEL, 0, send_message},
    {"fer_channel_send_many", CALL_CHANNEL, 0, send_many},
    {"fer_channel_send_fds", CALL_CHANNEL, 0, send_fds},
    {"fer_channel_cork", CALL_CHANNEL, 0, cork},
    {"fer_channel_uncork", CALL_CHANNEL, 0, uncork},
    {"fer_channel_flush", CALL_CHANNEL, 0, flush},
    {"fer_channel_unsent", CALL_CHANNEL, CLOSED | EVEN, unsent},
    {"fer_message_take", CALL_CHANNEL, 0, take_handle},
    {"fer_message_take_fd", CALL_CHANNEL, EVEN, take_fd},
    {"fer_message_take_data", CALL_CHANNEL, EVEN, take_data},
    {"fer_channel_set_body_memory", CALL_CHANNEL, EVEN, set_body_memory},
    {"fer_channel_on_drain", CALL_CHANNEL, REGISTERS, on_drain},
    {"fer_channel_get_info", CALL_CHANNEL, EVEN, get_info},
    {"fer_channel_get_stats", CALL_CHANNEL, CLOSED | EVEN, get_stats},
    {"fer_channel_peer_credentials", CALL_CHANNEL, EVEN, peer_credentials},
    {"fer_channel_hold_loop", CALL_CHANNEL, 0, hold_loop_channel},
    {"fer_channel_set_data", CALL_CHANNEL, CLOSED | REGISTERS | EVEN, set_channel_data},
    {"fer_server_address", CALL_SERVER, EVEN, server_address},
    {"fer_server_hold_loop", CALL_SERVER, 0, hold_loop_server},
    {"fer_server_set_limits", CALL_SERVER, EVEN, set_limits},
    {"fer_server_on_allow", CALL_SERVER, REGISTERS | EVEN, on_allow},
    {"fer_sync_send", CALL_BLOCKING, ANY, sync_send},
    {"fer_sync_send_fds", CALL_BLOCKING, ANY, sync_send_fds},
    {"fer_sync_send_many", CALL_BLOCKING, ANY, sync_send_many},
    {"fer_sync_flush", CALL_BLOCKING, ANY, sync_flush},
    {"fer_sync_receive", CALL_BLOCKING, ANY, sync_receive},
    {"fer_sync_fileno", CALL_BLOCKING, ANY, sync_fileno},
    {"fer_sync_server_fileno", CALL_ACCEPTOR, ANY, sync_server_fileno},
    {"fer_sync_accept", CALL_ACCEPTOR, ANY, sync_accept},
    {"fer_sync_close", CALL_BLOCKING, ANY | CLOSED, sync_close},
    {"fer_channel_close", CALL_CHANNEL, CLOSED, close_channel},
    {"fer_channel_abort", CALL_CHANNEL, CLOSED | EVEN, abort_channel},
    {"fer_handle_close", CALL_PIPE, CLOSED, close_handle},
    {"fer_server_drain", CALL_SERVER, CLOSED, drain_server},
    {"fer_server_abort", CALL_SERVER, CLOSED, abort_server},
    {"fer_server_close", CALL_SERVER, CLOSED | EVEN, close_server},
    {"fer_loop_close_objects", CALL_LOOP, 0, close_objects},
    {"fer_loop_close", CALL_LOOP, CLOSED, close_loop},
};

const size_t call_count = sizeof calls / sizeof calls[0];

size_t calls_expect(objects *o, fer_status expected, int (*wanted)(const call *call)) {
    size_t wrong = 0;
    for (size_t i = 0; i < handle_call_count + call_count; i++) {
        const call *made = i < handle_call_count ? &handle_calls[i] : &calls[i - handle_call_count];
        if (wanted != NULL && !wanted(made))
            continue;
        const int finalized = o->finalized.calls;
        fer_status status = made->call(o);
        if (status != expected) {
            fprintf(stderr, "%s gave %s instead of %s\n", made->name, fer_status_name(status),
                    fer_status_name(expected));
            wrong++;
        }
        if (status != FER_OK &&
            o->finalized.calls - finalized != ((made->flags & CALL_REGISTERS) != 0)) {
            fprintf(stderr, "%s called the finalizer %d times\n", made->name,
                    o->finalized.calls - finalized);
            wrong++;
        }
    }
    return wrong;
}
