/* SPDX-License-Identifier: Apache-2.0 */
/* Checks over the journals of several vaults: no key byte belongs to two attempts. Pure. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct audit_findings {
    uint64_t ranges; /* looked at */
    uint64_t streams;
    uint64_t reused;   /* pairs of overlapping ranges of different attempts, at one end or across */
    json_t *conflicts; /* array of sentences; owned by the caller */
};

/* `vaults`: array of the vaults' `audit` answers. Ranges of the same stream reported by the two ends
 * are compared too: the same bytes must belong to the same attempt, or be skipped. -EINVAL with a
 * sentence for answers of another shape. */
int audit_ranges(const json_t *vaults, struct audit_findings *out, struct err *e) must_check;

/* Adds up the clients' integers and compares them with the published sum of one round.
 * `clients`: array of arrays of integers; `sum`: array. 1 equal, 0 not, -EINVAL with a sentence. */
int audit_sum(const json_t *clients, const json_t *sum, struct err *e) must_check;
