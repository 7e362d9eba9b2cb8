/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways to draw the effective events of a block, behind one call: only the events (event_draw),
 * or pulse by pulse (pulse_draw). Same link, same Eve, same statistics; SIMULATED.
 */
#pragma once

#include "keypool/qkd/eve.h"

#include <stddef.h>

struct sim_draw;

/* NULL if there is no memory. The same seed draws the same events. */
struct sim_draw *sim_draw_events_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]) must_check;
struct sim_draw *sim_draw_pulses_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]) must_check;
/* Wipes what it draws from. Safe on NULL. */
void sim_draw_free(struct sim_draw *d);

/* The next events of the pulses before `until`, at most `max`; fewer: all those pulses are done. */
size_t sim_draw_until(
    struct sim_draw *d, struct optics_event *out, size_t max, uint64_t until) must_check;

/* Pulses that give about `events` events, and take no more than a few milliseconds to draw. */
uint64_t sim_draw_slice(const struct sim_draw *d, size_t events);
/* Time that it takes to look at so many pulses, in events drawn and told. */
uint64_t sim_draw_cost(const struct sim_draw *d, uint64_t pulses);
