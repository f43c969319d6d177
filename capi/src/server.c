#include "ferrule/server.h"

#include "check_channel.h"

static fer_status check_server_any(const fer_server *server) {
    if (server == NULL)
        return fer__fail(FER_EINVAL, "the server is NULL");
    return fer__loop_check(server->object.loop);
}

static fer_status check_server(const fer_server *server) {
    FER__TRY(check_server_any(server));
    return fer__check_open(&server->object);
}

fer_status fer_server_listen(fer_loop *loop, const char *address,
                             const fer_channel_options *options, fer_server_channel_cb cb,
                             void *user, fer_finalizer finalizer, fer_server **server) {
    fer_channel_options known;
    FER__TRY_REGISTER(FER__REQUIRE(server != NULL, "server"), user, finalizer);
    *server = NULL;
    FER__TRY_REGISTER(fer__check_loop(loop), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(address != NULL, "address"), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    FER__TRY_REGISTER(fer__copy_channel_options(&known, options), user, finalizer);
    return fer__server_listen(loop, address, &known, cb, user, finalizer, server);
}

fer_server *fer_server_ref(fer_server *server) {
    if (server != NULL)
        fer__object_ref(&server->object);
    return server;
}

void fer_server_unref(fer_server *server) {
    if (server != NULL)
        fer__object_unref(&server->object);
}

fer_loop *fer_server_loop(const fer_server *server) {
    return server == NULL || server->blocking != NULL ? NULL : server->object.loop;
}

fer_status fer_server_close(fer_server *server, fer_server_closed_cb cb, void *user) {
    fer_status status;
    FER__TRY(check_server_any(server));
    if (server->blocking == NULL)
        return fer__server_close(server, cb, user);
    FER__TRY(FER__REQUIRE(cb == NULL, "cb"));
    FER__TRY(fer__enter(server->blocking));
    status = fer__server_close(server, NULL, NULL);
    fer__sync_settle(server->object.loop);
    fer__leave(server->blocking);
    return status;
}

int fer_server_is_closing(const fer_server *server) {
    return server == NULL || server->object.state != FER__OPEN;
}

fer_status fer_server_address(const fer_server *server, char *buffer, size_t *size) {
    FER__TRY(check_server(server));
    FER__TRY(FER__REQUIRE(size != NULL && (buffer != NULL || *size == 0), "buffer"));
    return fer__server_address(server, buffer, size);
}

fer_status fer_server_hold_loop(fer_server *server, int hold) {
    FER__TRY(check_server(server));
    if (server->blocking != NULL)
        return fer__fail(FER_ENOTSUP, "a blocking server is on no loop");
    fer__server_hold_loop(server, hold);
    return FER_OK;
}

fer_status fer_server_drain(fer_server *server, fer_server_closed_cb cb, void *user) {
    FER__TRY(check_server_any(server));
    if (server->blocking != NULL)
        return fer__fail(FER_ENOTSUP, "the channels of a blocking server are its program's");
    return fer__server_drain(server, cb, user);
}

fer_status fer_server_abort(fer_server *server) {
    FER__TRY(check_server_any(server));
    if (server->blocking != NULL)
        return fer__fail(FER_ENOTSUP, "the channels of a blocking server are its program's");
    fer__server_abort(server);
    return FER_OK;
}

/* Begin a call that a blocking server allows while no other is under way. */
static fer_status begin(fer_server *server) {
    FER__TRY(check_server_any(server));
    if (server->blocking != NULL)
        FER__TRY(fer__enter(server->blocking));
    return FER_OK;
}

static void end(fer_server *server) {
    if (server->blocking != NULL)
        fer__leave(server->blocking);
}

fer_status fer_server_set_limits(fer_server *server, uint32_t max_channels,
                                 uint32_t max_half_open) {
    fer_status status;
    FER__TRY(begin(server));
    status = fer__check_open(&server->object);
    if (status == FER_OK && server->blocking != NULL && max_channels != 0)
        status = fer__fail(FER_ENOTSUP, "a blocking server's program accepts as many as it wants");
    if (status == FER_OK) {
        server->max_channels = max_channels;
        server->max_half_open = max_half_open == 0 ? FER__HALF_OPEN : max_half_open;
    }
    end(server);
    return status;
}

fer_status fer_server_on_allow(fer_server *server, fer_server_allow_cb cb, void *user,
                               fer_finalizer finalizer) {
    fer_status status;
    FER__TRY_REGISTER(begin(server), user, finalizer);
    status = fer__check_open(&server->object);
    if (status == FER_OK)
        fer__callback_set(&server->allow, (void (*)(void))cb, user, finalizer);
    end(server);
    return status == FER_OK ? FER_OK : fer__callback_refuse(status, user, finalizer);
}

size_t fer_server_count(const fer_server *server) {
    return server == NULL ? 0 : server->channel_count;
}
