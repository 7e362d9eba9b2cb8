/* SPDX-License-Identifier: Apache-2.0 */
/* The published sum of a round: recompute the model, compare, let go of the outbox.
 *
 * A sum that does not make the model that the server names is not believed: alarm, the old model
 * stays, and the next OPEN's model is fetched by its hash.
 */
#include "client/core.h"

#include "common/util.h"

#include <errno.h>

typedef unsigned long long ull;

void client_result_forget(struct participant *p)
{
    free(p->round.incoming.sum);
    p->round.incoming = (struct incoming){0};
}

/* ---- the end of a round ------------------------------------------------------------------------ */

static bool is_own_outbox(const struct participant *p, uint64_t attempt)
{
    return p->round.outbox.sealed && p->round.outbox.label.attempt == attempt;
}

/* The attempt has its sum: whatever of it is still here is of no use any more. DONE says that an
 * outbox is gone; who had none has nothing to say. */
static int conclude(struct participant *p, bool is_this_round, uint64_t attempt, struct update *u)
{
    Fed__Done m = FED__DONE__INIT;
    bool is_mine = is_own_outbox(p, attempt);
    if (!is_this_round && !is_mine)
        return 0;
    p->counters.rounds_done++;
    int r = client_round_leave(p, is_mine, u);
    m.attempt = attempt;
    return r == 0 && is_mine ? client_upstream_send(p, u, FED_DONE, &m.base) : r;
}

/* ---- head -------------------------------------------------------------------------------------- */

static bool is_digest_right(const struct participant *p, const Fed__Result *m)
{
    uint8_t round[8], attempt[8], digest[SHA256_BYTES];
    put_u64le(round, m->round);
    put_u64le(attempt, m->attempt);
    const struct sha256_part parts[] = {
        {p->round.terms.previous, SHA256_BYTES},
        {m->run.data, m->run.len},
        {round, sizeof(round)},
        {attempt, sizeof(attempt)},
        {m->base_hash.data, m->base_hash.len},
        {m->model_hash.data, m->model_hash.len},
    };
    sha256_parts(digest, parts, ARRAY_SIZE(parts));
    return memcmp(digest, m->digest.data, SHA256_BYTES) == 0;
}

/* Does it say what this client knows to be so? > 0 with a sentence if not. */
static int check_head(const struct participant *p, const Fed__Result *m, struct err *e)
{
    const struct attempt *a = &p->round.attempt;
    struct quantiser z = terms_quantiser(&p->round.terms, m->participants);
    if (!is_digest_right(p, m))
        return err_set(e, 1, "the digest of the result is wrong");
    if (p->round.phase == PHASE_RELEASED && a->number == m->attempt && a->view &&
        m->participants != a->view->n_members)
        return err_set(e, 1, "the result is of %u participants, the view of %zu", m->participants,
            a->view->n_members);
    if (m->participants == 0 || m->participants > FED_SITES_MAX || quantiser_check(&z, NULL) < 0 ||
        m->chunks != quantiser_chunks(&z))
        return err_set(e, 1, "the result of %u participants in %u chunks does not fit the round",
            m->participants, m->chunks);
    return 0;
}

static int begin(struct participant *p, const Fed__Result *m)
{
    struct incoming *in = &p->round.incoming;
    *in = (struct incoming){
        .is_on = true,
        .attempt = m->attempt,
        .quantiser = terms_quantiser(&p->round.terms, m->participants),
        .chunks = m->chunks,
    };
    uint64_t last = in->chunks - 1;
    in->sum = malloc(quantiser_chunk_offset(&in->quantiser, (uint32_t)last) +
                     quantiser_chunk_bytes(&in->quantiser, (uint32_t)last));
    memcpy(in->model_hash, m->model_hash.data, SHA256_BYTES);
    memcpy(in->digest, m->digest.data, SHA256_BYTES);
    return in->sum ? 0 : -ENOMEM;
}

static int disbelieve(struct participant *p, uint64_t attempt, const char *why, struct update *u)
{
    p->counters.wrong_results++;
    update_note(
        u, NOTE_ALARM, "round %llu: %s; the model is fetched anew", (ull)p->round.terms.round, why);
    return conclude(p, true, attempt, u);
}

int client_result_on_head(
    struct participant *p, const Fed__Result *m, struct update *u, struct err *e)
{
    if (m->model_hash.len != SHA256_BYTES || m->base_hash.len != SHA256_BYTES ||
        m->digest.len != SHA256_BYTES || m->run.len != FED_RUN_BYTES)
        return err_set(e, CORE_E_VIOLATION, "RESULT: a hash or run of a wrong size");
    client_result_forget(p);
    bool is_this_round = terms_is_round(&p->round.terms, m->run.data, m->run.len, m->round);
    if (!is_this_round || !client_model_is(&p->model, m->base_hash.data))
        return conclude(p, is_this_round, m->attempt, u);
    int r = check_head(p, m, e);
    return r == 0 ? begin(p, m) : disbelieve(p, m->attempt, e->text, u);
}

/* ---- words ------------------------------------------------------------------------------------- */

static int finish(struct participant *p, struct update *u)
{
    struct incoming *in = &p->round.incoming;
    struct err e = {0};
    uint64_t attempt = in->attempt;
    int r = client_model_apply(&p->model, &in->quantiser, in->sum, in->model_hash, &e);
    if (r < 0)
        return r;
    if (r > 0)
        return disbelieve(p, attempt, e.text, u);
    p->model.has_previous = true;
    memcpy(p->model.previous, in->digest, SHA256_BYTES);
    update_note(u, NOTE_INFO,
        "round %llu: the sum of %u sites makes the model that the server names",
        (ull)p->round.terms.round, in->quantiser.participants);
    return conclude(p, true, attempt, u);
}

int client_result_on_chunk(
    struct participant *p, const Fed__ResultChunk *m, struct update *u, struct err *e)
{
    struct incoming *in = &p->round.incoming;
    if (!in->is_on || m->attempt != in->attempt)
        return 0; /* of a result that does not matter here */
    if (m->index != in->next || m->data.len != quantiser_chunk_bytes(&in->quantiser, in->next))
        return err_set(e, CORE_E_VIOLATION, "RESULT: chunk %u of %zu bytes does not come next",
            m->index, m->data.len);
    memcpy(in->sum + quantiser_chunk_offset(&in->quantiser, in->next), m->data.data, m->data.len);
    in->next++;
    return in->next == in->chunks ? finish(p, u) : client_upstream_listening(p, m->index, u);
}
