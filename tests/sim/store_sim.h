/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's store in memory (server/store.h), with a power cut at any durable write.
 *
 * Every write is one transaction: whole, or, if the power goes inside it, whole or not at all, drawn
 * from the seed. What load() returns is a deep copy, so that a restarted aggregator shares nothing
 * with the one that crashed.
 */
#pragma once

#include "server/store.h"

struct store_sim;

struct store_sim *store_sim_new(uint64_t seed);
/* Safe on NULL. */
void store_sim_free(struct store_sim *s);
/* The interface for the core; lives as long as `s`. */
struct store *store_sim_store(struct store_sim *s);

/* The power goes in the n-th write from now on, 1 being the next; 0 disarms. That call and all later
 * ones fail with -EIO until store_sim_restart. */
void store_sim_cut_at(struct store_sim *s, uint64_t n);
bool store_sim_is_cut(const struct store_sim *s);
/* The n-th write from now on returns `error` and writes nothing. */
void store_sim_fail_at(struct store_sim *s, uint64_t n, int error);
/* True once that has happened, until the restart. */
bool store_sim_has_failed(const struct store_sim *s);
void store_sim_restart(struct store_sim *s);

/* From now on GO is forgotten at a restart. For mutants: what if it were not durable? */
void store_sim_forget_go(struct store_sim *s);

/* Writes so far. */
uint64_t store_sim_operations(const struct store_sim *s);
/* The durable state, borrowed until the next write. */
const struct store_state *store_sim_state(const struct store_sim *s);

/* A copy of everything, as a backup; store_sim_restore makes the store that copy again. */
struct store_sim *store_sim_snapshot(const struct store_sim *s);
void store_sim_restore(struct store_sim *s, const struct store_sim *image);

/* The last attempt whose GO became durable, 0: none. */
uint64_t store_sim_last_go(const struct store_sim *s);
/* Attempts or rounds that ended so. */
size_t store_sim_count(const struct store_sim *s, enum store_outcome outcome);

/* Published results, oldest first, for the simulator's oracle. */
struct store_sim_result {
    uint64_t round;
    uint64_t attempt;
    struct blob *sum; /* packed words, canaries included */
};
size_t store_sim_results(const struct store_sim *s);
const struct store_sim_result *store_sim_result(const struct store_sim *s, size_t i);
