/* SPDX-License-Identifier: Apache-2.0 */
/* What a client insists on, whatever the aggregator says: the checks of aggregation.md section 3 on a
 * round's terms and on a decoded view, each refusal with one sentence. Pure: it changes nothing.
 *
 * Every check returns 0, > 0 the enum fed_code to refuse with and a sentence, or -ENOMEM.
 */
#pragma once

#include "client/budget.h"
#include "client/levels.h"
#include "client/participant.h"
#include "client/terms.h"
#include "proto/view.h"

/* Key that a client lets a view skip: ranges between its cursor and the start. */
#define POLICY_RANGES_AHEAD 2
/* At least K_min members must have a weight of 1/(POLICY_WEIGHT_PARTS K). */
#define POLICY_WEIGHT_PARTS 4

/* SHA-256 over the members' site names: two views with the same one have the same S. */
void policy_hash_members(const View__View *view, uint8_t out[SHA256_BYTES]);

/* The terms against this client's configuration; `parameters`: of its trainer. */
int policy_check_terms(const struct policy *policy, uint32_t parameters, const struct terms *terms,
    struct err *e) must_check;

/* Who checks a view, and what it knows. */
struct policy_witness {
    const struct policy *policy;
    const char *site;
    const char *const *peers; /* the roster */
    size_t n_peers;
    const struct terms *terms;
    uint64_t samples;       /* n_i as told in READY */
    uint64_t last_attempt;  /* highest accepted so far */
    const uint8_t *skipped; /* members of the released attempt that was skipped last, or NULL */
};

/* A decoded view, which COMMIT says to be `attempt`. */
int policy_check_view(const struct policy_witness *w, const View__View *view, uint64_t attempt,
    struct err *e) must_check;

/* The own edges of a view against what the vault holds now. */
int policy_check_edges(const struct policy_witness *w, const View__View *view,
    const struct levels *levels, const struct budget *budget, uint64_t now_ms,
    struct err *e) must_check;
