/* SPDX-License-Identifier: Apache-2.0 */
/* The masked vector of one attempt, in memory and in the file "outbox".
 *
 * Sealed (durable) before LOCKED is sent, so that after a crash exactly these bytes can be sent again
 * and never others; erased after RESULT, SKIP or ABORT. Until it is sealed the same memory holds the
 * quantised integers and the partial sums: it is a struct secret and is never written out.
 */
#pragma once

#include "common/disk.h"
#include "common/quantiser.h"
#include "common/secret.h"
#include "common/sha256.h"
#include "proto/fed.h"

#include <stdbool.h>

#define OUTBOX_FILE "outbox"

enum outbox_condition {
    OUTBOX_E_NONE = 1, /* there is no outbox on the disk */
    OUTBOX_E_DAMAGED,  /* there is one, but its bytes are not what was sealed */
};

/* Whose vector it is. */
struct outbox_label {
    uint8_t run[FED_RUN_BYTES];
    uint64_t round;
    uint64_t attempt;
    uint64_t training;             /* the update it was made of */
    uint8_t view[SHA256_BYTES];    /* hash of the view's bytes */
    uint8_t members[SHA256_BYTES]; /* policy_hash_members of the view */
};

struct outbox {
    struct outbox_label label;
    struct quantiser shape; /* clip and rounding do not matter here */
    struct secret file;     /* header and vector; empty: no vector */
    bool sealed;            /* durable on the disk */
};

/* Room for a vector of zeros; the outbox must be empty. -ENOMEM. */
int client_outbox_init(
    struct outbox *o, const struct outbox_label *label, const struct quantiser *shape) must_check;
/* Wipes the memory; the file stays. */
void client_outbox_deinit(struct outbox *o);

/* The packed vector: words_bytes(quantiser_words, q) bytes. Not to be written once sealed. */
uint8_t *client_outbox_vector(struct outbox *o);

/* Writes the file; durable when it returns 0. */
int client_outbox_seal(struct outbox *o, struct disk *disk) must_check;
/* Reads the file into an empty outbox. 0 sealed; > 0 enum outbox_condition; -errno. */
int client_outbox_load(struct outbox *o, struct disk *disk) must_check;
/* Erases the file, then the memory. */
int client_outbox_erase(struct outbox *o, struct disk *disk) must_check;

/* Chunk `index` of a sealed vector, to be sent as it is. */
const uint8_t *client_outbox_chunk(const struct outbox *o, uint32_t index, size_t *len);
