/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/event_draw.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/binomial.h"

#include <assert.h>
#include <math.h>

#define WORDS         1024 /* random numbers fetched at a time */
#define SLOT_BITS     5    /* OPTICS_OUTCOMES slots */
#define FRACTION_BITS (64 - SLOT_BITS)

static_assert(1 << SLOT_BITS == OPTICS_OUTCOMES, "a slot per outcome");

/* One slot of the alias table: below `keep` it is itself, else `other`. */
struct slot {
    uint64_t keep;
    unsigned other;
};

struct event_draw {
    struct rng *rng;           /* owned */
    struct optics_event ahead; /* the next event; at position `pulses`: there is none */
    uint64_t pulses;
    double scale; /* 1 / log(1 - total probability): turns the log of a uniform into a gap */
    struct slot slots[OPTICS_OUTCOMES];
    struct optics_event events[OPTICS_OUTCOMES]; /* position 0 */
    size_t used;                                 /* of words */
    uint64_t words[WORDS];
};

/* ---- outcomes ----------------------------------------------------------------------------- */

/* Vose's alias method: every slot holds the share 1 / OPTICS_OUTCOMES, of at most two outcomes. */
static void fill_slots(struct slot slots[OPTICS_OUTCOMES], double share[OPTICS_OUTCOMES])
{
    unsigned small[OPTICS_OUTCOMES], large[OPTICS_OUTCOMES];
    size_t smalls = 0, larges = 0;
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        slots[i] = (struct slot){UINT64_C(1) << FRACTION_BITS, i};
        if (share[i] < 1)
            small[smalls++] = i;
        else
            large[larges++] = i;
    }
    while (smalls > 0 && larges > 0) {
        unsigned low = small[--smalls];
        unsigned high = large[larges - 1];
        slots[low] = (struct slot){(uint64_t)ldexp(share[low], FRACTION_BITS), high};
        share[high] -= 1 - share[low];
        if (share[high] < 1) {
            larges--;
            small[smalls++] = high;
        }
    }
}

static unsigned pick(const struct slot slots[OPTICS_OUTCOMES], uint64_t random)
{
    unsigned i = (unsigned)(random >> FRACTION_BITS);
    uint64_t fraction = random & ((UINT64_C(1) << FRACTION_BITS) - 1);
    return fraction < slots[i].keep ? i : slots[i].other;
}

/* ---- events ------------------------------------------------------------------------------- */

static void refill(struct event_draw *d)
{
    rng_bytes(d->rng, d->words, sizeof(d->words));
    d->used = 0;
}

/* Pulses without an event before the next one: P(gap >= k) = P(uniform <= (1 - total)^k). */
static double gap(const struct event_draw *d, uint64_t random)
{
    double uniform = (double)((random >> 11) + 1) * 0x1p-53; /* in (0, 1] */
    return floor(log(uniform) * d->scale);
}

/* The first event at `from` or later. */
static void look_ahead(struct event_draw *d, uint64_t from)
{
    if (d->used == WORDS)
        refill(d);
    double skip = gap(d, d->words[d->used]);
    d->ahead = d->events[pick(d->slots, d->words[d->used + 1])];
    d->used += 2;
    d->ahead.position =
        skip < (double)(d->pulses - from) ? from + (uint64_t)skip : d->pulses; /* or NaN */
}

size_t event_draw_until(struct event_draw *d, struct optics_event *out, size_t max, uint64_t until)
{
    size_t n = 0;
    until = MIN(until, d->pulses);
    while (n < max && d->ahead.position < until) {
        out[n++] = d->ahead;
        look_ahead(d, d->ahead.position + 1);
    }
    return n;
}

size_t event_draw_next(struct event_draw *d, struct optics_event *out, size_t max)
{
    return event_draw_until(d, out, max, d->pulses);
}

/* ---- life --------------------------------------------------------------------------------- */

/* Returns the probability that a pulse pair is an event. */
static double fill_outcomes(struct event_draw *d, const struct optics *o)
{
    double share[OPTICS_OUTCOMES];
    double total = 0;
    optics_probabilities(o, share);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        d->events[i] = optics_event_of(i);
        total += share[i];
    }
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        share[i] = total > 0 ? share[i] * OPTICS_OUTCOMES / total : 0;
    fill_slots(d->slots, share);
    return fmin(1, total);
}

struct event_draw *event_draw_new(
    const struct optics *o, uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES])
{
    assert(pulses <= EVENT_DRAW_PULSES_MAX);
    struct event_draw *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    double total = fill_outcomes(d, o);
    d->scale = 1 / log1p(-total); /* total 0: minus infinity, and the first gap ends the block */
    d->pulses = pulses;
    d->used = WORDS;
    d->rng = rng_new(seed);
    if (!d->rng) {
        event_draw_free(d);
        return NULL;
    }
    look_ahead(d, 0);
    return d;
}

void event_draw_free(struct event_draw *d)
{
    if (!d)
        return;
    rng_free(d->rng);
    secret_wipe(d, sizeof(*d));
    free(d);
}

void event_draw_freep(struct event_draw **d)
{
    event_draw_free(*d);
}

/* A multinomial as a chain of binomials: each outcome among the pulses that the former ones left. */
void event_draw_counts(
    const struct optics *o, uint64_t pulses, struct rng *r, uint64_t outcome[OPTICS_OUTCOMES])
{
    double share[OPTICS_OUTCOMES];
    double rest = 1;
    optics_probabilities(o, share);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        outcome[i] = binomial_draw(r, pulses, rest > share[i] ? share[i] / rest : share[i] > 0);
        pulses -= outcome[i];
        rest -= share[i];
    }
}
