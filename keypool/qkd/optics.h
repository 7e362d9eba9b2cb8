/* SPDX-License-Identifier: Apache-2.0 */
/* The optics of one link, cell by cell: what both users send and what Eve's two detectors say.
 *
 * link_model.h gives gains per basis; here each of the 16 cells (basis and bit of both users) has its
 * own probabilities, so that single events can be drawn. Phases theta = pi k + (pi/2)[Y]; with
 * visibility V = 1 - 2 e per basis (of a mixed pair: the mean of both)
 *
 *     I1 = mu eta (1 + V cos(ta - tb)),  I2 = mu eta (1 - V cos(ta - tb))
 *     Pj = 1 - (1 - dark) exp(-Ij),      effective: P1 (1 - P2) or P2 (1 - P1)
 *
 * Both bases are chosen independently of the bits, a mixed pair is X-Y or Y-X alike. Nobody flips a
 * bit here: an event tells what was sent, and that Bob flips his for D2 is the users' business.
 */
#pragma once

#include "keypool/qkd/link_model.h"

#include <stdint.h>

#define OPTICS_CELLS    16
#define OPTICS_OUTCOMES (2 * OPTICS_CELLS) /* a cell and the detector that clicked */

enum optics_basis { OPTICS_X, OPTICS_Y };
enum optics_detector { OPTICS_D1, OPTICS_D2 };

/* What one user sends. */
struct optics_state {
    uint8_t basis; /* enum optics_basis */
    uint8_t bit;
};

/* One effective event. */
struct optics_event {
    uint64_t position; /* of the pulse pair in its block, from 0 */
    struct optics_state a, b;
    uint8_t detector; /* enum optics_detector */
};

/* Probabilities of one link. */
struct optics {
    double sent[OPTICS_CELLS];     /* of a pulse pair: that it is of this cell; their sum is 1 */
    double click[OPTICS_CELLS][2]; /* of a pulse pair of this cell: that exactly this one clicks */
};

/* `p` has passed link_params_check. `phase_noise` in rad: standard deviation of a normal phase that
 * is added to the first user's arm anew for each pulse, 0 to OPTICS_PHASE_NOISE_MAX. */
#define OPTICS_PHASE_NOISE_MAX 3.2
void optics_init(struct optics *o, const struct link_params *p, double phase_noise);

/* One pulse pair with `phase` rad added to ta - tb: probability of each detector to click, by itself. */
void optics_detect(const struct link_params *p, struct optics_state a, struct optics_state b,
    double phase, double detect[2]);

/* Cells are numbered basis_a bit_a basis_b bit_b, outcomes cell detector, most significant first. */
unsigned optics_cell(struct optics_state a, struct optics_state b);
unsigned optics_outcome(const struct optics_event *e);
/* The event of an outcome, at position 0. */
struct optics_event optics_event_of(unsigned outcome);
/* Same bases, and after Bob's flip the bits differ. */
bool optics_is_error(const struct optics_event *e);

/* Probability of each outcome, per pulse pair. */
void optics_probabilities(const struct optics *o, double outcome[OPTICS_OUTCOMES]);
/* Adds up counts, or expected counts, per outcome; the rest of keyrate_counts is 0. */
struct keyrate_counts optics_counts(const double outcome[OPTICS_OUTCOMES]);
/* Expected counts of `pulses` pulse pairs, not rounded. */
struct keyrate_counts optics_expect(const struct optics *o, double pulses);
