/* SPDX-License-Identifier: Apache-2.0 */
/* A stage for the aggregator's tests: the unmodified core on a simulated store, clients who say what the
 * test makes them say, and what the core does told as text.
 *
 * Told are messages ("alice bob <- OPEN 1", consecutive equal ones in one line), closed connections,
 * alarms ("! ...") and EFFECT_STOP; not WELCOME, LIMIT, result and model chunks, and quieter notes.
 */
#pragma once

#include "server/aggregator.h"
#include "tests/sim/store_sim.h"

#define STAGE_SITES      8
#define STAGE_PARAMETERS 20 /* in 4 chunks of at most 8 words */
#define STAGE_CHUNKS     4

struct stage_client {
    uint32_t conn; /* 0: away */
    uint8_t nonce; /* of its process */
    uint64_t samples;
    uint64_t last_attempt;
    uint64_t outbox;
    uint64_t round; /* the last one of the last OPEN's run that it has been in, 0: of another run */
    uint64_t cursor[STAGE_SITES]; /* by peer */
    uint64_t end[STAGE_SITES];
    bool in_step[STAGE_SITES];
};

struct stage {
    struct store_sim *store;
    struct aggregator *a;
    struct aggregator_config config;
    Fed__Params params;
    double model[STAGE_PARAMETERS];
    uint64_t now_ms;
    uint32_t next_conn;
    struct stage_client clients[STAGE_SITES];
    struct blob *open; /* body of the last OPEN sent */
    struct blob *view; /* of the last COMMIT sent */
    uint64_t attempt;  /* of the last COMMIT sent */
    struct buf told;   /* since the last stage_told */
    struct buf said;   /* the text that stage_told returned */
    char *reply;       /* the last ctl reply's result, or "code: reason" */
    uint32_t model_chunks;
    uint32_t result_chunks;
    bool stopped;
    /* Hears every message that is sent to a client; NULL for none. */
    void (*on_message)(struct stage *s, int client, uint16_t type, const struct blob *body);
    bool may_die; /* the store may fail: then is_dead is set, and only stage_kill is of use */
    bool is_dead;
};

extern const char *const stage_roster[STAGE_SITES]; /* alice bob charlie david ... */

/* `sites` clients who share plenty of key; min_clients 3, wait 0, 3 rounds, q = 8, run starts by itself.
 * The test may change `config` before stage_start. */
void stage_init(struct stage *s, size_t sites);
void stage_start(struct stage *s);
int stage_try_start(struct stage *s);
/* The process dies; all connections with it. stage_start starts it again. */
void stage_kill(struct stage *s);
void stage_deinit(struct stage *s);

/* What was told since the last call. */
const char *stage_told(struct stage *s);
/* Compares it. */
#define stage_expect(s, text) assert_string_equal(stage_told(s), text)

/* Any event, now. */
void stage_event(struct stage *s, struct event event);

/* ---- time and connections ---- */
void stage_tick(struct stage *s, uint64_t after_ms);
/* The same, with every connected client saying something each second. */
void stage_pass(struct stage *s, uint64_t ms);
/* To the core's own deadline. */
void stage_wait(struct stage *s);
void stage_connect(struct stage *s, int client); /* and says HELLO */
void stage_connect_only(struct stage *s, int client);
void stage_hello(struct stage *s, int client);
void stage_drop(struct stage *s, int client);
/* A new process of this client: another nonce; outbox and last attempt stay as they are. */
void stage_reincarnate(struct stage *s, int client);

/* ---- messages ---- */
void stage_levels(struct stage *s, int client);
void stage_ready(struct stage *s, int client);
void stage_decline(struct stage *s, int client);
void stage_confirm(struct stage *s, int client);
void stage_reject(struct stage *s, int client, enum fed_code code);
void stage_locked(struct stage *s, int client);
/* Chunks from .. to-1 of a vector whose words are `value`. */
void stage_upload(struct stage *s, int client, uint32_t from, uint32_t to, uint8_t value);
void stage_chunk(
    struct stage *s, int client, uint64_t attempt, uint32_t index, const void *data, size_t len);
void stage_done(struct stage *s, int client);
void stage_lost(struct stage *s, int client);
void stage_model_get(struct stage *s, int client);
void stage_frame(struct stage *s, int client, uint16_t type, const void *body, size_t len);
void stage_say(struct stage *s, int client, uint16_t type, const ProtobufCMessage *message);
/* An operator asks; the answer is in s->reply. */
const char *stage_ask(struct stage *s, const char *verb, const char *arguments);

/* ---- the usual ways ---- */
void stage_connect_all(struct stage *s);
void stage_to_commit(struct stage *s); /* all connected, READY; COMMIT sent */
void stage_to_lock(struct stage *s);
void stage_to_go(struct stage *s);
void stage_to_result(struct stage *s);
void stage_finish(struct stage *s); /* DONE of all: the next round is open */
