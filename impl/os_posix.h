/**
 * What the POSIX files of the operating system layer share. Functions that give an int return 0 or an
 * errno value and may change `errno`; those of os.h put it back.
 */
#ifndef FER_IMPL_OS_POSIX_H
#define FER_IMPL_OS_POSIX_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "os.h"

/** End a function of os.h: `errno` becomes `saved`, and the status is that of `number`. */
fer_status fer__os_finish(int saved, int number);

#ifndef __linux__
/** Give a new socket what Linux gives it when it is made. */
int fer__os_prepare(fer__fd fd);
#endif

/** For use around one call on a descriptor whose blocking mode is not ours. */
int fer__os_switch_nonblocking(fer__fd fd, int on);

/** The flags of every sendmsg(2): it neither waits nor raises SIGPIPE. */
#ifdef MSG_NOSIGNAL
#define FER__SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define FER__SEND_FLAGS MSG_DONTWAIT
#endif

/** Make a Unix domain stream socket: non-blocking, close-on-exec, never raising SIGPIPE. */
int fer__os_open_socket(fer__fd *fd);

/** The address of a socket, and a descriptor that it refers to while it is used. */
typedef struct fer__os_address {
    struct sockaddr_un socket;
    socklen_t size;
    fer__fd held; /**< FER__NO_FD, or to be closed after the use */
} fer__os_address;

/** Give up what the address holds. */
void fer__os_address_end(fer__os_address *address);

/** Put `text` with its NUL byte into the address; 0 when it does not fit. */
int fer__os_address_fill(fer__os_address *address, const char *text);

/** Find the address of an existing socket, whatever the length of the path. */
int fer__os_address_find(const char *path, fer__os_address *address);

/** The address of an abstract name of `size` bytes, the first of which is NUL. */
void fer__os_address_abstract(const char *name, size_t size, fer__os_address *address);

/** Connect without waiting, whatever the mode of `fd`. */
int fer__os_connect_address(fer__fd fd, const fer__os_address *address);

/**
 * What the names begin with that are made up: a directory's descriptor, to be followed by a number, and a
 * hidden directory in the one that was asked for.
 */
#define FER__OS_DESCRIPTORS "/proc/self/fd/"
#define FER__OS_HIDDEN      ".fer-"

/** Copy a name of `size` bytes, which may be FER_ZSTRING. NULL when there is no memory. */
char *fer__os_copy_path(const char *name, size_t size);

/** How much of a path is shown in a detail text. */
enum { FER__SHOWN_PATH = 120 };

#endif
