/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/oracle_parts.h"

#include "common/util.h"
#include "common/words.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/sim/need.h"
#include "tests/sim/nodes.h"

#include <inttypes.h>

static uint64_t hash_of(const void *data, size_t len)
{
    uint8_t hash[SHA256_BYTES];
    sha256(hash, data, len);
    return get_u64le(hash) | 1;
}

/* One client's part of an attempt; its view is that of the first COMMIT it acted on. */
static struct part *part_of(struct oracle *o, size_t site, uint64_t number)
{
    struct part *p = &oracle_attempt(o, number)->part[site];
    if (!p->view && o->commit[site] && o->commit_attempt[site] == number)
        p->view = blob_ref(o->commit[site]);
    return p;
}

/* ---- invariant 2: an update is released in one attempt ---- */

/* Which update these integers are: the trainer's memory is asked, the weights are the view's. */
static uint64_t identify(struct oracle *o, size_t site, const View__View *view, const int64_t *v)
{
    const struct trainer_sim *trainer = client_node_trainer(o->set.clients[site]);
    uint64_t id;
    for (size_t i = 0;; i++) {
        const double *update = trainer_sim_update(trainer, i, &id);
        if (!update)
            return 0;
        if (!viewcheck_fits(view, o->set.sites[site], update, v))
            continue;
        leak_add_words(o->leak, update, view->parameters * sizeof(double));
        return id;
    }
}

/* Stronger than 2: whatever is trained again, one round takes one vector of a client. */
static void round_is_first(
    struct oracle *o, const struct attempt *a, unsigned site, const View__View *v)
{
    for (size_t i = 0; i < o->n_attempts; i++) {
        const struct attempt *b = o->attempts[i];
        if (b == a || !b->part[site].released)
            continue;
        View__View *other = oracle_view(&b->part[site]);
        if (other->round == v->round && memcmp(other->run.data, v->run.data, FED_RUN_BYTES) == 0)
            world_violation(o->set.world,
                "invariant 2: %s releases in attempts %" PRIu64 " and %" PRIu64
                " of round %" PRIu64,
                o->set.sites[site], b->number, a->number, v->round);
        view__view__free_unpacked(other, NULL);
    }
}

static void update_leaves(struct oracle *o, unsigned site, uint64_t update, uint64_t attempt)
{
    for (size_t i = 0; i < o->n_released; i++) {
        const struct released *r = &o->released[i];
        if (r->site != site || r->update != update)
            continue;
        if (r->attempt != attempt)
            world_violation(o->set.world,
                "invariant 2: %s releases one update in attempts %" PRIu64 " and %" PRIu64,
                o->set.sites[site], r->attempt, attempt);
        return;
    }
    o->released = need(reallocarray(o->released, o->n_released + 1, sizeof(*o->released)));
    o->released[o->n_released++] = (struct released){site, update, attempt};
}

/* ---- what a client quantises ---- */

/* The packed plaintext, chunk by chunk with its canaries, is secret. */
static void vector_is_secret(struct oracle *o, const struct quantiser *z, const int64_t *v)
{
    uint32_t next = 0;
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        uint32_t words = quantiser_chunk_words(z, c);
        uint8_t *packed = need(calloc(1, quantiser_chunk_bytes(z, c) + 8));
        words_put(packed, 0, z->q, 1);
        for (uint32_t i = 1; i + 1 < words; i++)
            words_put(packed, i, z->q, (uint32_t)v[next++]);
        words_put(packed, words - 1, z->q, 1);
        leak_add(o->leak, packed, quantiser_chunk_bytes(z, c));
        free(packed);
    }
}

void oracle_on_quantised(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n)
{
    const struct hook *hook = arg;
    struct oracle *o = hook->oracle;
    struct part *p = part_of(o, hook->site, attempt);
    View__View *view = oracle_view(p);
    if (!view || view->parameters != n) {
        oracle_violation(o, "8", o->set.sites[hook->site], "quantises without a view");
    } else {
        free(p->v);
        p->v = need(malloc(n * sizeof(*v)));
        memcpy(p->v, v, n * sizeof(*v));
        p->update = identify(o, hook->site, view, v);
        if (p->update == 0)
            oracle_violation(o, "5", o->set.sites[hook->site],
                "its integers are no update of its own with the weights of its view");
        struct quantiser z = oracle_quantiser(view);
        vector_is_secret(o, &z, v);
    }
    view__view__free_unpacked(view, NULL);
}

void *oracle_hook(struct oracle *o, size_t site)
{
    o->hook[site] = (struct hook){o, site};
    return &o->hook[site];
}

/* ---- frames of clients ---- */

static void chunk_is_known(struct oracle *o, unsigned site, struct part *p, const Fed__Chunk *m)
{
    if (m->index >= p->n_chunks) {
        p->chunks = need(reallocarray(p->chunks, m->index + 1, sizeof(*p->chunks)));
        for (; p->n_chunks <= m->index; p->n_chunks++)
            p->chunks[p->n_chunks] = 0;
    }
    uint64_t hash = hash_of(m->data.data, m->data.len);
    if (p->chunks[m->index] != 0 && p->chunks[m->index] != hash)
        oracle_violation(o, "1", o->set.sites[site], "a retransmission differs");
    p->chunks[m->index] = hash;
}

static void views_agree(struct oracle *o, const struct attempt *a, unsigned site)
{
    const struct part *own = &a->part[site];
    for (size_t i = 0; i < o->set.n; i++) {
        const struct part *p = &a->part[i];
        if (!p->released || i == site)
            continue;
        if (p->view->len != own->view->len ||
            memcmp(p->view->data, own->view->data, own->view->len) != 0)
            world_violation(o->set.world,
                "invariant 3: %s and %s are released in attempt %" PRIu64 " with different views",
                o->set.sites[i], o->set.sites[site], a->number);
    }
}

static void first_release(struct oracle *o, struct attempt *a, unsigned site)
{
    struct part *p = &a->part[site];
    View__View *view = oracle_view(p);
    const char *wrong = !view || !p->v
                            ? "without a view or without integers"
                            : viewcheck_release(view, o->set.sites[site], o->set.samples[site],
                                  o->set.sites, o->set.n, o->set.k_min, o->set.t_min);
    if (wrong)
        oracle_violation(o, "8", o->set.sites[site], wrong);
    else {
        p->released = true;
        views_agree(o, a, site);
        update_leaves(o, site, p->update, a->number);
        round_is_first(o, a, site, view);
    }
    view__view__free_unpacked(view, NULL);
}

static void sent_chunk(struct oracle *o, unsigned site, const struct message *m)
{
    Fed__Chunk *chunk = fed__chunk__unpack(NULL, m->len, m->body);
    if (!chunk) {
        oracle_violation(o, "9", m->from->name, "a CHUNK that is none");
        return;
    }
    struct attempt *a = oracle_attempt(o, chunk->attempt);
    if (!a->part[site].released)
        first_release(o, a, site);
    chunk_is_known(o, site, &a->part[site], chunk);
    fed__chunk__free_unpacked(chunk, NULL);
}

static void sent_confirm(struct oracle *o, unsigned site, const struct message *m)
{
    Fed__Confirm *confirm = fed__confirm__unpack(NULL, m->len, m->body);
    if (!confirm)
        return;
    if (confirm->attempt < o->last_attempt[site])
        oracle_violation(o, "8", o->set.sites[site], "its attempts go back");
    o->last_attempt[site] = MAX(o->last_attempt[site], confirm->attempt);
    fed__confirm__free_unpacked(confirm, NULL);
}

static void sent_ready(struct oracle *o, unsigned site, const struct message *m)
{
    Fed__Ready *ready = fed__ready__unpack(NULL, m->len, m->body);
    if (!ready || ready->run.len != FED_RUN_BYTES) {
        oracle_violation(o, "8", m->from->name, "a READY without a run");
    } else {
        if (memcmp(o->last_run[site], ready->run.data, FED_RUN_BYTES) != 0)
            o->last_round[site] = 0;
        memcpy(o->last_run[site], ready->run.data, FED_RUN_BYTES);
        if (ready->round < o->last_round[site])
            oracle_violation(o, "8", o->set.sites[site], "its rounds go back");
        o->last_round[site] = ready->round;
    }
    fed__ready__free_unpacked(ready, NULL);
}

/* A client that missed a result says DONE too, and fetches the model later: what it holds meanwhile
 * must still be a model that the server has had. */
static void sent_done(struct oracle *o, unsigned site, const struct message *m)
{
    const struct participant_view now = participant_query(client_node_core(m->from));
    uint8_t hash[SHA256_BYTES];
    oracle_check_results(o);
    if (!now.model)
        return;
    sha256(hash, now.model, now.parameters * sizeof(double));
    for (size_t i = o->n_summed; i-- > 0;)
        if (memcmp(hash, o->summed[i].model_hash, sizeof(hash)) == 0)
            return;
    if (memcmp(hash, o->first_hash, sizeof(hash)) != 0)
        oracle_violation(o, "5", o->set.sites[site], "its model was never the server's");
}

void oracle_sent_by_client(struct oracle *o, unsigned site, const struct message *m)
{
    switch (m->type) {
    case FED_READY:
        sent_ready(o, site, m);
        break;
    case FED_CONFIRM:
        sent_confirm(o, site, m);
        break;
    case FED_CHUNK:
        sent_chunk(o, site, m);
        break;
    case FED_DONE:
        sent_done(o, site, m);
        break;
    default:
        break;
    }
}

void oracle_got_commit(struct oracle *o, unsigned site, const struct message *m)
{
    Fed__Commit *commit = fed__commit__unpack(NULL, m->len, m->body);
    if (commit) {
        blob_unref(o->commit[site]);
        o->commit[site] = oracle_blob(commit->view.data, commit->view.len);
        o->commit_attempt[site] = commit->attempt;
    }
    fed__commit__free_unpacked(commit, NULL);
}

/* ---- frames between client and vault: invariant 1 ---- */

static bool is_in_view(const View__View *view, int own, const Vault__Range *range)
{
    for (size_t i = 0; i < view->n_edges; i++) {
        const View__Edge *e = view->edges[i];
        if (((int)e->low == own || (int)e->high == own) && e->start == range->start &&
            e->length == range->length && e->stream.len == range->stream.len &&
            memcmp(e->stream.data, range->stream.data, range->stream.len) == 0)
            return true;
    }
    return false;
}

static void reserve_fits_view(
    struct oracle *o, unsigned site, const struct part *p, const Vault__Reserve *r)
{
    View__View *view = oracle_view(p);
    int own = view ? viewcheck_find(view, o->set.sites[site]) : -1;
    for (size_t i = 0; i < r->n_ranges; i++)
        if (!view || !is_in_view(view, own, r->ranges[i]))
            oracle_violation(
                o, "1", o->set.sites[site], "reserves a range that is not in its view");
    view__view__free_unpacked(view, NULL);
}

void oracle_sent_reserve(struct oracle *o, unsigned site, const struct message *m)
{
    Vault__Reserve *r = vault__reserve__unpack(NULL, m->len, m->body);
    if (!r || r->n_ranges > SPANS_MAX) {
        oracle_violation(o, "1", m->from->name, "an odd RESERVE");
        vault__reserve__free_unpacked(r, NULL);
        return;
    }
    struct part *p = part_of(o, site, r->attempt);
    reserve_fits_view(o, site, p, r);
    p->n_spans = r->n_ranges;
    for (size_t i = 0; i < r->n_ranges; i++) {
        p->spans[i] = (struct span){.start = r->ranges[i]->start, .len = r->ranges[i]->length};
        if (r->ranges[i]->stream.len == RANGES_STREAM_BYTES)
            memcpy(p->spans[i].stream, r->ranges[i]->stream.data, RANGES_STREAM_BYTES);
    }
    vault__reserve__free_unpacked(r, NULL);
}

void oracle_sent_pad(struct oracle *o, unsigned site, const struct message *m)
{
    Vault__Pad *pad = vault__pad__unpack(NULL, m->len, m->body);
    struct part *p = pad ? &oracle_attempt(o, pad->attempt)->part[site] : NULL;
    if (!p || pad->range >= p->n_spans || pad->offset + pad->data.len > p->spans[pad->range].len) {
        oracle_violation(o, "1", m->from->name, "hands out key that was not reserved");
    } else {
        const struct span *s = &p->spans[pad->range];
        uint64_t start = s->start + pad->offset;
        uint64_t other =
            ranges_use(&o->ranges, s->stream, site, pad->attempt, start, start + pad->data.len);
        if (other != 0)
            world_violation(o->set.world,
                "invariant 1: %s hands out key at %" PRIu64 " for attempt %" PRIu64
                " that was handed out for attempt %" PRIu64,
                m->from->name, start, pad->attempt, other);
        int r = padbook_add(o->pads, s->stream, start, pad->data.data, pad->data.len);
        if (r == PADBOOK_E_REUSED)
            oracle_violation(o, "1", m->from->name, "hands out bytes that were handed out before");
        if (r == PADBOOK_E_DIFFERS)
            oracle_violation(o, "1", m->from->name, "hands out other bytes than the peer's vault");
        leak_add(o->leak, pad->data.data, pad->data.len);
    }
    vault__pad__free_unpacked(pad, NULL);
}
