#include "access.h"

#include "status.h"

static fer_status of_tcp(fer__fd fd, int listens, fer_credentials *who) {
    char host[FER__HOST_MAX];
    uint16_t port = 0;
    fer__inet peer;
    fer_status status = fer__os_inet_name(fd, 1, host, &port);
    if (status == FER_OK)
        status = fer__os_inet_parse(host, port, &peer);
    if (status == FER_ENOTCONN)
        return fer__fail(FER_EACCES, "the peer is gone: nobody can tell who it was");
    if (status != FER_OK)
        return status;
    if (!fer__os_inet_is_loopback(&peer))
        return fer__fail(FER_ENOTSUP, "the peer is on another machine, or may be");
    return fer__os_tcp_user(fd, listens, &who->uid);
}

fer_status fer__access_peer(fer__line line, fer__fd fd, int listens, fer_credentials *who) {
    who->pid = -1;
    who->uid = UINT32_MAX;
    who->gid = UINT32_MAX;
    switch (line) {
    case FER__LINE_PIPE: return fer__os_peer_credentials(fd, &who->pid, &who->uid, &who->gid);
    case FER__LINE_TCP: return of_tcp(fd, listens, who);
    default: return fer__fail(FER_ENOTSUP, "a FIFO does not tell who is at its other end");
    }
}

int fer__access_is_own(const fer_credentials *who) {
    return who->uid == fer__os_own_user() || who->uid == 0;
}
