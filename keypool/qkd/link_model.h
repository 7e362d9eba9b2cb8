/* SPDX-License-Identifier: Apache-2.0 */
/* One link of the network, optically: what Eve's detectors see of two users' pulses.
 *
 * The exactly-one-click model. Two coherent pulses of mean photon number mu, phases ta and tb, meet
 * on a beam splitter after a transmittance eta each, with visibility V = 1 - 2 e:
 *
 *     I1 = mu eta (1 + V cos(ta - tb)),  I2 = mu eta (1 - V cos(ta - tb))
 *     Pj = 1 - (1 - dark) exp(-Ij),      effective: P1 (1 - P2) or P2 (1 - P1)
 *
 * The parameters of the paper's networks are fitted so that the model gives back its Table 7; what
 * is not public (dark counts) is assumed and said so in the table. SIMULATED, all of it.
 */
#pragma once

#include "common/err.h"
#include "keypool/qkd/keyrate.h"

#include <stddef.h>

struct link_params {
    double mu;       /* mean photon number of each user's pulses */
    double eta;      /* transmittance of one arm, with Eve's optics, detectors and time window */
    double e_x, e_y; /* misalignment per basis, 0 to 1/2 */
    double dark;     /* dark counts per detector and window */
    double share_xx; /* of all pulse pairs: both users in X */
    double share_yy; /* both in Y; the rest differ */
};

/* Probability per pulse pair of those bases that it is an effective event; of these, an error. */
struct link_gains {
    double xx, xx_error;
    double yy, yy_error;
    double xy; /* a random bit */
};

/* -EINVAL with a sentence if a number is out of its range. */
int link_params_check(const struct link_params *p, struct err *e) must_check;
bool link_params_equal(const struct link_params *a, const struct link_params *b);
struct link_gains link_model_gains(const struct link_params *p);
/* Expected counts of `pulses` pulse pairs, not rounded; has_leak is false, expected_e_y set. */
struct keyrate_counts link_model_expect(const struct link_params *p, double pulses);

/* The paper's networks: parameters, and what was measured there in 200 s (Table 7, Table 1). */
struct link_paper {
    const char *network; /* "paper-3", "paper-4" */
    const char *pair;    /* "AB": alice, bob, charlie, david by their first letters */
    struct link_params params;
    struct keyrate_counts counts; /* has_leak with the published lambda_EC */
    double published_kbps;
};
size_t link_paper_count(void);
const struct link_paper *link_paper_at(size_t i);
/* NULL if the paper has no such link; the order of the users does not matter. */
const struct link_paper *link_paper_find(const char *network, const char *a, const char *b);
