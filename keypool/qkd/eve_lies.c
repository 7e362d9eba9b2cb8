/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/eve_lies.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/pulse_draw.h"

#include <errno.h>

#define FLOOD  16  /* announced per true event */
#define SELDOM 64  /* one event of so many is touched, where one would be enough */
#define BEYOND 999 /* pulses after the last one */

/* ---- names -------------------------------------------------------------------------------- */

static const char *const names[EVE_LIES] = {"none", "both-detectors", "wrong-count",
    "impossible-position", "different-positions", "flood", "prefer-basis", "biased-key",
    "correlated-key"};

const char *eve_lie_name(enum eve_lie lie)
{
    return names[lie];
}

int eve_lie_parse(const char *name, enum eve_lie *out, struct err *e)
{
    char all[ERR_TEXT_MAX] = "";
    for (size_t i = 0; i < EVE_LIES; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum eve_lie)i;
            return 0;
        }
        strncat(all, i ? ", " : "", sizeof(all) - strlen(all) - 1);
        strncat(all, names[i], sizeof(all) - strlen(all) - 1);
    }
    return err_set(e, -EINVAL, "\"%.40s\" is none of Eve's lies: %s", name, all);
}

size_t eve_lie_room(enum eve_lie lie, size_t announced)
{
    switch (lie) {
    case EVE_FLOOD:
        return announced / FLOOD;
    case EVE_BOTH_DETECTORS:
        return announced / 2;
    case EVE_IMPOSSIBLE_POSITION:
        return announced - (announced > 0);
    default:
        return announced;
    }
}

/* ---- life --------------------------------------------------------------------------------- */

int eve_lies_init(struct eve_lies *l, enum eve_lie lie, const struct link_params *p,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES])
{
    *l = (struct eve_lies){.lie = lie, .params = *p, .pulses = pulses};
    if (lie == EVE_HONEST)
        return 0;
    l->rng = rng_new(seed);
    return l->rng ? 0 : -ENOMEM;
}

void eve_lies_deinit(struct eve_lies *l)
{
    rng_free(l->rng);
    secret_wipe(l, sizeof(*l));
}

/* ---- one event ---------------------------------------------------------------------------- */

/* One time in n. */
static bool once_in(struct eve_lies *l, uint64_t n)
{
    return rng_below(l->rng, n) == 0;
}

/* Nothing was seen there; but the users have sent something. */
static struct optics_event invented(struct eve_lies *l, uint64_t position)
{
    struct optics_event e = {.position = position};
    pulse_draw_choices(&l->params, l->rng, &e);
    e.detector = (uint8_t)rng_below(l->rng, 2);
    return e;
}

static size_t both_detectors(
    struct eve_lies *l, const struct optics_event *e, struct optics_event *out)
{
    out[0] = *e;
    if (!once_in(l, SELDOM))
        return 1;
    out[1] = *e;
    out[1].detector = !e->detector;
    return 2;
}

/* As many of the pulses between the last event and this one as fit, evenly spread. */
static size_t flood(struct eve_lies *l, const struct optics_event *e, struct optics_event *out)
{
    uint64_t pulses = e->position - l->next;
    uint64_t n = MIN(pulses, (uint64_t)FLOOD - 1);
    for (uint64_t i = 0; i < n; i++)
        out[i] = invented(l, l->next + i * (pulses / n));
    out[n] = *e;
    return (size_t)n + 1;
}

static bool is_kept(struct eve_lies *l, const struct optics_event *e)
{
    switch (l->lie) {
    case EVE_PREFER_BASIS:
        return !(e->a.basis == OPTICS_Y && e->b.basis == OPTICS_Y) || once_in(l, 16);
    case EVE_BIASED_KEY:
        return e->a.bit == 0 || once_in(l, 4);
    case EVE_CORRELATED_KEY:
        return e->a.bit == l->last_bit || once_in(l, 4);
    default:
        return true;
    }
}

static size_t tell(struct eve_lies *l, const struct optics_event *e, struct optics_event *out)
{
    if (l->lie == EVE_BOTH_DETECTORS)
        return both_detectors(l, e, out);
    if (l->lie == EVE_FLOOD)
        return flood(l, e, out);
    if (!is_kept(l, e))
        return 0;
    l->last_bit = e->a.bit;
    out[0] = *e;
    return 1;
}

/* ---- a chunk ------------------------------------------------------------------------------ */

size_t eve_lies_invent(struct eve_lies *l, const struct optics_event *events, size_t n,
    bool is_last, struct optics_event *out)
{
    size_t told = 0;
    for (size_t i = 0; i < n; i++) {
        told += tell(l, &events[i], out + told);
        l->next = events[i].position + 1;
    }
    if (is_last && l->lie == EVE_IMPOSSIBLE_POSITION)
        out[told++] = invented(l, l->pulses + BEYOND);
    return told;
}

void eve_lies_turn(struct eve_lies *l, struct optics_event *events, size_t n, uint64_t until)
{
    for (size_t i = 0; i < n && l->lie == EVE_DIFFERENT_POSITIONS; i++) {
        uint64_t next = i + 1 < n ? events[i + 1].position : until;
        if (events[i].position + 1 >= next || !once_in(l, SELDOM))
            continue;
        uint8_t detector = events[i].detector;
        events[i] = invented(l, events[i].position + 1);
        events[i].detector = detector;
    }
}

uint64_t eve_lies_count(const struct eve_lies *l, uint64_t announced)
{
    return announced + (l->lie == EVE_WRONG_COUNT);
}
