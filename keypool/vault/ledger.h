/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what the journal's entries add up to. Streams and their accounts, blocks, decisions.
 *
 * Changed by ledger_apply only, with the same entries live and at replay, so that what is in memory
 * is what a restart will find. Per stream, always (keypool.md section 1, aggregation.md invariant 6):
 *
 *     ingested = available + reserved + used + skipped + voided + expired
 *     ingested = end,  available = end - cursor,  cursor never goes back
 *
 * and a range is burnt only at the cursor, so that no two burnt ranges overlap. Pure memory: no disk,
 * no key.
 */
#pragma once

#include "keypool/vault/entry.h"

#define LEDGER_STREAMS    3 /* of a pair, indexed by enum vault_purpose */
#define LEDGER_STAGED_MAX 64
#define LEDGER_KNOWN_MAX  4096 /* ids of decided blocks remembered per pair */
#define LEDGER_PEERS_MAX  1024

struct ledger_peer;

struct ledger_stream {
    uint8_t id[VAULT_STREAM_BYTES];
    enum vault_purpose purpose;
    struct ledger_peer *peer; /* whose stream it is */
    uint64_t cursor;
    uint64_t end;
    uint64_t reserved, used, skipped, voided, expired; /* parts of the cursor */
    uint64_t heard;                                    /* the peer's cursor */
    uint64_t blocks, void_blocks;
    char source[ENTRY_SOURCE_MAX + 1];
    bool simulated;
    /* Changed in memory, not yet in the journal: goes with the next record. */
    uint64_t unsaved_used, unsaved_voided;
    bool unsaved_heard;
};

/* A share of a confirmed block: bytes [offset, offset + len) of the block are bytes from `start` on
 * of the stream. */
struct ledger_share {
    enum vault_purpose purpose;
    uint64_t offset;
    uint64_t start;
    uint64_t len;
};

struct ledger_block {
    uint8_t id[ENTRY_ID_BYTES];
    uint64_t len;
    char source[ENTRY_SOURCE_MAX + 1];
    bool simulated;
    struct ledger_share shares[ENTRY_SHARES_MAX]; /* once confirmed */
    /* For its owners, not in the journal. */
    uint64_t since_ms; /* staged at */
    uint64_t wiped;    /* bytes of it destroyed on the disk */
};

struct ledger_peer {
    char site[SITE_NAME_MAX + 1];
    bool decides; /* this end has the smaller name */
    struct ledger_stream streams[LEDGER_STREAMS];
    struct ledger_block **blocks; /* owned: confirmed, with bytes on the disk, by stream offset */
    size_t n_blocks, cap_blocks;
    struct ledger_block *staged[LEDGER_STAGED_MAX]; /* owned */
    size_t n_staged;
    uint64_t next_seq;               /* decisions below have been made or applied here */
    struct entry_decision *retained; /* owned: made here, not yet known to be applied there */
    size_t n_retained, cap_retained;
    uint8_t (*known)[ENTRY_ID_BYTES]; /* owned: ring of LEDGER_KNOWN_MAX */
    size_t n_known;                   /* ever */
    bool unsaved_acked;
    uint64_t acked; /* the peer has applied the decisions below */
    /* For their owners, who free them: keypool/vault/pads.h, pool.h. */
    struct pads *pads;
    struct session *session;
};

struct ledger {
    char site[SITE_NAME_MAX + 1];
    uint8_t machine[32];
    struct ledger_peer **peers; /* owned */
    size_t n, cap;
    struct entry_attempt last[2];       /* of the clients, of the KME */
    uint8_t (*retired)[ENTRY_ID_BYTES]; /* owned */
    size_t n_retired;
};

/* Frees everything but the owners' parts of peers. */
void ledger_deinit(struct ledger *l);

/* The entry becomes true. LEDGER_E_CONTRADICTION if it cannot (a broken journal, or our bug): the
 * ledger is unchanged then. -ENOMEM. */
enum ledger_condition { LEDGER_E_CONTRADICTION = 1 };
int ledger_apply(struct ledger *l, const struct entry *e) must_check;

/* Appends the entries that make an empty ledger this one. */
int ledger_snapshot(const struct ledger *l, struct buf *to) must_check;
/* Appends the entries for what is not saved yet, and forgets that it is not. */
int ledger_save(struct ledger *l, struct buf *to) must_check;

/* ---- changes that need not be durable at once ---- */

/* Reserved bytes were handed out, or destroyed unused. */
void ledger_settle(struct ledger_stream *s, uint64_t used, uint64_t voided);
/* The peer's cursor; never goes back. */
void ledger_hear(struct ledger_stream *s, uint64_t cursor);
/* The peer has applied the decisions below `seq`. */
void ledger_ack(struct ledger_peer *p, uint64_t seq);
/* Nothing of the block is left on the disk. */
void ledger_forget_block(struct ledger_peer *p, size_t index);

/* ---- queries ---- */

struct ledger_peer *ledger_find_peer(const struct ledger *l, const char *site);
struct ledger_stream *ledger_find_stream(const struct ledger *l, const uint8_t *id, size_t len);
struct ledger_peer *ledger_find_pair(const struct ledger *l, const uint8_t *mask_stream);
/* Index of a staged block, or -1. */
int ledger_find_staged(const struct ledger_peer *p, const uint8_t *id);
/* Decided already, as far as is remembered. */
bool ledger_is_known(const struct ledger_peer *p, const uint8_t *id);
bool ledger_is_retired(const struct ledger *l, const uint8_t *id);
/* The last attempt of ROLE_CLIENT or ROLE_KME. */
struct entry_attempt *ledger_last(struct ledger *l, enum role role);
/* The share of a confirmed block in the stream, or NULL. */
const struct ledger_share *ledger_block_share(
    const struct ledger_block *b, enum vault_purpose purpose);
uint64_t ledger_available(const struct ledger_stream *s);
uint64_t ledger_staged_bytes(const struct ledger_peer *p);
/* Number of the oldest decision kept for the peer. */
uint64_t ledger_first_retained(const struct ledger_peer *p);
const char *ledger_purpose_name(enum vault_purpose purpose);
