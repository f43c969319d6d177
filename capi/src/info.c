#include "ferrule/info.h"

#include <string.h>

#include "check_channel.h"
#include "impl/access.h"

/* Fills in what is asked for, a structure that begins with its size. */
typedef fer_status (*answer)(const fer_channel *channel, void *known);

/* Ask a channel, blocking or not. `known` is `size` bytes, and so are the first of `out`. */
static fer_status ask(const fer_channel *channel, void *out, void *known, size_t size,
                      answer fill) {
    uint32_t given;
    fer_status status;
    FER__TRY(fer__check_channel_any(channel));
    FER__TRY(FER__REQUIRE(out != NULL, "the structure to fill in"));
    memcpy(&given, out, sizeof given);
    if (given < size)
        return fer__fail(FER_EINVAL, "struct_size is %u: set it with the _INIT of the structure",
                         (unsigned)given);
    if (channel->blocking != NULL)
        FER__TRY(fer__enter(channel->blocking));
    status = fill(channel, known);
    if (channel->blocking != NULL)
        fer__leave(channel->blocking);
    if (status != FER_OK)
        return status;
    memcpy(known, &given, sizeof given);
    memcpy(out, known, size);
    return FER_OK;
}

static fer_status info_of(const fer_channel *channel, void *known) {
    FER__TRY(fer__check_open(&channel->object));
    fer__channel_get_info(channel, known);
    return FER_OK;
}

fer_status fer_channel_get_info(const fer_channel *channel, fer_channel_info *info) {
    fer_channel_info known = FER_CHANNEL_INFO_INIT;
    return ask(channel, info, &known, sizeof known, info_of);
}

static fer_status stats_of(const fer_channel *channel, void *known) {
    fer__channel_get_stats(channel, known);
    return FER_OK;
}

fer_status fer_channel_get_stats(const fer_channel *channel, fer_channel_stats *stats) {
    fer_channel_stats known = FER_CHANNEL_STATS_INIT;
    return ask(channel, stats, &known, sizeof known, stats_of);
}

static fer_status peer_of(const fer_channel *channel, void *known) {
    FER__TRY(fer__check_open(&channel->object));
    if (channel->io.fd == FER__NO_FD || channel->phase == FER__CHANNEL_CONNECTING)
        return fer__fail_plain(FER_ENOTCONN);
    return fer__access_peer((fer__line)channel->line, channel->io.fd, channel->called, known);
}

fer_status fer_channel_peer_credentials(const fer_channel *channel, fer_credentials *who) {
    fer_credentials known = FER_CREDENTIALS_INIT;
    return ask(channel, who, &known, sizeof known, peer_of);
}

fer_status fer_channel_unsent(const fer_channel *channel, uint64_t *bytes) {
    FER__TRY(fer__check_channel_any(channel));
    FER__TRY(FER__REQUIRE(bytes != NULL, "bytes"));
    if (channel->blocking != NULL)
        FER__TRY(fer__enter(channel->blocking));
    *bytes = channel->unsent + fer__sendq_waiting(&channel->out);
    if (channel->blocking != NULL)
        fer__leave(channel->blocking);
    return FER_OK;
}
