/* SPDX-License-Identifier: Apache-2.0 */
/* Key burnt for attempts that were never released, per peer and hour.
 *
 * A lying server could burn the pools of its clients by attempts that it aborts. A client counts what
 * each attempt burns (the skipped part before a range too), takes it off again when the attempt is
 * released, and refuses views once a peer's sum over the last hour would pass its budget.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define BUDGET_WINDOW_MS ((uint64_t)3600 * 1000)

/* Without a configured budget: this many bytes, or this many attempts, whichever is more. */
#define BUDGET_DEFAULT_BYTES    ((uint64_t)1000 * 1000)
#define BUDGET_DEFAULT_ATTEMPTS ((uint64_t)64)

struct budget_entry {
    uint64_t at_ms;
    uint64_t attempt;
    const char *peer; /* of the roster */
    uint64_t bytes;
};

struct budget {
    struct budget_entry *entries; /* owned, oldest first */
    size_t n, cap;
};

void budget_deinit(struct budget *b);
int budget_burn(struct budget *b, uint64_t now_ms, uint64_t attempt, const char *peer,
    uint64_t bytes) must_check;
/* The attempt's key has been put to use. */
void budget_release(struct budget *b, uint64_t attempt);
/* Burnt for this peer within the last hour and never released. */
uint64_t budget_burnt(const struct budget *b, uint64_t now_ms, const char *peer);
/* What the peer may burn in an hour: `configured`, or the default for ranges of `range_bytes`. */
uint64_t budget_limit(uint64_t configured, uint64_t range_bytes);
