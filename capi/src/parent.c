#include "ferrule/parent.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "check_channel.h"
#include "ferrule/sync.h"
#include "impl/address.h"
#include "impl/mem.h"

enum { FIRST_ACTIVATED = 3, ADDRESS_MAX = 32 };

/* What would fail in any case must not cost the channel. */
static fer_status check_options(const fer_channel_options *options) {
    fer_channel_options known;
    FER__TRY(fer__copy_channel_options(&known, options));
    if (known.secret != NULL)
        return fer__fail(FER_ENOTSUP, "a secret is proved between a server and its client");
    return FER_OK;
}

/* The address in the variable, which is gone afterwards, whatever it says. */
static fer_status take_address(char *address, fer__fd *fd) {
    fer__address parsed;
    fer_status status = fer__os_take_variable(FER_PARENT_VARIABLE, address, ADDRESS_MAX);
    if (status == FER_ENOENT)
        return fer__fail(FER_ENOENT, "this process was not started with a channel");
    if (status != FER_OK)
        return status;
    FER__TRY(fer__address_parse(address, &parsed));
    if (parsed.transport != FER__TRANSPORT_FD)
        return fer__fail(FER_EADDRESS, FER_PARENT_VARIABLE " does not name a descriptor");
    if (parsed.fd < FIRST_ACTIVATED)
        return fer__fail(FER_EINVAL, FER_PARENT_VARIABLE " names a standard stream");
    *fd = parsed.fd;
    return FER_OK;
}

/* Whether something else than a connected socket has the number: then it is not the parent's channel. */
static int is_alien(fer_status status) {
    return status == FER_EBADF || status == FER_ENOTSOCK || status == FER_EPROTOTYPE ||
           status == FER_ENOTCONN;
}

/* With the variable gone nobody else knows the number. */
static void close_lost(fer_status status, fer__fd fd) {
    if (status != FER_OK && !is_alien(status))
        fer__os_close(fd);
}

fer_status fer_channel_parent(fer_loop *loop, const fer_channel_options *options,
                              fer_channel_connected_cb cb, void *user, fer_channel **channel) {
    char address[ADDRESS_MAX];
    fer__fd fd = FER__NO_FD;
    fer_status status;
    FER__TRY(FER__REQUIRE(channel != NULL, "channel"));
    *channel = NULL;
    FER__TRY(fer__check_loop(loop));
    FER__TRY(FER__REQUIRE(cb != NULL, "cb"));
    FER__TRY(check_options(options));
    FER__TRY(take_address(address, &fd));
    status = fer_channel_connect(loop, address, options, cb, user, channel);
    close_lost(status, fd);
    return status;
}

fer_status fer_sync_parent(const fer_channel_options *options, int64_t timeout_ms,
                           fer_channel **channel) {
    char address[ADDRESS_MAX];
    fer__fd fd = FER__NO_FD;
    fer_status status;
    FER__TRY(FER__REQUIRE(channel != NULL, "channel"));
    *channel = NULL;
    FER__TRY(check_options(options));
    FER__TRY(take_address(address, &fd));
    status = fer_sync_connect(address, options, timeout_ms, channel);
    close_lost(status, fd);
    return status;
}

/* Whether the name of this number in a list with colons between is the wanted one. */
static int has_name(const char *names, unsigned long number, const char *wanted) {
    size_t size;
    for (; number > 0; number--) {
        names = strchr(names, ':');
        if (names == NULL)
            return 0;
        names++;
    }
    size = strcspn(names, ":");
    return size == strlen(wanted) && memcmp(names, wanted, size) == 0;
}

static fer_status find_activated(const char *name, size_t index, unsigned long *number) {
    unsigned long count = 0;
    const char *names = NULL;
    FER__TRY(fer__os_activated(&count, &names));
    for (*number = 0; *number < count; ++*number) {
        if (name != NULL && (names == NULL || !has_name(names, *number, name)))
            continue;
        if (index == 0)
            return FER_OK;
        index--;
    }
    return fer__fail(FER_ENOENT, "the service manager passed no such socket");
}

fer_status fer_activation_address(const char *name, size_t index, char *buffer, size_t *size) {
    char address[ADDRESS_MAX];
    unsigned long number = 0;
    size_t length;
    FER__TRY(FER__REQUIRE(size != NULL && (buffer != NULL || *size == 0), "buffer"));
    FER__TRY(find_activated(name, index, &number));
    length = (size_t)snprintf(address, sizeof address, "fd:%lu", FIRST_ACTIVATED + number);
    if (length + 1 > *size) {
        *size = length + 1;
        return fer__fail_plain(FER_ENOBUFS);
    }
    memcpy(buffer, address, length + 1);
    *size = length;
    return FER_OK;
}
