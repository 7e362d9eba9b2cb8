/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the participant: its parts, and the verbs by which its files call one another.
 *
 * participant.c dispatches events to the three kinds of connections: upstream.c (the server),
 * pool.c (the vault) and admin.c (qflctl). What the server says goes on to round.c (OPEN until READY,
 * SKIP, the phase table), attempt.c (COMMIT until LOCKED), release.c (GO, upload) and result.c.
 *
 * Handlers return 0; > 0 CORE_E_VIOLATION with a sentence when the peer broke the rules (its
 * connection is closed); < 0 -errno, fatal.
 */
#pragma once

#include "client/budget.h"
#include "client/counters.h"
#include "client/edges.h"
#include "client/job.h"
#include "client/levels.h"
#include "client/model.h"
#include "client/outbox.h"
#include "client/pads.h"
#include "client/participant.h"
#include "client/policy.h"
#include "client/state.h"
#include "client/terms.h"
#include "client/trained.h"
#include "proto/ctl_responder.h"
#include "proto/fed.h"
#include "proto/vault.h"

enum { CORE_E_VIOLATION = 1 };

/* Where the client stands in a round; the legal moves are in round.c. */
enum phase {
    PHASE_IDLE,
    PHASE_FETCHING,   /* the model of OPEN is on its way */
    PHASE_TRAINING,   /* the job runs, or waits for the trainer */
    PHASE_LEVELING,   /* trained; the vault is asked for fresh levels */
    PHASE_READY,      /* READY sent */
    PHASE_CHECKING,   /* COMMIT came; the vault is asked for fresh cursors */
    PHASE_RESERVING,  /* the vault burns the ranges */
    PHASE_OPENING,    /* the heads of the ranges are on their way */
    PHASE_CONFIRMING, /* CONFIRM sent; tags are missing */
    PHASE_MASKING,    /* every tag is valid; the pads are on their way */
    PHASE_LOCKED,     /* outbox durable, LOCKED sent */
    PHASE_RELEASED,   /* GO came, or the outbox was found at start: bytes may have left */
    PHASE_REFUSING,   /* the vault refused; asked for fresh levels to send with REJECT */
    PHASE_SPENT,      /* the update was released, its attempt is over, the round is not */
    PHASES,
};

/* One connection that this end initiates. */
struct session {
    uint32_t conn; /* 0: down */
    struct link link;
    bool is_welcome;   /* the other end's hello was accepted */
    uint64_t alive_ms; /* when this end last showed that it lives, while it only listens */
};

/* The vault's side: the session and what it last said. */
struct pool {
    struct session session;
    struct levels levels;
    struct levels told;  /* as last sent to the server */
    uint64_t asked;      /* LEVELS_GET sent on this connection */
    uint64_t answered;   /* LEVELS received */
    uint64_t needed;     /* the phase waits for this answer */
    uint64_t poll_at_ms; /* when to ask again without need */
    uint64_t owed;       /* attempt to RELEASE when the vault is back, 0 for none */
};

/* One attempt, from COMMIT on. */
struct attempt {
    uint64_t number; /* 0: none */
    uint8_t *bytes;  /* owned: the view as received */
    size_t len;
    struct arena *arena; /* owned: holds the view */
    const View__View *view;
    struct quantiser quantiser;
    struct edges edges;
    struct pads pads;
    bool has_reserved; /* the vault was asked to burn: RELEASE is due */
    uint64_t heard_ms; /* when it last got on */
};

/* Sending the outbox: resumes at any chunk, with the same bytes. */
struct upload {
    bool is_on;
    uint32_t next;
    uint64_t unanswered; /* bytes sent since the last ping that was answered */
};

/* The published sum, as it comes in. */
struct incoming {
    bool is_on;
    uint64_t attempt;
    struct quantiser quantiser;
    uint32_t next, chunks;
    uint8_t *sum; /* owned */
    uint8_t model_hash[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
};

struct round {
    enum phase phase;
    struct terms terms;
    struct terms waiting; /* of a run that the operator has not approved */
    struct trained trained;
    uint64_t wanted_training; /* the job whose result counts; 0: none */
    uint64_t leveling_ms;     /* since when PHASE_LEVELING */
    bool has_declined;
    struct attempt attempt;
    struct outbox outbox;
    struct upload upload;
    struct incoming incoming;
    uint32_t stale;   /* attempts of this round refused as stale */
    uint64_t refused; /* PHASE_REFUSING: the attempt, and why */
    enum fed_code refused_code;
    struct err refused_why;
};

struct drain {
    bool is_on;
    bool is_over;
    uint64_t deadline_ms; /* 0 until the first step after */
};

struct participant {
    struct participant_config config;
    struct disk *disk;
    struct arena *arena; /* the message being handled */
    uint64_t now_ms;
    struct state state;
    struct model model;
    struct session server;
    struct pool pool;
    struct ctl_responder admin;
    struct round round;
    struct budget budget;
    bool is_training; /* a job holds the trainer */
    struct drain drain;
    bool is_outbox_damaged; /* found at start; told at the first step */
    struct counters counters;
};

/* ---- upstream.c ----------------------------------------------------------------------------- */
int client_upstream_opened(struct participant *p, uint32_t conn, struct update *u) must_check;
int client_upstream_frame(
    struct participant *p, const struct event *event, struct update *u) must_check;
void client_upstream_closed(struct participant *p);
int client_upstream_tick(struct participant *p, struct update *u) must_check;
/* Dropped when the server is not there: what it needs is said again when it comes back. */
int client_upstream_send(struct participant *p, struct update *u, enum fed_type type,
    const ProtobufCMessage *message) must_check;
/* Chunk `index` of something long was heard: who only listens shows now and then that it lives, for the
 * server's own pings wait behind what it sends. */
int client_upstream_listening(struct participant *p, uint32_t index, struct update *u) must_check;

/* ---- pool.c --------------------------------------------------------------------------------- */
int client_pool_opened(struct participant *p, uint32_t conn, struct update *u) must_check;
int client_pool_frame(
    struct participant *p, const struct event *event, struct update *u) must_check;
int client_pool_closed(struct participant *p, struct update *u) must_check;
int client_pool_tick(struct participant *p, struct update *u) must_check;
uint64_t client_pool_deadline_ms(const struct participant *p);
bool client_pool_is_up(const struct participant *p);
/* LEVELS to the server. */
int client_pool_tell_levels(struct participant *p, struct update *u) must_check;
/* Asks for fresh levels; the phase goes on when they are here. */
int client_pool_need_levels(struct participant *p, struct update *u) must_check;
int client_pool_reserve(
    struct participant *p, const struct attempt *a, struct update *u) must_check;
int client_pool_take(struct participant *p, uint64_t attempt, struct pads_request request,
    struct update *u) must_check;
/* What was not taken is destroyed; kept in mind while the vault is away. */
int client_pool_release(struct participant *p, uint64_t attempt, struct update *u) must_check;

/* ---- admin.c -------------------------------------------------------------------------------- */
/* A ctl_answer; the owner is the participant. */
int client_admin_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e) must_check;

/* ---- status.c ------------------------------------------------------------------------------- */
/* For people and programs; new references, or NULL if there is no memory. */
json_t *client_status_json(const struct participant *p) must_check;
json_t *client_metrics_json(const struct participant *p) must_check;

/* ---- round.c -------------------------------------------------------------------------------- */
const char *client_phase_name(enum phase phase);
/* Asserts that the move is legal. */
void client_round_move(struct participant *p, enum phase to);
void client_round_deinit(struct round *round);

int client_round_on_open(struct participant *p, const Fed__Open *open, const struct event *event,
    struct update *u, struct err *e) must_check;
int client_round_on_model_chunk(
    struct participant *p, const Fed__ModelChunk *chunk, struct update *u) must_check;
int client_round_on_job(
    struct participant *p, struct train_job *job /* taken */, struct update *u) must_check;
int client_round_on_skip(struct participant *p, const Fed__Skip *skip, struct update *u) must_check;
int client_round_on_run_end(
    struct participant *p, const Fed__RunEnd *end, struct update *u) must_check;
/* Fresh levels are here in PHASE_LEVELING. */
int client_round_send_ready(struct participant *p, struct update *u) must_check;
/* Says that this client takes no part in the open round. */
int client_round_decline(
    struct participant *p, enum fed_code code, const char *why, struct update *u) must_check;
/* The operator has approved the run that waits. */
int client_round_retry_waiting(struct participant *p, struct update *u) must_check;
/* The round is over for this client: everything of it is dropped, a released update for good. */
int client_round_leave(struct participant *p, bool is_summed, struct update *u) must_check;
/* The server is back: asks again for what was lost with the connection. */
int client_round_resume(struct participant *p, struct update *u) must_check;
/* Time passes in PHASE_LEVELING without a vault. */
int client_round_tick(struct participant *p, struct update *u) must_check;
uint64_t client_round_deadline_ms(const struct participant *p);

/* ---- attempt.c ------------------------------------------------------------------------------ */
int client_attempt_on_commit(
    struct participant *p, const Fed__Commit *commit, struct update *u) must_check;
int client_attempt_on_relay(
    struct participant *p, const Fed__Relay *relay, struct update *u, struct err *e) must_check;
int client_attempt_on_abort(
    struct participant *p, const Fed__Abort *abort, struct update *u) must_check;
/* Gives up an attempt of which nothing more is heard, so that no key stays reserved for it. */
int client_attempt_tick(struct participant *p, struct update *u) must_check;
uint64_t client_attempt_deadline_ms(const struct participant *p);
/* Fresh cursors are here in PHASE_CHECKING. */
int client_attempt_check_cursors(struct participant *p, struct update *u) must_check;
/* Fresh levels are here in PHASE_REFUSING, or will not come. */
int client_attempt_send_refusal(struct participant *p, struct update *u) must_check;
int client_attempt_on_reserved(
    struct participant *p, const Vault__Reserved *reserved, struct update *u) must_check;
int client_attempt_on_pad(
    struct participant *p, Vault__Pad *pad, struct update *u, struct err *e) must_check;
int client_attempt_on_vault_lost(struct participant *p, struct update *u) must_check;
/* Gives the attempt up before its release: key destroyed, outbox erased, REJECT sent. */
int client_attempt_refuse(
    struct participant *p, enum fed_code code, const char *why, struct update *u) must_check;
/* Forgets an attempt that was not released: its key in the vault and its outbox too. */
int client_attempt_drop(struct participant *p, struct update *u) must_check;
void client_attempt_deinit(struct attempt *a);

/* ---- release.c ------------------------------------------------------------------------------ */
int client_release_on_go(struct participant *p, const Fed__Go *go, struct update *u) must_check;
/* Sends on when the server has answered the last ping. */
int client_release_continue(struct participant *p, struct update *u) must_check;
/* The vector that may have left is of no use any more: durably closes its round, so that no other
 * update of this round leaves, then erases the outbox. `is_summed`: its sum has been published. */
int client_release_end(struct participant *p, bool is_summed) must_check;
int client_release_send_lost(struct participant *p, uint64_t attempt, struct update *u) must_check;

/* ---- result.c ------------------------------------------------------------------------------- */
int client_result_on_head(
    struct participant *p, const Fed__Result *result, struct update *u, struct err *e) must_check;
int client_result_on_chunk(struct participant *p, const Fed__ResultChunk *chunk, struct update *u,
    struct err *e) must_check;
/* What has come in of a sum is dropped. */
void client_result_forget(struct participant *p);
