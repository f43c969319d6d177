/**
 * The commands. Each takes its parsed options and returns an exit code of report.h.
 */
#ifndef FERRULE_TOOL_COMMANDS_H
#define FERRULE_TOOL_COMMANDS_H

#include "options.h"

int command_echo(const struct options *options);
int command_inspect(const struct options *options);
int command_listen(const struct options *options);
int command_proxy(const struct options *options);
int command_recv(const struct options *options);
int command_send(const struct options *options);

#endif
