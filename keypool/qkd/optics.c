/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/optics.h"

#include <math.h>

/* ---- numbering ---------------------------------------------------------------------------- */

unsigned optics_cell(struct optics_state a, struct optics_state b)
{
    return (unsigned)(a.basis << 3 | a.bit << 2 | b.basis << 1 | b.bit);
}

unsigned optics_outcome(const struct optics_event *e)
{
    return optics_cell(e->a, e->b) << 1 | e->detector;
}

struct optics_event optics_event_of(unsigned outcome)
{
    return (struct optics_event){
        .a = {outcome >> 4 & 1, outcome >> 3 & 1},
        .b = {outcome >> 2 & 1, outcome >> 1 & 1},
        .detector = outcome & 1,
    };
}

bool optics_is_error(const struct optics_event *e)
{
    return e->a.basis == e->b.basis && (e->a.bit ^ e->b.bit) != e->detector;
}

/* ---- light -------------------------------------------------------------------------------- */

static double visibility(const struct link_params *p, struct optics_state a, struct optics_state b)
{
    return 1 - (a.basis ? p->e_y : p->e_x) - (b.basis ? p->e_y : p->e_x);
}

/* cos(ta - tb + phase): ta - tb is a whole number of quarter turns, which stay exact. */
static double interference(struct optics_state a, struct optics_state b, double phase)
{
    switch ((2 * a.bit + a.basis - 2 * b.bit - b.basis) & 3) {
    case 0:
        return cos(phase);
    case 1:
        return -sin(phase);
    case 2:
        return -cos(phase);
    default:
        return sin(phase);
    }
}

void optics_detect(const struct link_params *p, struct optics_state a, struct optics_state b,
    double phase, double detect[2])
{
    double contrast = visibility(p, a, b) * interference(a, b, phase);
    double intensity = p->mu * p->eta;
    double dark = log1p(-p->dark);
    detect[OPTICS_D1] = -expm1(dark - intensity * (1 + contrast));
    detect[OPTICS_D2] = -expm1(dark - intensity * (1 - contrast));
}

/* ---- probabilities ------------------------------------------------------------------------ */

static double share(const struct link_params *p, struct optics_state a, struct optics_state b)
{
    if (a.basis != b.basis)
        return fmax(0, 1 - p->share_xx - p->share_yy) / 8;
    return (a.basis ? p->share_yy : p->share_xx) / 4;
}

/* Mean over a normal phase, by the trapezoidal rule: what it leaves out is below 1e-12 in total up
 * to OPTICS_PHASE_NOISE_MAX, as the integrand is smooth and falls off like a Gaussian. */
static void click_mean(
    const struct link_params *p, const struct optics_event *e, double noise, double click[2])
{
    const int steps = 64; /* to each side, an eighth of a standard deviation each */
    double sum = 0;
    click[0] = click[1] = 0;
    for (int i = -steps; i <= steps; i++) {
        double z = i / 8.0;
        double weight = exp(-z * z / 2);
        double detect[2];
        optics_detect(p, e->a, e->b, noise * z, detect);
        sum += weight;
        click[0] += weight * detect[0] * (1 - detect[1]);
        click[1] += weight * detect[1] * (1 - detect[0]);
    }
    click[0] /= sum;
    click[1] /= sum;
}

void optics_init(struct optics *o, const struct link_params *p, double phase_noise)
{
    for (unsigned cell = 0; cell < OPTICS_CELLS; cell++) {
        struct optics_event e = optics_event_of(cell << 1);
        o->sent[cell] = share(p, e.a, e.b);
        click_mean(p, &e, phase_noise, o->click[cell]);
    }
}

void optics_probabilities(const struct optics *o, double outcome[OPTICS_OUTCOMES])
{
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        outcome[i] = o->sent[i >> 1] * o->click[i >> 1][i & 1];
}

struct keyrate_counts optics_counts(const double outcome[OPTICS_OUTCOMES])
{
    struct keyrate_counts c = {0};
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        struct optics_event e = optics_event_of(i);
        c.n += outcome[i];
        if (e.a.basis != e.b.basis)
            continue;
        *(e.a.basis ? &c.n_y : &c.n_x) += outcome[i];
        if (optics_is_error(&e))
            *(e.a.basis ? &c.m_y : &c.m_x) += outcome[i];
    }
    return c;
}

struct keyrate_counts optics_expect(const struct optics *o, double pulses)
{
    double outcome[OPTICS_OUTCOMES];
    optics_probabilities(o, outcome);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        outcome[i] *= pulses;
    return optics_counts(outcome);
}
