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

static fer_status set_body_memory(fer_channel *channel, const fer_body_memory *known) {
    if (channel->phase != FER__CHANNEL_OPEN)
        return fer__fail(FER_ENOTCONN, "the channel is not open yet");
    return fer__intake_set_memory(&channel->in, known);
}

fer_status fer_channel_set_body_memory(fer_channel *channel, const fer_body_memory *memory) {
    fer_body_memory known = FER_BODY_MEMORY_INIT;
    fer_status status;
    FER__TRY(fer__check_channel(channel));
    FER__TRY(FER__REQUIRE(memory != NULL, "memory"));
    FER__TRY(fer__copy_struct(&known, sizeof known, memory, sizeof known));
    FER__TRY(FER__REQUIRE((known.flags & ~(uint32_t)FER_BODY_MEMORY_COLD) == 0, "flags"));
    FER__TRY(FER__REQUIRE(known.least > 0, "least"));
    FER__TRY(FER__REQUIRE(known.allocate != NULL, "allocate"));
    FER__TRY(FER__REQUIRE(known.resize != NULL, "resize"));
    FER__TRY(FER__REQUIRE(known.release != NULL, "release"));
    if (channel->blocking != NULL)
        FER__TRY(fer__enter(channel->blocking));
    status = set_body_memory(channel, &known);
    if (channel->blocking != NULL)
        fer__leave(channel->blocking);
    return status;
}

fer_status fer_message_take_data(fer_channel *channel, const fer_message *message, void **memory) {
    fer_status status;
    FER__TRY(FER__REQUIRE(memory != NULL, "memory"));
    FER__TRY(fer__check_channel(channel));
    FER__TRY(FER__REQUIRE(message != NULL, "message"));
    if (channel->blocking != NULL)
        FER__TRY(fer__enter(channel->blocking));
    status = fer__batch_take_given(&channel->object.loop->batch, message->data, memory);
    if (channel->blocking != NULL)
        fer__leave(channel->blocking);
    return status;
}
