#include "tally.h"

#include <inttypes.h>

#include "report.h"

void tally_add(struct tally *tally, const fer_channel *channel) {
    fer_channel_stats stats = FER_CHANNEL_STATS_INIT;

    if (channel == NULL || fer_channel_get_stats(channel, &stats) != FER_OK) {
        return;
    }
    tally->channels++;
    tally->sum.messages_in += stats.messages_in;
    tally->sum.messages_out += stats.messages_out;
    tally->sum.bytes_in += stats.bytes_in;
    tally->sum.bytes_out += stats.bytes_out;
    tally->sum.handles_in += stats.handles_in;
    tally->sum.handles_out += stats.handles_out;
    tally->sum.high_water_hits += stats.high_water_hits;
}

void tally_report(const struct tally *tally, const char *what) {
    const fer_channel_stats *sum = &tally->sum;

    report("%s: %" PRIu64 " channel%s, in %" PRIu64 " messages %" PRIu64 " bytes %" PRIu64
           " handles, out %" PRIu64 " messages %" PRIu64 " bytes %" PRIu64
           " handles, high water %" PRIu64 " times",
           what, tally->channels, tally->channels == 1 ? "" : "s", sum->messages_in, sum->bytes_in,
           sum->handles_in, sum->messages_out, sum->bytes_out, sum->handles_out,
           sum->high_water_hits);
}
