/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a peer's vault since the start: nothing of it outlives the process. */
#pragma once

#include "common/gf128.h"
#include "common/secret.h"
#include "keypool/vault/ledger.h"

#define SESSION_AT_REST_MS ((uint64_t)30 * 1000) /* how long the peer's cursor may stay ahead */
#define SESSION_REPEAT_MS  ((uint64_t)20 * 1000) /* cursors are told again: the last may be lost */
#define SESSION_KEY_TAGS   ((uint64_t)1 << 20)   /* tags under one hash key */

/* The deciding end knows of a block of the other end: its tag has come, or only its id. */
struct claim {
    uint8_t id[ENTRY_ID_BYTES];
    bool has_tag;
    uint64_t len;
    uint64_t tag_seq;
    uint8_t tag[GF128_BYTES];
    uint64_t since_ms;
};

/* Key bytes of the session, in locked memory. */
struct session_keys {
    uint8_t tx[GF128_BYTES]; /* hash key of the tags that this end makes */
    uint8_t rx[GF128_BYTES]; /* and of those it checks */
    struct {
        uint8_t key[GF128_BYTES];
        uint8_t pad[GF128_BYTES];
    } claims[LEDGER_STAGED_MAX];
};

struct session_stream {
    bool in_step;            /* cursors compared since the start, and this end is not behind */
    uint64_t ahead_since_ms; /* the peer has been ahead at rest since; NEVER_MS: it is not */
    uint64_t last_range;     /* bytes of the last range reserved, to judge what is LOW */
};

/* What the KME knows of the pair. */
struct session_room {
    uint64_t bytes;            /* that may still come */
    uint64_t auth_tx, auth_rx; /* bytes of pads */
    bool is_low;
    bool in_step;
};

struct session {
    bool link_up;
    bool is_synced; /* the peer's SYNC has come since the link is up */
    bool has_announced;
    bool has_asked; /* a SYNC was sent because a decision was missing */
    bool is_broken; /* the ends contradict each other: only pairing again helps */
    uint64_t synced_ms;
    uint64_t told_ms; /* the cursors were told last */
    uint64_t tx_seq;  /* of the next tag; a multiple of SESSION_KEY_TAGS brings a new key */
    uint64_t rx_seq;  /* expected */
    bool has_rx_key;
    struct session_stream streams[LEDGER_STREAMS];
    struct claim claims[LEDGER_STAGED_MAX];
    size_t n_claims;
    struct secret keys; /* struct session_keys */
    struct session_room room_told;
    bool is_room_told;
};

struct session *session_new(void) must_check;
/* Safe on NULL. */
void session_free(struct session *s);
struct session_keys *session_keys(struct session *s);

/* The link is down, or the peer begins anew. */
void session_reset(struct session *s);

/* Index of the claim on a block, or -1. */
int session_find_claim(const struct session *s, const uint8_t *id);
/* A claim without a tag, or NULL if there are too many. */
struct claim *session_add_claim(struct session *s, const uint8_t *id, uint64_t now_ms);
void session_drop_claim(struct session *s, size_t index);
