/* SPDX-License-Identifier: Apache-2.0 */
/* The vault: byte streams per peer and purpose, burnt before use, handed out once.
 *
 * keypool.md section 1. I/O-free but for the injected `struct disk`, which it uses like any storage
 * engine: a reply enters the update only after the record that it stands on is durable. Connections:
 * ROLE_CLIENT and ROLE_KME (vault exchange, this end responds; VAULT_CARRY holds vault-to-vault
 * messages of the pool exchange), ROLE_CTL (verbs status, keys, audit, adopt, pair, metrics).
 *
 * What it never does: open a network socket, hand the same byte out twice, write a key byte outside a
 * sealed segment.
 */
#pragma once

#include "common/disk.h"
#include "common/machine.h"
#include "common/rng.h"
#include "proto/vault.h"

#define VAULT_STREAM_BYTES  16
#define VAULT_KEK_BYTES     32
#define VAULT_PAIRING_BYTES 8192 /* first authentication key of a pair: 4 KiB each way */

enum vault_purpose {
    VAULT_MASK,    /* pads of client-to-client masks; no direction */
    VAULT_AUTH_TX, /* tags that this end makes */
    VAULT_AUTH_RX, /* tags that this end checks */
};

struct vault;

struct vault_config {
    const char *site;
    uint8_t kek[VAULT_KEK_BYTES];    /* key-encryption key; wiped by the caller after vault_new */
    uint8_t machine[32];             /* hash of the machine id: a changed one means a clone */
    uint8_t entropy[RNG_SEED_BYTES]; /* from the OS: data keys, key ids */
    uint64_t epoch;                  /* of the witness file outside the directory; 0: none yet */
    uint64_t capacity_bytes;         /* per pair's mask stream */
    bool allow_simulated;
    uint64_t block_timeout_ms; /* an undecided block is voided after this; 0: default 60 s */
    /* The operator vouches for a pool that vault_new would refuse as VAULT_OPEN_E_CLONED. What it
     * holds is burnt unless the witness proves that the disk is the newest. */
    bool adopt;
    /* Verb `pair`: reads the pairing file at `path`, or all new ones for NULL, and calls vault_pair.
     * NULL: the verb is refused. 0, or -errno with a sentence. */
    int (*import)(void *arg, struct vault *v, const char *path, struct err *e);
    void *import_arg;
};

enum vault_open_condition {
    VAULT_OPEN_E_CLONED =
        1,              /* the epoch or the machine differs: exit 65 until `qflctl keys adopt` */
    VAULT_OPEN_E_FAULT, /* a broken record far back in the journal: exit 65 */
};

/* Opens and replays the journal. Everything reserved before the start is burnt. `disk` is kept until
 * free. 0, > 0 enum vault_open_condition with a sentence, -errno with a sentence. */
int vault_new(struct vault **out, const struct vault_config *config, struct disk *disk,
    uint64_t now_ms, struct err *e) must_check;
void vault_free(struct vault *v);

/* Enrols a peer with the shared bytes of `qflctl site pair`. The same file at both ends. The first
 * half of `key` authenticates tags of the smaller site name. A peer that is enrolled already is paired
 * anew: its streams end, what they hold is burnt. -EEXIST if this pairing is in use or was used,
 * -EINVAL if it makes no sense; any other error ends the vault. */
struct vault_pairing {
    const char *peer;
    uint8_t mask_stream[VAULT_STREAM_BYTES];
    uint8_t auth_low_high[VAULT_STREAM_BYTES]; /* from the smaller name to the larger */
    uint8_t auth_high_low[VAULT_STREAM_BYTES];
    const uint8_t *key; /* VAULT_PAIRING_BYTES */
};
int vault_pair(struct vault *v, const struct vault_pairing *pairing, struct err *e) must_check;

int vault_step(struct vault *v, const struct event *event, struct update *update) must_check;
uint64_t vault_deadline_ms(const struct vault *v);
/* To be written to the witness file outside the directory whenever it has changed, before the update
 * is carried out. Grows with every durable record. */
uint64_t vault_epoch(const struct vault *v);

/* ---- queries, for the simulator's invariants, audit and tests ---- */
struct vault_account {
    const char *peer;
    enum vault_purpose purpose;
    uint8_t stream[VAULT_STREAM_BYTES];
    uint64_t ingested, available, reserved, used, skipped, voided, expired; /* bytes */
    uint64_t cursor, end;
};
size_t vault_accounts(const struct vault *v, struct vault_account *out, size_t max);
