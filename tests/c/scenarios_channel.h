/**
 * The scenarios of channels: part of scenarios.h.
 */
#ifndef FER_TESTS_SCENARIOS_CHANNEL_H
#define FER_TESTS_SCENARIOS_CHANNEL_H

#include "scenarios.h"

void use_native_channels(outcome *to);
void use_plain_channels(outcome *to);
void use_native_channels_on_fifos(outcome *to);
void use_plain_channels_on_fifos(outcome *to);
void use_own_fifos(outcome *to);
void use_native_channels_on_tcp(outcome *to);
void use_plain_channels_on_tcp(outcome *to);
void use_a_secret(outcome *to);
void use_descriptors(outcome *to);
void use_a_parent(outcome *to);
void use_a_pair(outcome *to);

/* scenarios_handles.c */

void use_handles(outcome *to);
void use_blocking_handles(outcome *to);

#endif
