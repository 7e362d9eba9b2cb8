/* SPDX-License-Identifier: Apache-2.0 */
/* An attempt from COMMIT to LOCKED: commit first, then mask.
 *
 * Nothing of the key is touched before every check has passed; nothing is masked before a valid tag
 * has come from every neighbour; LOCKED is said when the outbox is durable.
 */
#include "client/core.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

#define STALE_MAX   2                      /* refusals of this kind in one round */
#define PATIENCE_MS ((uint64_t)120 * 1000) /* without any progress before LOCKED */

typedef unsigned long long ull;

/* ---- giving up -------------------------------------------------------------------------------- */

void client_attempt_deinit(struct attempt *a)
{
    edges_deinit(&a->edges);
    arena_free(a->arena);
    free(a->bytes);
    *a = (struct attempt){0};
}

int client_attempt_drop(struct participant *p, struct update *u)
{
    struct attempt *a = &p->round.attempt;
    int r = 0;
    assert(p->round.phase != PHASE_RELEASED || !p->round.outbox.sealed);
    if (p->round.outbox.sealed)
        r = client_outbox_erase(&p->round.outbox, p->disk);
    else
        client_outbox_deinit(&p->round.outbox);
    if (r == 0 && a->has_reserved)
        r = client_pool_release(p, a->number, u);
    client_attempt_deinit(a);
    return r;
}

static int send_reject(
    struct participant *p, uint64_t attempt, enum fed_code code, const char *why, struct update *u)
{
    Fed__Reject m = FED__REJECT__INIT;
    struct levels_message levels;
    int r = client_levels_message(&levels, &p->pool.levels);
    if (r < 0)
        return r;
    update_note(u, NOTE_WARNING, "attempt %llu is refused: %s", (ull)attempt, why);
    p->counters.refusals++;
    m.attempt = attempt;
    m.code = code;
    m.reason = (char *)why;
    m.levels = levels.list;
    m.n_levels = p->pool.levels.n;
    r = client_upstream_send(p, u, FED_REJECT, &m.base);
    client_levels_message_free(&levels);
    return r == 0 ? client_levels_copy(&p->pool.told, &p->pool.levels) : r;
}

/* Stale excludes nobody. A client whose starts do not come right (its KME link may be dead without
 * knowing it) asks to be left out of the round, before the others burn their key for nothing. */
static enum fed_code limit_stale(struct participant *p, enum fed_code code)
{
    if (code != FED_STALE || ++p->round.stale <= STALE_MAX)
        return code;
    return FED_NO_KEY;
}

int client_attempt_refuse(
    struct participant *p, enum fed_code code, const char *why, struct update *u)
{
    code = limit_stale(p, code);
    uint64_t attempt =
        p->round.phase == PHASE_REFUSING ? p->round.refused : p->round.attempt.number;
    int r = send_reject(p, attempt, code, why, u);
    r = r == 0 ? client_attempt_drop(p, u) : r;
    client_round_move(p, PHASE_READY);
    return r;
}

/* The vault knows better than the levels held: asks for fresh ones first. */
static int refuse_with_levels(
    struct participant *p, enum fed_code code, const char *why, struct update *u)
{
    p->round.refused = p->round.attempt.number;
    p->round.refused_code = code;
    err_set(&p->round.refused_why, 0, "%s", why);
    int r = client_attempt_drop(p, u);
    client_round_move(p, PHASE_REFUSING);
    return r == 0 ? client_pool_need_levels(p, u) : r;
}

int client_attempt_send_refusal(struct participant *p, struct update *u)
{
    return client_attempt_refuse(p, p->round.refused_code, p->round.refused_why.text, u);
}

uint64_t client_attempt_deadline_ms(const struct participant *p)
{
    bool is_unlocked = p->round.phase >= PHASE_CHECKING && p->round.phase <= PHASE_MASKING;
    return is_unlocked ? p->round.attempt.heard_ms + PATIENCE_MS : NEVER_MS;
}

int client_attempt_tick(struct participant *p, struct update *u)
{
    if (p->now_ms < client_attempt_deadline_ms(p))
        return 0;
    return client_attempt_refuse(p, FED_DEADLINE, "nothing was heard of it for two minutes", u);
}

int client_attempt_on_vault_lost(struct participant *p, struct update *u)
{
    switch (p->round.phase) {
    case PHASE_CHECKING:
    case PHASE_RESERVING:
    case PHASE_OPENING:
    case PHASE_CONFIRMING:
    case PHASE_MASKING:
        return client_attempt_refuse(p, FED_VAULT, "the connection to the key pool was lost", u);
    case PHASE_REFUSING:
        return client_attempt_send_refusal(p, u);
    case PHASE_LEVELING:
        p->round.leveling_ms = p->now_ms;
        return 0;
    default:
        return 0;
    }
}

int client_attempt_on_abort(struct participant *p, const Fed__Abort *m, struct update *u)
{
    bool is_released = p->round.phase == PHASE_RELEASED;
    uint64_t number = is_released ? p->round.outbox.label.attempt : p->round.attempt.number;
    if (p->round.phase < PHASE_CHECKING || number == 0 || m->attempt != number)
        return 0;
    /* An outbox found at start was perhaps never released. */
    bool is_wrong = is_released && p->round.terms.held;
    update_note(u, is_wrong ? NOTE_ALARM : NOTE_INFO, "attempt %llu was aborted%s: %.200s",
        (ull)number, is_wrong ? " after its release" : "", m->reason);
    int r = is_released ? client_release_end(p, false) : 0;
    r = r == 0 ? client_attempt_drop(p, u) : r;
    if (r < 0)
        return r;
    if (is_released && !p->round.terms.held)
        return client_round_leave(p, false, u);
    client_round_move(p, is_released ? PHASE_SPENT : PHASE_READY);
    return 0;
}

/* ---- COMMIT ----------------------------------------------------------------------------------- */

static struct policy_witness witness(const struct participant *p)
{
    return (struct policy_witness){
        .policy = &p->config.policy,
        .site = p->config.site,
        .peers = p->config.peers,
        .n_peers = p->config.n_peers,
        .terms = &p->round.terms,
        .samples = p->round.trained.samples,
        .last_attempt = p->state.attempt,
        .skipped = p->state.has_skipped ? p->state.skipped : NULL,
    };
}

/* Copies the view's bytes (they are what tags are over) and decodes them. */
static int read_view(struct attempt *a, const Fed__Commit *commit, struct err *e)
{
    View__View *view = NULL;
    a->number = commit->attempt;
    a->len = commit->view.len;
    a->bytes = malloc(MAX(a->len, (size_t)1));
    a->arena = arena_new(0);
    if (!a->bytes || !a->arena)
        return -ENOMEM;
    memcpy(a->bytes, commit->view.data, a->len);
    int r = view_decode(a->bytes, a->len, a->arena, &view, e);
    a->view = view;
    return r > 0 ? FED_VIEW : r;
}

/* All that can be checked without the vault. > 0 enum fed_code. */
static int check_commit(struct participant *p, const Fed__Commit *commit, struct err *e)
{
    struct attempt *a = &p->round.attempt;
    struct policy_witness w = witness(p);
    int r = read_view(a, commit, e);
    r = r == 0 ? policy_check_view(&w, a->view, a->number, e) : r;
    if (r != 0)
        return r;
    a->quantiser = view_quantiser(a->view);
    r = edges_init(&a->edges, a->view, (uint32_t)view_find(a->view, p->config.site));
    if (r == 0 && !client_pool_is_up(p))
        return err_set(e, FED_VAULT, "the key pool cannot be reached");
    return r;
}

static int begin(struct participant *p, const Fed__Commit *commit, struct update *u)
{
    struct err e = {0};
    client_round_move(p, PHASE_CHECKING);
    p->round.attempt.heard_ms = p->now_ms;
    int r = check_commit(p, commit, &e);
    if (r < 0)
        return r;
    if (r > 0)
        return client_attempt_refuse(p, (enum fed_code)r, e.text, u);
    return client_pool_need_levels(p, u);
}

static int send_confirm(struct participant *p, struct update *u)
{
    const struct edges *edges = &p->round.attempt.edges;
    Fed__Confirm m = FED__CONFIRM__INIT;
    auto_free Fed__Tag *tags = calloc(edges->n, sizeof(Fed__Tag));
    auto_free Fed__Tag **list = calloc(edges->n, sizeof(Fed__Tag *));
    if (!tags || !list)
        return -ENOMEM;
    for (uint32_t i = 0; i < edges->n; i++) {
        fed__tag__init(&tags[i]);
        tags[i].peer = (char *)edges->list[i].peer;
        tags[i].tag = (ProtobufCBinaryData){GF128_BYTES, edges->list[i].mine};
        list[i] = &tags[i];
    }
    m.attempt = p->round.attempt.number;
    m.tags = list;
    m.n_tags = edges->n;
    return client_upstream_send(p, u, FED_CONFIRM, &m.base);
}

static int send_locked(struct participant *p, struct update *u)
{
    Fed__Locked m = FED__LOCKED__INIT;
    m.attempt = p->round.outbox.label.attempt;
    return client_upstream_send(p, u, FED_LOCKED, &m.base);
}

/* The COMMIT of the attempt under way again: the server has lost the answers. */
static int answer_again(struct participant *p, const Fed__Commit *commit, struct update *u)
{
    const struct attempt *a = &p->round.attempt;
    if (commit->view.len != a->len || memcmp(commit->view.data, a->bytes, a->len) != 0) {
        update_note(u, NOTE_ALARM, "attempt %llu comes with two views", (ull)a->number);
        return p->round.phase == PHASE_RELEASED
                   ? 0
                   : client_attempt_refuse(p, FED_TAG, "the attempt came with another view", u);
    }
    int r = 0;
    if (p->round.phase == PHASE_CONFIRMING || p->round.phase == PHASE_MASKING ||
        p->round.phase == PHASE_LOCKED)
        r = send_confirm(p, u);
    return r == 0 && p->round.outbox.sealed ? send_locked(p, u) : r;
}

/* An update that may have left is for its own attempt only. */
static int answer_spent(struct participant *p, const Fed__Commit *commit, struct update *u)
{
    if (p->round.outbox.sealed && commit->attempt == p->round.outbox.label.attempt)
        return send_locked(p, u);
    return send_reject(p, commit->attempt, FED_SPENT,
        "the update of this round has been released in another attempt", u);
}

int client_attempt_on_commit(struct participant *p, const Fed__Commit *commit, struct update *u)
{
    if (p->round.attempt.number && commit->attempt == p->round.attempt.number)
        return answer_again(p, commit, u);
    if (p->round.phase == PHASE_RELEASED || p->round.phase == PHASE_SPENT)
        return answer_spent(p, commit, u);
    if (p->round.phase < PHASE_READY)
        return client_release_send_lost(p, commit->attempt, u);
    if (p->round.phase != PHASE_READY) {
        int r = client_attempt_drop(p, u);
        if (r < 0)
            return r;
        client_round_move(p, PHASE_READY);
    }
    return begin(p, commit, u);
}

/* ---- burn ------------------------------------------------------------------------------------- */

static struct outbox_label make_label(const struct participant *p)
{
    const struct attempt *a = &p->round.attempt;
    struct outbox_label label = {
        .round = p->round.terms.round,
        .attempt = a->number,
        .training = p->round.trained.training,
    };
    memcpy(label.run, p->round.terms.run, FED_RUN_BYTES);
    sha256(label.view, a->bytes, a->len);
    policy_hash_members(a->view, label.members);
    return label;
}

/* Lets the simulator and the demo compare the published sum with the integers that went into it. */
static int show_integers(const struct participant *p)
{
    if (!p->config.on_quantised)
        return 0;
    const struct quantiser *z = &p->round.attempt.quantiser;
    auto_free int64_t *v = calloc(z->parameters, sizeof(*v));
    if (!v)
        return -ENOMEM;
    quantiser_integers(z, client_outbox_vector((struct outbox *)&p->round.outbox), v);
    p->config.on_quantised(p->config.on_quantised_arg, p->round.terms.round,
        p->round.attempt.number, v, z->parameters);
    secret_wipe(v, z->parameters * sizeof(*v));
    return 0;
}

/* > 0 enum fed_code with a sentence. */
static int quantise(struct participant *p, struct err *e)
{
    const struct attempt *a = &p->round.attempt;
    struct outbox_label label = make_label(p);
    uint64_t clipped = 0;
    int r = client_outbox_init(&p->round.outbox, &label, &a->quantiser);
    if (r < 0)
        return r;
    r = trained_quantise(&p->round.trained, &a->quantiser, view_weight(a->view, a->edges.self),
        p->config.seed, client_outbox_vector(&p->round.outbox), &clipped);
    if (r == -EDOM)
        return err_set(e, FED_TRAINING, "the update has values that are not finite");
    p->counters.clipped_values += clipped;
    return r == 0 ? show_integers(p) : r;
}

/* Every check has passed: the attempt number is used up before any key is. */
static int reserve(struct participant *p, struct update *u)
{
    struct err e = {0};
    p->state.attempt = p->round.attempt.number;
    int r = client_state_save(&p->state, p->disk);
    r = r == 0 ? quantise(p, &e) : r;
    if (r < 0)
        return r;
    if (r > 0)
        return client_attempt_refuse(p, (enum fed_code)r, e.text, u);
    p->counters.attempts++;
    p->round.attempt.has_reserved = true;
    client_round_move(p, PHASE_RESERVING);
    return client_pool_reserve(p, &p->round.attempt, u);
}

int client_attempt_check_cursors(struct participant *p, struct update *u)
{
    struct err e = {0};
    struct policy_witness w = witness(p);
    int r =
        policy_check_edges(&w, p->round.attempt.view, &p->pool.levels, &p->budget, p->now_ms, &e);
    if (r < 0)
        return r;
    return r > 0 ? client_attempt_refuse(p, (enum fed_code)r, e.text, u) : reserve(p, u);
}

/* The name as the roster keeps it, which outlives the view. */
static const char *roster_name(const struct participant *p, const char *peer)
{
    for (size_t i = 0; i < p->config.n_peers; i++)
        if (strcmp(p->config.peers[i], peer) == 0)
            return p->config.peers[i];
    return "";
}

static int count_burnt(struct participant *p)
{
    const struct edges *edges = &p->round.attempt.edges;
    for (uint32_t i = 0; i < edges->n; i++) {
        const struct edge *edge = &edges->list[i];
        const struct level *level = client_levels_find(&p->pool.levels, edge->peer);
        uint64_t skipped = level ? edge->start - MIN(level->cursor, edge->start) : 0;
        p->counters.key_burnt_bytes += skipped + edge->length;
        int r = budget_burn(&p->budget, p->now_ms, p->round.attempt.number,
            roster_name(p, edge->peer), skipped + edge->length);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_heads(struct participant *p, struct update *u)
{
    int r = 0;
    for (uint32_t i = 0; i < p->round.attempt.edges.n && r == 0; i++)
        r = client_pool_take(p, p->round.attempt.number,
            (struct pads_request){.range = i, .offset = 0, .length = VIEW_HEAD_BYTES}, u);
    return r;
}

static enum fed_code refusal_code(uint32_t vault_code)
{
    switch (vault_code) {
    case VAULT_OLD_ATTEMPT:
    case VAULT_LOST:
    case VAULT_REUSE:
        return FED_STALE; /* another attempt may do; nobody is to blame */
    case VAULT_NO_KEY:
    case VAULT_OUT_OF_STEP:
    case VAULT_NO_STREAM:
        return FED_NO_KEY;
    default:
        return FED_VAULT;
    }
}

int client_attempt_on_reserved(struct participant *p, const Vault__Reserved *m, struct update *u)
{
    if (p->round.phase != PHASE_RESERVING || m->attempt != p->round.attempt.number)
        return 0;
    if (m->code != VAULT_OK) {
        p->round.attempt.has_reserved = false;
        return refuse_with_levels(p, refusal_code(m->code), m->reason, u);
    }
    p->round.attempt.heard_ms = p->now_ms;
    int r = count_burnt(p);
    client_round_move(p, PHASE_OPENING);
    return r == 0 ? take_heads(p, u) : r;
}

/* ---- CONFIRM ---------------------------------------------------------------------------------- */

static int ask_pads(struct participant *p, struct update *u)
{
    struct pads_request request;
    int r = 0;
    while (r == 0 && pads_ask(&p->round.attempt.pads, &request))
        r = client_pool_take(p, p->round.attempt.number, request, u);
    return r;
}

static int refuse_tag(struct participant *p, const char *peer, struct update *u)
{
    struct err e;
    p->counters.wrong_tags++;
    err_set(&e, 0, "the tag of %s does not fit the view: it or the relay saw another one", peer);
    update_note(u, NOTE_ALARM, "attempt %llu: %s", (ull)p->round.attempt.number, e.text);
    return client_attempt_refuse(p, FED_TAG, e.text, u);
}

/* Goes on to masking when, and only when, every neighbour's tag is valid. */
static int check_tags(struct participant *p, struct update *u)
{
    struct attempt *a = &p->round.attempt;
    const char *peer = NULL;
    if (edges_verify(&a->edges, a->bytes, a->len, &peer) != 0)
        return refuse_tag(p, peer, u);
    if (!edges_is_confirmed(&a->edges))
        return 0;
    edges_forget_heads(&a->edges);
    pads_init(&a->pads, quantiser_words(&a->quantiser), a->quantiser.q, a->edges.n);
    client_round_move(p, PHASE_MASKING);
    return ask_pads(p, u);
}

int client_attempt_on_relay(
    struct participant *p, const Fed__Relay *m, struct update *u, struct err *e)
{
    struct attempt *a = &p->round.attempt;
    if (m->attempt != a->number || p->round.phase < PHASE_CHECKING ||
        p->round.phase > PHASE_CONFIRMING)
        return 0;
    if (m->tag->tag.len != GF128_BYTES)
        return err_set(e, CORE_E_VIOLATION, "RELAY: a tag of %zu bytes", m->tag->tag.len);
    if (edges_hear(&a->edges, m->tag->peer, m->tag->tag.data) != 0)
        return err_set(
            e, CORE_E_VIOLATION, "RELAY: '%.63s' is not a neighbour in the view", m->tag->peer);
    a->heard_ms = p->now_ms;
    return p->round.phase == PHASE_CONFIRMING ? check_tags(p, u) : 0;
}

/* ---- pads ------------------------------------------------------------------------------------- */

static int on_head(struct participant *p, Vault__Pad *pad, struct update *u, struct err *e)
{
    struct attempt *a = &p->round.attempt;
    if (pad->range != a->edges.n_heads || pad->offset != 0 || pad->data.len != VIEW_HEAD_BYTES)
        return err_set(e, CORE_E_VIOLATION, "PAD: not the head that was asked for");
    edges_add_head(&a->edges, pad->data.data);
    if (!edges_has_heads(&a->edges))
        return 0;
    edges_sign(&a->edges, a->bytes, a->len);
    client_round_move(p, PHASE_CONFIRMING);
    int r = send_confirm(p, u);
    return r == 0 ? check_tags(p, u) : r;
}

/* Durable first; nobody hears of it before. */
static int lock(struct participant *p, struct update *u)
{
    int r = client_outbox_seal(&p->round.outbox, p->disk);
    r = r == 0 ? client_pool_release(p, p->round.attempt.number, u) : r;
    if (r < 0)
        return r;
    p->round.attempt.has_reserved = false;
    client_round_move(p, PHASE_LOCKED);
    return send_locked(p, u);
}

static int on_mask(struct participant *p, Vault__Pad *pad, struct update *u, struct err *e)
{
    struct attempt *a = &p->round.attempt;
    if (!pads_add(&a->pads, &a->edges, pad, client_outbox_vector(&p->round.outbox)))
        return err_set(e, CORE_E_VIOLATION, "PAD: not the bytes that were asked for");
    return pads_is_complete(&a->pads) ? lock(p, u) : ask_pads(p, u);
}

int client_attempt_on_pad(struct participant *p, Vault__Pad *pad, struct update *u, struct err *e)
{
    bool is_mine = p->round.attempt.number && pad->attempt == p->round.attempt.number;
    p->round.attempt.heard_ms = p->now_ms;
    if (is_mine && p->round.phase == PHASE_OPENING)
        return on_head(p, pad, u, e);
    return is_mine && p->round.phase == PHASE_MASKING ? on_mask(p, pad, u, e) : 0;
}
