/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the oracle: what it remembers, and what its files call each other for.
 *
 *     oracle.c         who is watched; published sums (5)
 *     oracle_vault.c   accounting (6), tags between vaults (1)
 *     oracle_client.c  what clients send and quantise (1 to 3, 8), and the key they get (1)
 */
#pragma once

#include "common/quantiser.h"
#include "common/sha256.h"
#include "tests/sim/leak.h"
#include "tests/sim/oracle.h"
#include "tests/sim/padbook.h"
#include "tests/sim/ranges.h"
#include "tests/sim/viewcheck.h"

#include "proto/fed.h"

#define SPANS_MAX ORACLE_SITES_MAX

/* A range that a client asked its vault for. */
struct span {
    uint8_t stream[RANGES_STREAM_BYTES];
    uint64_t start, len;
};

/* One client's part of one attempt. */
struct part {
    struct blob *view; /* of the last COMMIT before it reserved; owned */
    struct span spans[SPANS_MAX];
    size_t n_spans;
    int64_t *v;       /* its quantised integers; owned */
    uint64_t update;  /* the update they are from */
    uint64_t *chunks; /* hash of each chunk sent, 0: none; owned */
    uint32_t n_chunks;
    bool released;
};

struct attempt {
    uint64_t number;
    struct part part[ORACLE_SITES_MAX];
};

/* An update that has left its client. */
struct released {
    unsigned site;
    uint64_t update, attempt;
};

/* A sum that was published. */
struct summed {
    uint64_t attempt;
    uint8_t model_hash[SHA256_BYTES];
};

/* A tag that a vault has sent to its peer, and where its pad lies. */
struct tag {
    unsigned site, peer;
    uint64_t start, end;
    uint8_t value[16];
};

struct hook {
    struct oracle *oracle;
    size_t site;
};

struct oracle {
    struct oracle_setting set;
    struct ranges ranges;
    struct leak *leak;         /* owned */
    struct padbook *pads;      /* owned */
    struct attempt **attempts; /* owned, in order of first mention */
    size_t n_attempts;
    struct released *released; /* owned */
    size_t n_released;
    struct summed *summed; /* owned */
    size_t n_summed;
    struct tag *tags; /* owned */
    size_t n_tags;
    size_t seen_results; /* of the store; fewer than n_summed once it was rolled back */
    double *model;       /* owned: as it must be after them */
    uint8_t first_hash[SHA256_BYTES];
    struct blob *commit[ORACLE_SITES_MAX]; /* view of the last COMMIT each client got; owned */
    uint64_t commit_attempt[ORACLE_SITES_MAX];
    uint64_t last_attempt[ORACLE_SITES_MAX]; /* of a CONFIRM */
    uint64_t last_round[ORACLE_SITES_MAX];   /* of a READY */
    uint8_t last_run[ORACLE_SITES_MAX][FED_RUN_BYTES];
    struct hook hook[ORACLE_SITES_MAX];
};

/* ---- oracle.c ---- */
void oracle_violation(struct oracle *o, const char *invariant, const char *who, const char *what);
struct attempt *oracle_attempt(struct oracle *o, uint64_t number);
struct blob *oracle_blob(const void *data, size_t len);
/* NULL if the client held no view of the attempt; owned by the caller. */
View__View *oracle_view(const struct part *p);
struct quantiser oracle_quantiser(const View__View *v);
/* Results that are durable and were not looked at yet; the server may have died since. */
void oracle_check_results(struct oracle *o);

/* ---- oracle_client.c ---- */
void oracle_sent_by_client(struct oracle *o, unsigned site, const struct message *m);
void oracle_got_commit(struct oracle *o, unsigned site, const struct message *m);
void oracle_sent_reserve(struct oracle *o, unsigned site, const struct message *m);
void oracle_sent_pad(struct oracle *o, unsigned site, const struct message *m);

/* ---- oracle_vault.c ---- */
void oracle_sent_carry(struct oracle *o, unsigned site, const struct message *m);
void oracle_vault_stepped(struct oracle *o, size_t site);
