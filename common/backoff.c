/* SPDX-License-Identifier: Apache-2.0 */
#include "common/backoff.h"

#define MANY 64 /* doublings after which any limit is reached */

uint64_t backoff_next_ms(struct backoff *b, uint64_t random)
{
    uint64_t wait = b->min_ms;
    for (unsigned i = 0; i < b->failures && wait < b->max_ms; i++)
        wait = wait > b->max_ms / 2 ? b->max_ms : 2 * wait;
    if (b->failures < MANY)
        b->failures++;
    return wait - random % (wait / 2 + 1);
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
