/* SPDX-License-Identifier: Apache-2.0 */
/* What the aggregator must remember, as an interface: server/store_sqlite.c for daemons, a crashing
 * one in tests/sim. Every write is durable and atomic when it returns 0; any error is fatal.
 *
 * Order of writes against messages (aggregation.md section 3, "durable before sending"):
 * round before OPEN; attempt, view and high before COMMIT; GO before GO; model and result before
 * RESULT.
 */
#pragma once

#include "common/machine.h"
#include "common/sha256.h"
#include "proto/fed.h"

enum store_phase {
    STORE_IDLE,   /* between rounds */
    STORE_OPEN,   /* OPEN may have been sent */
    STORE_COMMIT, /* COMMIT may have been sent */
    STORE_GO,     /* GO may have been sent: only its own participants can end this attempt */
};

enum store_outcome { STORE_ABORTED, STORE_SKIPPED, STORE_SUMMED };

struct store_high {
    uint8_t stream[FED_STREAM_BYTES]; /* its key (server/high.h) */
    uint64_t high;  /* max of cursors reported and ends proposed; lowered only to what both ends of
                       the pair, having refused the last proposal, report (server/high.h) */
    uint64_t burnt; /* max of cursors reported and ends known to be burnt: never lowered */
};

/* The last durable state, as loaded after a start. */
struct store_state {
    bool has_run;
    bool run_ended;
    uint8_t run[FED_RUN_BYTES];
    uint64_t rounds_done; /* summed */
    uint64_t round;       /* last opened */
    enum store_phase phase;
    uint32_t aborted;  /* attempts of that round */
    uint64_t attempt;  /* highest ever proposed, over all runs */
    struct blob *view; /* of `attempt`, in COMMIT and GO; owned */
    uint8_t previous[SHA256_BYTES];
    double *model; /* owned, `parameters` doubles */
    uint32_t parameters;
    struct store_high *highs; /* owned */
    size_t n_highs;
};
void store_state_deinit(struct store_state *s);

/* A finished round, for status and the journal. Durations in ms. */
struct store_round {
    uint64_t round;
    uint64_t attempt;
    enum store_outcome outcome;
    uint32_t participants;
    uint32_t tolerance;
    uint64_t upload_bytes; /* of one client */
    uint64_t key_bytes;    /* over all edges, one end */
    uint64_t wall_ms;
    const char *reason; /* borrowed */
    const char *sites;  /* comma-separated participants, borrowed */
};

/* A published sum, kept for clients that come back with its outbox, and for audits. */
struct store_published {
    uint64_t round;
    uint64_t attempt;
    uint32_t participants;
    uint8_t base_hash[SHA256_BYTES];
    uint8_t model_hash[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
    struct blob *sum; /* owned: packed words, canaries included */
    char *sites;      /* owned: comma-separated participants */
};
void store_published_deinit(struct store_published *p);

struct store;

struct store_ops {
    int (*load)(struct store *s, struct store_state *out);
    /* A new run with its first model. */
    int (*begin_run)(struct store *s, const uint8_t run[FED_RUN_BYTES], const char *task,
        const double *model, uint32_t parameters);
    int (*open_round)(struct store *s, uint64_t round);
    int (*commit)(struct store *s, uint64_t attempt, const struct blob *view,
        const struct store_high *highs, size_t n);
    int (*go)(struct store *s, uint64_t attempt);
    /* Attempt over without a sum; the round stays open after ABORTED. */
    int (*close_attempt)(struct store *s, const struct store_round *round);
    /* The new model, its checkpoint file and the journal row, in one durable step as seen by load. */
    int (*result)(struct store *s, const struct store_round *round, const double *model,
        uint32_t parameters, const uint8_t previous[SHA256_BYTES], const struct blob *sum);
    int (*end_run)(struct store *s, const char *reason);
    /* Outcome of an attempt: 0 with *outcome, or -ENOENT if it is not known. */
    int (*outcome)(struct store *s, uint64_t attempt, enum store_outcome *outcome);
    /* What an evaluator reported. */
    int (*evaluation)(struct store *s, uint64_t round, double loss, double accuracy);
    /* JSON text of the rounds from `first` on (owned by the caller), for status and qflctl rounds. */
    char *(*rounds_json)(struct store *s, uint64_t first);
    /* Path of the newest checkpoint, borrowed; NULL before the first. */
    const char *(*checkpoint)(struct store *s);

    /* ---- optional: NULL in a store that does not keep them ---- */

    /* The sum of an attempt (or of a round of the current run, with attempt 0). 0 with *out owned by
     * the caller, or -ENOENT if it is not known or not kept any more. */
    int (*published)(
        struct store *s, uint64_t attempt, uint64_t round, struct store_published *out);
    /* JSON text of the current run's newest evaluations, [{round, loss, accuracy}], owned by the
     * caller. */
    char *(*evaluations_json)(struct store *s);
};

struct store {
    const struct store_ops *ops;
};
