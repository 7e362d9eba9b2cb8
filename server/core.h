/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the aggregator share: its state, and the verbs of one file that others use.
 *
 *     aggregator.c  one step: dispatch, then let run and round go on
 *     inbox.c       what each message of a client means
 *     hello.c       what a client gets that (re)connects
 *     run.c         runs begin, open rounds, end
 *     round.c       the machine of a round: phases, deadlines, abort, skip
 *     commit.c      from READY clients to COMMIT
 *     release.c     GO, uploads, the result
 *     send.c        messages to one or all
 *     status.c, verbs.c  the operator's view
 *
 * Every function returns 0 or a negative -errno that is fatal, unless it says otherwise.
 */
#pragma once

#include "server/aggregator.h"
#include "server/attempt.h"
#include "server/levels.h"
#include "server/counters.h"
#include "server/model.h"
#include "server/published.h"
#include "server/select.h"
#include "server/sessions.h"

enum phase {
    PHASE_IDLE,    /* between rounds */
    PHASE_OPEN,    /* clients train; waiting for READY */
    PHASE_KEYS,    /* enough are READY, too few pairs have key */
    PHASE_CONFIRM, /* COMMIT sent; waiting for tags */
    PHASE_LOCK,    /* all tags relayed; waiting for LOCKED */
    PHASE_GO,      /* released; uploads come in */
    PHASE_RESULT,  /* published; waiting for DONE */
};

enum answer {
    ANSWER_NONE,
    ANSWER_READY,
    ANSWER_DECLINED,
    ANSWER_OUT, /* was the cause of an abort: not in this round any more */
};

#define REASON_MAX 400 /* bytes of a reason; longer ones are cut */

struct reason {
    char text[REASON_MAX];
};
__attribute__((format(printf, 2, 3))) void reason_set(struct reason *r, const char *format, ...);
/* What a peer said, fit for logs: printable, and not longer than a line. */
struct reason reason_quote(const char *said);

/* A site in the current round. */
struct candidate {
    enum answer answer;
    uint8_t nonce[FED_NONCE_BYTES]; /* of the process that answered */
    uint64_t samples;
    bool had_extension; /* the others have waited for its second training */
};

struct round {
    enum phase phase;
    uint64_t number;
    uint64_t opened_ms;
    uint64_t deadline_ms;
    uint32_t attempts;    /* made in this round */
    bool is_retry;        /* after an abort: nobody is waited for */
    bool is_changed;      /* something that selection looks at has changed since it last ran */
    bool has_waited_keys; /* the wait for key is counted once */
    struct blob *open;    /* owned: body of OPEN */
    uint8_t open_hash[SHA256_BYTES];
    struct candidate *candidates; /* owned, by site */
    struct attempt *attempt;      /* owned; CONFIRM to RESULT */
    struct reason cause;          /* why the last attempt or selection failed */
};

struct run {
    bool is_active;
    bool has_ended;  /* the last one */
    bool stop;       /* the operator wants it to end */
    bool drain;      /* the operator wants the process to end */
    bool is_stopped; /* EFFECT_STOP was given */
    uint8_t id[FED_RUN_BYTES];
    uint64_t next_round;
    bool is_round_durable; /* next_round is open in the store already */
    uint32_t attempts;     /* made in it before the start of the process */
    uint64_t enough_ms;    /* since when min_clients are connected; 0: they are not */
    uint64_t gather_ms;    /* when the wait for the others ends; NEVER_MS */
    uint64_t rounds_summed;
    uint64_t rounds_skipped;
};

/* The last attempt that was aborted: for clients that were away, and for refusals that come late. */
struct aborted {
    struct attempt *attempt; /* owned; NULL before the first */
    uint32_t code;
    struct reason reason;
};

struct aggregator {
    struct aggregator_config config;
    struct store *store;
    struct arena *arena; /* of the message being handled */
    struct sessions sessions;
    struct levels levels;
    struct highs highs;
    struct model model;
    struct run run;
    struct round round;
    struct aborted aborted;
    struct published published; /* the last result of this process */
    uint64_t attempt;           /* highest ever proposed or seen */
    uint8_t previous[SHA256_BYTES];
    const struct graph_policy *policy;
    struct counters counters;
    struct reason fault; /* not empty: the store is full; only operators are served */
};

static inline void blob_unrefp(struct blob **b)
{
    blob_unref(*b);
}

/* ---- names ---- */
const char *phase_name(enum phase phase);
const char *code_name(uint32_t code);
const char *site_name(const struct aggregator *a, size_t site);
/* Index in the roster, or -1. */
int site_find(const struct aggregator *a, const char *name);
struct session *site_session(const struct aggregator *a, size_t site);

/* ---- send.c ---- */
int send_welcome(struct aggregator *a, uint32_t conn, struct update *u) must_check;
int send_open(struct aggregator *a, size_t site, struct update *u) must_check;
int send_commit(struct aggregator *a, size_t site, struct update *u) must_check;
/* The tag of member `from` to member `to`, if `to` is connected. */
int send_relay(struct aggregator *a, uint32_t from, uint32_t to, struct update *u) must_check;
int send_go(struct aggregator *a, uint32_t member, struct update *u) must_check;
int send_abort(uint32_t conn, uint64_t attempt, uint32_t code, const char *reason,
    struct update *u) must_check;
int send_skip(struct aggregator *a, uint32_t conn, uint64_t round, uint64_t attempt,
    const char *reason, struct update *u) must_check;
int send_run_end(
    struct aggregator *a, uint32_t conn, const char *reason, struct update *u) must_check;
/* Calls `send` for every connected client. */
int send_all(struct aggregator *a,
    int (*send)(struct aggregator *a, struct session *session, void *arg, struct update *u),
    void *arg, struct update *u) must_check;

/* ---- aggregator.c ---- */
/* The peer broke the protocol: closes its connection. */
int session_violation(struct aggregator *a, struct session *session, uint64_t now_ms,
    struct update *u, const char *format, ...) must_check __attribute__((format(printf, 5, 6)));

/* ---- inbox.c, hello.c ---- */
int inbox_message(struct aggregator *a, struct session *session, const struct event *event,
    const ProtobufCMessage *message, struct update *u) must_check;
enum inbox_condition { INBOX_E_INVALID = 1 };
/* Levels that a site reports. > 0 if no honest client reports them. */
int inbox_levels(struct aggregator *a, size_t site, Fed__Level *const *levels, size_t n) must_check;
/* A member of the current attempt has nothing (any more) to release in it. */
int inbox_lost(struct aggregator *a, uint32_t member, uint64_t now_ms, struct update *u) must_check;
int hello_message(struct aggregator *a, struct session *session, const struct event *event,
    const Fed__Hello *hello, struct update *u) must_check;
/* The session speaks for its site from now on. */
int hello_accept(struct aggregator *a, struct session *session, const Fed__Hello *hello,
    uint64_t now_ms, struct update *u) must_check;

/* ---- run.c ---- */
int run_load(struct aggregator *a, const struct store_state *state, struct err *e) must_check;
int run_begin(struct aggregator *a) must_check;
int run_advance(struct aggregator *a, uint64_t now_ms, bool *progress, struct update *u) must_check;
/* Everybody is here, or min_clients are and the others have had their time; as of this step. */
bool run_is_gathered(const struct aggregator *a);
/* The round is over: the next one comes. */
void run_pass(struct aggregator *a, uint64_t round);
/* The round that most of the connected clients have been in, if the journal knows nothing of it; else
 * 0. A journal restored from a backup is behind its clients, who refuse rounds of the past. */
uint64_t run_reached(const struct aggregator *a);

/* ---- round.c ---- */
int round_init(struct round *r, size_t sites) must_check;
void round_deinit(struct round *r);
int round_open(struct aggregator *a, uint64_t number, uint64_t now_ms, struct update *u) must_check;
int round_advance(
    struct aggregator *a, uint64_t now_ms, bool *progress, struct update *u) must_check;
void round_enter(struct aggregator *a, enum phase phase, uint64_t now_ms, struct update *u);
/* The attempt is over without a release; the round goes on. */
int round_abort(struct aggregator *a, uint32_t code, const struct reason *reason, uint64_t now_ms,
    struct update *u) must_check;
/* The round is over without a sum. */
int round_skip(struct aggregator *a, const struct reason *reason, uint64_t now_ms,
    struct update *u) must_check;
/* A site came back while the others wait for a next attempt: it gets time to train, once. */
void round_extend(struct aggregator *a, size_t site, uint64_t now_ms);
/* In an attempt that has not been released. */
bool round_is_committed(const struct round *r);
/* The journal row of the current attempt, or of none. `sites` is owned by the caller. */
int round_row(const struct aggregator *a, enum store_outcome outcome, uint64_t now_ms,
    const char *reason, struct store_round *row, char **sites) must_check;
/* A site is the cause of an abort: what it is in the rest of the round. */
void round_blame(struct aggregator *a, size_t site, uint32_t code);
uint64_t phase_timeout_ms(const struct aggregator *a, enum phase phase);

/* ---- commit.c ---- */
int commit_try(struct aggregator *a, uint64_t now_ms, struct update *u) must_check;
uint64_t commit_need(const struct aggregator *a);
size_t commit_count_ready(const struct aggregator *a);
/* Both ends of an edge have (or `member` has) burnt it. */
void commit_burnt(struct aggregator *a, uint32_t member);
/* `member` refused the attempt before it touched any key, and says where its cursors are. */
void commit_refused(struct aggregator *a, const struct attempt *attempt, uint32_t member,
    const Fed__Reject *reject);

/* ---- release.c ---- */
int release_go(struct aggregator *a, uint64_t now_ms, struct update *u) must_check;
int release_resume(struct aggregator *a, struct attempt *attempt, uint64_t round, uint64_t now_ms);
int release_chunk(struct aggregator *a, struct session *session, const struct event *event,
    const Fed__Chunk *chunk, struct update *u) must_check;
int release_publish(struct aggregator *a, uint64_t now_ms, struct update *u) must_check;
/* The result of a finished attempt once more. 0, > 0 if it is not kept. */
int release_again(
    struct aggregator *a, uint64_t attempt, uint32_t conn, struct update *u) must_check;

/* ---- status.c, verbs.c ---- */
char *status_json(const struct aggregator *a) must_check;
char *status_metrics_json(const struct aggregator *a) must_check;
int verbs_request(struct aggregator *a, struct session *session, const ProtobufCMessage *message,
    uint64_t now_ms, struct update *u) must_check;
