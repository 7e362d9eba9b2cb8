/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_draw.h"

#include "common/util.h"
#include "keypool/qkd/event_draw.h"
#include "keypool/qkd/pulse_draw.h"

#define PULSES_AT_ONCE 32768 /* 0.1 us each */
#define EVENTS_A_PULSE 3     /* cost of a pulse, in events */

struct sim_draw {
    struct event_draw *events; /* owned; or */
    struct pulse_draw *pulses; /* owned */
    double gain;               /* events per pulse */
};

static struct sim_draw *new_draw(const struct link_params *p, const struct eve *eve)
{
    struct sim_draw *d = calloc(1, sizeof(*d));
    struct optics o;
    eve_optics(&o, p, eve);
    if (d)
        d->gain = optics_expect(&o, 1).n;
    return d;
}

static struct sim_draw *complete(struct sim_draw *d)
{
    if (d->events || d->pulses)
        return d;
    free(d);
    return NULL;
}

struct sim_draw *sim_draw_events_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES])
{
    struct sim_draw *d = new_draw(p, eve);
    struct optics o;
    if (!d)
        return NULL;
    eve_optics(&o, p, eve);
    d->events = event_draw_new(&o, pulses, seed);
    return complete(d);
}

struct sim_draw *sim_draw_pulses_new(const struct link_params *p, const struct eve *eve,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES])
{
    struct sim_draw *d = new_draw(p, eve);
    if (!d)
        return NULL;
    d->pulses = pulse_draw_new(p, eve, pulses, seed);
    return complete(d);
}

void sim_draw_free(struct sim_draw *d)
{
    if (!d)
        return;
    event_draw_free(d->events);
    pulse_draw_free(d->pulses);
    free(d);
}

size_t sim_draw_until(struct sim_draw *d, struct optics_event *out, size_t max, uint64_t until)
{
    if (d->events)
        return event_draw_until(d->events, out, max, until);
    return pulse_draw_until(d->pulses, out, max, until);
}

uint64_t sim_draw_slice(const struct sim_draw *d, size_t events)
{
    if (d->pulses)
        return PULSES_AT_ONCE;
    double pulses = (double)events / MAX(d->gain, 0x1p-40);
    return MAX((uint64_t)pulses, (uint64_t)1);
}

uint64_t sim_draw_cost(const struct sim_draw *d, uint64_t pulses)
{
    return d->pulses ? EVENTS_A_PULSE * pulses : 0;
}
