#include "channel.h"
#include "mem.h"
#include "status.h"

/* The end of opening. */

void fer__opening_free(fer__opening *opening) {
    if (opening == NULL)
        return;
    fer__link_remove(&opening->link);
    fer__place_free(&opening->place);
    fer__secret_free(opening->secret);
    fer__free(opening->auth);
    fer__free(opening);
}

static uint32_t least(uint32_t a, uint64_t b, uint64_t c) {
    uint64_t of_both = b < c ? b : c;
    return of_both < a ? (uint32_t)of_both : a;
}

void fer__channel_opened(fer_channel *channel, fer_status status) {
    fer__opening *opening = channel->opening;
    if (opening == NULL || opening->done)
        return;
    fer__detail_keep(&opening->detail);
    fer__deadline_clear(channel->object.loop, &channel->deadline);
    opening->done = 1;
    opening->result = status;
    channel->phase = status == FER_OK ? FER__CHANNEL_OPEN : FER__CHANNEL_FAILED;
    channel->small = least(FER__COPY_MAX, channel->limits.max_message, channel->peer.max_message);
    if (status != FER_OK) {
        channel->ended = 1;
        channel->end = status;
        fer__channel_break(channel, status);
    }
    fer__object_due(&channel->object);
}

int fer__channel_run_opened(fer_channel *channel) {
    fer__opening *opening = channel->opening;
    fer_status status = opening->result;
    if (channel->object.state != FER__OPEN)
        status = FER_ECANCELED;
    else if (!opening->done)
        return 0;
    channel->opening = NULL;
    fer__link_remove(&opening->link);
    if (status != FER_OK && status == opening->result)
        fer__fail_kept(status, &opening->detail);
    else if (status != FER_OK)
        fer__fail_plain(status);
    opening->opened(channel, status, opening->user);
    fer__opening_free(opening);
    return 1;
}

static int keep_secret(fer__opening *opening, const fer_channel_options *options) {
    if (options->secret == NULL)
        return 1;
    opening->secret = fer__secret_new(options->secret, options->secret_size);
    opening->auth = fer__zalloc(sizeof *opening->auth);
    if (opening->secret == NULL || opening->auth == NULL)
        return 0;
    opening->auth->secret = opening->secret;
    return 1;
}

static fer__opening *opening_new(const fer_channel_options *options,
                                 fer_channel_connected_cb opened, void *user) {
    fer__opening *opening = fer__zalloc(sizeof *opening);
    if (opening == NULL)
        return NULL;
    opening->opened = opened;
    opening->user = user;
    opening->retry_ms = FER__FIRST_RETRY_MS;
    opening->handshake_timeout_ms = options->handshake_timeout_ms;
    opening->any_user = (options->flags & FER_CHANNEL_ANY_USER) != 0;
    opening->place.fd = FER__NO_FD;
    fer__link_init(&opening->link);
    if (!keep_secret(opening, options)) {
        fer__opening_free(opening);
        return NULL;
    }
    return opening;
}

/* The ways to a channel. */

/* A channel on its way to being open. */
static fer_status begin(fer_loop *loop, const fer_channel_options *options, fer__line line,
                        fer_channel_connected_cb opened, void *user, fer_channel **out) {
    fer__opening *opening = opening_new(options, opened, user);
    fer_channel *channel = NULL;
    fer_status status = opening == NULL ? fer__fail_plain(FER_ENOMEM) : FER_OK;
    if (status == FER_OK)
        status = fer__channel_new(loop, options, &channel);
    if (status != FER_OK) {
        fer__opening_free(opening);
        return status;
    }
    channel->opening = opening;
    channel->line = (uint8_t)line;
    opening->channel = channel;
    if (line == FER__LINE_FIFO)
        status = fer__channel_add_fifo(channel);
    if (status != FER_OK) {
        fer__channel_abandon(channel);
        return status;
    }
    *out = channel;
    return FER_OK;
}

/* Between equals nobody could prove first. */
static fer_status check_secret(int has_sides, const fer_channel_options *options) {
    if (has_sides || options->secret == NULL)
        return FER_OK;
    return fer__fail(FER_ENOTSUP, "a secret is proved between a server and its client");
}

static fer_status check_connected(const fer__place *place) {
    if (fer__os_progress(place->fd) == FER__SOCKET_CONNECTED)
        return FER_OK;
    return fer__fail(FER_ENOTCONN, "fd: %d is not connected", place->fd);
}

/* As `place`, whose content is the channel's once it is there. */
static fer_status connect_to(fer_loop *loop, fer__place *place, const fer_channel_options *options,
                             fer_channel_connected_cb opened, void *user, fer_channel **out) {
    fer_status status = fer__place_check_handles(place, options);
    fer_channel *channel = NULL;
    if (status == FER_OK && place->line == FER__LINE_FIFO && place->name == NULL)
        status = fer__fail(FER_EADDRESS, "fifo: two paths are missing; only a server makes them");
    if (status == FER_OK)
        status = check_secret(!place->is_fd, options);
    if (status == FER_OK && place->is_fd)
        status = check_connected(place);
    if (status == FER_OK && place->is_fd)
        status = fer__os_set_cloexec(place->fd);
    if (status == FER_OK)
        status = begin(loop, options, (fer__line)place->line, opened, user, &channel);
    if (status != FER_OK)
        return status;
    channel->opening->place = *place;
    channel->opening->give_up = fer__deadline_after(options->connect_timeout_ms);
    *out = channel;
    return FER_OK;
}

fer_status fer__channel_connect(fer_loop *loop, const char *address,
                                const fer_channel_options *options, fer_channel_connected_cb opened,
                                void *user, fer_channel **out) {
    fer__place place;
    fer_status status = fer__place_make(address, options->flags, &place);
    if (status != FER_OK)
        return status;
    status = connect_to(loop, &place, options, opened, user, out);
    if (status != FER_OK) {
        fer__place_free(&place);
        return status;
    }
    if (place.is_fd) {
        (*out)->io.fd = place.fd;
        (*out)->io.keep_mode = 1;
        fer__channel_connected(*out);
    } else {
        (*out)->called = 1;
        fer__channel_try_connect(*out);
    }
    return FER_OK;
}

fer_status fer__channel_await(fer_loop *loop, fer__place *place, const fer_channel_options *options,
                              fer_channel_connected_cb opened, void *user, fer_channel **out) {
    fer_status status = connect_to(loop, place, options, opened, user, out);
    if (status != FER_OK)
        return status;
    (*out)->opening->waits = 1;
    (*out)->opening->is_server = 1;
    (*out)->opening->give_up = -1;
    fer__channel_try_connect(*out);
    return FER_OK;
}

fer_status fer__channel_accept(fer_loop *loop, const fer_channel_options *options, fer__line line,
                               fer__fd fd, fer__admit_cb admit, fer_channel_connected_cb opened,
                               void *user, fer_channel **out) {
    fer_status status = begin(loop, options, line, opened, user, out);
    if (status != FER_OK) {
        fer__os_close(fd);
        return status;
    }
    (*out)->opening->is_server = 1;
    (*out)->opening->admit = admit;
    (*out)->io.fd = fd;
    fer__channel_connected(*out);
    return FER_OK;
}

fer_status fer__channel_pair(fer_loop *loop, const fer_channel_options *options,
                             fer_channel_connected_cb opened, void *user, fer_channel *out[2]) {
    const fer__place place = {.line = FER__LINE_PIPE};
    fer__fd fds[2];
    fer_status status = fer__place_check_handles(&place, options);
    int i;
    if (status == FER_OK)
        status = check_secret(0, options);
    if (status == FER_OK)
        status = begin(loop, options, FER__LINE_PIPE, opened, user, &out[0]);
    if (status != FER_OK)
        return status;
    status = begin(loop, options, FER__LINE_PIPE, opened, user, &out[1]);
    if (status == FER_OK) {
        status = fer__os_socket_pair(fds);
        if (status != FER_OK)
            fer__channel_abandon(out[1]);
    }
    if (status != FER_OK) {
        fer__channel_abandon(out[0]);
        out[0] = out[1] = NULL;
        return status;
    }
    for (i = 0; i < 2; i++)
        out[i]->io.fd = fds[i];
    for (i = 0; i < 2; i++)
        fer__channel_connected(out[i]);
    return FER_OK;
}
