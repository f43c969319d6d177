/**
 * The scenarios of the blocking face: part of scenarios.h.
 */
#ifndef FER_TESTS_SCENARIOS_SYNC_H
#define FER_TESTS_SCENARIOS_SYNC_H

#include "scenarios.h"

void use_a_blocking_client(outcome *to);
void use_a_blocking_server(outcome *to);
void use_a_blocking_client_on_fifos(outcome *to);

#endif
