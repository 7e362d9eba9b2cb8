/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/keyrate_simulate.h"

#include "common/util.h"
#include "keypool/post/post_paper.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX      16
#define PAPER_SECONDS  200.0
#define DEVIATIONS_MAX 5.0
#define TABLE_7_MAX    0.001
#define TABLE_1_MAX    0.03

struct link_run {
    const struct link_paper *link;
    struct post_paper result;
    double peak_mb; /* of this process, so far */
};

struct simulation {
    const struct keyrate_simulate *asked;
    struct link_run runs[LINKS_MAX];
    size_t n;
    const char *pair; /* under way */
    int percent;
};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double peak_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e6;
}

/* ---- progress ----------------------------------------------------------------------------------- */

static void on_drawn(void *ctx, double part)
{
    struct simulation *s = ctx;
    int percent = (int)(part * 4) * 25;
    if (percent <= s->percent || percent > 100)
        return;
    s->percent = percent;
    fprintf(stderr, "%s: %d %% of the events drawn\n", s->pair, percent);
}

static void on_stage(void *ctx, enum post_loop_stage stage)
{
    const struct simulation *s = ctx;
    fprintf(stderr, "%s: %s\n", s->pair, post_loop_stage_name(stage));
}

/* ---- what must hold ----------------------------------------------------------------------------- */

static double largest(const double *values)
{
    double most = 0;
    for (unsigned i = 0; i < POST_PAPER_COUNTS; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

/* Only blocks as long as the paper's can be compared with its Table 1. */
static bool is_full(const struct post_paper *p)
{
    return p->seconds == PAPER_SECONDS;
}

static double from_published(const struct link_run *r)
{
    return r->result.predicted.rate_kbps / r->link->published_kbps - 1;
}

/* What is wrong with a link, or NULL. */
static const char *fault_of(const struct link_run *r)
{
    const struct post_paper *p = &r->result;
    if (p->outcome != POST_KEY)
        return p->reason.text;
    const struct {
        bool holds;
        const char *fault;
    } rows[] = {
        {largest(p->deviations) <= DEVIATIONS_MAX,
            "a count is more than 5 standard deviations from the model"},
        {p->has_counts, "an end has not counted what was drawn"},
        {largest(p->from_table) <= TABLE_7_MAX, "the model is more than 0.1 % from Table 7"},
        {!is_full(p) || fabs(from_published(r)) <= TABLE_1_MAX,
            "the rate is more than 3 % from Table 1"},
        {p->measured.rate_kbps > p->predicted.rate_kbps,
            "the rate with the measured leak is not the higher one"},
        {p->residual == 0, "errors were left"},
        {p->keys_agree, "the two ends' keys differ"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!rows[i].holds)
            return rows[i].fault;
    return NULL;
}

/* ---- text --------------------------------------------------------------------------------------- */

static void print_counts(const struct simulation *s)
{
    printf("\ncounts: simulated, in brackets standard deviations from the model\n"
           "%-4s %21s %21s %19s %18s %15s  %s\n",
        "pair", "n", "n_x", "m_x", "n_y", "m_y", "model from Table 7");
    for (size_t i = 0; i < s->n; i++) {
        const struct post_paper *p = &s->runs[i].result;
        static const int widths[POST_PAPER_COUNTS] = {13, 13, 11, 10, 7};
        printf("%-4s", s->runs[i].link->pair);
        for (unsigned k = 0; k < POST_PAPER_COUNTS; k++)
            printf(" %*.0f (%+.2f)", widths[k], p->simulated[k], p->deviations[k]);
        printf("  %.4f %%\n", 100 * largest(p->from_table));
    }
}

static void print_rates(const struct simulation *s)
{
    printf("\nrates in kbit/s: with the leak 1.2 n_x h(E_x), and with the leak as both ends "
           "counted it\n"
           "%-4s %8s %8s %9s %8s %8s %7s %9s %6s %9s %8s  %s\n",
        "pair", "E_x", "E_y", "1.2", "Table 1", "", "f_EC", "measured", "trips", "errors", "left",
        "keys");
    for (size_t i = 0; i < s->n; i++) {
        const struct link_run *r = &s->runs[i];
        const struct post_paper *p = &r->result;
        char published[32] = "-";
        char difference[32] = "-";
        if (is_full(p)) {
            snprintf(published, sizeof(published), "%.1f", r->link->published_kbps);
            snprintf(difference, sizeof(difference), "%+.2f %%", 100 * from_published(r));
        }
        printf("%-4s %6.3f %% %6.3f %% %9.3f %8s %8s %7.4f %9.3f %6" PRIu64 " %9" PRIu64
               " %8" PRIu64 "  %s\n",
            r->link->pair, 100 * p->measured.e_x, 100 * p->measured.e_y, p->predicted.rate_kbps,
            published, difference, p->f_ec, p->measured.rate_kbps, p->trips, p->errors, p->residual,
            p->keys_agree ? "identical" : "DIFFER");
    }
}

static void print_times(const struct simulation *s)
{
    printf("\nCPU seconds, both ends together; MB: bound of one end, peak of this process so far\n"
           "%-4s %8s",
        "pair", "drawing");
    for (unsigned k = 0; k < POST_LOOP_STAGES; k++)
        printf(" %17s", post_loop_stage_name(k));
    printf(" %9s %9s\n", "one end", "process");
    for (size_t i = 0; i < s->n; i++) {
        const struct post_paper *p = &s->runs[i].result;
        printf("%-4s %8.2f", s->runs[i].link->pair, p->draw_s);
        for (unsigned k = 0; k < POST_LOOP_STAGES; k++)
            printf(" %17.2f", p->times.cpu_s[0][k] + p->times.cpu_s[1][k]);
        printf(" %9.1f %9.1f\n", (double)p->memory / 1e6, s->runs[i].peak_mb);
    }
}

static void print_text(const struct simulation *s)
{
    printf(
        "SIMULATED: blocks of %g s of %s, every effective event drawn, both ends post-processed\n",
        s->asked->seconds, s->runs[0].link->network);
    print_counts(s);
    print_rates(s);
    print_times(s);
    printf("\nkeys are compared by a polynomial hash over GF(2^128) under a one-time pad, as the "
           "vaults do it\n");
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static json_t *counts_json(const double *values)
{
    json_t *o = json_object();
    for (unsigned i = 0; i < POST_PAPER_COUNTS; i++)
        json_object_set_new(o, post_paper_names[i], json_real(values[i]));
    return o;
}

static json_t *times_json(const struct post_paper *p)
{
    json_t *o = json_pack("{s:f}", "drawing", p->draw_s);
    for (unsigned k = 0; k < POST_LOOP_STAGES; k++)
        json_object_set_new(o, post_loop_stage_name(k),
            json_pack("[f, f]", p->times.cpu_s[POST_LOW][k], p->times.cpu_s[POST_HIGH][k]));
    return o;
}

static json_t *run_json(const struct link_run *r)
{
    const struct post_paper *p = &r->result;
    const char *fault = fault_of(r);
    json_t *o = json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "pair", r->link->pair, "ok", !fault,
        "simulated", counts_json(p->simulated), "model", counts_json(p->model), "deviations",
        counts_json(p->deviations), "model_from_table_7", counts_json(p->from_table));
    json_t *rates = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "e_x", p->measured.e_x,
        "e_y", p->measured.e_y, "e_p_upper", p->measured.e_p_upper, "predicted_kbps",
        p->predicted.rate_kbps, "measured_kbps", p->measured.rate_kbps, "f_ec", p->f_ec, "key_bits",
        p->measured.key_bits, "published_kbps", r->link->published_kbps);
    json_object_update(o, rates);
    json_decref(rates);
    json_t *rest = json_pack("{s:I, s:I, s:I, s:I, s:b, s:o, s:I, s:f}", "leak_bits",
        (json_int_t)p->leak_bits, "errors", (json_int_t)p->errors, "residual_errors",
        (json_int_t)p->residual, "round_trips", (json_int_t)p->trips, "keys_identical",
        p->keys_agree, "cpu_s", times_json(p), "memory_bound_bytes", (json_int_t)p->memory,
        "process_peak_mb", r->peak_mb);
    json_object_update(o, rest);
    json_decref(rest);
    if (fault)
        json_object_set_new(o, "reason", json_string(fault));
    return o;
}

static int print_json(const struct simulation *s, struct err *e)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(pairs, run_json(&s->runs[i]));
    json_t *root =
        json_pack("{s:b, s:s, s:f, s:I, s:o}", "simulated", 1, "network", s->runs[0].link->network,
            "seconds", s->asked->seconds, "seed", (json_int_t)s->asked->seed, "pairs", pairs);
    auto_free char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!text)
        return err_set(e, EX_OSERR, "out of memory");
    puts(text);
    return EX_OK;
}

/* ---- the run ------------------------------------------------------------------------------------ */

static bool is_asked(const struct keyrate_simulate *s, const struct link_paper *link)
{
    return strcmp(link->network, s->network ? s->network : "paper-4") == 0 &&
           (!s->pair || strcmp(link->pair, s->pair) == 0);
}

static int run_link(struct simulation *s, const struct link_paper *link, struct err *e)
{
    struct post_paper_config c = {.link = link,
        .seconds = s->asked->seconds,
        .cpu_s = cpu_s,
        .drawn = on_drawn,
        .progress = on_stage,
        .ctx = s};
    put_u64le(c.seed, s->asked->seed);
    memcpy(c.seed + 8, link->pair, 2);
    s->pair = link->pair;
    s->percent = 0;
    struct link_run *run = &s->runs[s->n];
    run->link = link;
    int r = post_paper_run(&c, &run->result, e);
    if (r < 0)
        return EX_SOFTWARE;
    run->peak_mb = peak_mb();
    s->n++;
    return EX_OK;
}

static int judge(const struct simulation *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *fault = fault_of(&s->runs[i]);
        if (fault)
            return err_set(e, EX_SOFTWARE, "pair %s: %s", s->runs[i].link->pair, fault);
    }
    return EX_OK;
}

int keyrate_simulate(const struct keyrate_simulate *asked, struct err *e)
{
    auto_free struct simulation *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, EX_OSERR, "out of memory");
    s->asked = asked;
    int r = EX_OK;
    for (size_t i = 0; i < link_paper_count() && s->n < LINKS_MAX && r == EX_OK; i++)
        if (is_asked(asked, link_paper_at(i)))
            r = run_link(s, link_paper_at(i), e);
    if (r != EX_OK)
        return r;
    if (s->n == 0)
        return err_set(e, EX_USAGE, "the paper has no such network or pair");
    if (asked->json)
        r = print_json(s, e);
    else
        print_text(s);
    return r == EX_OK ? judge(s, e) : r;
}
