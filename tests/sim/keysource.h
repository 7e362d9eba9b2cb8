/* SPDX-License-Identifier: Apache-2.0 */
/* Where key comes from in a story: for each pair of sites a stream of blocks, the same bytes to both
 * KMEs; by the weather sometimes to one end only, different at the two ends (the vaults must void
 * it), in another order, or twice. */
#pragma once

#include "tests/sim/world.h"

struct keysource;

/* `kmes` by site, `n` of them, kept until free. `block_bytes`: mean size of a block. */
struct keysource *keysource_new(
    struct world *w, struct node *const *kmes, size_t n, size_t block_bytes);
void keysource_free(struct keysource *s);
/* Droughts end. */
void keysource_heal(struct keysource *s);
