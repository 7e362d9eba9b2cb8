/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/keysource.h"

#include "common/util.h"
#include "tests/sim/kme_sim.h"
#include "tests/sim/need.h"

#define LATE_BLOCK_MS 500 /* a block that one end gets after the next one */

struct pair {
    struct keysource *source;
    struct node *kme[2];
    uint64_t dry_until_ms;
};

struct keysource {
    struct world *world;
    struct rnd rnd;
    size_t block_bytes;
    struct pair *pairs; /* owned */
    size_t n;
    struct delayed *delayed; /* owned */
};

/* A block on its way to one end. */
struct delayed {
    struct delayed *next;
    struct pair *pair;
    int end;
    uint8_t id[KME_SIM_BLOCK_ID_BYTES];
    size_t len;
    uint8_t key[];
};

static void give(struct pair *p, int end, const uint8_t *id, const uint8_t *key, size_t len)
{
    kme_sim_block(p->kme[end], p->kme[!end]->site, id, key, len);
}

static void give_delayed(struct world *w, void *arg, uint64_t a, uint64_t b)
{
    struct delayed *d = arg;
    give(d->pair, d->end, d->id, d->key, d->len);
    struct delayed **at = &d->pair->source->delayed;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    free(d);
}

static void give_later(struct pair *p, int end, const uint8_t *id, const uint8_t *key, size_t len)
{
    struct keysource *s = p->source;
    struct delayed *d = need(malloc(sizeof(*d) + len));
    *d = (struct delayed){.next = s->delayed, .pair = p, .end = end, .len = len};
    memcpy(d->id, id, sizeof(d->id));
    memcpy(d->key, key, len);
    s->delayed = d;
    world_at(s->world, s->world->now_ms + LATE_BLOCK_MS + world_about_ms(s->world, 3000),
        give_delayed, d, 0, 0);
}

/* The block at one end, with what the weather does to it there. */
static void give_end(struct pair *p, int end, const uint8_t *id, uint8_t *key, size_t len)
{
    struct world *w = p->source->world;
    if (world_strikes(w, FAULT_BLOCK_ONE_SIDED))
        return;
    size_t flipped = len;
    if (world_strikes(w, FAULT_BLOCK_DIFFERS)) {
        flipped = rnd_below(&w->rnd, len);
        key[flipped] ^= 0x10;
    }
    if (world_strikes(w, FAULT_BLOCK_ORDER))
        give_later(p, end, id, key, len);
    else
        give(p, end, id, key, len);
    if (world_strikes(w, FAULT_BLOCK_REPEATED))
        give_later(p, end, id, key, len);
    if (flipped < len)
        key[flipped] ^= 0x10;
}

static bool is_welcome(const struct pair *p, size_t len)
{
    const struct keysource *s = p->source;
    if (p->dry_until_ms > s->world->now_ms)
        return false;
    for (int i = 0; i < 2; i++)
        if (!kme_sim_is_linked(p->kme[i], p->kme[!i]->site) ||
            kme_sim_room(p->kme[i], p->kme[!i]->site) < len)
            return false;
    return true;
}

static void make_block(struct world *w, void *arg, uint64_t a, uint64_t b)
{
    struct pair *p = arg;
    struct keysource *s = p->source;
    world_at(w, w->now_ms + 1 + world_about_ms(w, w->weather.key_period_ms), make_block, p, 0, 0);
    size_t len = s->block_bytes / 2 + rnd_below(&s->rnd, s->block_bytes);
    if (!is_welcome(p, len))
        return;
    if (world_strikes(w, FAULT_KEY_DROUGHT))
        p->dry_until_ms = w->now_ms + world_about_ms(w, 30000);
    uint8_t id[KME_SIM_BLOCK_ID_BYTES];
    uint8_t *key = need(malloc(len));
    rnd_bytes(&s->rnd, id, sizeof(id));
    rnd_bytes(&s->rnd, key, len);
    give_end(p, 0, id, key, len);
    give_end(p, 1, id, key, len);
    free(key);
}

struct keysource *keysource_new(
    struct world *w, struct node *const *kmes, size_t n, size_t block_bytes)
{
    struct keysource *s = need(calloc(1, sizeof(*s)));
    *s = (struct keysource){.world = w,
        .rnd = rnd_fork(&w->rnd),
        .block_bytes = block_bytes,
        .pairs = need(calloc(n * n, sizeof(*s->pairs)))};
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            struct pair *p = &s->pairs[s->n++];
            *p = (struct pair){.source = s, .kme = {kmes[i], kmes[j]}};
            world_at(w, w->now_ms + rnd_below(&s->rnd, 200), make_block, p, 0, 0);
        }
    return s;
}

void keysource_heal(struct keysource *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->pairs[i].dry_until_ms = 0;
}

void keysource_free(struct keysource *s)
{
    if (!s)
        return;
    while (s->delayed) {
        struct delayed *d = s->delayed;
        s->delayed = d->next;
        free(d);
    }
    free(s->pairs);
    free(s);
}
