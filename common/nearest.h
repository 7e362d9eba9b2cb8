/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean ...?": the candidate nearest to a misspelt word.
 *
 *     struct nearest n = nearest_to(word);
 *     for each known name: nearest_offer(&n, name);
 *     if (n.best) ... did you mean n.best
 *
 * Distance: insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
 */
#pragma once

#include <stddef.h>

struct nearest {
    const char *word;
    const char *best; /* borrowed from the caller's candidates; NULL: none is near */
    size_t distance;
};

struct nearest nearest_to(const char *word);
void nearest_offer(struct nearest *n, const char *candidate);
