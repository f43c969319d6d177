/**
 * What has gone over the channels of a command: for --verbose.
 */
#ifndef FERRULE_TOOL_TALLY_H
#define FERRULE_TOOL_TALLY_H

#include "ferrule.h"

struct tally {
    uint64_t channels;
    fer_channel_stats sum;
};

/** Add what a channel has counted, once it is closed. */
void tally_add(struct tally *tally, const fer_channel *channel);

/** Print it, one line on standard error, after `what`. */
void tally_report(const struct tally *tally, const char *what);

#endif
