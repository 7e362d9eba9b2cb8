/* SPDX-License-Identifier: Apache-2.0 */
/* watch: a live view of the federation in the terminal, redrawn in place. */
#include "deploy/ctl/link_row.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/screen.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <math.h>
#include <stdio.h>
#include <sysexits.h>

#define WATCH_HISTORY 512
#define WATCH_WIDTH   60

static void draw_history(FILE *to, const json_t *status, const char *label, const char *key)
{
    double values[WATCH_HISTORY];
    const json_t *rows = json_object_get(status, "evaluations");
    size_t n = 0;
    size_t skip = json_array_size(rows) > WATCH_HISTORY ? json_array_size(rows) - WATCH_HISTORY : 0;
    for (size_t i = skip; i < json_array_size(rows); i++)
        values[n++] = reach_number(json_array_get(rows, i), key);
    char spark[TERM_TEXT];
    if (n > 0)
        fprintf(to, "  %-9s %8.4f  %s\n", label, values[n - 1],
            term_sparkline(spark, values, n, WATCH_WIDTH));
}

static void draw_clients(FILE *to, const json_t *status)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(status, "clients"), i, c)
    {
        bool connected = json_is_true(json_object_get(c, "connected"));
        fprintf(to, "  %-12s %-14s %s\n", reach_text(c, "site"),
            connected ? reach_text(c, "phase") : "away",
            json_is_true(json_object_get(c, "participant")) ? "takes part" : "");
    }
}

static void draw_pairs(FILE *to, const json_t *status)
{
    const json_t *pairs = json_object_get(status, "pairs");
    double most = 1;
    size_t i;
    const json_t *p;
    json_array_foreach(pairs, i, p) most = fmax(most, reach_number(p, "available_bits"));
    json_array_foreach(pairs, i, p)
    {
        char bar[TERM_TEXT];
        char bits[TERM_TEXT];
        double available = reach_number(p, "available_bits");
        fprintf(to, "  %-20s %s %12s %8.0f rounds left  %s\n", reach_text(p, "pair"),
            term_bar(bar, available / most, 20), term_bits(bits, available),
            reach_number(p, "rounds_left"),
            json_is_true(json_object_get(p, "simulated")) ? "SIMULATED" : "");
    }
}

static void draw_links(FILE *to, const json_t *status)
{
    const char *site;
    json_t *links;
    json_object_foreach(json_object_get(status, "links"), site, links)
    {
        size_t i;
        const json_t *l;
        fputc('\n', to);
        json_array_foreach(links, i, l)
        {
            char pair[TERM_TEXT];
            snprintf(pair, sizeof(pair), "%.60s to %.60s", site, reach_text(l, "peer"));
            link_row_print(to, pair, l);
        }
    }
}

static void draw(FILE *to, const json_t *status)
{
    fprintf(to,
        "\033[1m%s\033[0m  %s  round %.0f of %.0f  \033[7m %s \033[0m  attempt %.0f  K %.0f  T "
        "%.0f\n",
        reach_text(status, "federation"), reach_text(status, "task"), reach_number(status, "round"),
        reach_number(status, "rounds"), reach_text(status, "phase"),
        reach_number(status, "attempt"), reach_number(status, "participants"),
        reach_number(status, "T"));
    fprintf(
        to, "%s%s\n", *reach_text(status, "fault") ? "FAULT: " : "", reach_text(status, "fault"));
    draw_history(to, status, "loss", "loss");
    draw_history(to, status, "accuracy", "accuracy");
    fputc('\n', to);
    draw_clients(to, status);
    fputc('\n', to);
    draw_pairs(to, status);
    draw_links(to, status);
}

/* `trouble`: why there is no newer status, or NULL. */
static int show(const json_t *status, const char *trouble, struct err *e)
{
    auto_free char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return err_set(e, EX_OSERR, "out of memory");
    if (trouble)
        fprintf(to, "\033[7m %s; the last that was heard: \033[0m\n", trouble);
    draw(to, status);
    if (fclose(to) != 0)
        return err_set(e, EX_OSERR, "out of memory");
    screen_show(text);
    return 0;
}

static int show_json(const json_t *status)
{
    json_dumpf(status, stdout, JSON_COMPACT);
    putchar('\n');
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

/* The sites' KMEs whose sockets were given; one that does not answer is left out. */
struct watched {
    const char *control;
    const char *kmes[OPTION_VALUES_MAX];
    size_t n_kmes;
};

static void add_links(json_t *status, const struct watched *w)
{
    json_t *all = json_object();
    for (size_t i = 0; i < w->n_kmes; i++) {
        json_t *kme = NULL;
        struct err ignored;
        if (reach(w->kmes[i], "status", NULL, &kme, &ignored) == 0)
            json_object_set(all, reach_text(kme, "site"), json_object_get(kme, "links"));
        json_decref(kme);
    }
    if (w->n_kmes > 0)
        json_object_set(status, "links", all);
    json_decref(all);
}

/* A server that was there and is gone is waited for: it may be restarting. */
static int watch_on(const struct watched *w, int interval_ms, bool json, struct err *e)
{
    json_t *status = NULL;
    int r = 0;
    do {
        json_t *newer = NULL;
        struct err trouble = {0};
        int asked = reach(w->control, "status", NULL, &newer, &trouble);
        if (asked != 0 && (!status || asked != EX_UNAVAILABLE)) {
            *e = trouble;
            r = asked;
            break;
        }
        if (newer) {
            add_links(newer, w);
            json_decref(status);
            status = newer;
        }
        if (!json)
            r = show(status, asked == 0 ? NULL : trouble.text, e);
        else if (newer)
            r = show_json(status);
    } while (r == 0 && !screen_wait(interval_ms));
    json_decref(status);
    return r;
}

static int watch(int argc, char **argv, struct err *e)
{
    struct watched w = {.control = REACH_SERVER};
    const char *interval = "500";
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &w.control},
        {.name = "kme", .values = w.kmes, .n_values = &w.n_kmes},
        {.name = "interval-ms", .value = &interval},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    long long interval_ms;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = options_number("interval-ms", interval, 50, 60000, &interval_ms, e);
    if (r != 0)
        return r;
    if (!json)
        screen_open();
    r = watch_on(&w, (int)interval_ms, json, e);
    screen_close();
    return r;
}

const struct verb verbs_watch[] = {
    {"watch", "[--control SOCKET] [--kme SOCKET ...] [--interval-ms N] [--json]",
        "live view: phase per client, loss and accuracy, key per pair, with KMEs their links; q "
        "ends it",
        watch},
    {0},
};
