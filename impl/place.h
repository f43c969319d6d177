/**
 * Where a channel or a server is: an address, made ready for the system.
 */
#ifndef FER_IMPL_PLACE_H
#define FER_IMPL_PLACE_H

#include "ferrule/channel.h"
#include "os.h"

/** How the bytes of a channel travel. */
typedef enum fer__line {
    FER__LINE_PIPE, /**< a Unix domain socket: descriptors can ride on them */
    FER__LINE_TCP,
    FER__LINE_FIFO /**< two descriptors, one for each direction */
} fer__line;

typedef struct fer__place {
    uint8_t line;     /**< a fer__line; of an `fd:` address that of its socket */
    uint8_t is_fd;    /**< the socket is there already: `fd` */
    char *name;       /**< name of the pipe, or path of the FIFO to read; NUL-ended */
    size_t name_size; /**< without the NUL byte; an abstract name begins with one */
    char *second;     /**< path of the FIFO to write; NULL for `fifo:` alone, as `name` is */
    fer__inet inet;
    fer__fd fd;
} fer__place;

/**
 * Make a place of an address. `flags` holds FER_CHANNEL_ANY_HOST or not.
 *
 * FER_OK; FER_EADDRESS; FER_EPERM; FER_ENAMETOOLONG; FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE for a
 * descriptor that is no stream socket; FER_ENOMEM.
 */
fer_status fer__place_make(const char *address, uint32_t flags, fer__place *place);

/** Free what the place holds; a descriptor stays. */
void fer__place_free(fer__place *place);

/** FER_ENOTSUP if messages here cannot carry the handles that the options ask for. */
fer_status fer__place_check_handles(const fer__place *place, const fer_channel_options *options);

#endif
