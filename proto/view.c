/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/view.h"

#include "common/util.h"
#include "common/words.h"
#include "proto/codec.h"

#include <inttypes.h>

struct blob *view_encode(const View__View *view)
{
    return codec_pack(&view->base);
}

uint64_t view_edge_bytes(uint32_t words, unsigned q)
{
    return VIEW_HEAD_BYTES + words_bytes(words, q);
}

/* ---- checks ------------------------------------------------------------------------------------ */

static int check_names(const View__View *v, struct err *e)
{
    if (v->run.len != FED_RUN_BYTES)
        return err_set(e, VIEW_E_REFUSED, "run id of %zu bytes", v->run.len);
    if (v->round == 0 || v->attempt == 0)
        return err_set(
            e, VIEW_E_REFUSED, "round %" PRIu64 ", attempt %" PRIu64, v->round, v->attempt);
    if (v->previous.len != SHA256_BYTES || v->model_hash.len != SHA256_BYTES)
        return err_set(
            e, VIEW_E_REFUSED, "a hash of %zu or %zu bytes", v->previous.len, v->model_hash.len);
    return 0;
}

static int check_member(const View__View *v, size_t i, struct err *e)
{
    const View__Member *m = v->members[i];
    if (!site_name_is_valid(m->site))
        return err_set(e, VIEW_E_REFUSED, "member %zu has no site name", i);
    if (i > 0 && strcmp(v->members[i - 1]->site, m->site) >= 0)
        return err_set(e, VIEW_E_REFUSED, "member %s is not in order", m->site);
    if (m->samples == 0 || m->samples > VIEW_SAMPLES_MAX)
        return err_set(e, VIEW_E_REFUSED, "member %s has %" PRIu64 " samples", m->site, m->samples);
    if (m->component >= v->n_components)
        return err_set(e, VIEW_E_REFUSED, "member %s is in component %" PRIu32 " of %zu", m->site,
            m->component, v->n_components);
    return 0;
}

static int check_members(const View__View *v, struct err *e)
{
    if (v->n_components == 0 || v->n_components > VIEW_COMPONENTS_MAX)
        return err_set(e, VIEW_E_REFUSED, "%zu components: this version sums %d", v->n_components,
            VIEW_COMPONENTS_MAX);
    if (v->n_members < 2 || v->n_members > FED_SITES_MAX)
        return err_set(e, VIEW_E_REFUSED, "%zu members", v->n_members);
    for (size_t i = 0; i < v->n_members; i++) {
        int r = check_member(v, i, e);
        if (r != 0)
            return r;
    }
    uint32_t tolerance = v->components[0]->tolerance;
    if (tolerance > v->n_members - 2)
        return err_set(
            e, VIEW_E_REFUSED, "tolerance %" PRIu32 " with %zu members", tolerance, v->n_members);
    return 0;
}

static int check_edge(const View__View *v, size_t i, struct err *e)
{
    const View__Edge *x = v->edges[i], *before = i > 0 ? v->edges[i - 1] : NULL;
    if (x->low >= x->high || x->high >= v->n_members)
        return err_set(e, VIEW_E_REFUSED,
            "edge %zu joins %" PRIu32 " and %" PRIu32 " of %zu members", i, x->low, x->high,
            v->n_members);
    if (before && (before->low > x->low || (before->low == x->low && before->high >= x->high)))
        return err_set(e, VIEW_E_REFUSED, "edge %zu is not in order", i);
    if (v->members[x->low]->component != v->members[x->high]->component)
        return err_set(e, VIEW_E_REFUSED, "edge %zu joins two components", i);
    if (x->stream.len != FED_STREAM_BYTES)
        return err_set(
            e, VIEW_E_REFUSED, "edge %zu has a stream id of %zu bytes", i, x->stream.len);
    if (x->length != view_edge_bytes(v->words, v->q))
        return err_set(e, VIEW_E_REFUSED,
            "edge %zu has %" PRIu64 " bytes of key, %" PRIu64 " are needed", i, x->length,
            view_edge_bytes(v->words, v->q));
    if (x->start > (uint64_t)INT64_MAX - x->length)
        return err_set(e, VIEW_E_REFUSED, "edge %zu starts beyond every stream", i);
    return 0;
}

static int check_numbers(const View__View *v, struct err *e)
{
    if (v->canaries != QUANTISER_CANARIES_ENDS)
        return err_set(e, VIEW_E_REFUSED, "canary layout %" PRIu32 " is unknown", v->canaries);
    if (v->weights != VIEW_WEIGHTS_SAMPLES)
        return err_set(e, VIEW_E_REFUSED, "weight rule %" PRIu32 " is unknown", v->weights);
    if (v->rounding > ROUNDING_NEAREST)
        return err_set(e, VIEW_E_REFUSED, "rounding %" PRIu32 " is unknown", v->rounding);
    if (v->parameters > FED_PARAMETERS_MAX)
        return err_set(e, VIEW_E_REFUSED, "%" PRIu32 " parameters are too many", v->parameters);
    struct quantiser z = view_quantiser(v);
    if (quantiser_check(&z, e) < 0)
        return VIEW_E_REFUSED;
    if (words_bytes(z.chunk_words, z.q) > FED_CHUNK_BYTES_MAX)
        return err_set(e, VIEW_E_REFUSED, "chunks of %" PRIu32 " words are larger than a frame",
            z.chunk_words);
    if (v->words != quantiser_words(&z))
        return err_set(e, VIEW_E_REFUSED,
            "%" PRIu32 " words, but %" PRIu32 " parameters make %" PRIu32, v->words, v->parameters,
            quantiser_words(&z));
    return 0;
}

static int check_all(const View__View *v, struct err *e)
{
    int r = check_names(v, e);
    r = r ? r : check_members(v, e);
    r = r ? r : check_numbers(v, e);
    for (size_t i = 0; r == 0 && i < v->n_edges; i++)
        r = check_edge(v, i, e);
    return r;
}

int view_check(const View__View *view, struct err *e)
{
    int r = check_all(view, e);
    return r ? err_wrap(e, r, "view") : 0;
}

/* ---- decoding ---------------------------------------------------------------------------------- */

/* Compares what protobuf-c packs with the bytes that came, without a copy. */
struct comparison {
    ProtobufCBuffer base;
    const uint8_t *expected;
    size_t left;
    bool differs;
};

static void compare(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct comparison *c = (struct comparison *)buffer;
    if (len > c->left || (len > 0 && memcmp(data, c->expected, len) != 0)) {
        c->differs = true;
        return;
    }
    c->expected += len;
    c->left -= len;
}

static bool is_canonical(const View__View *v, const uint8_t *bytes, size_t len)
{
    struct comparison c = {.base.append = compare, .expected = bytes, .left = len};
    protobuf_c_message_pack_to_buffer(&v->base, &c.base);
    return !c.differs && c.left == 0;
}

int view_decode(const uint8_t *bytes, size_t len, struct arena *a, View__View **view, struct err *e)
{
    *view = NULL;
    if (len > FED_VIEW_BYTES_MAX)
        return err_set(e, VIEW_E_REFUSED, "view: %zu bytes are too many", len);
    ProtobufCMessage *message;
    int r = codec_unpack(&view__view__descriptor, bytes, len, a, &message);
    if (r < 0)
        return r;
    if (r > 0)
        return err_set(e, VIEW_E_REFUSED, "view: %s",
            r == CODEC_E_UNKNOWN  ? "has fields that this version does not know"
            : r == CODEC_E_BUDGET ? "would need more memory than its size allows"
                                  : "malformed");
    View__View *v = (View__View *)message;
    if (!is_canonical(v, bytes, len))
        return err_set(e, VIEW_E_REFUSED, "view: not in canonical form");
    r = view_check(v, e);
    if (r == 0)
        *view = v;
    return r;
}

/* ---- derived quantities ------------------------------------------------------------------------ */

struct quantiser view_quantiser(const View__View *view)
{
    return (struct quantiser){.q = view->q,
        .participants = (uint32_t)view->n_members,
        .parameters = view->parameters,
        .chunk_words = view->chunk_words,
        .clip = view->clip,
        .rounding = (enum rounding)view->rounding};
}

double view_weight(const View__View *view, uint32_t member)
{
    uint64_t total = 0;
    for (size_t i = 0; i < view->n_members; i++)
        if (view->members[i]->component == view->members[member]->component)
            total += view->members[i]->samples;
    return (double)view->members[member]->samples / (double)total;
}

int view_find(const View__View *view, const char *site)
{
    for (size_t i = 0; i < view->n_members; i++)
        if (strcmp(view->members[i]->site, site) == 0)
            return (int)i;
    return -1;
}

int view_graph(const View__View *view, struct graph *g)
{
    int r = graph_init(g, (uint32_t)view->n_members);
    if (r < 0)
        return r;
    for (size_t i = 0; i < view->n_edges; i++)
        graph_add(g, view->edges[i]->low, view->edges[i]->high);
    return 0;
}

void view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t key[GF128_BYTES], const uint8_t pad[GF128_BYTES], uint8_t tag[GF128_BYTES])
{
    struct gf128 h;
    gf128_init(&h, key);
    gf128_u64(&h, from);
    gf128_u64(&h, to);
    gf128_part(&h, bytes, len);
    gf128_tag(&h, pad, tag);
}
