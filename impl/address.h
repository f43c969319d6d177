/**
 * The address parser. Pure: no I/O, no uv, no memory of its own.
 */
#ifndef FER_IMPL_ADDRESS_H
#define FER_IMPL_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "ferrule/status.h"

typedef enum fer__transport {
    FER__TRANSPORT_PIPE_PATH,     /**< pipe:/path */
    FER__TRANSPORT_PIPE_ABSTRACT, /**< pipe:@name */
    FER__TRANSPORT_PIPE_NAME,     /**< pipe:name, in the user's runtime directory */
    FER__TRANSPORT_FIFO,          /**< fifo:IN,OUT */
    FER__TRANSPORT_TCP,           /**< tcp:HOST:PORT */
    FER__TRANSPORT_FD             /**< fd:N */
} fer__transport;

/** A piece of the address text; not ended by a NUL byte. */
typedef struct fer__span {
    const char *text;
    size_t size;
} fer__span;

/** An address, taken apart. The spans point into the text that was parsed. */
typedef struct fer__address {
    fer__transport transport;
    fer__span name; /**< path, abstract name without the @, short name, IN of a FIFO, host of tcp */
    fer__span second; /**< OUT of a FIFO; both are empty in `fifo:` alone */
    uint16_t port;    /**< of tcp; 0 picks one */
    int fd;           /**< of fd */
} fer__address;

/**
 * Take an address apart.
 *
 * A short name is 1 to 64 letters, digits, `.`, `_` or `-`, and does not begin with a dot. A tcp host
 * is a literal IPv4 address, or an IPv6 one in brackets, or `localhost`; paths of a FIFO are absolute.
 * FER_OK; FER_EINVAL for NULL; FER_EADDRESS with a detail that says what is wrong and where.
 */
fer_status fer__address_parse(const char *text, fer__address *address);

#endif
