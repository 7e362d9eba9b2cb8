/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that steer a run: run start, run stop, drain, approve, status, rounds. */
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include <stdio.h>
#include <sysexits.h>

static void say_start(const json_t *answer)
{
    puts("the run starts as soon as its clients are there");
}

static void say_stop(const json_t *answer)
{
    puts("the run ends after the current round");
}

static void say_drain(const json_t *answer)
{
    puts("draining: the daemon ends after the current round");
}

static int run_start(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "run-start", say_start, e);
}

static int run_stop(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "run-stop", say_stop, e);
}

static int run_drain(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "drain", say_drain, e);
}

static int run_approve(int argc, char **argv, struct err *e)
{
    const char *control = REACH_CLIENT;
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, &operands, e);
    if (r != 0)
        return r;
    if (operands != 1)
        return err_set(e, EX_USAGE, "approve takes the run id that the client's status shows");
    json_t *result = NULL;
    r = reach(control, "approve", json_pack("{s:s}", "run", argv[0]), &result, e);
    if (r != 0)
        return r;
    if (json)
        reach_print(result);
    else
        printf("run %s approved\n", argv[0]);
    json_decref(result);
    return EX_OK;
}

static void print_status(const json_t *s)
{
    printf("federation %s   run %s (%s)   round %.0f of %.0f   %s   attempt %.0f\n",
        reach_text(s, "federation"), reach_text(s, "run"), reach_text(s, "task"),
        reach_number(s, "round"), reach_number(s, "rounds"), reach_text(s, "phase"),
        reach_number(s, "attempt"));
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(s, "clients"), i, c)
        printf("  %-12s %-12s %s\n", reach_text(c, "site"),
            json_is_true(json_object_get(c, "connected")) ? reach_text(c, "phase") : "away",
            json_is_true(json_object_get(c, "participant")) ? "takes part" : "");
    const json_t *p;
    json_array_foreach(json_object_get(s, "pairs"), i, p)
    {
        char bits[TERM_TEXT];
        printf("  %-20s %12s   %.0f rounds of key left  %s\n", reach_text(p, "pair"),
            term_bits(bits, reach_number(p, "available_bits")), reach_number(p, "rounds_left"),
            json_is_true(json_object_get(p, "simulated")) ? "SIMULATED" : "");
    }
}

static int show_status(int argc, char **argv, struct err *e)
{
    return reach_verb(argc, argv, REACH_SERVER, "status", print_status, e);
}

static void print_round(const json_t *r)
{
    char key[TERM_TEXT];
    printf("%5.0f %8.0f %-8s %2.0f %2.0f %10.0f %12s %8.0f ms  %s\n", reach_number(r, "round"),
        reach_number(r, "attempt"), reach_text(r, "outcome"), reach_number(r, "participants"),
        reach_number(r, "T"), reach_number(r, "upload_bytes"),
        term_bits(key, reach_number(r, "key_bits")), reach_number(r, "wall_ms"),
        reach_text(r, "reason"));
}

static int show_rounds(int argc, char **argv, struct err *e)
{
    const char *control = REACH_SERVER;
    const char *first = "1";
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "from", .value = &first}, {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, &operands, e);
    if (r != 0)
        return r;
    long long from;
    r = options_number("from", first, 1, 1LL << 40, &from, e);
    if (r != 0)
        return r;
    json_t *result = NULL;
    r = reach(control, "rounds", json_pack("{s:I}", "first", (json_int_t)from), &result, e);
    if (r != 0)
        return r;
    if (json) {
        reach_print(result);
    } else {
        puts("round  attempt outcome   K  T     upload          key       time  reason");
        size_t i;
        const json_t *row;
        json_array_foreach(result, i, row) print_round(row);
    }
    json_decref(result);
    return EX_OK;
}

const struct verb verbs_run[] = {
    {"run start", "[--control SOCKET] [--json]", "starts the run of a server with start: manual",
        run_start},
    {"run stop", "[--control SOCKET] [--json]", "ends the run after the current round", run_stop},
    {"drain", "[--control SOCKET] [--json]", "ends a daemon after the current round", run_drain},
    {"approve", "RUN [--control SOCKET] [--json]",
        "lets a client with runs: ask take part in a new run", run_approve},
    {"status", "[--control SOCKET] [--json]", "what the federation is doing", show_status},
    {"rounds", "[--from N] [--control SOCKET] [--json]", "the journal of rounds", show_rounds},
    {0},
};
