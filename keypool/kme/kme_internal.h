/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the kme_*.c of this folder only. */
#pragma once

#include "keypool/kme/kme.h"
#include "keypool/kme/link_state.h"
#include "keypool/kme/meter.h"
#include "proto/ctl_responder.h"
#include "proto/kme.h"
#include "proto/vault.h"

#define KME_WINDOW      2 /* blocks granted or undecided per link */
#define KME_DECISION_MS ((uint64_t)180 * 1000)
#define KME_RETRY_MS    5000 /* a void block shall not be followed by many, as fast as it goes */
/* Granted and not yet in the vault, all links together; an estimate, to bound memory and queues. */
#define KME_FLIGHT_BYTES ((uint64_t)24 * 1024 * 1024)
#define KME_FIRST_GUESS  ((uint64_t)256 * 1024) /* bytes of a block before one was seen */

enum kme_part_state {
    KME_PART_SENT, /* the vault has not answered yet */
    KME_PART_HELD, /* durable here, undecided */
    KME_PART_CONFIRMED,
    KME_PART_VOID,
};

struct kme_part {
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    size_t len;
    enum kme_part_state state;
};

/* A block of the source that the vaults have not decided yet. No key bytes here. */
struct kme_block {
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    uint64_t since_ms;
    struct kme_part *parts; /* owned */
    size_t n_parts;
};

/* A connection of the peer's KME: the one in use, or one that has not said hello yet. */
struct kme_session {
    uint32_t conn; /* 0: none */
    struct link link;
    uint8_t nonce[KME_NONCE_BYTES];
};

struct kme_link {
    char peer[SITE_NAME_MAX + 1];
    struct source *source; /* borrowed from the KME */

    struct kme_session session;
    struct kme_session newcomer;
    bool peer_attached;  /* its vault */
    uint64_t peer_epoch; /* of its last attachment */
    bool is_up;          /* as the vault was told */
    bool source_up;      /* as the source was told */

    bool is_paired; /* the vault knows the peer */
    uint64_t room;  /* as the vault said last */
    uint64_t room_max;
    uint64_t auth_bytes; /* pads left, of the direction that has fewer */
    bool in_step;
    bool is_low;
    uint64_t block_bytes; /* of the last block: a guess at the next */
    uint32_t granted;
    uint64_t not_before_ms; /* no grant until then: the last block was void */
    struct kme_block blocks[KME_WINDOW];
    size_t n_blocks;

    struct meter meter;
    uint64_t n_confirmed, n_void, n_alarms;
    uint64_t ingested_bytes;
    double rate_kbps, qber, seconds; /* of the last block, as its source said */
    bool is_aborted;                 /* the last block showed errors that allow no key */
    double aborted_qber;
    struct err last_void; /* why the last void block was one; empty: there was none */
};

struct kme {
    char site[SITE_NAME_MAX + 1];
    uint8_t nonce[KME_NONCE_BYTES];
    uint64_t now_ms;
    struct arena *arena;    /* owned */
    struct kme_link *links; /* owned */
    size_t n_links;
    size_t next_link;        /* whose turn it is to be granted a block */
    struct source **sources; /* owned, also each of them */
    size_t n_sources;
    struct ctl_responder ctl;

    uint32_t vault; /* its connection; 0: none */
    struct link vault_link;
    bool is_attached; /* the vault has said WELCOME */
    uint64_t epoch;   /* attachments so far */
};

struct kme_link *kme_find_link(const struct kme *k, const char *peer);

/* ---- kme.c ---- */
/* The link is up while both vaults are attached and the KMEs connected; tells vault and source. */
int kme_refresh(struct kme *k, struct kme_link *l, struct update *u) must_check;
/* The same, but what was up is over even if it is up again now. */
int kme_renew(struct kme *k, struct kme_link *l, struct update *u) must_check;
/* False with what is missing. */
bool kme_link_works(const struct kme *k, const struct kme_link *l, struct err *why);

/* ---- kme_vault.c ---- */
int kme_vault_open(struct kme *k, const struct event *event, struct update *u) must_check;
int kme_vault_frame(struct kme *k, const struct event *event, struct update *u) must_check;
int kme_vault_lost(struct kme *k, struct update *u) must_check;
int kme_vault_tick(struct kme *k, struct update *u) must_check;
int kme_vault_ingest(struct kme *k, const struct kme_link *l, const struct source_block *block,
    const struct kme_part *part, const uint8_t *key, struct update *u) must_check;
int kme_vault_carry(
    struct kme *k, const struct kme_link *l, ProtobufCBinaryData data, struct update *u) must_check;
int kme_vault_draw(struct kme *k, const struct kme_link *l, const struct source_draw *d,
    struct update *u) must_check;
int kme_vault_link_state(
    const struct kme *k, const struct kme_link *l, bool up, struct update *u) must_check;

/* ---- kme_peer.c ---- */
int kme_peer_open(struct kme *k, const struct event *event, struct update *u) must_check;
/* The link that the connection belongs to, or NULL. */
struct kme_link *kme_peer_of(const struct kme *k, uint32_t conn);
int kme_peer_frame(
    struct kme *k, struct kme_link *l, const struct event *event, struct update *u) must_check;
int kme_peer_closed(struct kme *k, struct kme_link *l, uint32_t conn, struct update *u) must_check;
int kme_peer_tick(struct kme *k, struct kme_link *l, struct update *u) must_check;
uint64_t kme_peer_deadline_ms(const struct kme_link *l);
/* Tells the peer whether the vault is attached. */
int kme_peer_say_pool(const struct kme *k, const struct kme_link *l, struct update *u) must_check;
int kme_peer_carry(const struct kme *k, const struct kme_link *l, ProtobufCBinaryData data,
    struct update *u) must_check;
int kme_peer_source(
    const struct kme_link *l, const void *data, size_t len, struct update *u) must_check;

/* ---- kme_blocks.c ---- */
int kme_blocks_grant(struct kme *k, struct update *u) must_check;
int kme_blocks_on_block(void *owner, const struct source_block *block, struct update *u);
int kme_blocks_on_void(void *owner, const struct source_void *v, struct update *u);
int kme_blocks_ingested(struct kme *k, struct kme_link *l, const uint8_t *id, enum vault_code code,
    const char *reason, struct update *u) must_check;
int kme_blocks_decided(struct kme *k, struct kme_link *l, const uint8_t *id, bool confirmed,
    struct update *u) must_check;
/* What the vault has not acknowledged is lost with it. */
int kme_blocks_vault_lost(struct kme *k, struct kme_link *l, struct update *u) must_check;
int kme_blocks_tick(struct kme *k, struct kme_link *l, struct update *u) must_check;
uint64_t kme_blocks_deadline_ms(const struct kme *k, const struct kme_link *l);
void kme_blocks_deinit(struct kme_link *l);

/* ---- kme_ctl.c ---- */
enum link_state kme_link_state(const struct kme *k, const struct kme_link *l, struct err *why);
int kme_ctl_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e);
