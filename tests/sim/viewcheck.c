/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/viewcheck.h"

#include <math.h>
#include <string.h>

#define MEMBERS_MAX 16 /* of a simulated federation: subsets are walked */

int viewcheck_find(const View__View *v, const char *site)
{
    for (size_t i = 0; i < v->n_members; i++)
        if (strcmp(v->members[i]->site, site) == 0)
            return (int)i;
    return -1;
}

static double weight(const View__View *v, size_t member)
{
    double total = 0;
    for (size_t i = 0; i < v->n_members; i++)
        total += (double)v->members[i]->samples;
    return (double)v->members[member]->samples / total;
}

/* Sites reachable from the lowest one that is left. */
static uint32_t reachable(const View__View *v, uint32_t left)
{
    uint32_t seen = left & -left;
    for (uint32_t before = 0; before != seen;) {
        before = seen;
        for (size_t i = 0; i < v->n_edges; i++) {
            uint32_t low = 1u << v->edges[i]->low, high = 1u << v->edges[i]->high;
            if ((low | high) & ~left)
                continue;
            if (seen & (low | high))
                seen |= low | high;
        }
    }
    return seen;
}

/* No coalition of t cuts the others apart: the meaning of kappa >= t+1, by trying them all. */
static bool survives(const View__View *v, uint32_t t)
{
    uint32_t all = (1u << v->n_members) - 1;
    for (uint32_t gone = 0; gone <= all; gone++) {
        if ((uint32_t)__builtin_popcount(gone) > t)
            continue;
        uint32_t left = all & ~gone;
        if (left && reachable(v, left) != left)
            return false;
    }
    return true;
}

static uint32_t heavy_members(const View__View *v)
{
    uint32_t heavy = 0;
    for (size_t i = 0; i < v->n_members; i++)
        heavy += weight(v, i) * 4 * (double)v->n_members >= 1;
    return heavy;
}

static bool is_known(const char *site, const char *const *roster, size_t n_roster)
{
    for (size_t i = 0; i < n_roster; i++)
        if (strcmp(site, roster[i]) == 0)
            return true;
    return false;
}

const char *viewcheck_release(const View__View *v, const char *site, uint64_t samples,
    const char *const *roster, size_t n_roster, uint32_t k_min, uint32_t t_min)
{
    int own = viewcheck_find(v, site);
    if (v->n_members > MEMBERS_MAX || v->n_components != 1)
        return "a view of another shape than this simulation makes";
    if (own < 0 || v->members[own]->samples != samples)
        return "the client is not in S with its own samples";
    for (size_t i = 0; i < v->n_members; i++)
        if (!is_known(v->members[i]->site, roster, n_roster))
            return "a stranger in S";
    uint32_t k = (uint32_t)v->n_members, t = v->components[0]->tolerance;
    if (k < k_min)
        return "K below K_min";
    if (t < t_min || t + 2 > k)
        return "T out of range";
    if (heavy_members(v) < k_min)
        return "starved weights";
    return survives(v, t) ? NULL : "kappa(G) below T+1";
}

bool viewcheck_fits(
    const View__View *view, const char *site, const double *update, const int64_t *v)
{
    int own = viewcheck_find(view, site);
    if (own < 0)
        return false;
    double bound = floor((ldexp(1, (int)view->q - 1) - 1) / (double)view->n_members);
    double step = view->clip / bound;
    for (uint32_t i = 0; i < view->parameters; i++) {
        double x = weight(view, (size_t)own) * update[i];
        x = fmin(fmax(x, -view->clip), view->clip);
        if (fabs((double)v[i] - x / step) > 1 + 1e-6 * bound || fabs((double)v[i]) > bound)
            return false;
    }
    return true;
}
