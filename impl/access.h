/**
 * Who may be at the other end.
 */
#ifndef FER_IMPL_ACCESS_H
#define FER_IMPL_ACCESS_H

#include "ferrule/pipe.h"
#include "place.h"

/**
 * Find out who is at the other end of a connected socket; on TCP of who `listens` there, seen from a client.
 * FER_ENOTSUP where the system does not tell, FER_EACCES when the peer is gone.
 */
fer_status fer__access_peer(fer__line line, fer__fd fd, int listens, fer_credentials *who);

/** Whether a user is this process's, or root. */
int fer__access_is_own(const fer_credentials *who);

#endif
