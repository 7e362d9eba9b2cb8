/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that steer a run: run start, run stop, drain, approve, rounds. */
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
    puts("the run ends: masked updates on their way are still summed, any other work is given up");
}

static void say_drain(const json_t *answer)
{
    puts("draining: masked updates on their way are still summed, then the daemon ends");
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
    int r = options_parse(specs, argc, argv, 1, &operands, e);
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
    int r = options_parse(specs, argc, argv, 0, &operands, e);
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
    {"run stop", "[--control SOCKET] [--json]",
        "ends the run; what has not been released is given up", run_stop},
    {"drain", "[--control SOCKET] [--json]",
        "ends a server or a client; what has not been released is given up", run_drain},
    {"approve", "RUN [--control SOCKET] [--json]",
        "lets a client with runs: ask take part in a new run", run_approve},
    {"rounds", "[--from N] [--control SOCKET] [--json]", "the journal of rounds", show_rounds},
    {0},
};
