/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal says: small facts, one after the other, whose sum is the ledger.
 *
 * A record of the journal is a list of entries that become true together. The compacted journal
 * begins with a snapshot, which is a list of entries too. Every entry has a fixed set of fields; the
 * layout is in README.md. No entry ever holds a byte of key.
 */
#pragma once

#include "common/buf.h"
#include "common/machine.h"
#include "keypool/vault/vault.h"

#define ENTRY_ID_BYTES   16 /* streams, blocks, runs */
#define ENTRY_SOURCE_MAX 63
#define ENTRY_SHARES_MAX 3

enum entry_kind {
    ENTRY_IDENTITY = 1, /* whose vault this is, and on which machine */
    ENTRY_PEER,         /* a pair with its three streams, all empty */
    ENTRY_RETIRED,      /* a stream id of an earlier pairing: never again */
    ENTRY_GROW,         /* a stream is longer now: pairing, or key known to be missing here */
    ENTRY_BURN,         /* a range is consumed */
    ENTRY_SETTLE,       /* what became of reserved bytes */
    ENTRY_STAGED,       /* a block is here, undecided */
    ENTRY_DROPPED,      /* an undecided block is given up without a decision */
    ENTRY_DECISION,     /* a block is key now, or void */
    ENTRY_ACKED,        /* the peer has applied the decisions below seq */
    ENTRY_HEARD,        /* the peer's cursor */
    ENTRY_SEQ,          /* the next decision's number */
    ENTRY_ATTEMPT,      /* snapshot: the last attempt of a role */
    ENTRY_STREAM,       /* snapshot: a stream's account */
    ENTRY_BLOCK,        /* snapshot: a confirmed block with bytes on the disk */
    ENTRY_RETAINED,     /* snapshot: a decision that the peer may still need */
    ENTRY_KNOWN,        /* snapshot: the id of a decided block */
    ENTRY_STARTED,      /* the vault was opened */
};

enum burn_use { BURN_RESERVE = 1, BURN_TAG, BURN_SKIP };

struct entry_share {
    enum vault_purpose purpose;
    uint64_t len;
};

struct entry_identity {
    char site[SITE_NAME_MAX + 1];
    uint8_t machine[32];
};

struct entry_peer {
    char site[SITE_NAME_MAX + 1];
    uint8_t mask[ENTRY_ID_BYTES];
    uint8_t low_high[ENTRY_ID_BYTES];
    uint8_t high_low[ENTRY_ID_BYTES];
};

struct entry_burn {
    enum burn_use use;
    enum role role; /* RESERVE: who; else ROLE_NONE */
    uint8_t run[ENTRY_ID_BYTES];
    uint64_t attempt;
    uint64_t start;
    uint64_t end;
};

struct entry_settle {
    uint64_t used;
    uint64_t voided;
};

struct entry_block {
    uint8_t id[ENTRY_ID_BYTES];
    uint64_t len;
    char source[ENTRY_SOURCE_MAX + 1];
    bool simulated;
    /* BLOCK: where its mask share lies. */
    uint64_t mask_start;  /* in the stream */
    uint64_t mask_offset; /* in the block */
    uint64_t mask_len;
};

struct entry_decision {
    uint64_t seq;
    uint8_t id[ENTRY_ID_BYTES];
    bool confirmed;
    struct entry_share shares[ENTRY_SHARES_MAX]; /* of length 0 where there is none */
};

struct entry_attempt {
    enum role role;
    uint8_t run[ENTRY_ID_BYTES];
    uint64_t attempt;
};

struct entry_stream {
    uint64_t cursor, end, used, skipped, voided, expired, heard, blocks, void_blocks;
    char source[ENTRY_SOURCE_MAX + 1];
    bool simulated;
};

struct entry {
    enum entry_kind kind;
    /* The stream meant; for facts about a pair its mask stream. Not for IDENTITY, PEER, ATTEMPT,
     * STARTED. */
    uint8_t stream[ENTRY_ID_BYTES];
    union {
        struct entry_identity identity;
        struct entry_peer peer;
        uint64_t number; /* GROW, ACKED, HEARD, SEQ */
        struct entry_burn burn;
        struct entry_settle settle;
        struct entry_block block;       /* STAGED, BLOCK */
        uint8_t id[ENTRY_ID_BYTES];     /* DROPPED, KNOWN */
        struct entry_decision decision; /* DECISION, RETAINED */
        struct entry_attempt attempt;
        struct entry_stream account;
    };
};

int entry_encode(struct buf *to, const struct entry *e) must_check;

/* Decodes the entry at `data` and moves on. 0, or ENTRY_E_MALFORMED. */
enum entry_condition { ENTRY_E_MALFORMED = 1 };
int entry_decode(const uint8_t **data, size_t *len, struct entry *e) must_check;
