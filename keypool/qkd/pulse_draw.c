/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/pulse_draw.h"

#include "common/util.h"

struct pulse_draw {
    struct rng *rng; /* owned */
    struct link_params params;
    struct eve eve;
    uint64_t next; /* position of the next pulse pair */
    uint64_t pulses;
};

/* ---- life --------------------------------------------------------------------------------- */

struct pulse_draw *pulse_draw_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES])
{
    struct pulse_draw *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    *d = (struct pulse_draw){.rng = rng_new(seed), .params = *p, .eve = *eve, .pulses = pulses};
    if (d->rng)
        return d;
    free(d);
    return NULL;
}

void pulse_draw_free(struct pulse_draw *d)
{
    if (!d)
        return;
    rng_free(d->rng);
    free(d);
}

void pulse_draw_freep(struct pulse_draw **d)
{
    pulse_draw_free(*d);
}

/* ---- pulses ------------------------------------------------------------------------------- */

static uint8_t coin(struct rng *r)
{
    return (uint8_t)rng_below(r, 2);
}

void pulse_draw_choices(const struct link_params *p, struct rng *r, struct optics_event *e)
{
    double u = rng_uniform(r);
    if (u < p->share_xx)
        e->a.basis = e->b.basis = OPTICS_X;
    else if (u < p->share_xx + p->share_yy)
        e->a.basis = e->b.basis = OPTICS_Y;
    else
        e->b.basis = !(e->a.basis = coin(r));
    e->a.bit = coin(r);
    e->b.bit = coin(r);
}

/* Exactly one click? */
static bool detect(struct pulse_draw *d, struct optics_event *e)
{
    struct optics_state arrives = eve_pass(&d->eve, e->a, d->rng);
    double phase = d->eve.phase_noise > 0 ? d->eve.phase_noise * rng_normal(d->rng) : 0;
    double probability[2];
    optics_detect(&d->params, arrives, e->b, phase, probability);
    bool first = rng_uniform(d->rng) < probability[OPTICS_D1];
    bool second = rng_uniform(d->rng) < probability[OPTICS_D2];
    e->detector = second ? OPTICS_D2 : OPTICS_D1;
    return first != second;
}

size_t pulse_draw_until(struct pulse_draw *d, struct optics_event *out, size_t max, uint64_t until)
{
    size_t n = 0;
    until = MIN(until, d->pulses);
    while (n < max && d->next < until) {
        out[n] = (struct optics_event){.position = d->next++};
        pulse_draw_choices(&d->params, d->rng, &out[n]);
        if (detect(d, &out[n]))
            n++;
    }
    return n;
}

size_t pulse_draw_next(struct pulse_draw *d, struct optics_event *out, size_t max)
{
    return pulse_draw_until(d, out, max, d->pulses);
}
