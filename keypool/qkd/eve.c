/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/eve.h"

#include <errno.h>

int eve_check(const struct eve *eve, struct err *e)
{
    if (!(eve->intercept >= 0 && eve->intercept <= 1))
        return err_set(e, -EINVAL, "intercept is %g; it must be from 0 to 1", eve->intercept);
    if (!(eve->phase_noise >= 0 && eve->phase_noise <= OPTICS_PHASE_NOISE_MAX))
        return err_set(e, -EINVAL, "phase_noise is %g; it must be from 0 to %g", eve->phase_noise,
            OPTICS_PHASE_NOISE_MAX);
    return 0;
}

/* In half of the attacked pulses she takes the wrong basis, and then either state alike. */
static double click(const struct optics *quiet, const struct optics_event *e, double intercept)
{
    struct optics_state low = {!e->a.basis, 0};
    struct optics_state high = {!e->a.basis, 1};
    double same = quiet->click[optics_cell(e->a, e->b)][e->detector];
    double other = (quiet->click[optics_cell(low, e->b)][e->detector] +
                       quiet->click[optics_cell(high, e->b)][e->detector]) /
                   2;
    return same + intercept / 2 * (other - same);
}

void eve_optics(struct optics *o, const struct link_params *p, const struct eve *eve)
{
    struct optics quiet;
    optics_init(&quiet, p, eve->phase_noise);
    *o = quiet;
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        struct optics_event e = optics_event_of(i);
        o->click[i >> 1][i & 1] = click(&quiet, &e, eve->intercept);
    }
}

struct optics_state eve_pass(const struct eve *eve, struct optics_state sent, struct rng *r)
{
    if (rng_uniform(r) >= eve->intercept)
        return sent;
    uint8_t basis = (uint8_t)rng_below(r, 2);
    if (basis == sent.basis)
        return sent;
    return (struct optics_state){basis, (uint8_t)rng_below(r, 2)};
}
