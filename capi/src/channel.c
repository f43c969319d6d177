#include "ferrule/channel.h"

#include "check_channel.h"
#include "impl/address.h"

fer_status fer_address_check(const char *address) {
    fer__address parsed;
    return fer__address_parse(address, &parsed);
}

fer_status fer_channel_connect(fer_loop *loop, const char *address,
                               const fer_channel_options *options, fer_channel_connected_cb cb,
                               void *user, fer_channel **channel) {
    fer_channel_options known;
    FER__TRY(FER__REQUIRE(channel != NULL, "channel"));
    *channel = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE(address != NULL, "address"));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    FER__TRY(fer__copy_channel_options(&known, options));
    return fer__channel_connect(loop, address, &known, cb, user, channel);
}

fer_status fer_channel_pair(fer_loop *loop, const fer_channel_options *options,
                            fer_channel_connected_cb cb, void *user, fer_channel *channels[2]) {
    fer_channel_options known;
    FER__TRY(FER__REQUIRE(channels != NULL, "channels"));
    channels[0] = channels[1] = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    FER__TRY(fer__copy_channel_options(&known, options));
    return fer__channel_pair(loop, &known, cb, user, channels);
}

fer_channel *fer_channel_ref(fer_channel *channel) {
    if (channel != NULL)
        fer__object_ref(&channel->object);
    return channel;
}

void fer_channel_unref(fer_channel *channel) {
    if (channel != NULL)
        fer__object_unref(&channel->object);
}

fer_loop *fer_channel_loop(const fer_channel *channel) {
    return channel == NULL || channel->blocking != NULL ? NULL : channel->object.loop;
}

fer_status fer_channel_receive(fer_channel *channel, fer_messages_cb cb, void *user,
                               fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_channel_on_loop(channel), user, finalizer);
    FER__TRY_REGISTER(FER__REQUIRE(cb != NULL, "cb"), user, finalizer);
    return fer__channel_receive(channel, cb, user, finalizer);
}

fer_status fer_channel_pause(fer_channel *channel) {
    FER__TRY(fer__check_channel_on_loop(channel));
    return fer__channel_set_paused(channel, 1);
}

fer_status fer_channel_resume(fer_channel *channel) {
    FER__TRY(fer__check_channel_on_loop(channel));
    return fer__channel_set_paused(channel, 0);
}

/* The descriptor of a handle that is to be passed over a channel. */
static fer_status fd_to_pass(const fer_channel *channel, const fer_handle *handle, fer__fd *fd) {
    FER__TRY(fer__check_handle(handle));
    FER__TRY(fer__check_fd(handle));
    if (handle->object.loop != channel->object.loop)
        return fer__fail(FER_EINVAL, "the handle is on another loop than the channel");
    *fd = handle->io.fd;
    return FER_OK;
}

static fer_status check_handle_count(size_t count) {
    if (count > FER_MESSAGE_HANDLES_MAX)
        return fer__fail(FER_EINVAL, "%zu handles, a message carries %d at most", count,
                         FER_MESSAGE_HANDLES_MAX);
    return FER_OK;
}

fer_status fer_channel_send(fer_channel *channel, const fer_bytes *parts, size_t count,
                            fer_handle *const *handles, size_t handle_count, fer_sent_cb cb,
                            void *user) {
    fer__fd fds[FER_MESSAGE_HANDLES_MAX];
    size_t i;
    FER__TRY(fer__check_channel_on_loop(channel));
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(FER__REQUIRE(handles != NULL || handle_count == 0, "handles"));
    FER__TRY(check_handle_count(handle_count));
    for (i = 0; i < handle_count; i++)
        FER__TRY(fd_to_pass(channel, handles[i], &fds[i]));
    return fer__channel_send(channel, parts, count, fds, handle_count, cb, user);
}

fer_status fer_channel_send_many(fer_channel *channel, const fer_bytes *messages, size_t count,
                                 size_t *accepted) {
    FER__TRY(FER__REQUIRE(accepted != NULL, "accepted"));
    *accepted = 0;
    FER__TRY(fer__check_channel_on_loop(channel));
    FER__TRY(fer__check_messages(messages, count));
    return fer__channel_send_many(channel, messages, count, accepted);
}

fer_status fer_channel_send_fds(fer_channel *channel, const fer_bytes *parts, size_t count,
                                const fer_fd *fds, size_t fd_count, fer_sent_cb cb, void *user) {
    fer__fd known[FER_MESSAGE_HANDLES_MAX];
    FER__TRY(fer__check_channel_on_loop(channel));
    FER__TRY(fer__check_parts(parts, count));
    FER__TRY(fer__check_fds(fds, fd_count, known));
    return fer__channel_send(channel, parts, count, known, fd_count, cb, user);
}

fer_status fer_channel_cork(fer_channel *channel) {
    FER__TRY(fer__check_channel_on_loop(channel));
    fer__channel_cork(channel);
    return FER_OK;
}

fer_status fer_channel_uncork(fer_channel *channel) {
    FER__TRY(fer__check_channel_on_loop(channel));
    fer__channel_uncork(channel);
    return FER_OK;
}

fer_status fer_channel_flush(fer_channel *channel, fer_sent_cb cb, void *user) {
    FER__TRY(fer__check_channel_on_loop(channel));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    return fer__channel_flush_then(channel, cb, user);
}

int fer_channel_is_writable(const fer_channel *channel) {
    return channel != NULL && fer__channel_is_open(channel) && channel->broken == FER_OK &&
           !channel->said_goodbye && !channel->above;
}

fer_status fer_channel_on_drain(fer_channel *channel, fer_drain_cb cb, void *user,
                                fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_channel_on_loop(channel), user, finalizer);
    fer__callback_set(&channel->drain, (void (*)(void))cb, user, finalizer);
    return FER_OK;
}

fer_status fer_channel_close(fer_channel *channel, fer_channel_closed_cb cb, void *user) {
    FER__TRY(fer__check_channel_any(channel));
    FER__TRY(fer__check_not_blocking(channel));
    return fer__channel_close(channel, cb, user);
}

fer_status fer_channel_abort(fer_channel *channel) {
    FER__TRY(fer__check_channel_any(channel));
    if (channel->blocking == NULL) {
        fer__channel_abort(channel);
        return FER_OK;
    }
    FER__TRY(fer__enter(channel->blocking));
    fer__sync_abort(channel);
    fer__leave(channel->blocking);
    return FER_OK;
}

int fer_channel_is_closing(const fer_channel *channel) {
    return channel == NULL || channel->object.state != FER__OPEN;
}

fer_status fer_channel_hold_loop(fer_channel *channel, int hold) {
    FER__TRY(fer__check_channel_on_loop(channel));
    if (hold < FER_CHANNEL_HOLD_NEVER || hold > FER_CHANNEL_HOLD_SENDING)
        return fer__fail(FER_EINVAL, "there is no way %d to hold a loop", hold);
    fer__channel_hold_loop(channel, (fer_channel_hold)hold);
    return FER_OK;
}

fer_status fer_channel_set_data(fer_channel *channel, void *data, fer_finalizer finalizer) {
    FER__TRY_REGISTER(fer__check_channel_any(channel), data, finalizer);
    fer__object_set_data(&channel->object, data, finalizer);
    return FER_OK;
}

void *fer_channel_data(const fer_channel *channel) {
    return channel == NULL ? NULL : channel->object.data;
}
