#include "address.h"

#include <limits.h>
#include <string.h>

#include "status.h"

enum { SHORT_NAME_MAX = 64 };

/* Spans are printed cut to this, so that the reason is not what gets cut. */
enum { SHOWN_MAX = 80 };

#define SHOWN(span) ((span).size < SHOWN_MAX ? (int)(span).size : SHOWN_MAX), (span).text

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int is_hex_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int is_name_character(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
}

static fer__span span_from(const char *text, size_t size) {
    fer__span span = {text, size};
    return span;
}

/** A decimal number without sign and leading zeros, of at most `most`. Returns 0 for anything else. */
static int parse_number(fer__span digits, unsigned long most, unsigned long *number) {
    if (digits.size == 0 || (digits.size > 1 && digits.text[0] == '0'))
        return 0;
    unsigned long value = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (!is_digit(digits.text[i]))
            return 0;
        unsigned long digit = (unsigned long)(digits.text[i] - '0');
        if (value > (most - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return 1;
}

static int is_ipv4(fer__span host) {
    const char *end = host.text + host.size;
    const char *part = host.text;
    for (int i = 0; i < 4; i++) {
        const char *stop = part;
        while (stop < end && *stop != '.')
            stop++;
        unsigned long number;
        if (!parse_number(span_from(part, (size_t)(stop - part)), 255, &number))
            return 0;
        if (i == 3)
            return stop == end;
        if (stop == end)
            return 0;
        part = stop + 1;
    }
    return 0;
}

static int is_ipv6(fer__span host) {
    const char *text = host.text;
    const char *end = text + host.size;
    int groups = 0;
    int gap = 0;
    if (host.size >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 1;
        text += 2;
    }
    while (text < end) {
        const char *stop = text;
        while (stop < end && is_hex_digit(*stop))
            stop++;
        if (stop < end && *stop == '.') {
            /* The last 32 bits may be written as an IPv4 address. */
            groups += 2;
            if (!is_ipv4(span_from(text, (size_t)(end - text))))
                return 0;
            break;
        }
        if (stop == text || stop - text > 4)
            return 0;
        groups++;
        if (stop == end)
            break;
        if (*stop != ':' || stop + 1 == end)
            return 0;
        text = stop + 1;
        if (*text == ':') {
            if (gap)
                return 0;
            gap = 1;
            text++;
        }
    }
    return gap ? groups < 8 : groups == 8;
}

static fer_status parse_pipe(fer__span rest, fer__address *address) {
    if (rest.size == 0)
        return fer__fail(FER_EADDRESS,
                         "pipe: a path, an @abstract name or a short name is missing");
    address->name = rest;
    if (rest.text[0] == '/') {
        address->transport = FER__TRANSPORT_PIPE_PATH;
        return FER_OK;
    }
    if (rest.text[0] == '@') {
        address->transport = FER__TRANSPORT_PIPE_ABSTRACT;
        address->name = span_from(rest.text + 1, rest.size - 1);
        if (rest.size == 1)
            return fer__fail(FER_EADDRESS, "pipe: a name is missing after the @");
        return FER_OK;
    }
    address->transport = FER__TRANSPORT_PIPE_NAME;
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.text[i] == '/')
            return fer__fail(FER_EADDRESS, "pipe: the path \"%.*s\" does not begin with a slash",
                             SHOWN(rest));
        if (!is_name_character(rest.text[i]))
            return fer__fail(FER_EADDRESS,
                             "pipe: byte %lu of the name \"%.*s\" is not a letter, a digit, '.', "
                             "'_' or '-'",
                             (unsigned long)i + 1, SHOWN(rest));
    }
    if (rest.text[0] == '.')
        return fer__fail(FER_EADDRESS, "pipe: the name \"%.*s\" begins with a dot", SHOWN(rest));
    if (rest.size > SHORT_NAME_MAX)
        return fer__fail(FER_EADDRESS, "pipe: a name of %lu bytes, at most %d are allowed",
                         (unsigned long)rest.size, SHORT_NAME_MAX);
    return FER_OK;
}

static fer_status parse_fifo(fer__span rest, fer__address *address) {
    address->transport = FER__TRANSPORT_FIFO;
    address->name = address->second = rest;
    /* A server makes the two itself. */
    if (rest.size == 0)
        return FER_OK;
    const char *comma = memchr(rest.text, ',', rest.size);
    if (comma == NULL)
        return fer__fail(FER_EADDRESS, "fifo: no comma between two paths in \"%.*s\"", SHOWN(rest));
    address->name = span_from(rest.text, (size_t)(comma - rest.text));
    address->second = span_from(comma + 1, rest.size - address->name.size - 1);
    if (memchr(address->second.text, ',', address->second.size) != NULL)
        return fer__fail(FER_EADDRESS, "fifo: more than one comma in \"%.*s\"", SHOWN(rest));
    if (address->name.size == 0 || address->name.text[0] != '/')
        return fer__fail(FER_EADDRESS, "fifo: the first path \"%.*s\" does not begin with a slash",
                         SHOWN(address->name));
    if (address->second.size == 0 || address->second.text[0] != '/')
        return fer__fail(FER_EADDRESS, "fifo: the second path \"%.*s\" does not begin with a slash",
                         SHOWN(address->second));
    return FER_OK;
}

/** Find host and port of `rest`; the colon between them is the last, or the one after the bracket. */
static fer_status split_tcp(fer__span rest, fer__address *address, fer__span *port) {
    size_t colon;
    if (rest.size > 0 && rest.text[0] == '[') {
        const char *bracket = memchr(rest.text, ']', rest.size);
        if (bracket == NULL)
            return fer__fail(FER_EADDRESS, "tcp: no closing bracket in \"%.*s\"", SHOWN(rest));
        address->name = span_from(rest.text + 1, (size_t)(bracket - rest.text) - 1);
        if (!is_ipv6(address->name))
            return fer__fail(FER_EADDRESS, "tcp: \"%.*s\" is not an IPv6 address",
                             SHOWN(address->name));
        colon = (size_t)(bracket - rest.text) + 1;
    } else {
        colon = rest.size;
        while (colon > 0 && rest.text[colon - 1] != ':')
            colon--;
        if (colon == 0)
            return fer__fail(FER_EADDRESS, "tcp: no colon between host and port in \"%.*s\"",
                             SHOWN(rest));
        colon--;
        address->name = span_from(rest.text, colon);
        if (memchr(rest.text, ':', colon) != NULL)
            return fer__fail(FER_EADDRESS, "tcp: the IPv6 address \"%.*s\" needs brackets",
                             SHOWN(address->name));
        if (!is_ipv4(address->name) &&
            !(colon == 9 && memcmp(address->name.text, "localhost", 9) == 0))
            return fer__fail(FER_EADDRESS,
                             "tcp: the host \"%.*s\" is neither an IP address nor localhost",
                             SHOWN(address->name));
    }
    if (colon >= rest.size || rest.text[colon] != ':')
        return fer__fail(FER_EADDRESS, "tcp: no colon after the bracket in \"%.*s\"", SHOWN(rest));
    *port = span_from(rest.text + colon + 1, rest.size - colon - 1);
    return FER_OK;
}

static fer_status parse_tcp(fer__span rest, fer__address *address) {
    address->transport = FER__TRANSPORT_TCP;
    fer__span port = {NULL, 0};
    fer_status status = split_tcp(rest, address, &port);
    if (status != FER_OK)
        return status;
    unsigned long number;
    if (!parse_number(port, UINT16_MAX, &number))
        return fer__fail(FER_EADDRESS, "tcp: the port \"%.*s\" is not a number from 0 to 65535",
                         SHOWN(port));
    address->port = (uint16_t)number;
    return FER_OK;
}

static fer_status parse_fd(fer__span rest, fer__address *address) {
    address->transport = FER__TRANSPORT_FD;
    unsigned long number;
    if (!parse_number(rest, INT_MAX, &number))
        return fer__fail(FER_EADDRESS, "fd: \"%.*s\" is not the number of a descriptor",
                         SHOWN(rest));
    address->fd = (int)number;
    return FER_OK;
}

static int take_scheme(const char *text, const char *scheme, fer__span *rest) {
    size_t size = strlen(scheme);
    if (strncmp(text, scheme, size) != 0)
        return 0;
    *rest = span_from(text + size, strlen(text + size));
    return 1;
}

fer_status fer__address_parse(const char *text, fer__address *address) {
    if (text == NULL || address == NULL)
        return fer__fail(FER_EINVAL, "the address is NULL");
    memset(address, 0, sizeof *address);
    address->fd = -1;
    fer__span rest = {NULL, 0};
    if (take_scheme(text, "pipe:", &rest))
        return parse_pipe(rest, address);
    if (take_scheme(text, "fifo:", &rest))
        return parse_fifo(rest, address);
    if (take_scheme(text, "tcp:", &rest))
        return parse_tcp(rest, address);
    if (take_scheme(text, "fd:", &rest))
        return parse_fd(rest, address);
    rest = span_from(text, strlen(text));
    return fer__fail(FER_EADDRESS,
                     "\"%.*s\" does not begin with pipe:, fifo:, tcp: or fd:", SHOWN(rest));
}
