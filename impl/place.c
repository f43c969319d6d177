#include "place.h"

#include <string.h>

#include "address.h"
#include "mem.h"
#include "status.h"

enum { PIPE_NAME_MAX = 4096 };

static char *copy(const char *lead, fer__span text) {
    size_t before = lead == NULL ? 0 : 1;
    char *memory = fer__malloc(before + text.size + 1);
    if (memory == NULL)
        return NULL;
    if (before != 0)
        memory[0] = *lead;
    memcpy(memory + before, text.text, text.size);
    memory[before + text.size] = '\0';
    return memory;
}

static fer_status make_short_name(const fer__address *address, fer__place *place) {
    char *path = fer__malloc(PIPE_NAME_MAX);
    fer_status status;
    if (path == NULL)
        return fer__fail_plain(FER_ENOMEM);
    status = fer__os_runtime_path(address->name.text, address->name.size, path, PIPE_NAME_MAX);
    if (status != FER_OK) {
        fer__free(path);
        return status;
    }
    place->name = path;
    place->name_size = strlen(path);
    return FER_OK;
}

static fer_status make_pipe(const fer__address *address, fer__place *place) {
    int is_abstract = address->transport == FER__TRANSPORT_PIPE_ABSTRACT;
    place->line = FER__LINE_PIPE;
    if (address->transport == FER__TRANSPORT_PIPE_NAME)
        return make_short_name(address, place);
    place->name_size = address->name.size + (is_abstract ? 1u : 0u);
    if (place->name_size >= PIPE_NAME_MAX)
        return fer__fail(FER_ENAMETOOLONG, "the path is longer than a path can be");
    place->name = copy(is_abstract ? "" : NULL, address->name);
    if (place->name == NULL)
        return fer__fail_plain(FER_ENOMEM);
    return fer__os_check_name(place->name, place->name_size);
}

static fer_status make_fifo(const fer__address *address, fer__place *place) {
    place->line = FER__LINE_FIFO;
    if (address->name.size == 0)
        return FER_OK;
    place->name = copy(NULL, address->name);
    place->name_size = address->name.size;
    place->second = copy(NULL, address->second);
    if (place->name == NULL || place->second == NULL)
        return fer__fail_plain(FER_ENOMEM);
    if (strcmp(place->name, place->second) == 0)
        return fer__fail(FER_EADDRESS, "fifo: both directions have the same path");
    return FER_OK;
}

static fer_status make_tcp(const fer__address *address, uint32_t flags, fer__place *place) {
    char host[FER__HOST_MAX];
    fer_status status;
    place->line = FER__LINE_TCP;
    if (address->name.size >= sizeof host)
        return fer__fail(FER_EADDRESS, "tcp: the host is too long");
    memcpy(host, address->name.text, address->name.size);
    host[address->name.size] = '\0';
    status = fer__os_inet_parse(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, address->port,
                                &place->inet);
    if (status == FER_OK && (flags & FER_CHANNEL_ANY_HOST) == 0 &&
        !fer__os_inet_is_loopback(&place->inet))
        return fer__fail(FER_EPERM,
                         "tcp: %s is beyond the loopback: FER_CHANNEL_ANY_HOST allows it", host);
    return status;
}

static fer_status make_fd(const fer__address *address, fer__place *place) {
    place->is_fd = 1;
    place->fd = address->fd;
    switch (fer__os_kind_of(place->fd)) {
    case FER_KIND_PIPE: place->line = FER__LINE_PIPE; return FER_OK;
    case FER_KIND_TCP: place->line = FER__LINE_TCP; return FER_OK;
    case FER_KIND_NONE: return fer__fail(FER_EBADF, "fd: %d is not open", place->fd);
    default: break;
    }
    return fer__os_is_socket(place->fd)
               ? fer__fail(FER_EPROTOTYPE, "fd: %d is no stream socket", place->fd)
               : fer__fail(FER_ENOTSOCK, "fd: %d is no socket", place->fd);
}

fer_status fer__place_make(const char *address, uint32_t flags, fer__place *place) {
    fer__address parsed;
    fer_status status = fer__address_parse(address, &parsed);
    memset(place, 0, sizeof *place);
    place->fd = FER__NO_FD;
    if (status != FER_OK)
        return status;
    switch (parsed.transport) {
    case FER__TRANSPORT_PIPE_PATH:
    case FER__TRANSPORT_PIPE_ABSTRACT:
    case FER__TRANSPORT_PIPE_NAME: status = make_pipe(&parsed, place); break;
    case FER__TRANSPORT_FIFO: status = make_fifo(&parsed, place); break;
    case FER__TRANSPORT_TCP: status = make_tcp(&parsed, flags, place); break;
    case FER__TRANSPORT_FD: status = make_fd(&parsed, place); break;
    }
    if (status != FER_OK)
        fer__place_free(place);
    return status;
}

void fer__place_free(fer__place *place) {
    fer__free(place->name);
    fer__free(place->second);
    place->name = NULL;
    place->second = NULL;
}

fer_status fer__place_check_handles(const fer__place *place, const fer_channel_options *options) {
    if (options->max_handles == 0)
        return FER_OK;
    if (options->wire == FER_WIRE_PLAIN)
        return fer__fail(FER_ENOTSUP, "the plain wire carries no handles");
    if (place->line != FER__LINE_PIPE)
        return fer__fail(FER_ENOTSUP, "this transport carries no handles: pipe: does");
    return FER_OK;
}
