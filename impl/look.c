#include "look.h"

/* Whether too much was sent since it asked. */
static int is_stream(const fer_channel *channel) {
    return (uint32_t)channel->messages_out - channel->asked_at > FER__BUSY_MESSAGES;
}

/* Whether it is time yet. */
static int may_look(const fer_channel *channel) {
    const fer__busy *answers = &channel->object.loop->look.answers;
    return answers->asked_ns != 0 && !is_stream(channel) &&
           fer__os_now_ns() < answers->asked_ns + answers->window_ns;
}

void fer__look_ask(fer_channel *channel) {
    fer_loop *loop = channel->object.loop;
    fer__look *look = &loop->look;
    channel->heard = 0;
    channel->asked = 1;
    channel->asked_at = (uint32_t)channel->messages_out;
    fer__busy_ask(&look->answers, fer__os_now_ns(), channel->busy_poll_ns);
    if (!fer__busy_is_on(&look->answers))
        return;
    if (loop->uv != NULL && (channel->io.wanted & FER__WAIT_READ) == 0)
        return;
    look->channel = channel;
    /* A host is to linger. */
    fer__loop_touch(loop);
}

void fer__look_heard(fer_channel *channel, int little) {
    fer__busy *answers = &channel->object.loop->look.answers;
    if (channel->busy_poll_ns == 0)
        return;
    channel->heard = little != 0;
    if (!channel->asked)
        return;
    channel->asked = 0;
    if (!little || is_stream(channel)) {
        fer__busy_spoiled(answers);
    } else if (answers->asked_ns != 0) {
        fer__busy_answer(answers, fer__os_now_ns());
        if (fer__busy_is_due(answers))
            fer__busy_judge(answers, fer__os_switches());
    }
}

void fer__look_forget(fer_channel *channel) {
    fer__look *look = &channel->object.loop->look;
    if (look->channel == channel)
        look->channel = NULL;
}

static void on_look(uv_idle_t *idle) {
    (void)idle;
}

void fer__look_turn(fer_loop *loop) {
    fer__look *look = &loop->look;
    int looks;
    if (!loop->stepping && look->channel != NULL && !may_look(look->channel))
        look->channel = NULL;
    /* Who called for a single turn decides about waiting, also when a run before it ended with a look. */
    looks = look->channel != NULL && !loop->stepping;
    if (look->active == looks)
        return;
    look->active = looks;
    if (look->active)
        uv_idle_start(&loop->looking, on_look);
    else
        uv_idle_stop(&loop->looking);
}

int fer__look_linger(fer_loop *loop) {
    fer__wait wait = {uv_backend_fd(loop->uv), FER__WAIT_READ, 0};
    fer_channel *channel = loop->look.channel;
    /* Its descriptor does not speak for all that there is to do. */
    if (channel == NULL || loop->unpolled || !fer__link_alone(&loop->ready))
        return 0;
    while (may_look(channel)) {
        if (fer__os_wait(&wait, 1, 0) == FER_OK)
            return 1;
    }
    loop->look.channel = NULL;
    return 0;
}

fer_status fer__look_read(fer_channel *channel) {
    fer__look *look = &channel->object.loop->look;
    const fer__batch *batch = &channel->object.loop->batch;
    fer_status status = FER_EAGAIN;
    fer__signals before;
    if (look->channel == NULL || channel->out.queued > 0)
        return FER_EAGAIN;
    look->channel = NULL;
    fer__os_hold_signals(&before);
    while (status == FER_EAGAIN && batch->count == 0 && may_look(channel))
        status = fer__channel_read(channel, 0);
    if (status != FER_EAGAIN || batch->count > 0) {
        fer__os_release_signals(&before);
        return status;
    }
    /* Who looks waits, for the caller: a signal ends that. */
    status = fer__os_deliver_signals(&before);
    return status == FER_OK ? FER_EAGAIN : status;
}
