/* SPDX-License-Identifier: Apache-2.0 */
/* qkd: the links that make key, as a KME or the simulator sees them; qkd set: the simulator's
 * switches. */
#include "deploy/ctl/link_row.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <limits.h>
#include <stdio.h>
#include <sysexits.h>

/* What is done to a simulated link; nothing of a link that is left alone. */
static void print_eve(const json_t *eve)
{
    double intercept = reach_number(eve, "intercept");
    double noise = reach_number(eve, "phase_noise");
    const char *lie = reach_text(eve, "lie");
    if (intercept > 0)
        printf("  EVE intercepts %g %%", 100 * intercept);
    if (noise > 0)
        printf("  phase noise %g rad", noise);
    if (*lie && strcmp(lie, "none") != 0)
        printf("  EVE lies: %s", lie);
    if (json_is_true(json_object_get(eve, "from_next_block")))
        printf("  (from the next block on)");
}

/* Key, or for a simulator of raw clicks the events. */
static void format_made(const json_t *l, const char *key, char out[TERM_TEXT])
{
    if (json_object_get(l, "events"))
        snprintf(out, TERM_TEXT, "%.0f events", reach_number(l, "events"));
    else
        term_bits(out, reach_number(l, key));
}

/* A KME's, with the accounts of its blocks below. */
static void print_kme_link(const json_t *l, const char *peer)
{
    char made[TERM_TEXT];
    link_row_print(stdout, peer, l);
    printf("    %.0f blocks, %.0f void, %s", reach_number(l, "blocks"),
        reach_number(l, "void_blocks"), term_bits(made, reach_number(l, "ingested_bits")));
    if (json_object_get(l, "total_eps"))
        printf(", total eps %.3g", reach_number(l, "total_eps"));
    if (reach_number(l, "alarms") > 0)
        printf(", %.0f ALARMS", reach_number(l, "alarms"));
    printf(", from %s", reach_text(l, "source"));
    if (*reach_text(l, "last_void"))
        printf("; last void: %s", reach_text(l, "last_void"));
    putchar('\n');
}

static void print_link(const json_t *l)
{
    char pair[TERM_TEXT];
    char made[TERM_TEXT];
    const char *peer = reach_text(l, "peer");
    if (*peer) {
        print_kme_link(l, peer);
        return;
    }
    snprintf(pair, sizeof(pair), "%s-%s", reach_text(l, "a"), reach_text(l, "b"));
    format_made(l, "key_bits", made);
    printf("  %-20s %-6s %9.2f kbit/s  QBER %5.2f %%  %6.0f blocks  %12s  %s%s%s", pair,
        reach_text(l, "state"), reach_number(l, "rate_kbps"), 100 * reach_number(l, "qber"),
        reach_number(l, "blocks"), made, reach_text(l, "source"),
        *reach_text(l, "label") ? " SIMULATED " : "", reach_text(l, "reason"));
    print_eve(json_object_get(l, "eve"));
    putchar('\n');
}

static void print_links(const json_t *answer)
{
    const json_t *links = json_is_array(answer) ? answer : json_object_get(answer, "links");
    size_t i;
    const json_t *l;
    json_array_foreach(links, i, l) print_link(l);
}

static int show_links(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_KME, "links", print_links, e);
}

/* NAME=VALUE; a value that is a number is sent as one. */
static int add_setting(json_t *to, const char *pair, struct err *e)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return err_set(e, EX_USAGE, "qkd set takes NAME=VALUE, not \"%s\"", pair);
    auto_free char *name = strndup(pair, (size_t)(equals - pair));
    char *end;
    double number = strtod(equals + 1, &end);
    bool is_number = end != equals + 1 && *end == '\0';
    if (!name ||
        json_object_set_new(to, name, is_number ? json_real(number) : json_string(equals + 1)) < 0)
        return err_set(e, EX_DATAERR, "\"%s\" is not text", pair);
    return 0;
}

/* An option --name VALUE is the setting NAME=VALUE. */
static int add_option(json_t *to, const char *name, const char *value, struct err *e)
{
    char pair[512];
    if (!value)
        return 0;
    if ((size_t)snprintf(pair, sizeof(pair), "%s=%s", name, value) >= sizeof(pair))
        return err_set(e, EX_USAGE, "--%s: that is too long", name);
    return add_setting(to, pair, e);
}

struct set_options {
    const char *control;
    bool json;
    const char *link, *intercept, *phase_noise, *lie, *speedup, *add_user, *remove_user;
};

static int read_settings(
    struct set_options *o, int argc, char **argv, json_t *settings, struct err *e)
{
    const struct option_spec specs[] = {{.name = "control", .value = &o->control},
        {.name = "json", .is_flag = true, .flag = &o->json}, {.name = "link", .value = &o->link},
        {.name = "intercept", .value = &o->intercept},
        {.name = "phase-noise", .value = &o->phase_noise}, {.name = "lie", .value = &o->lie},
        {.name = "speedup", .value = &o->speedup}, {.name = "add-user", .value = &o->add_user},
        {.name = "remove-user", .value = &o->remove_user}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, INT_MAX, &operands, e);
    const struct {
        const char *name, *value;
    } given[] = {{"link", o->link}, {"intercept", o->intercept}, {"phase_noise", o->phase_noise},
        {"lie", o->lie}, {"speedup", o->speedup}, {"add_user", o->add_user},
        {"remove_user", o->remove_user}};
    for (size_t i = 0; i < ARRAY_SIZE(given) && r == 0; i++)
        r = add_option(settings, given[i].name, given[i].value, e);
    for (int i = 0; i < operands && r == 0; i++)
        r = add_setting(settings, argv[i], e);
    if (r == 0 && json_object_size(settings) == 0)
        r = err_set(e, EX_USAGE, "qkd set: what? --speedup X, --link A-B --intercept X, ...");
    return r;
}

static void print_set(const json_t *answer)
{
    if (json_is_array(answer))
        print_links(answer);
    else
        puts("set");
}

static int set(int argc, char **argv, struct err *e)
{
    struct set_options o = {.control = REACH_QKDSIM};
    json_t *settings = json_object();
    json_t *answer = NULL;
    int r = read_settings(&o, argc, argv, settings, e);
    if (r != 0) {
        json_decref(settings);
        return r;
    }
    r = reach(o.control, "set", settings, &answer, e);
    if (r != 0)
        return r;
    if (o.json)
        reach_print(answer);
    else
        print_set(answer);
    json_decref(answer);
    return EX_OK;
}

const struct verb verbs_qkd[] = {
    {"qkd set",
        "--link A-B|all [--intercept X] [--phase-noise RAD] [--lie NAME] | --speedup X | "
        "--add-user SITE | --remove-user SITE [--control SOCKET] [--json]",
        "changes the simulator while it runs; NAME=VALUE is the same as --name VALUE", set},
    {"qkd", "[--control SOCKET] [--json]",
        "the links of a KME (or of the simulator): state, rate, QBER, blocks", show_links},
    {0},
};
