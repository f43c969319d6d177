#include "ferrule/sync.h"

#include "check_channel.h"

static fer_status check_kind(const fer_channel *channel) {
    FER__TRY(fer__check_channel_any(channel));
    if (channel->blocking == NULL)
        return fer__fail(FER_ENOTSUP, "the channel is on a loop: use the functions fer_channel_*");
    return FER_OK;
}

/* Enter a channel that is open. */
static fer_status begin(fer_channel *channel) {
    fer_status status;
    FER__TRY(check_kind(channel));
    FER__TRY(fer__enter(channel->blocking));
    status = fer__check_open(&channel->object);
    if (status != FER_OK)
        fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_connect(const char *address, const fer_channel_options *options,
                            int64_t timeout_ms, fer_channel **channel) {
    fer_channel_options known;
    FER__TRY(FER__REQUIRE(channel != NULL, "channel"));
    *channel = NULL;
    FER__TRY(FER__REQUIRE(address != NULL, "address"));
    FER__TRY(fer__copy_channel_options(&known, options));
    return fer__sync_connect(address, &known, timeout_ms, channel);
}

fer_status fer_sync_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                         int64_t timeout_ms) {
    fer_status status;
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(begin(channel));
    status = fer__sync_send(channel, parts, count, NULL, 0, timeout_ms);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                              int64_t timeout_ms, size_t *accepted) {
    fer_status status;
    FER__TRY(FER__REQUIRE(accepted != NULL, "accepted"));
    *accepted = 0;
    FER__TRY(fer__check_messages(messages, count));
    FER__TRY(begin(channel));
    status = fer__sync_send_many(channel, messages, count, timeout_ms, accepted);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_send_fds(fer_channel *channel, const fer_bytes *parts, size_t count,
                             const fer_fd *fds, size_t fd_count, int64_t timeout_ms) {
    fer__fd known[FER_MESSAGE_HANDLES_MAX];
    fer_status status;
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(fer__check_fds(fds, fd_count, known));
    FER__TRY(begin(channel));
    status = fer__sync_send(channel, parts, count, known, fd_count, timeout_ms);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_flush(fer_channel *channel, int64_t timeout_ms) {
    fer_status status;
    FER__TRY(begin(channel));
    status = fer__sync_flush(channel, timeout_ms);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_receive(fer_channel *channel, int64_t timeout_ms, fer_message *message) {
    fer_status status;
    FER__TRY(FER__REQUIRE(message != NULL, "message"));
    FER__TRY(begin(channel));
    status = fer__sync_receive(channel, timeout_ms, message);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_close(fer_channel *channel, int64_t timeout_ms) {
    fer_status status = FER_OK;
    FER__TRY(check_kind(channel));
    FER__TRY(fer__enter(channel->blocking));
    if (channel->object.state != FER__CLOSED)
        status = fer__sync_close(channel, timeout_ms);
    fer__leave(channel->blocking);
    return status;
}

fer_status fer_sync_fileno(fer_channel *channel, int *fd) {
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(begin(channel));
    *fd = channel->io.fd;
    fer__leave(channel->blocking);
    return FER_OK;
}

fer_status fer_sync_listen(const char *address, const fer_channel_options *options,
                           fer_server **server) {
    fer_channel_options known;
    FER__TRY(FER__REQUIRE(server != NULL, "server"));
    *server = NULL;
    FER__TRY(FER__REQUIRE(address != NULL, "address"));
    FER__TRY(fer__copy_channel_options(&known, options));
    return fer__sync_listen(address, &known, server);
}

/* Enter a blocking server. */
static fer_status begin_server(fer_server *server) {
    FER__TRY(FER__REQUIRE(server != NULL, "server"));
    FER__TRY(fer__loop_check(server->object.loop));
    if (server->blocking == NULL)
        return fer__fail(FER_ENOTSUP, "the server is on a loop: it calls back with its channels");
    return fer__enter(server->blocking);
}

fer_status fer_sync_server_fileno(fer_server *server, int *fd) {
    fer__fd known = FER__NO_FD;
    fer_status status;
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(begin_server(server));
    status = fer__check_open(&server->object);
    if (status == FER_OK)
        status = fer__sync_server_fileno(server, &known);
    if (status == FER_OK)
        *fd = known;
    fer__leave(server->blocking);
    return status;
}

fer_status fer_sync_accept(fer_server *server, int64_t timeout_ms, fer_channel **channel) {
    fer_status status;
    FER__TRY(FER__REQUIRE(channel != NULL, "channel"));
    *channel = NULL;
    FER__TRY(begin_server(server));
    /* The callback that decides about clients may drop the last other one. */
    fer__object_ref(&server->object);
    status = fer__check_open(&server->object);
    if (status == FER_OK)
        status = fer__sync_accept(server, timeout_ms, channel);
    fer__leave(server->blocking);
    fer__object_unref(&server->object);
    return status;
}
