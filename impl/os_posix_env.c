/* What a process is told in its environment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "status.h"

enum { ACTIVATED_MAX = 65536 };

fer_status fer__os_take_variable(const char *name, char *value, size_t room) {
    const char *found = getenv(name);
    size_t size;
    int saved = errno;
    if (found == NULL)
        return fer__fail_plain(FER_ENOENT);
    size = strlen(found) + 1;
    if (size <= room)
        memcpy(value, found, size);
    if (unsetenv(name) != 0) {
        fer_status status = fer__status_from_errno(errno);
        errno = saved;
        return fer__fail_plain(status);
    }
    if (size > room)
        return fer__fail(FER_EADDRESS, "%s has %zu characters", name, size - 1);
    return FER_OK;
}

/* A decimal number; 0 for anything else. */
static unsigned long number_in(const char *name) {
    const char *text = getenv(name);
    char *end = NULL;
    int saved = errno;
    unsigned long number;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    number = strtoul(text, &end, 10);
    errno = saved;
    return *end == '\0' ? number : 0;
}

fer_status fer__os_activated(unsigned long *count, const char **names) {
    *count = 0;
    *names = getenv("LISTEN_FDNAMES");
    if (number_in("LISTEN_PID") != (unsigned long)getpid())
        return fer__fail(FER_ENOENT, "no service manager passed sockets to this process");
    *count = number_in("LISTEN_FDS");
    if (*count == 0 || *count > ACTIVATED_MAX)
        return fer__fail(FER_ENOENT, "LISTEN_FDS is no number of sockets");
    return FER_OK;
}
