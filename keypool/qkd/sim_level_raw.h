/* SPDX-License-Identifier: Apache-2.0 */
/* Levels `event` and `pulse`: each end is told its own choices and what Eve announced, and the two make
 * the key themselves.
 *
 * The two levels differ in how the events are drawn (sim_draw.h), in nothing else. Each block has a seed
 * of its own, from the boot's seed: whoever knows that one knows all bits of both users. SIMULATED.
 */
#pragma once

#include "keypool/qkd/sim_level.h"

/* NULL if there is no memory. */
struct sim_level *sim_level_event_new(const uint8_t seed[RNG_SEED_BYTES]) must_check;
struct sim_level *sim_level_pulse_new(const uint8_t seed[RNG_SEED_BYTES]) must_check;
