/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/post_paper.h"

#include "common/util.h"
#include "keypool/qkd/event_draw.h"

#include <errno.h>
#include <math.h>

#define PULSES_PER_S 1e8
#define EVENTS       4096
#define SPARE        1.01 /* events above the expected number for which records have room, and 10,000 */
#define PREDICTION_F 1.2

const char *const post_paper_names[POST_PAPER_COUNTS] = {"n", "n_x", "m_x", "n_y", "m_y"};

struct run {
    const struct post_paper_config *config;
    struct post_paper *out;
    struct keyrate_options options;
    struct post_record *records[2]; /* owned until given to the loop */
    struct post_click clicks[2][EVENTS];
    struct optics_event events[EVENTS];
};

static void counts_of(const struct keyrate_counts *c, double out[POST_PAPER_COUNTS])
{
    out[POST_PAPER_N] = c->n;
    out[POST_PAPER_N_X] = c->n_x;
    out[POST_PAPER_M_X] = c->m_x;
    out[POST_PAPER_N_Y] = c->n_y;
    out[POST_PAPER_M_Y] = c->m_y;
}

/* ---- events to records -------------------------------------------------------------------------- */

static int open_records(struct run *run, uint64_t clicks_max, struct err *e)
{
    uint8_t keys[2][RNG_SEED_BYTES];
    for (unsigned side = 0; side < 2; side++)
        rng_derive(keys[side], run->config->seed, "hash key", side, 0);
    int r = 0;
    for (unsigned side = 0; side < 2 && r == 0; side++) {
        const struct post_record_config c = {.side = side,
            .pulses = (uint64_t)run->options.pulses,
            .clicks_max = clicks_max,
            .keys = {keys[0], keys[1]}};
        r = post_record_new(&run->records[side], &c);
    }
    return r < 0 ? err_set(e, r, "no memory for the records of %.3g events", (double)clicks_max)
                 : 0;
}

static void take_event(struct run *run, size_t i)
{
    const struct optics_event *v = &run->events[i];
    double *count = run->out->simulated;
    bool d2 = v->detector == OPTICS_D2;
    bool y = v->a.basis == OPTICS_Y;
    run->clicks[POST_LOW][i] = (struct post_click){v->position, d2, y, v->a.bit};
    run->clicks[POST_HIGH][i] =
        (struct post_click){v->position, d2, v->b.basis == OPTICS_Y, v->b.bit};
    count[POST_PAPER_N]++;
    if (v->a.basis == v->b.basis) {
        count[y ? POST_PAPER_N_Y : POST_PAPER_N_X]++;
        count[y ? POST_PAPER_M_Y : POST_PAPER_M_X] += optics_is_error(v);
    }
}

static int record_events(struct run *run, struct event_draw *draw, struct err *e)
{
    double expected = run->out->model[POST_PAPER_N];
    int r = 0;
    for (size_t n = EVENTS; n == EVENTS && r == 0;) {
        n = event_draw_next(draw, run->events, EVENTS);
        for (size_t i = 0; i < n; i++)
            take_event(run, i);
        for (unsigned side = 0; side < 2 && r == 0; side++)
            r = post_record_add(run->records[side], run->clicks[side], n, e);
        if (run->config->drawn)
            run->config->drawn(run->config->ctx, run->out->simulated[POST_PAPER_N] / expected);
    }
    return r > 0 ? -EINVAL : r;
}

static int draw_records(struct run *run, struct err *e)
{
    struct optics o;
    uint8_t seed[RNG_SEED_BYTES];
    double from_s = run->config->cpu_s();
    optics_init(&o, &run->config->link->params, 0);
    rng_derive(seed, run->config->seed, "events", 0, 0);
    cleanup(event_draw_freep) struct event_draw *draw =
        event_draw_new(&o, (uint64_t)run->options.pulses, seed);
    if (!draw)
        return err_set(e, -ENOMEM, "out of memory");
    int r = open_records(run, (uint64_t)(run->out->model[POST_PAPER_N] * SPARE + 10000), e);
    if (r == 0)
        r = record_events(run, draw, e);
    run->out->draw_s = run->config->cpu_s() - from_s;
    return r;
}

/* ---- records to keys ---------------------------------------------------------------------------- */

static struct post_loop_config loop_config(const struct run *run)
{
    const struct link_params *p = &run->config->link->params;
    struct post_loop_config c = {.post = post_config_default(),
        .round_trip_s = run->config->round_trip_s,
        .cpu_s = run->config->cpu_s,
        .progress = run->config->progress,
        .ctx = run->config->ctx};
    rng_derive(c.seed, run->config->seed, "post-processing", 0, 0);
    c.post.keyrate = run->options;
    if (run->config->window > 0)
        c.post.window = run->config->window;
    c.post.mu = p->mu;
    c.post.share_xx = p->share_xx;
    c.post.share_yy = p->share_yy;
    /* As if a block of this link had gone before. */
    c.post.e_x_expected = run->out->model[POST_PAPER_M_X] / run->out->model[POST_PAPER_N_X];
    return c;
}

static bool are_counted(struct post_loop *l, const double simulated[POST_PAPER_COUNTS])
{
    for (unsigned side = 0; side < 2; side++) {
        const struct post_result *r = post_loop_result(l, side);
        if ((double)r->n != simulated[POST_PAPER_N] ||
            (double)r->n_x != simulated[POST_PAPER_N_X] ||
            (double)r->n_y != simulated[POST_PAPER_N_Y] ||
            (double)r->m_y != simulated[POST_PAPER_M_Y])
            return false;
    }
    return true;
}

static void take_result(struct run *run, struct post_loop *l)
{
    struct post_paper *out = run->out;
    const struct post_result *high = post_loop_result(l, POST_HIGH);
    const struct post_result *low = post_loop_result(l, POST_LOW);
    out->has_counts = are_counted(l, out->simulated);
    out->outcome = low->outcome == POST_KEY ? high->outcome : low->outcome;
    out->reason = low->outcome == POST_KEY ? high->reason : low->reason;
    out->measured = low->rate;
    out->f_ec = low->f_ec;
    out->leak_bits = low->leak_bits;
    out->errors = high->errors;
    out->residual = (uint64_t)out->simulated[POST_PAPER_M_X] - high->errors;
    out->trips = high->trips;
    out->keys_agree = post_loop_keys_agree(l);
    out->times = *post_loop_times(l);
}

static int process(struct run *run, struct err *e)
{
    struct post_loop_config c = loop_config(run);
    struct post_loop *l = NULL;
    struct post_record *records[2] = {steal(&run->records[0]), steal(&run->records[1])};
    run->out->memory = post_block_memory(&c.post, (uint64_t)run->out->simulated[POST_PAPER_N]);
    int r = post_loop_new(&l, &c, records, e);
    if (r == 0)
        r = post_loop_run(l);
    if (r == 0)
        take_result(run, l);
    post_loop_free(l);
    return r;
}

/* ---- beside model and table --------------------------------------------------------------------- */

static void compare(struct run *run)
{
    struct post_paper *out = run->out;
    struct keyrate_options paper = keyrate_paper_options();
    struct keyrate_counts full = link_model_expect(&run->config->link->params, paper.pulses);
    double model[POST_PAPER_COUNTS];
    double table[POST_PAPER_COUNTS];
    counts_of(&full, model);
    counts_of(&run->config->link->counts, table);
    for (unsigned i = 0; i < POST_PAPER_COUNTS; i++) {
        double p = out->model[i] / run->options.pulses;
        out->deviations[i] =
            (out->simulated[i] - out->model[i]) / sqrt(run->options.pulses * p * (1 - p));
        out->from_table[i] = model[i] / table[i] - 1;
    }
    const struct keyrate_counts counts = {.mu = run->config->link->params.mu,
        .n = out->simulated[POST_PAPER_N],
        .n_x = out->simulated[POST_PAPER_N_X],
        .m_x = out->simulated[POST_PAPER_M_X],
        .n_y = out->simulated[POST_PAPER_N_Y],
        .m_y = out->simulated[POST_PAPER_M_Y]};
    out->predicted = keyrate_compute(&counts, &run->options);
}

int post_paper_run(const struct post_paper_config *config, struct post_paper *out, struct err *e)
{
    if (!(config->seconds > 0) || config->seconds * PULSES_PER_S > (double)EVENT_DRAW_PULSES_MAX)
        return err_set(e, -EINVAL, "a block of %g s cannot be", config->seconds);
    auto_free struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return err_set(e, -ENOMEM, "out of memory");
    *out = (struct post_paper){.seconds = config->seconds};
    run->config = config;
    run->out = out;
    run->options = keyrate_paper_options();
    run->options.f = PREDICTION_F;
    run->options.pulses = floor(config->seconds * PULSES_PER_S);
    run->options.seconds = config->seconds;
    struct keyrate_counts model = link_model_expect(&config->link->params, run->options.pulses);
    counts_of(&model, out->model);
    int r = draw_records(run, e);
    if (r == 0)
        r = process(run, e);
    if (r == 0)
        compare(run);
    post_record_free(run->records[0]);
    post_record_free(run->records[1]);
    return r;
}
