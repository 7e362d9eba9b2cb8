/* SPDX-License-Identifier: Apache-2.0 */
#include "server/levels.h"

#include "common/util.h"

#include <errno.h>

int levels_init(struct levels *l, const char *const *roster, size_t sites)
{
    *l = (struct levels){
        .roster = roster, .sites = sites, .list = calloc(sites * sites, sizeof(struct level))};
    return l->list ? 0 : -ENOMEM;
}

void levels_deinit(struct levels *l)
{
    free(l->list);
    *l = (struct levels){0};
}

static struct level *at(const struct levels *l, size_t site, size_t peer)
{
    return &l->list[site * l->sites + peer];
}

const struct level *levels_of(const struct levels *l, size_t site, size_t peer)
{
    return at(l, site, peer);
}

void levels_clear(struct levels *l, size_t site)
{
    memset(at(l, site, 0), 0, l->sites * sizeof(struct level));
}

static bool is_same_stream(const struct level *a, const struct level *b)
{
    return a->is_known && b->is_known && memcmp(a->stream, b->stream, FED_STREAM_BYTES) == 0;
}

int levels_report(
    struct levels *l, struct highs *h, size_t site, size_t peer, const Fed__Level *level)
{
    if (level->stream.len != FED_STREAM_BYTES || level->end > LEVELS_OFFSET_MAX ||
        level->cursor > LEVELS_OFFSET_MAX || site == peer)
        return LEVELS_E_INVALID;
    struct level *own = at(l, site, peer);
    *own = (struct level){.is_known = true,
        .in_step = level->in_step,
        .simulated = level->simulated,
        .cursor = level->cursor,
        .end = level->end};
    memcpy(own->stream, level->stream.data, FED_STREAM_BYTES);
    high_key(own->key, l->roster[MIN(site, peer)], l->roster[MAX(site, peer)], level->stream.data);
    const struct level *other = at(l, peer, site);
    if (!is_same_stream(own, other))
        return 0;
    int r = highs_report(h, own->key, MAX(own->cursor, other->cursor));
    return r == HIGHS_E_FULL ? LEVELS_E_INVALID : r;
}

struct pair levels_pair(const struct levels *l, const struct highs *h, size_t a, size_t b)
{
    const struct level *x = at(l, a, b);
    const struct level *y = at(l, b, a);
    if (!x->is_known || !y->is_known)
        return (struct pair){.state = PAIR_UNKNOWN};
    if (!is_same_stream(x, y))
        return (struct pair){.state = PAIR_DIFFERENT};
    struct pair p = {.state = PAIR_READY, .start = highs_get(h, x->key)};
    memcpy(p.stream, x->stream, FED_STREAM_BYTES);
    p.simulated = x->simulated || y->simulated;
    uint64_t end = MIN(x->end, y->end);
    if (!x->in_step || !y->in_step)
        p.state = PAIR_OUT_OF_STEP;
    else
        p.available = end > p.start ? end - p.start : 0;
    return p;
}

const char *pair_state_text(enum pair_state state)
{
    switch (state) {
    case PAIR_UNKNOWN:
        return "an end has not reported its key";
    case PAIR_DIFFERENT:
        return "the ends name different streams: pair the sites again";
    case PAIR_OUT_OF_STEP:
        return "the ends are not in step";
    case PAIR_READY:
        break;
    }
    return "not enough confirmed key";
}
