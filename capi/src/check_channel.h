/**
 * The checks that functions of channels and servers begin with.
 */
#ifndef FER_CAPI_CHECK_CHANNEL_H
#define FER_CAPI_CHECK_CHANNEL_H

#include "check.h"
#include "impl/channel.h"
#include "impl/server.h"
#include "impl/sync.h"

/** A channel that may be closed. */
static inline fer_status fer__check_channel_any(const fer_channel *channel) {
    if (channel == NULL)
        return fer__fail(FER_EINVAL, "the channel is NULL");
    return fer__loop_check(channel->object.loop);
}

static inline fer_status fer__check_channel(const fer_channel *channel) {
    FER__TRY(fer__check_channel_any(channel));
    return fer__check_open(&channel->object);
}

static inline fer_status fer__check_not_blocking(const fer_channel *channel) {
    if (channel->blocking != NULL)
        return fer__fail(FER_ENOTSUP, "a blocking channel is used with the functions fer_sync_*");
    return FER_OK;
}

static inline fer_status fer__check_channel_on_loop(const fer_channel *channel) {
    FER__TRY(fer__check_channel(channel));
    return fer__check_not_blocking(channel);
}

/** Begin a call on something blocking. One thread at a time: FER_EBUSY for the second. */
static inline fer_status fer__enter(fer__blocking *blocking) {
    if (atomic_flag_test_and_set_explicit(&blocking->busy, memory_order_acquire))
        return fer__fail(FER_EBUSY, "another thread is in a call on it");
    return FER_OK;
}

static inline void fer__leave(fer__blocking *blocking) {
    atomic_flag_clear_explicit(&blocking->busy, memory_order_release);
}

/** The caller's options with the defaults filled in; `options` may be NULL. */
static inline fer_status fer__copy_channel_options(fer_channel_options *known,
                                                   const fer_channel_options *options) {
    const fer_channel_options defaults = FER_CHANNEL_OPTIONS_INIT;
    *known = defaults;
    if (options != NULL)
        FER__TRY(fer__copy_struct(known, sizeof *known, options, sizeof *known));
    return fer__channel_options_check(known);
}

/** Descriptors that are to be passed, into `known` of FER_MESSAGE_HANDLES_MAX. */
static inline fer_status fer__check_fds(const fer_fd *fds, size_t count, fer__fd *known) {
    size_t i;
    FER__TRY(FER__REQUIRE(fds != NULL || count == 0, "fds"));
    if (count > FER_MESSAGE_HANDLES_MAX)
        return fer__fail(FER_EINVAL, "%zu descriptors, a message carries %d at most", count,
                         FER_MESSAGE_HANDLES_MAX);
    for (i = 0; i < count; i++) {
        FER__TRY(fer__check_fd_number(fds[i]));
        known[i] = (fer__fd)fds[i];
        if (fer__os_kind_of(known[i]) == FER_KIND_NONE)
            return fer__fail(FER_EBADF, "%d is no descriptor", known[i]);
    }
    return FER_OK;
}

#endif
