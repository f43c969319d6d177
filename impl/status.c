#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/** A status and an errno value that mean the same. */
struct pair {
    fer_status status;
    int number;
};

/* True in both directions. */
static const struct pair both_ways[] = {
    {FER_EINVAL, EINVAL},
    {FER_ENOMEM, ENOMEM},
    {FER_ECANCELED, ECANCELED},
    {FER_EPROTO, EPROTO},
    {FER_EMSGSIZE, EMSGSIZE},
    {FER_ETIMEDOUT, ETIMEDOUT},
    {FER_EAGAIN, EAGAIN},
    {FER_EBUSY, EBUSY},
    {FER_EALREADY, EALREADY},
    {FER_ENOTSUP, ENOTSUP},
    {FER_EINTR, EINTR},
    {FER_ENOTCONN, ENOTCONN},
    {FER_EISCONN, EISCONN},
    {FER_ECONNREFUSED, ECONNREFUSED},
    {FER_ECONNRESET, ECONNRESET},
    {FER_ECONNABORTED, ECONNABORTED},
    {FER_EPIPE, EPIPE},
    {FER_EADDRINUSE, EADDRINUSE},
    {FER_EADDRNOTAVAIL, EADDRNOTAVAIL},
    {FER_EAFNOSUPPORT, EAFNOSUPPORT},
    {FER_ENAMETOOLONG, ENAMETOOLONG},
    {FER_ENOENT, ENOENT},
    {FER_EACCES, EACCES},
    {FER_EPERM, EPERM},
    {FER_EEXIST, EEXIST},
    {FER_ENOTDIR, ENOTDIR},
    {FER_EISDIR, EISDIR},
    {FER_ELOOP, ELOOP},
    {FER_EROFS, EROFS},
    {FER_ENOSPC, ENOSPC},
#ifdef EDQUOT
    {FER_EDQUOT, EDQUOT},
#endif
    {FER_EIO, EIO},
    {FER_EBADF, EBADF},
    {FER_ENOTSOCK, ENOTSOCK},
    {FER_EMFILE, EMFILE},
    {FER_ENFILE, ENFILE},
    {FER_ENOBUFS, ENOBUFS},
#ifdef ETOOMANYREFS
    {FER_ETOOMANYREFS, ETOOMANYREFS},
#endif
    {FER_EPROTOTYPE, EPROTOTYPE},
    {FER_EPROTONOSUPPORT, EPROTONOSUPPORT},
    {FER_EDESTADDRREQ, EDESTADDRREQ},
    {FER_ENETUNREACH, ENETUNREACH},
    {FER_EHOSTUNREACH, EHOSTUNREACH},
    {FER_ENXIO, ENXIO},
    {FER_ENODEV, ENODEV},
    {FER_EFAULT, EFAULT},
    {FER_ENOSYS, ENOSYS},
};

/* Statuses that the platform has no number for: the nearest. */
static const struct pair nearest_number[] = {
    {FER_OK, 0},
    {FER_EOF, 0},
    {FER_EKIND, EINVAL},
    {FER_EADDRESS, EINVAL},
    {FER_ECLOSED, EBADF},
    {FER_ETHREAD, EPERM},
    {FER_EFORK, EPERM},
    {FER_ECALLBACK, ECANCELED},
    {FER_EVERSION, EPROTO},
#ifndef EDQUOT
    {FER_EDQUOT, ENOSPC},
#endif
#ifndef ETOOMANYREFS
    {FER_ETOOMANYREFS, ENOBUFS},
#endif
};

/* Numbers that have no status of their own: the nearest. Some are others' twins on some systems. */
static const struct pair nearest_status[] = {
    {FER_EAGAIN, EWOULDBLOCK},
    {FER_ENOTSUP, EOPNOTSUPP},
    {FER_EALREADY, EINPROGRESS},
    {FER_ENETUNREACH, ENETDOWN},
    {FER_ECONNRESET, ENETRESET},
#ifdef EHOSTDOWN
    {FER_EHOSTUNREACH, EHOSTDOWN},
#endif
#ifdef ESHUTDOWN
    {FER_EPIPE, ESHUTDOWN},
#endif
#ifdef EPFNOSUPPORT
    {FER_EAFNOSUPPORT, EPFNOSUPPORT},
#endif
#ifdef ESOCKTNOSUPPORT
    {FER_EPROTOTYPE, ESOCKTNOSUPPORT},
#endif
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct pair *find_number(const struct pair *pairs, size_t count, int number) {
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].number == number)
            return &pairs[i];
    }
    return NULL;
}

static const struct pair *find_status(const struct pair *pairs, size_t count, fer_status status) {
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].status == status)
            return &pairs[i];
    }
    return NULL;
}

fer_status fer__status_from_errno(int number) {
    const struct pair *found = find_number(both_ways, COUNT(both_ways), number);
    if (found == NULL)
        found = find_number(nearest_status, COUNT(nearest_status), number);
    return found != NULL ? found->status : FER_EUNKNOWN;
}

int fer__status_errno(fer_status status) {
    const struct pair *found = find_status(both_ways, COUNT(both_ways), status);
    if (found == NULL)
        found = find_status(nearest_number, COUNT(nearest_number), status);
    return found != NULL ? found->number : EIO;
}

const char *fer__status_name(fer_status status) {
#define NAME_CASE(name, value, text) \
    case name: return #name;
    switch ((int)status) {
        FER_STATUS_MAP(NAME_CASE)
    default: return "FER_EUNKNOWN";
    }
#undef NAME_CASE
}

const char *fer__status_text(fer_status status) {
#define TEXT_CASE(name, value, text) \
    case name: return text;
    switch ((int)status) {
        FER_STATUS_MAP(TEXT_CASE)
    default: return fer__status_text(FER_EUNKNOWN);
    }
#undef TEXT_CASE
}

static _Thread_local fer__detail detail;

const char *fer__status_detail(void) {
    return detail.text;
}

/* Mark a cut text as cut, and do not leave half of a UTF-8 character before the mark. */
static void end_cut_detail(void) {
    static const char mark[] = "...";
    size_t end = sizeof detail.text - sizeof mark;
    while (end > 0 && ((unsigned char)detail.text[end] & 0xc0) == 0x80)
        end--;
    memcpy(detail.text + end, mark, sizeof mark);
}

fer_status fer__fail(fer_status status, const char *format, ...) {
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(detail.text, sizeof detail.text, format, arguments);
    va_end(arguments);
    if (needed < 0)
        detail.text[0] = '\0';
    else if ((size_t)needed >= sizeof detail.text)
        end_cut_detail();
    errno = saved;
    return status;
}

fer_status fer__fail_plain(fer_status status) {
    detail.text[0] = '\0';
    return status;
}

void fer__detail_keep(fer__detail *kept) {
    *kept = detail;
}

fer_status fer__fail_kept(fer_status status, const fer__detail *kept) {
    detail = *kept;
    return status;
}
