/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a vault, for the files of this folder only. */
#pragma once

#include "common/secret.h"
#include "keypool/vault/counters.h"
#include "keypool/vault/keystore.h"
#include "keypool/vault/reservation.h"
#include "keypool/vault/session.h"
#include "keypool/vault/vault.h"
#include "proto/arena.h"
#include "proto/ctl.h"
#include "proto/pool.pb-c.h"
#include "proto/vault.pb-c.h"

#define CONSUMERS_MAX 256

/* A local connection. */
struct consumer {
    uint32_t conn;
    enum role role;
    struct link link;
    bool is_welcome;
    struct reservation reservation;
};

/* Counted since the start, for the verb `metrics`. */
struct vault {
    struct keystore store;
    uint64_t capacity;
    bool allow_simulated;
    uint64_t block_timeout_ms;
    int (*import)(void *arg, struct vault *v, const char *path, struct err *e);
    void *import_arg;
    uint64_t now_ms;
    struct arena *arena;        /* of decoded messages */
    struct secret window;       /* VAULT_TAKE_MAX: bytes on their way out, or into a hash */
    struct update notes;        /* from before the first step */
    struct consumer *consumers; /* owned */
    size_t n_consumers, cap_consumers;
    uint32_t kme;                  /* connection of the KME, 0: none */
    char (*up)[SITE_NAME_MAX + 1]; /* owned: the peers that the KME reaches */
    size_t n_up;
    uint64_t sweep_ms; /* destroy what is wanted no more */
    uint64_t save_ms;  /* journal what is unsaved */
    struct vault_counters counters;
    int failure; /* -errno: the disk failed, nothing is done any more */
};

/* Something was used: it will be destroyed and accounted for soon. */
void vault_touch(struct vault *v);
/* One pool message to the peer's vault, by way of the KME; nothing without a link. */
int vault_carry(struct vault *v, const struct ledger_peer *p, uint16_t type,
    const ProtobufCMessage *message, struct update *u) must_check;
bool vault_is_reserved(const struct vault *v, const struct ledger_stream *s);

/* ---- vault to vault (pool.c, blocks.c) ---- */
int pool_link(struct vault *v, struct ledger_peer *p, bool up, struct update *u) must_check;
int pool_message(
    struct vault *v, struct ledger_peer *p, uint8_t *data, size_t len, struct update *u) must_check;
int pool_send_cursors(struct vault *v, const struct ledger_peer *p, struct update *u) must_check;
/* Begins the session anew: the other end answers, decisions and tags are sent again. */
int pool_ask_sync(struct vault *v, struct ledger_peer *p, struct update *u) must_check;
/* Streams not in step yet: jumps to the peer's cursor as far as key is confirmed. */
int pool_compare(struct vault *v, struct ledger_peer *p, struct update *u) must_check;
/* The two ends contradict each other. */
void pool_break(struct vault *v, struct ledger_peer *p, const char *why, struct update *u);
int pool_tick(struct vault *v, struct ledger_peer *p, struct update *u) must_check;
uint64_t pool_deadline_ms(const struct vault *v, const struct ledger_peer *p);

/* A block from the KME on `conn`, who is answered. */
int blocks_ingest(
    struct vault *v, uint32_t conn, const Vault__Ingest *m, struct update *u) must_check;
/* Tags and sends every undecided block (the end that does not decide). */
int blocks_announce(struct vault *v, struct ledger_peer *p, struct update *u) must_check;
int blocks_on_staged(
    struct vault *v, struct ledger_peer *p, const Pool__Staged *m, struct update *u) must_check;
int blocks_on_decision(
    struct vault *v, struct ledger_peer *p, const Pool__Decision *m, struct update *u) must_check;
/* The peer's list of undecided blocks has come. */
int blocks_on_sync(
    struct vault *v, struct ledger_peer *p, const Pool__Sync *m, struct update *u) must_check;
int blocks_tick(struct vault *v, struct ledger_peer *p, struct update *u) must_check;
uint64_t blocks_deadline_ms(const struct vault *v, const struct ledger_peer *p);
uint64_t blocks_room(const struct vault *v, const struct ledger_peer *p);

/* ---- local connections: 0, > 0 the connection is to be closed, with a sentence; -errno ---- */
int consumer_frame(struct vault *v, struct consumer *c, const struct event *event, struct update *u,
    struct err *e) must_check;
int control_frame(struct vault *v, struct consumer *c, const struct event *event, struct update *u,
    struct err *e) must_check;
/* The connection is gone: what it had reserved is destroyed. */
void consumer_leave(struct vault *v, struct consumer *c);
/* Ends what is reserved of the pair. */
void consumer_forget_pair(struct vault *v, const struct ledger_peer *p);
/* Tells the KME how much more each pair may hold, where that has changed. */
int consumer_send_rooms(struct vault *v, struct update *u) must_check;
