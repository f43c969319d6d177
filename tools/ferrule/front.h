/**
 * What the commands that listen have in common.
 */
#ifndef FERRULE_TOOL_FRONT_H
#define FERRULE_TOOL_FRONT_H

#include "ferrule.h"

/** Say where clients find a server that was to listen at `address`: a port may have been picked. */
void announce(const fer_server *server, const char *address);

/** Serve clients of all users. 0 after a complaint. */
int serve_all(fer_server *server);

#endif
