/* Where a server is. */
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "server.h"
#include "status.h"

enum { BACKLOG = 511, MODE = 0600, DIRECTORY_MAX = 1024 };

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = fer__malloc(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

/* Sockets. */

static fer_status bind_pipe(const fer__place *place, fer__site *site) {
    fer_status status = fer__os_socket_pipe(&site->fd);
    if (status != FER_OK)
        return status;
    return fer__os_bind_pipe(site->fd, place->name, place->name_size, MODE, 0, BACKLOG,
                             &site->bound);
}

/* The address with the port that the system picked. */
static fer_status name_tcp(fer__site *site) {
    char text[FER__HOST_MAX + 16];
    char host[FER__HOST_MAX];
    uint16_t port = 0;
    fer_status status = fer__os_inet_name(site->fd, 0, host, &port);
    if (status != FER_OK)
        return status;
    snprintf(text, sizeof text, strchr(host, ':') != NULL ? "tcp:[%s]:%u" : "tcp:%s:%u", host,
             (unsigned)port);
    site->address = copy_text(text);
    return site->address == NULL ? fer__fail_plain(FER_ENOMEM) : FER_OK;
}

static fer_status bind_tcp(const fer__place *place, fer__site *site) {
    fer_status status = fer__os_socket_inet(&place->inet, 0, &site->fd);
    if (status == FER_OK)
        status = fer__os_bind_inet(site->fd, &place->inet, 0, FER__INET_IPV6_ONLY);
    if (status == FER_OK)
        status = fer__os_listen(site->fd, BACKLOG);
    return status == FER_OK ? name_tcp(site) : status;
}

static fer_status take_fd(const fer__place *place, fer__site *site) {
    fer_status status;
    if (!fer__os_is_listening(place->fd))
        return fer__fail(FER_EPROTOTYPE, "fd: %d does not listen", place->fd);
    site->fd = place->fd;
    site->is_given = 1;
    status = fer__os_set_cloexec(place->fd);
    /* Another process may take the connection that this one was told of. */
    return status == FER_OK ? fer__os_set_nonblocking(place->fd, 1) : status;
}

/* FIFOs. */

static char *join(const char *directory, const char *name) {
    size_t size = strlen(directory) + 1 + strlen(name) + 1;
    char *path = fer__malloc(size);
    if (path != NULL)
        snprintf(path, size, "%s/%s", directory, name);
    return path;
}

static fer_status make_directory(fer__fifos *fifos) {
    char path[DIRECTORY_MAX];
    fer_status status = fer__os_make_directory(path, sizeof path);
    if (status != FER_OK)
        return status;
    fifos->directory = copy_text(path);
    if (fifos->directory == NULL) {
        fer__os_remove_directory(path);
        return fer__fail_plain(FER_ENOMEM);
    }
    fifos->place.line = FER__LINE_FIFO;
    fifos->place.name = join(path, "to-server");
    fifos->place.second = join(path, "to-client");
    if (fifos->place.name == NULL || fifos->place.second == NULL)
        return fer__fail_plain(FER_ENOMEM);
    return FER_OK;
}

static fer_status make_fifo(const char *path, fer__made *made) {
    fer_status status = fer__os_make_fifo(path, made);
    return status == FER_EEXIST ? FER_OK : status;
}

/* Clients read what the server writes, and the reverse. */
static fer_status name_fifos(fer__site *site) {
    const fer__place *place = &site->fifos->place;
    size_t size = strlen("fifo:") + strlen(place->second) + 1 + strlen(place->name) + 1;
    site->address = fer__malloc(size);
    if (site->address == NULL)
        return fer__fail_plain(FER_ENOMEM);
    snprintf(site->address, size, "fifo:%s,%s", place->second, place->name);
    return FER_OK;
}

static fer_status make_fifos(fer__place *place, fer__site *site) {
    fer__fifos *fifos = fer__zalloc(sizeof *fifos);
    fer_status status = FER_OK;
    if (fifos == NULL)
        return fer__fail_plain(FER_ENOMEM);
    site->fifos = fifos;
    fifos->place = *place;
    place->name = place->second = NULL;
    if (fifos->place.name == NULL)
        status = make_directory(fifos);
    if (status == FER_OK)
        status = make_fifo(fifos->place.name, &fifos->read_made);
    if (status == FER_OK)
        status = make_fifo(fifos->place.second, &fifos->write_made);
    return status == FER_OK ? name_fifos(site) : status;
}

void fer__fifos_undo(fer__fifos *fifos) {
    if (fifos == NULL)
        return;
    if (fifos->read_made.inode != 0)
        fer__os_remove_fifo(fifos->place.name, &fifos->read_made);
    if (fifos->write_made.inode != 0)
        fer__os_remove_fifo(fifos->place.second, &fifos->write_made);
    if (fifos->directory != NULL)
        fer__os_remove_directory(fifos->directory);
    fer__place_free(&fifos->place);
    fer__free(fifos->directory);
    fer__free(fifos);
}

/* All of them. */

void fer__site_undo(fer__site *site) {
    fer__os_unbind_pipe(&site->bound);
    if (!site->is_given)
        fer__os_close(site->fd);
    fer__fifos_undo(site->fifos);
    fer__free(site->address);
    site->fifos = NULL;
    site->address = NULL;
}

fer_status fer__site_make(const char *address, const fer_channel_options *options,
                          fer__site *site) {
    fer__place place;
    fer_status status = fer__place_make(address, options->flags, &place);
    memset(site, 0, sizeof *site);
    site->fd = FER__NO_FD;
    if (status != FER_OK)
        return status;
    site->line = (fer__line)place.line;
    status = fer__place_check_handles(&place, options);
    if (status == FER_OK && place.is_fd)
        status = take_fd(&place, site);
    else if (status == FER_OK && place.line == FER__LINE_FIFO)
        status = make_fifos(&place, site);
    else if (status == FER_OK)
        status = place.line == FER__LINE_TCP ? bind_tcp(&place, site) : bind_pipe(&place, site);
    if (status == FER_OK && site->address == NULL) {
        site->address = copy_text(address);
        if (site->address == NULL)
            status = fer__fail_plain(FER_ENOMEM);
    }
    fer__place_free(&place);
    if (status != FER_OK) {
        fer__detail detail;
        fer__detail_keep(&detail);
        fer__site_undo(site);
        return fer__fail_kept(status, &detail);
    }
    return FER_OK;
}
