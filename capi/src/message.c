#include "ferrule/message.h"

#include "check_channel.h"

fer_status fer_message_take(fer_channel *channel, const fer_message *message, size_t index,
                            fer_handle **handle) {
    fer_status status;
    int32_t kind = FER_KIND_NONE;
    fer__fd fd = FER__NO_FD;
    FER__TRY(FER__REQUIRE(handle != NULL, "handle"));
    *handle = NULL;
    FER__TRY(fer__check_channel_on_loop(channel));
    FER__TRY(FER__REQUIRE(message != NULL, "message"));
    FER__TRY(fer__message_take(channel, message, index, NULL, &kind));
    if (kind == FER_KIND_OTHER)
        return fer__fail(FER_EKIND, "the descriptor is no handle: fer_message_take_fd() gives it");
    status = fer__handle_new_of(channel->object.loop, (fer_kind)kind, handle);
    if (status != FER_OK)
        return status;
    (void)fer__message_take(channel, message, index, &fd, NULL);
    fer__handle_adopt_socket(*handle, fd);
    return FER_OK;
}

fer_status fer_message_take_fd(fer_channel *channel, const fer_message *message, size_t index,
                               fer_fd *fd) {
    fer__fd taken = FER__NO_FD;
    fer_status status;
    FER__TRY(FER__REQUIRE(fd != NULL, "fd"));
    FER__TRY(fer__check_channel(channel));
    FER__TRY(FER__REQUIRE(message != NULL, "message"));
    if (channel->blocking != NULL)
        FER__TRY(fer__enter(channel->blocking));
    status = fer__message_take(channel, message, index, &taken, NULL);
    if (channel->blocking != NULL)
        fer__leave(channel->blocking);
    if (status == FER_OK)
        *fd = taken;
    return status;
}
