/* SPDX-License-Identifier: Apache-2.0 */
/* One story: a federation in bad weather, then calm, then at rest; told by one seed.
 *
 *   1. rounds in the weather of the seed until so many have ended, or the time is up;
 *   2. calm: everybody comes back, and then rounds must end with a sum, all within a bounded time and
 *      number of attempts (invariant 7);
 *   3. at rest: the server stops, everything settles, nothing is reserved, both ends of every stream
 *      agree (invariant 6).
 */
#pragma once

#include "tests/sim/federation.h"

struct story_setting {
    uint64_t seed;
    uint64_t rounds;                       /* to end in the weather, summed or skipped */
    FILE *narrate;                         /* NULL: silent */
    const struct federation_parts *parts;  /* NULL: the real cores */
    const struct weather *weather;         /* NULL: drawn from the seed */
    void (*prepare)(struct federation *f); /* may be NULL: before the weather */
};

struct story_result {
    uint64_t completed, skipped, aborted;
    uint64_t struck[FAULTS];
    uint64_t trace;
    uint64_t steps;
    uint64_t virtual_ms;
    char *violation; /* owned by the caller; NULL if there was none */
};

struct story_result story_tell(const struct story_setting *setting);
