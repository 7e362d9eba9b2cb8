/* SPDX-License-Identifier: Apache-2.0 */
/* The effective events of one block, in order, drawn without drawing the other pulses.
 *
 * Pulse pairs are independent, so the pulses between two events are geometrically distributed and the
 * outcome of an event does not depend on its position: gap, outcome, gap, outcome. The counts that
 * come out are exactly multinomial and the positions exactly uniform without repetition, in constant
 * memory (docs/decisions/event-draw.md). SIMULATED: never key of a real link.
 */
#pragma once

#include "common/rng.h"
#include "keypool/qkd/optics.h"

#include <stddef.h>

#define EVENT_DRAW_PULSES_MAX (UINT64_C(1) << 53)

struct event_draw;

/* The same seed draws the same events. NULL if there is no memory. */
struct event_draw *event_draw_new(
    const struct optics *o, uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]) must_check;
/* Wipes its state. Safe on NULL. */
void event_draw_free(struct event_draw *d);
void event_draw_freep(struct event_draw **d);

/* The next events, positions strictly increasing. Fewer than `max`: the block is at its end. How many
 * are asked for at once does not change what is drawn. */
size_t event_draw_next(struct event_draw *d, struct optics_event *out, size_t max) must_check;
/* The same, but only of pulses before `until`: fewer than `max`: all of them have been looked at. */
size_t event_draw_until(
    struct event_draw *d, struct optics_event *out, size_t max, uint64_t until) must_check;

/* Only the numbers of a block's events per outcome, from the same distribution: exact binomials. */
void event_draw_counts(
    const struct optics *o, uint64_t pulses, struct rng *r, uint64_t outcome[OPTICS_OUTCOMES]);
