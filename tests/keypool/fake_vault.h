/* SPDX-License-Identifier: Apache-2.0 */
/* A vault without keys, for worlds of KMEs: it remembers of each block a digest and how it ended, agrees
 * with its peer's as keypool.md section 1 says (the smaller name decides, for ever), and takes it as a
 * violation if a block is offered twice.
 */
#pragma once

#include "tests/sim/net.h"
#include "tests/sim/world.h"

#define FAKE_ID_BYTES 16

enum fake_state { FAKE_STAGED, FAKE_CONFIRMED, FAKE_VOID };

struct fake_block {
    uint8_t id[FAKE_ID_BYTES];
    uint64_t digest; /* of the key's bytes */
    size_t len;
    uint64_t since_ms;
    uint64_t decided_ms;
    enum fake_state state;
};

/* What survives a death. */
struct fake_vault;

/* Added to the world. `capacity` bytes of key at most, `use_per_s` of them used up per second. */
struct fake_vault *fake_vault_new(
    struct world *w, const char *site, const char *peer, uint64_t capacity, uint64_t use_per_s);
struct node *fake_vault_node(struct fake_vault *v);
size_t fake_vault_blocks(const struct fake_vault *v);
const struct fake_block *fake_vault_block(const struct fake_vault *v, size_t i);
const struct fake_block *fake_vault_find(const struct fake_vault *v, const uint8_t *id);
/* Confirmed here since that time. */
size_t fake_vault_confirmed_since(const struct fake_vault *v, uint64_t since_ms);
