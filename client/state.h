/* SPDX-License-Identifier: Apache-2.0 */
/* What a client must still know after a crash, in the file "state".
 *
 * The training counter makes every trained update a new one, the closed round keeps an update that
 * has left from leaving again under another sum, the attempt never goes back. Written whole and
 * atomically; a file that does not match its checksum is refused, never guessed at.
 */
#pragma once

#include "common/disk.h"
#include "common/sha256.h"
#include "proto/fed.h"

#include <stdbool.h>

#define STATE_FILE     "state"
#define STATE_RUNS_MAX 16

struct state {
    bool has_run;
    uint8_t run[FED_RUN_BYTES]; /* of the last round trained for */
    uint64_t round;             /* last round trained for; 0 in a new run */
    uint64_t closed;   /* no update for this round of the run, or an earlier one, leaves again */
    uint64_t attempt;  /* highest accepted, over all runs */
    uint64_t training; /* updates trained so far */
    bool has_skipped;  /* a released update was skipped: who took part then */
    uint8_t skipped[SHA256_BYTES];
    uint32_t n_approved; /* runs that the operator has allowed, oldest first */
    uint8_t approved[STATE_RUNS_MAX][FED_RUN_BYTES];
};

/* 0, also when there is none yet; -EBADMSG with a sentence when it is damaged; -errno. */
int client_state_load(struct state *s, struct disk *disk, struct err *e) must_check;
/* Durable when it returns 0. */
int client_state_save(const struct state *s, struct disk *disk) must_check;

/* The oldest approval makes room. */
void client_state_approve(struct state *s, const uint8_t run[FED_RUN_BYTES]);
bool client_state_is_approved(const struct state *s, const uint8_t run[FED_RUN_BYTES]);

/* Begins a round; a new run starts counting rounds anew. */
void client_state_enter(struct state *s, const uint8_t run[FED_RUN_BYTES], uint64_t round);
bool client_state_is_closed(
    const struct state *s, const uint8_t run[FED_RUN_BYTES], uint64_t round);
