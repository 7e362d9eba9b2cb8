/* SPDX-License-Identifier: Apache-2.0 */
/* status and metrics: what a daemon is doing, and what it counts. Without --control it is the server, which
 * knows the whole federation; the status of any other daemon is told apart by its members. */
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <stdio.h>
#include <sysexits.h>

static const char *yes_no(const json_t *s, const char *key, const char *yes, const char *no)
{
    return json_is_true(json_object_get(s, key)) ? yes : no;
}

static void print_pair(const char *name, const json_t *p)
{
    char bits[TERM_TEXT];
    printf("  %-20s %12s", name, term_bits(bits, reach_number(p, "available_bits")));
    if (json_object_get(p, "rounds_left"))
        printf("   %.0f rounds of key left", reach_number(p, "rounds_left"));
    printf("%s\n", yes_no(p, "simulated", "   SIMULATED", ""));
}

static void print_server(const json_t *s)
{
    printf("federation %s   run %s (%s)   round %.0f of %.0f   %s   attempt %.0f\n",
        reach_text(s, "federation"), *reach_text(s, "run") ? reach_text(s, "run") : "none",
        reach_text(s, "task"), reach_number(s, "round"), reach_number(s, "rounds"),
        reach_text(s, "phase"), reach_number(s, "attempt"));
    printf("  %.0f rounds summed, %.0f skipped   model %s\n", reach_number(s, "rounds_summed"),
        reach_number(s, "rounds_skipped"),
        *reach_text(s, "checkpoint") ? reach_text(s, "checkpoint") : "none yet");
    if (*reach_text(s, "fault"))
        printf("  FAULT: %s\n", reach_text(s, "fault"));
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(s, "clients"), i, c)
        printf("  %-20s %-12s %s\n", reach_text(c, "site"),
            json_is_true(json_object_get(c, "connected")) ? reach_text(c, "phase") : "away",
            yes_no(c, "participant", "takes part", ""));
    const json_t *p;
    json_array_foreach(json_object_get(s, "pairs"), i, p) print_pair(reach_text(p, "pair"), p);
}

static void print_client(const json_t *s)
{
    printf("client %s of federation %s   %s   server %s   key pool %s%s\n", reach_text(s, "site"),
        reach_text(s, "federation"), reach_text(s, "phase"),
        yes_no(s, "server", "connected", "away"), yes_no(s, "keypool", "connected", "away"),
        yes_no(s, "draining", "   draining", ""));
    if (*reach_text(s, "run"))
        printf("  run %s (%s)   round %.0f   attempt %.0f\n", reach_text(s, "run"),
            reach_text(s, "task"), reach_number(s, "round"), reach_number(s, "attempt"));
    if (*reach_text(s, "waiting_run"))
        printf("  run %s WAITS: qflctl approve %s\n", reach_text(s, "waiting_run"),
            reach_text(s, "waiting_run"));
    size_t i;
    const json_t *p;
    json_array_foreach(json_object_get(s, "peers"), i, p) print_pair(reach_text(p, "peer"), p);
}

static void print_keypool(const json_t *s)
{
    char capacity[TERM_TEXT];
    printf("key pool of %s   capacity %s a pair   KME %s   %.0f consumers   memory %s%s\n",
        reach_text(s, "site"), term_bits(capacity, reach_number(s, "capacity_bits")),
        yes_no(s, "kme", "connected", "away"), reach_number(s, "consumers"),
        yes_no(s, "locked_memory", "locked", "NOT LOCKED"),
        yes_no(s, "allow_simulated_keys", "   simulated keys allowed", ""));
    const char *peer;
    const json_t *state;
    json_object_foreach((json_t *)json_object_get(s, "pairs"), peer, state)
        printf("  %-20s %s\n", peer, json_string_value(state));
}

static void print_kme(const json_t *s)
{
    printf("KME of %s   key pool %s   %zu links (qflctl qkd shows them)\n", reach_text(s, "site"),
        yes_no(s, "keypool_connected", "connected", "away"),
        json_array_size(json_object_get(s, "links")));
}

static void print_simulator(const json_t *s)
{
    char bits[TERM_TEXT];
    printf("simulated quantum layer, level %s   %.0f links   %.0f blocks   %s   speedup %g   "
           "SIMULATED\n",
        reach_text(s, "level"), reach_number(s, "links"), reach_number(s, "blocks"),
        term_bits(bits, reach_number(s, "key_bits")), reach_number(s, "speedup"));
    size_t i;
    const json_t *user;
    json_array_foreach(json_object_get(s, "users"), i, user) printf(
        "  %-20s %s\n", reach_text(user, "user"), yes_no(user, "connected", "there", "away"));
}

static void print_status(const json_t *s)
{
    static const struct {
        const char *member; /* only this daemon's answer has it */
        void (*print)(const json_t *s);
    } kinds[] = {{"clients", print_server}, {"waiting_run", print_client},
        {"consumers", print_keypool}, {"keypool_connected", print_kme}, {"users", print_simulator}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (json_object_get(s, kinds[i].member)) {
            kinds[i].print(s);
            return;
        }
    reach_print(s);
}

static int show_status(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "status", print_status, e);
}

static void print_metrics(const json_t *o)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)o, name, value) if (json_is_number(value))
        printf("%-32s %.12g\n", name, json_number_value(value));
}

static int show_metrics(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "metrics", print_metrics, e);
}

const struct verb verbs_status[] = {
    {"status", "[--control SOCKET] [--json]", "what the federation, or one daemon, is doing",
        show_status},
    {"metrics", "[--control SOCKET] [--json]", "what a daemon counts since its start",
        show_metrics},
    {0},
};
