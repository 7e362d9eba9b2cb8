/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle's own reading of a view, written apart from proto/view.c and client/policy.c: what a
 * client must never release under (invariant 8), and what its integers must be. */
#pragma once

#include "proto/view.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* NULL if a client of this roster may release under the view, else what is wrong (a constant). */
const char *viewcheck_release(const View__View *v, const char *site, uint64_t samples,
    const char *const *roster, size_t n_roster, uint32_t k_min, uint32_t t_min);

/* True if `v` is the quantised `update` of that site under the view: every integer within one step of
 * p_i dtheta_i clipped. */
bool viewcheck_fits(
    const View__View *view, const char *site, const double *update, const int64_t *v);

/* The site's index in the members, or -1. */
int viewcheck_find(const View__View *v, const char *site);
