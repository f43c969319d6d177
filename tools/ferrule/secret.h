/**
 * The secret of --secret-file.
 */
#ifndef FERRULE_TOOL_SECRET_H
#define FERRULE_TOOL_SECRET_H

#include "options.h"

/** Read it from a file, in the place of one that was read before. 0 after a complaint. */
int secret_load(struct secret *secret, const char *name);

/** Have another like it: a pipe can be read only once. 0 after a complaint. */
int secret_copy(struct secret *secret, const struct secret *from);

/** Forget it, and overwrite it before. */
void secret_free(struct secret *secret);

#endif
