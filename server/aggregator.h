/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator: runs, rounds, attempts, and the masked sum. I/O-free (common/machine.h).
 *
 * The commit-then-mask machine of aggregation.md section 3: OPEN, READY, COMMIT, CONFIRM relayed,
 * LOCKED by all, GO, chunks added mod 2^q as they arrive, RESULT. It sees identities, sample counts,
 * times and key levels; never a key, a single update or a loss.
 *
 * Connections: clients (ROLE_CLIENT, the site name from the certificate) speak the fed exchange;
 * operators (ROLE_CTL) the ctl exchange with verbs status, rounds, sum, run-start, run-stop, drain,
 * evaluation, metrics.
 */
#pragma once

#include "common/machine.h"
#include "common/quantiser.h"
#include "proto/fed.pb-c.h"
#include "server/store.h"

struct aggregator;

/* Phase deadlines in ms; 0 takes the default of server/round.c's table. */
struct aggregator_deadlines {
    uint64_t ready_ms;
    uint64_t confirm_ms;
    uint64_t locked_ms;
    uint64_t upload_ms; /* after the last progress; one upload at 1 Mbit/s is added */
    uint64_t wait_key_ms;
    uint64_t done_ms;
};

struct aggregator_config {
    const char *federation;
    const char *const *roster; /* site names, sorted, kept until free */
    size_t sites;
    uint32_t min_clients; /* K_min of the run, >= 3 */
    uint32_t wait_ms;     /* after min_clients are there: time for the others to join */
    uint64_t rounds;
    bool start_auto;           /* begin a run if the store has never had one */
    bool exit_when_done;       /* EFFECT_STOP once the run has ended */
    uint32_t attempts_max;     /* per round, then SKIP; 0: default */
    const Fed__Params *params; /* kept until free */
    const double *model;       /* first model, `params->parameters` doubles; kept until free */
    struct aggregator_deadlines deadlines;
    uint8_t seed[32]; /* of run ids */
};

/* -EINVAL with a sentence for what cannot work: a roster too small or too large, a q too small for it. */
int aggregator_check(const struct aggregator_config *config, struct err *e) must_check;

/* Checks, loads the store and resumes. `store` is kept until free. */
int aggregator_new(struct aggregator **out, const struct aggregator_config *config,
    struct store *store, uint64_t now_ms, struct err *e) must_check;
void aggregator_free(struct aggregator *a);

int aggregator_step(
    struct aggregator *a, const struct event *event, struct update *update) must_check;
uint64_t aggregator_deadline_ms(const struct aggregator *a);

/* From the next step on no round is opened and no new attempt made; EFFECT_STOP comes when what is
 * under way has ended, by its deadline at the latest. The verb `drain` does the same. */
void aggregator_drain(struct aggregator *a);

/* ---- queries, for the simulator's invariants and for tests ---- */
struct aggregator_view {
    const char *phase; /* a constant */
    uint64_t round;
    uint64_t attempt;
    uint64_t rounds_summed;
    uint64_t rounds_skipped;
    bool ended;
    const double *model;
    uint32_t parameters;
};
struct aggregator_view aggregator_query(const struct aggregator *a);
