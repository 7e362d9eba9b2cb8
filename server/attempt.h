/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt: its view, who has confirmed, locked and uploaded, the tags relayed, the running sum.
 *
 * Made from the view's bytes, the same ones that clients authenticate and the journal keeps, whether
 * they were just packed or come from the journal after a restart.
 */
#pragma once

#include "proto/fed.pb-c.h"
#include "proto/view.h"
#include "server/accumulate.h"
#include "server/high.h"

struct attempt_member {
    size_t site; /* index in the roster */
    bool is_confirmed;
    bool is_locked;
    bool is_done; /* has verified the result */
};

struct attempt {
    uint64_t number;
    struct blob *bytes;     /* owned: the view as sent */
    struct arena *arena;    /* owned: of the decoded view */
    const View__View *view; /* borrowed from the arena */
    struct quantiser z;
    uint32_t k;
    uint32_t tolerance;
    struct attempt_member *members; /* owned, k, as in the view */
    uint8_t *tags;                  /* owned, k x k: [from][to], valid once `from` has confirmed */
    struct graph graph;             /* owned */
    struct accumulator sum;         /* owned; begun by GO */
};

/* Takes a reference on `bytes`. > 0 with a sentence if they are not a view over this roster. */
int attempt_new(struct attempt **out, struct blob *bytes, const char *const *roster, size_t sites,
    struct err *e) must_check;
/* Safe on NULL. */
void attempt_free(struct attempt *a);

/* Index of the site among the members, or -1. */
int attempt_find(const struct attempt *a, size_t site);

enum attempt_condition {
    ATTEMPT_E_TAGS = 1, /* not exactly one tag per neighbour */
};

/* Notes the tags of member `from`; every neighbour must have exactly one. */
int attempt_confirm(struct attempt *a, uint32_t from, const Fed__Confirm *confirm) must_check;
const uint8_t *attempt_tag(const struct attempt *a, uint32_t from, uint32_t to);

bool attempt_is_confirmed(const struct attempt *a);
bool attempt_is_locked(const struct attempt *a);

/* Begins the sum. */
int attempt_go(struct attempt *a) must_check;

/* What high knows the edge's stream by (server/high.h). */
void attempt_edge_key(
    const struct attempt *a, const View__Edge *edge, uint8_t key[FED_STREAM_BYTES]);

uint64_t attempt_upload_bytes(const struct attempt *a); /* of one client */
uint64_t attempt_key_bytes(const struct attempt *a);    /* over all edges, one end */
/* "alice,bob,charlie", owned by the caller; NULL if there is no memory. */
char *attempt_sites(const struct attempt *a) must_check;
