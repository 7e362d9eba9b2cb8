/* SPDX-License-Identifier: Apache-2.0 */
/* What an eavesdropper, or a bad fibre, does to the light of one link.
 *
 * Intercept-resend: of a fraction of the pulses of the first user's arm Eve measures the phase in a
 * uniformly chosen basis, without loss or misalignment of her own, and sends on the state that she
 * found: in the user's basis the same one, in the other basis a random one. Gains are kept, and
 * an error rate e becomes e + fraction (1/4 - e/2) in both bases, up to the second order in mu eta
 * (double clicks). In blocks of 200 s the key of the paper's links is gone at 5.8 to 8.5 % of the
 * pulses. Phase noise: see optics_init.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"
#include "keypool/qkd/optics.h"

struct eve {
    double intercept;   /* fraction of the pulses, 0 to 1 */
    double phase_noise; /* rad, 0 to OPTICS_PHASE_NOISE_MAX */
};

/* -EINVAL with a sentence if a number is out of its range. */
int eve_check(const struct eve *eve, struct err *e) must_check;
/* The probabilities of a link with her on it: of what the users sent and the detectors said. */
void eve_optics(struct optics *o, const struct link_params *p, const struct eve *eve);
/* One pulse passes her: the state that goes on. */
struct optics_state eve_pass(const struct eve *eve, struct optics_state sent, struct rng *r);
