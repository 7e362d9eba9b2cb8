/* SPDX-License-Identifier: Apache-2.0 */
#include "server/attempt.h"

#include "common/util.h"
#include "common/words.h"

#include <errno.h>

/* ---- from the view's bytes ------------------------------------------------------------------- */

static int find_site(const char *const *roster, size_t sites, const char *name)
{
    for (size_t i = 0; i < sites; i++)
        if (strcmp(roster[i], name) == 0)
            return (int)i;
    return -1;
}

static int take_members(struct attempt *a, const char *const *roster, size_t sites, struct err *e)
{
    a->k = (uint32_t)a->view->n_members;
    a->members = calloc(a->k, sizeof(*a->members));
    a->tags = calloc((size_t)a->k * a->k, GF128_BYTES);
    if (!a->members || !a->tags)
        return -ENOMEM;
    for (uint32_t i = 0; i < a->k; i++) {
        int site = find_site(roster, sites, a->view->members[i]->site);
        if (site < 0)
            return err_set(e, ATTEMPT_E_TAGS, "%s is not in the roster", a->view->members[i]->site);
        a->members[i].site = (size_t)site;
    }
    return 0;
}

static int take_view(struct attempt *a, const char *const *roster, size_t sites, struct err *e)
{
    View__View *view;
    int r = view_decode(a->bytes->data, a->bytes->len, a->arena, &view, e);
    if (r != 0)
        return r;
    a->view = view;
    a->number = view->attempt;
    a->tolerance = view->components[0]->tolerance;
    a->z = view_quantiser(view);
    r = view_graph(view, &a->graph);
    return r != 0 ? r : take_members(a, roster, sites, e);
}

int attempt_new(struct attempt **out, struct blob *bytes, const char *const *roster, size_t sites,
    struct err *e)
{
    struct attempt *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->bytes = blob_ref(bytes);
    a->arena = arena_new(4096);
    int r = a->arena ? take_view(a, roster, sites, e) : -ENOMEM;
    if (r != 0)
        attempt_free(a);
    else
        *out = a;
    return r;
}

void attempt_free(struct attempt *a)
{
    if (!a)
        return;
    accumulator_deinit(&a->sum);
    graph_deinit(&a->graph);
    free(a->tags);
    free(a->members);
    arena_free(a->arena);
    blob_unref(a->bytes);
    free(a);
}

/* ---- progress -------------------------------------------------------------------------------- */

int attempt_find(const struct attempt *a, size_t site)
{
    for (uint32_t i = 0; i < a->k; i++)
        if (a->members[i].site == site)
            return (int)i;
    return -1;
}

static uint8_t *tag_at(const struct attempt *a, uint32_t from, uint32_t to)
{
    return a->tags + ((size_t)from * a->k + to) * GF128_BYTES;
}

const uint8_t *attempt_tag(const struct attempt *a, uint32_t from, uint32_t to)
{
    return tag_at(a, from, to);
}

/* The neighbour that a tag is for, or -1. */
static int tag_target(const struct attempt *a, uint32_t from, const Fed__Tag *tag)
{
    int to = view_find(a->view, tag->peer);
    if (to < 0 || tag->tag.len != GF128_BYTES || (uint32_t)to == from ||
        !graph_has(&a->graph, from, (uint32_t)to))
        return -1;
    return to;
}

int attempt_confirm(struct attempt *a, uint32_t from, const Fed__Confirm *confirm)
{
    if (confirm->n_tags != graph_degree(&a->graph, from))
        return ATTEMPT_E_TAGS;
    auto_free bool *seen = calloc(a->k, sizeof(*seen));
    if (!seen)
        return -ENOMEM;
    for (size_t i = 0; i < confirm->n_tags; i++) {
        int to = tag_target(a, from, confirm->tags[i]);
        if (to < 0 || seen[to])
            return ATTEMPT_E_TAGS;
        seen[to] = true;
        memcpy(tag_at(a, from, (uint32_t)to), confirm->tags[i]->tag.data, GF128_BYTES);
    }
    a->members[from].is_confirmed = true;
    return 0;
}

bool attempt_is_confirmed(const struct attempt *a)
{
    for (uint32_t i = 0; i < a->k; i++)
        if (!a->members[i].is_confirmed)
            return false;
    return true;
}

bool attempt_is_locked(const struct attempt *a)
{
    for (uint32_t i = 0; i < a->k; i++)
        if (!a->members[i].is_locked)
            return false;
    return true;
}

int attempt_go(struct attempt *a)
{
    return accumulator_init(&a->sum, &a->z, a->k);
}

/* ---- what it is made of ---------------------------------------------------------------------- */

void attempt_edge_key(
    const struct attempt *a, const View__Edge *edge, uint8_t key[FED_STREAM_BYTES])
{
    high_key(key, a->view->members[edge->low]->site, a->view->members[edge->high]->site,
        edge->stream.data);
}

uint64_t attempt_upload_bytes(const struct attempt *a)
{
    return words_bytes(quantiser_words(&a->z), a->z.q);
}

uint64_t attempt_key_bytes(const struct attempt *a)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < a->view->n_edges; i++)
        bytes += a->view->edges[i]->length;
    return bytes;
}

char *attempt_sites(const struct attempt *a)
{
    size_t len = 1;
    for (uint32_t i = 0; i < a->k; i++)
        len += strlen(a->view->members[i]->site) + 1;
    char *text = malloc(len);
    if (!text)
        return NULL;
    char *end = text;
    *end = 0;
    for (uint32_t i = 0; i < a->k; i++) {
        if (i > 0)
            *end++ = ',';
        end = stpcpy(end, a->view->members[i]->site);
    }
    return text;
}
