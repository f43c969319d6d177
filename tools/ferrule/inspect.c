/* ferrule inspect: connect, and say who is there and what it takes. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>

#include "commands.h"
#include "report.h"

static double now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* What a person can do about it, beyond what the status says. */
static void advise(fer_status status, const struct options *options) {
    int plain = options->channel.wire == FER_WIRE_PLAIN;

    switch (status) {
    case FER_ENOENT:
    case FER_ECONNREFUSED:
        report_note("nobody listens there; with --timeout SECONDS this waits for somebody");
        break;
    case FER_ETIMEDOUT:
        if (!plain) {
            report_note("somebody listens there and says nothing: it hangs, or is no channel, or "
                        "speaks the plain wire (--wire=plain)");
        }
        break;
    case FER_EPROTO:
        report_note("somebody listens there, and it is no channel of the native wire");
        break;
    case FER_ECONNRESET:
        report_note(
            "somebody listens there and hung up: it does not serve this user, is full, or is "
            "no channel");
        break;
    case FER_EACCES:
        report_note("compare the secrets (--secret-file) and whose the server is (--any-user)");
        break;
    default: break;
    }
}

static void print_peer(fer_channel *channel) {
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_status status = fer_channel_peer_credentials(channel, &who);
    const struct passwd *entry;

    if (status != FER_OK) {
        printf("peer: not known (%s)\n", fer_status_name(status));
        return;
    }
    if (who.pid >= 0) {
        printf("process: %" PRId64 "\n", who.pid);
    }
    entry = getpwuid((uid_t)who.uid);
    printf("user: %" PRIu32 "%s%s%s\n", who.uid, entry != NULL ? " (" : "",
           entry != NULL ? entry->pw_name : "", entry != NULL ? ")" : "");
    if (who.gid != UINT32_MAX) {
        printf("group: %" PRIu32 "\n", who.gid);
    }
}

static int print_info(const struct options *options, fer_channel *channel, double took_ms) {
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    fer_status status = fer_channel_get_info(channel, &info);

    if (status != FER_OK) {
        report_status(status, "inspect %s", options->address);
        return RESULT_FAILED;
    }
    printf("address: %s\n", options->address);
    if (info.wire == FER_WIRE_PLAIN) {
        /* Nothing is said on it before the first message. */
        printf("wire: plain\n");
    } else {
        printf("wire: native, version %" PRIu32 "\n", info.version);
        printf("secret: %s\n", options->channel.secret != NULL ? "proved by both" : "none");
        printf("takes messages up to: %" PRIu64 " bytes\n", info.peer_max_message);
        printf("takes handles up to: %" PRIu32 " with a message\n", info.peer_max_handles);
    }
    printf("this side takes messages up to: %" PRIu64 " bytes\n", info.max_message);
    print_peer(channel);
    printf("connected in: %.1f ms\n", took_ms);
    return RESULT_OK;
}

int command_inspect(const struct options *options) {
    fer_channel_options channel_options = options->channel;
    fer_channel *channel = NULL;
    fer_status status;
    double start = now_ms();
    int result;

    if (options->timeout_ms < 0) {
        channel_options.connect_timeout_ms = 1;
    }
    status = fer_sync_connect(options->address, &channel_options, -1, &channel);
    if (status != FER_OK) {
        report_status(status, "connect %s", options->address);
        advise(status, options);
        return RESULT_FAILED;
    }
    result = print_info(options, channel, now_ms() - start);
    /* How it takes the goodbye changes nothing. */
    (void)fer_sync_close(channel, 1000);
    fer_channel_unref(channel);
    return result;
}
