/* SPDX-License-Identifier: Apache-2.0 */
/* The effective events of one block, pulse by pulse, for small blocks.
 *
 * Every pulse pair is prepared, passes Eve, interferes and is detected, each step with its own random
 * choice: nothing is shared with event_draw but the intensities, so that the two check each other.
 * SIMULATED: never key of a real link.
 */
#pragma once

#include "keypool/qkd/eve.h"

struct pulse_draw;

/* The same seed draws the same events. `eve` and `p` have passed their checks. NULL if there is no
 * memory. */
struct pulse_draw *pulse_draw_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]) must_check;
/* Safe on NULL. */
void pulse_draw_free(struct pulse_draw *d);
void pulse_draw_freep(struct pulse_draw **d);

/* As event_draw_next. */
size_t pulse_draw_next(struct pulse_draw *d, struct optics_event *out, size_t max) must_check;
/* As event_draw_until. */
size_t pulse_draw_until(
    struct pulse_draw *d, struct optics_event *out, size_t max, uint64_t until) must_check;

/* What both users choose for one pulse pair: bases by the link's shares, a mixed pair X-Y or Y-X alike,
 * bits at random. Position and detector are left as they are. */
void pulse_draw_choices(const struct link_params *p, struct rng *r, struct optics_event *e);
