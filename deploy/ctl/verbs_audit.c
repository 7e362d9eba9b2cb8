/* SPDX-License-Identifier: Apache-2.0 */
/* audit: is any key byte used twice; audit sums: do the published sums equal the clients' integers. */
#include "deploy/ctl/audit.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <stdio.h>
#include <sysexits.h>

/* The whole `audit` of one vault, which answers in pages. */
static int ask_vault(const char *socket, json_t **out, struct err *e)
{
    json_int_t from = 0;
    *out = NULL;
    for (;;) {
        json_t *page = NULL;
        int r = reach(socket, "audit", json_pack("{s:I}", "from", from), &page, e);
        if (r != 0) {
            json_decref(*out);
            return r;
        }
        json_t *next = json_object_get(page, "next");
        from = json_integer_value(next);
        bool is_last = next == NULL;
        if (*out) {
            json_array_extend(json_object_get(*out, "ranges"), json_object_get(page, "ranges"));
            json_decref(page);
        } else {
            *out = page;
        }
        if (is_last)
            return 0;
    }
}

/* The audits of all the vaults named. */
static int ask_vaults(const char *const *sockets, size_t n, json_t **out, struct err *e)
{
    *out = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *answer = NULL;
        int r = ask_vault(sockets[i], &answer, e);
        if (r != 0) {
            json_decref(*out);
            return r;
        }
        json_array_append_new(*out, answer);
    }
    return 0;
}

static void print_findings(const struct audit_findings *f, bool json)
{
    if (json) {
        json_t *v = json_pack("{s:I, s:I, s:I, s:O}", "ranges", (json_int_t)f->ranges, "streams",
            (json_int_t)f->streams, "reused", (json_int_t)f->reused, "conflicts", f->conflicts);
        reach_print(v);
        json_decref(v);
        return;
    }
    printf("%llu ranges of %llu streams: %llu reused\n", (unsigned long long)f->ranges,
        (unsigned long long)f->streams, (unsigned long long)f->reused);
    size_t i;
    const json_t *line;
    json_array_foreach(f->conflicts, i, line) printf("  %s\n", json_string_value(line));
}

static int audit_keys(int argc, char **argv, struct err *e)
{
    const char *sockets[OPTION_VALUES_MAX];
    size_t n = 0;
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .values = sockets, .n_values = &n},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r != 0)
        return r;
    if (n == 0)
        sockets[n++] = REACH_KEYPOOL;
    json_t *vaults = NULL;
    r = ask_vaults(sockets, n, &vaults, e);
    if (r != 0)
        return r;
    struct audit_findings f;
    r = audit_ranges(vaults, &f, e);
    if (r == 0) {
        print_findings(&f, json);
        r = f.reused == 0 ? EX_OK
                          : err_set(e, EX_DATAERR, "%llu ranges share key bytes",
                                (unsigned long long)f.reused);
    }
    json_decref(f.conflicts);
    json_decref(vaults);
    return r < 0 ? EX_DATAERR : r;
}

/* The integers that one client wrote for an attempt: <dir>/<site>-<round>-<attempt>.json. */
static json_t *load_integers(const char *dir, const char *site, const json_t *round, struct err *e)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s-%.0f-%.0f.json", dir, site, reach_number(round, "round"),
        reach_number(round, "attempt"));
    json_error_t at;
    json_t *v = json_load_file(path, 0, &at);
    if (!v)
        err_set(e, EX_NOINPUT, "%s: %s", path, at.text);
    return v;
}

enum comparison { SUM_EQUAL, SUM_DIFFERENT, SUM_NOT_KEPT };

/* An enum comparison, or -1 with a sentence when it cannot be told. */
static int compare_round(
    const char *control, const json_t *round, const char *const *dirs, size_t n, struct err *e)
{
    json_t *published = NULL;
    int asked = reach(control, "sum", json_pack("{s:O}", "round", json_object_get(round, "round")),
        &published, e);
    if (asked != 0)
        return asked == EX_NOINPUT ? SUM_NOT_KEPT : -1;
    json_t *clients = json_array();
    int r = 0;
    size_t i;
    const json_t *site;
    json_array_foreach(json_object_get(published, "sites"), i, site)
    {
        json_t *integers = NULL;
        for (size_t d = 0; d < n && !integers; d++)
            integers = load_integers(dirs[d], json_string_value(site), round, e);
        r = integers ? r : -1;
        if (integers)
            json_array_append_new(clients, integers);
    }
    if (r == 0)
        r = audit_sum(clients, json_object_get(published, "sum"), e);
    json_decref(clients);
    json_decref(published);
    if (r < 0)
        return -1;
    return r == 1 ? SUM_EQUAL : SUM_DIFFERENT;
}

struct sums {
    size_t compared, different, not_kept; /* rounds */
};

static int compare_rounds(const char *control, const json_t *rounds, const char *const *dirs,
    size_t n, struct sums *out, struct err *e)
{
    size_t i;
    const json_t *round;
    json_array_foreach(rounds, i, round)
    {
        if (strcmp(reach_text(round, "outcome"), "summed") != 0)
            continue;
        int same = compare_round(control, round, dirs, n, e);
        if (same < 0)
            return EX_DATAERR;
        out->not_kept += same == SUM_NOT_KEPT;
        out->compared += same != SUM_NOT_KEPT;
        out->different += same == SUM_DIFFERENT;
    }
    return 0;
}

static int print_sums(const struct sums *s, bool json, struct err *e)
{
    bool exact = s->different == 0 && s->compared > 0;
    if (json) {
        json_t *v = json_pack("{s:b, s:I, s:I}", "exact", exact, "rounds", (json_int_t)s->compared,
            "not_kept", (json_int_t)s->not_kept);
        reach_print(v);
        json_decref(v);
    } else {
        printf("%zu published sums compared with the sums of the clients' integers: %zu differ\n",
            s->compared, s->different);
        if (s->not_kept > 0)
            printf("%zu older sums are not kept by the server (keep_checkpoints)\n", s->not_kept);
    }
    if (s->compared == 0)
        return err_set(e, EX_DATAERR, "no published sum to compare");
    return exact ? EX_OK : err_set(e, EX_DATAERR, "the sums do not agree");
}

static int audit_sums(int argc, char **argv, struct err *e)
{
    const char *control = REACH_SERVER;
    const char *dirs[OPTION_VALUES_MAX];
    size_t n = 0;
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "hooks", .values = dirs, .n_values = &n},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    json_t *rounds = NULL;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0 && n == 0)
        r = err_set(e, EX_USAGE, "audit sums needs --hooks DIR, once for each client");
    if (r == 0)
        r = reach(control, "rounds", NULL, &rounds, e);
    struct sums found = {0};
    if (r == 0)
        r = compare_rounds(control, rounds, dirs, n, &found, e);
    json_decref(rounds);
    return r == 0 ? print_sums(&found, json, e) : r;
}

const struct verb verbs_audit[] = {
    {"audit sums", "--hooks DIR [--hooks DIR ...] [--control SOCKET] [--json]",
        "compares the published sums with integers written by clients built with test_hooks",
        audit_sums},
    {"audit", "[--control SOCKET ...] [--json]",
        "checks the journals of one or more key pools: no key byte belongs to two attempts",
        audit_keys},
    {0},
};
