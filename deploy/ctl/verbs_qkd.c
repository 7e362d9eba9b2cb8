/* SPDX-License-Identifier: Apache-2.0 */
/* qkd: the links that make key, as a KME or the simulator sees them; qkd set: the simulator's
 * switches. */
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <stdio.h>
#include <sysexits.h>

static void print_link(const json_t *l)
{
    char pair[TERM_TEXT];
    char bits[TERM_TEXT];
    const char *peer = reach_text(l, "peer");
    if (*peer)
        snprintf(pair, sizeof(pair), "%s", peer);
    else
        snprintf(pair, sizeof(pair), "%s-%s", reach_text(l, "a"), reach_text(l, "b"));
    double made = reach_number(l, *peer ? "ingested_bits" : "key_bits");
    printf("  %-20s %-6s %9.2f kbit/s  QBER %5.2f %%  %6.0f blocks  %12s  %s%s%s\n", pair,
        reach_text(l, "state"), reach_number(l, "rate_kbps"), 100 * reach_number(l, "qber"),
        reach_number(l, "blocks"), term_bits(bits, made), reach_text(l, "source"),
        *reach_text(l, "label") ? " SIMULATED " : "", reach_text(l, "reason"));
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

static int set(int argc, char **argv, struct err *e)
{
    const char *control = REACH_QKDSIM;
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, &operands, e);
    if (r == 0 && operands == 0)
        r = err_set(e, EX_USAGE, "qkd set takes at least one NAME=VALUE");
    json_t *settings = json_object();
    for (int i = 0; i < operands && r == 0; i++)
        r = add_setting(settings, argv[i], e);
    if (r != 0) {
        json_decref(settings);
        return r;
    }
    json_t *answer = NULL;
    r = reach(control, "set", settings, &answer, e);
    if (r != 0)
        return r;
    if (json)
        reach_print(answer);
    else
        puts("set");
    json_decref(answer);
    return EX_OK;
}

const struct verb verbs_qkd[] = {
    {"qkd set", "NAME=VALUE ... [--control SOCKET] [--json]",
        "changes the simulator while it runs: speedup, add_user, remove_user", set},
    {"qkd", "[--control SOCKET] [--json]",
        "the links of a KME (or of the simulator): state, rate, QBER, blocks", show_links},
    {0},
};
