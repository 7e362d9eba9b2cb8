/* SPDX-License-Identifier: Apache-2.0 */
/* One participant between a vault that answers by itself and a server that the test plays.
 *
 * Everything the participant does goes into a story, one line per effect, that tests compare:
 *
 *     server: READY 1 n=10          a message to the server
 *     vault: RESERVE 7 ...          the vault is asked to burn, or to destroy the rest
 *     alarm: ...                    a note of that level
 *     closed server: ...            a connection closed by the participant
 *     stop 0: ...                   the daemon shall end
 *
 * The site is bob of {alice, bob, charlie, david}, unless a test wants another one. The disk is
 * tests/sim's, so that power cuts work.
 */
#pragma once

#include "client/participant.h"
#include "common/buf.h"
#include "proto/fed.pb-c.h"
#include "tests/client/fake_trainer.h"
#include "tests/client/fake_vault.h"
#include "tests/client/plan.h"
#include "tests/sim/disk_sim.h"

#include <stdio.h>

#define RIG_SITES      4
#define RIG_PARAMETERS 20
#define RIG_CHUNK      8 /* words: 6 parameters each, 4 chunks, 28 words */
#define RIG_CHUNKS     4

struct rig_frame {
    uint32_t conn;
    uint16_t type;
    struct blob *body;
};

struct rig {
    const char *site;
    const char *peers[RIG_SITES - 1];
    struct participant *p;
    struct participant_config config;
    struct disk_sim *disk;
    struct fake_vault vault;
    struct fake_trainer trainer;
    uint64_t now_ms;
    uint32_t conns; /* given out so far */
    uint32_t server, pool, ctl;
    int result;     /* of the last step; after a negative one the participant is dead */
    char *story;    /* since the last rig_expect */
    struct err err; /* of a participant that could not be made */

    struct rig_frame *queue; /* answers of the vault that wait */
    size_t queued;
    bool is_vault_slow; /* answers wait until rig_answer */
    struct job *job;    /* is_job_slow: the job that waits for rig_finish_job */
    bool is_job_slow;

    /* what the server plays with */
    Fed__Open open;
    Fed__Params params;
    uint8_t run[16], model_hash[32], previous[32], open_hash[32];
    char task[16];
    double model[RIG_PARAMETERS];
    struct plan plan;
    struct blob *view; /* as last committed */

    /* what the participant sent */
    uint8_t chunks[RIG_CHUNKS][RIG_CHUNK * 4]; /* last upload */
    size_t chunk_len[RIG_CHUNKS];
    unsigned chunks_seen;
    uint8_t tags[RIG_SITES][16]; /* of the last CONFIRM, by site */
    uint64_t locked;             /* attempt of the last LOCKED */
    char *reply;                 /* of the last CTL_REPLY: result, or reason */
    int reply_code;

    FILE *record; /* events as tests/fuzz/fuzz_participant.c reads them; NULL: none */

    int64_t quantised[RIG_PARAMETERS]; /* of the last attempt */
    uint64_t quantised_attempt;
};

extern const char *const rig_sites[RIG_SITES];

/* A participant on an empty disk, not yet connected. */
void rig_init(struct rig *r, uint64_t seed);
void rig_init_site(struct rig *r, uint64_t seed, const char *site);
void rig_deinit(struct rig *r);
/* For cmocka fixtures: *state is a rig that is connected to both sides. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* The process dies and starts again on the same disk; what is not durable may be lost. */
void rig_restart(struct rig *r);
/* The machine loses its power. */
void rig_crash(struct rig *r);
/* Makes the participant: NULL in r->p and a sentence in r->err if it refuses. */
void rig_start(struct rig *r);

/* Asserts that the story is this, and begins a new one. "" for silence. */
void rig_expect(struct rig *r, const char *story);
/* Begins a new story. */
void rig_forget(struct rig *r);
bool rig_phase(const struct rig *r, const char *phase);

/* ---- connections, time, jobs ---- */
void rig_connect_server(struct rig *r); /* with HELLO and WELCOME */
void rig_connect_vault(struct rig *r);
void rig_lose_server(struct rig *r);
void rig_lose_vault(struct rig *r);
void rig_wait(struct rig *r, uint64_t ms); /* ticks at every deadline on the way */
void rig_finish_job(struct rig *r);
/* One frame from a connection; takes a copy. */
void rig_frame(struct rig *r, uint32_t conn, uint16_t type, const void *body, size_t len);
/* Delivers the vault's next `n` answers. */
void rig_answer(struct rig *r, size_t n);

/* ---- what a server says ---- */
void rig_say(struct rig *r, uint16_t type, const ProtobufCMessage *m);
void rig_open(struct rig *r, uint64_t round);
void rig_send_model(struct rig *r);
/* A plan over all four sites for the open round. */
void rig_plan(struct rig *r, uint64_t attempt);
void rig_commit(struct rig *r); /* the plan */
void rig_relay(struct rig *r, const char *from);
void rig_relay_tag(struct rig *r, const char *from, const uint8_t tag[16]);
void rig_relay_all(struct rig *r);
void rig_go(struct rig *r, uint64_t attempt, uint32_t from_chunk);
void rig_abort(struct rig *r, uint64_t attempt);
void rig_skip(struct rig *r, uint64_t round, uint64_t attempt);
/* How the open round quantises. */
struct quantiser rig_quantiser(const struct rig *r);
/* A result with the sum `step` in every word; r->model becomes the new model. */
void rig_result(struct rig *r, uint64_t round, uint64_t attempt, int64_t step);
/* The same with lies: `bend` changes the message, `spoil` one byte of the sum unless negative. */
void rig_result_bent(struct rig *r, uint64_t round, uint64_t attempt, int64_t step,
    void (*bend)(Fed__Result *), long spoil);
void rig_ask(struct rig *r, const char *verb, const char *arguments);

/* ---- short cuts ---- */
void rig_ready(struct rig *r, uint64_t round); /* from connected to READY */
void rig_lock(struct rig *r, uint64_t round, uint64_t attempt);
