/**
 * Looking for an answer before going to sleep, where busy.h says that it pays.
 *
 * A loop looks once a turn: its turns do not wait meanwhile, so whatever else is on it is served as ever. Who embeds
 * a loop, or has none, looks in one call, which ends as soon as there is something.
 *
 * The processor is not offered to others in between: who needs it gets its share of it from the kernel, while
 * sched_yield(2) gives it away for milliseconds, in which many answers come.
 */
#ifndef FER_IMPL_LOOK_H
#define FER_IMPL_LOOK_H

#include "channel.h"

/** The kernel has what was sent after something was heard. */
void fer__look_ask(fer_channel *channel);

/** The kernel has all that was sent. */
static inline void fer__look_sent(fer_channel *channel) {
    if (channel->heard)
        fer__look_ask(channel);
}

/** Messages came, or a part of one; `little`: no more than an answer. */
void fer__look_heard(fer_channel *channel, int little);

/** Nothing is received on the channel for now. */
void fer__look_forget(fer_channel *channel);

/** The loop is about to wait: not yet, if it should look before. */
void fer__look_turn(fer_loop *loop);

/** Look for whatever the loop waits for. Gives whether there is something. */
int fer__look_linger(fer_loop *loop);

/**
 * Look for an answer by reading. As fer__channel_read(); FER_EAGAIN when there is no reason to look, too; FER_EINTR when
 * a handler of a signal ran and nothing came.
 */
fer_status fer__look_read(fer_channel *channel);

#endif
