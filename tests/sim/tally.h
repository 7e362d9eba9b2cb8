/* SPDX-License-Identifier: Apache-2.0 */
/* The sum of many stories, by worker processes side by side; as JSON. */
#pragma once

#include "tests/sim/story.h"

struct tally {
    uint64_t seeds, completed, skipped, aborted, violations;
    uint64_t struck[FAULTS];
    uint64_t steps, virtual_ms;
    uint64_t first_bad; /* seed of the first violation; UINT64_MAX: none */
};

struct tally_setting {
    uint64_t first, last; /* seeds, inclusive */
    uint64_t rounds;
    unsigned jobs;   /* worker processes, at least 1 */
    bool keep_going; /* after a violation */
};

/* Tells the stories of all seeds; prints the sentence of each violation to stderr. < 0: -errno. */
int tally_run(const struct tally_setting *setting, struct tally *out);
/* {seeds, completed, skipped, aborted, faults{}, violations, ...}. */
void tally_print(const struct tally *t, FILE *out);
