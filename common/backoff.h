/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before trying again: exponential, with jitter, so that a hundred clients do not
 * come back at the same moment. Pure: randomness is passed in. */
#pragma once

#include <stdint.h>

struct backoff {
    uint64_t min_ms;
    uint64_t max_ms;
    unsigned failures; /* in a row */
};

/* The next wait: min_ms doubled with every failure up to max_ms, less up to half of it. `random`:
 * any 64 bits. */
uint64_t backoff_next_ms(struct backoff *b, uint64_t random);
/* It went well: begin at min_ms again. */
void backoff_reset(struct backoff *b);
