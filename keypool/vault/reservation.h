/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer's reserved ranges: burnt in one durable record before the first byte is read.
 *
 * keypool.md section 1, reserve: (1) attempt and step, (2) no start below a cursor, (3) no end beyond
 * what is confirmed, (4) one record, (5) only then bytes, each once and in order, (6) destroyed.
 */
#pragma once

#include "keypool/vault/keystore.h"
#include "proto/vault.pb-c.h"

struct reserved_range {
    struct ledger_stream *stream;
    uint64_t start;
    uint64_t len;
    uint64_t passed; /* handed out or destroyed, from the start on */
};

struct reservation {
    struct reserved_range *ranges; /* owned; NULL when nothing is reserved */
    size_t n;
    uint64_t attempt;
};

/* What a reservation must meet besides its ranges. */
struct reservation_rules {
    enum role role; /* clients take masks, the KME takes authentication pads */
    bool allow_simulated;
};

/* Opens. 0, > 0 enum vault_code with a sentence and nothing consumed, -errno. `r` must be empty. */
int reservation_open(struct reservation *r, struct keystore *k,
    const struct reservation_rules *rules, const Vault__Reserve *m, struct err *e) must_check;

/* Hands out bytes of a range into `out`; what was left out before them is destroyed. 0,
 * RESERVATION_E_REFUSED (not reserved, or passed already) or RESERVATION_E_DAMAGED, with a sentence;
 * -errno. */
enum reservation_condition { RESERVATION_E_REFUSED = 1, RESERVATION_E_DAMAGED };
int reservation_take(struct reservation *r, struct keystore *k, const Vault__Take *m, uint8_t *out,
    struct err *e) must_check;

/* What was not handed out is destroyed. Safe on an empty one. */
void reservation_close(struct reservation *r);
/* Forgets the ranges of a pair that ends. */
void reservation_forget(struct reservation *r, const struct ledger_peer *p);

/* The least offset still wanted of the stream, UINT64_MAX if none. */
uint64_t reservation_wants(const struct reservation *r, const struct ledger_stream *s);
bool reservation_is_spent(const struct reservation *r);
