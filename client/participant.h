/* SPDX-License-Identifier: Apache-2.0 */
/* A client: joins, trains, quantises, masks, uploads, survives restarts. I/O-free (common/machine.h).
 *
 * The client's column of aggregation.md section 3. Connections: ROLE_SERVER (fed exchange, this end
 * initiates), ROLE_VAULT (vault exchange, this end initiates), ROLE_CTL (verbs status, approve, drain,
 * metrics). Training runs as a job. Pads arrive in VAULT_PAD frames of at most VAULT_TAKE_MAX bytes;
 * they are added in place and wiped in the frame, and nothing else of the client ever holds them.
 *
 * Disk (struct disk): "state" (training counter, last run), "outbox" (the masked vector of one
 * attempt, durable before LOCKED, erased after RESULT, SKIP or ABORT).
 */
#pragma once

#include "client/trainer.h"
#include "common/disk.h"
#include "common/machine.h"
#include "common/quantiser.h"

struct participant;

/* What this client insists on, whatever the server says. */
struct policy {
    uint32_t k_min; /* >= 3 */
    uint32_t t_min;
    bool any_run;     /* runs: any; else a new run id waits for `approve` */
    const char *task; /* OPEN must name it */
    unsigned q_min, q_max;
    double clip_max;
    uint64_t key_budget_bytes_per_hour; /* burnt but never released, per peer; 0: default */
    bool strict;                        /* refuse the round after a SKIP unless S is unchanged */
};

struct participant_config {
    const char *federation;
    const char *site;         /* own name */
    const char *const *peers; /* roster of enrolled peers, sorted, kept until free */
    size_t n_peers;
    struct policy policy;
    struct trainer *trainer; /* kept until free */
    uint8_t seed[32];        /* client seed of the PRF */
    uint8_t nonce[16];       /* instance nonce */
    /* For the simulator and for builds with test_hooks (client/hook.h): called with the clear
     * integers of every attempt. NULL otherwise. */
    void (*on_quantised)(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n);
    void *on_quantised_arg;
};

/* Loads state and outbox from the disk. `disk` is kept until free. */
int participant_new(struct participant **out, const struct participant_config *config,
    struct disk *disk, uint64_t now_ms, struct err *e) must_check;
void participant_free(struct participant *p);

int participant_step(
    struct participant *p, const struct event *event, struct update *update) must_check;
uint64_t participant_deadline_ms(const struct participant *p);

/* From the next step on no round is begun; EFFECT_STOP comes when the attempt under way has ended, or
 * at a deadline: then key that was reserved is accounted for, and an outbox stays for the next start.
 * The verb `drain` does the same. */
void participant_drain(struct participant *p);

/* ---- queries, for the simulator's invariants and for tests ---- */
struct participant_view {
    const char *phase;
    uint64_t round;
    uint64_t attempt;
    uint64_t training; /* training counter: identifies an update */
    const double *model;
    uint32_t parameters;
};
struct participant_view participant_query(const struct participant *p);
