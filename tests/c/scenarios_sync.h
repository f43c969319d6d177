/**
 * The scenarios of the blocking face: part of scenarios.h.
 */
#ifndef FER_TESTS_SCENARIOS_SYNC_H
#define FER_TESTS_SCENARIOS_SYNC_H

#include "scenarios.h"

/** Note a failure. Returns whether there was one. */
int failed(outcome *to, fer_status status);

void use_a_blocking_client(outcome *to);
void use_a_blocking_server(outcome *to);

#endif
