/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator with a byte budget, for what is decoded from peers.
 *
 * Nothing is freed one by one: reset forgets everything at once. The budget bounds what one message
 * of a peer can make us allocate, whatever it claims.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;

/* `keep` bytes are held between resets; larger messages are allocated for the time being. NULL if
 * there is no memory. */
struct arena *arena_new(size_t keep) must_check;
/* Wipes and frees. Safe on NULL. */
void arena_free(struct arena *a);
/* Forgets everything decoded; wipes the bytes if they may have been secret. */
void arena_reset(struct arena *a, bool wipe);

/* From now on `bytes` more may be allocated. */
void arena_budget(struct arena *a, size_t bytes);

enum arena_condition { ARENA_E_BUDGET = 1 };

/* `len` bytes, not initialised, aligned to `align` (1 or 8). 0 with *out, ARENA_E_BUDGET, -ENOMEM. */
int arena_alloc(struct arena *a, size_t len, size_t align, void **out) must_check;
