/* SPDX-License-Identifier: Apache-2.0 */
/* watch: a live view of the federation in the terminal, redrawn in place. */
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define WATCH_HISTORY 512
#define WATCH_WIDTH   60

static void draw_history(const json_t *status, const char *label, const char *key)
{
    double values[WATCH_HISTORY];
    const json_t *rows = json_object_get(status, "evaluations");
    size_t n = 0;
    size_t skip = json_array_size(rows) > WATCH_HISTORY ? json_array_size(rows) - WATCH_HISTORY : 0;
    for (size_t i = skip; i < json_array_size(rows); i++)
        values[n++] = reach_number(json_array_get(rows, i), key);
    char spark[TERM_TEXT];
    if (n > 0)
        printf("  %-9s %8.4f  %s\033[K\n", label, values[n - 1],
            term_sparkline(spark, values, n, WATCH_WIDTH));
}

static void draw_clients(const json_t *status)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(status, "clients"), i, c)
    {
        bool connected = json_is_true(json_object_get(c, "connected"));
        printf("  %-12s %-14s %s\033[K\n", reach_text(c, "site"),
            connected ? reach_text(c, "phase") : "away",
            json_is_true(json_object_get(c, "participant")) ? "takes part" : "");
    }
}

static void draw_pairs(const json_t *status)
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
        printf("  %-20s %s %12s %8.0f rounds left  %s\033[K\n", reach_text(p, "pair"),
            term_bar(bar, available / most, 20), term_bits(bits, available),
            reach_number(p, "rounds_left"),
            json_is_true(json_object_get(p, "simulated")) ? "SIMULATED" : "");
    }
}

static void draw(const json_t *status)
{
    printf("\033[H\033[1m%s\033[0m  %s  round %.0f of %.0f  \033[7m %s \033[0m  attempt %.0f  "
           "K %.0f  T %.0f\033[K\n\033[K\n",
        reach_text(status, "federation"), reach_text(status, "task"), reach_number(status, "round"),
        reach_number(status, "rounds"), reach_text(status, "phase"),
        reach_number(status, "attempt"), reach_number(status, "participants"),
        reach_number(status, "T"));
    draw_history(status, "loss", "loss");
    draw_history(status, "accuracy", "accuracy");
    printf("\033[K\n");
    draw_clients(status);
    printf("\033[K\n");
    draw_pairs(status);
    printf("\033[J");
    fflush(stdout);
}

/* Waits; true when the user pressed q. */
static bool wait_or_quit(int interval_ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, interval_ms) <= 0)
        return false;
    char c;
    return read(STDIN_FILENO, &c, 1) == 1 && c == 'q';
}

static int watch(int argc, char **argv, struct err *e)
{
    const char *control = REACH_SERVER;
    const char *interval = "500";
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "interval-ms", .value = &interval},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    long long interval_ms;
    int r = options_parse(specs, argc, argv, &operands, e);
    if (r == 0)
        r = options_number("interval-ms", interval, 50, 60000, &interval_ms, e);
    if (r != 0)
        return r;
    if (!json)
        printf("\033[2J");
    do {
        json_t *status = NULL;
        r = reach(control, "status", NULL, &status, e);
        if (r != 0)
            return r;
        if (json) {
            json_dumpf(status, stdout, JSON_COMPACT);
            putchar('\n');
            fflush(stdout);
        } else {
            draw(status);
        }
        json_decref(status);
    } while (!wait_or_quit((int)interval_ms));
    return EX_OK;
}

const struct verb verbs_watch[] = {
    {"watch", "[--control SOCKET] [--interval-ms N] [--json]",
        "live view: phase per client, loss and accuracy, key per pair; q and Enter ends it", watch},
    {0},
};
