/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes part in an attempt, and the mask graph over them: one policy per implementation.
 *
 * `complete` is the paper's: every pair of participants shares key, T = K - 2. A pair without key costs
 * the round the one of its two clients that has less key elsewhere (aggregation.md section 2). Below
 * K_min there is no attempt and the policy names the pair that lacks key.
 */
#pragma once

#include "common/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct select_input {
    size_t n;                  /* candidates: connected and READY */
    const uint64_t *available; /* n x n, symmetric: bytes of key of each pair; 0: none */
    uint64_t need;             /* bytes of key that an edge takes */
    uint32_t k_min;
};

struct select_result {
    bool *is_chosen; /* n, the caller's */
    uint32_t k;
    uint32_t tolerance; /* T */
    struct graph graph; /* over the chosen ones, in their order; the caller's to deinit when 0 */
    bool has_blamed;
    size_t blamed[2]; /* the pair of candidates whose lack of key cost most */
};

enum select_condition { SELECT_E_FEW = 1 /* fewer than k_min are left */ };

struct graph_policy {
    const char *name;
    int (*choose)(const struct select_input *in, struct select_result *out);
};

extern const struct graph_policy graph_policy_complete;
