/* SPDX-License-Identifier: Apache-2.0 */
/* keyrate: finite-key rates from counts. */
#include "deploy/ctl/keyrate_simulate.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/verb.h"

#include "common/util.h"
#include "keypool/qkd/keyrate_csv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sysexits.h>

#define KEYRATE_FILE_MAX ((size_t)16 << 20)

struct keyrate_arguments {
    const char *eps, *f, *pulses, *seconds, *kato, *network, *pair, *seed;
    bool json, paper, measured, simulate;
};

static int parse_real(const char *option, const char *text, double *out, struct err *e)
{
    if (!text)
        return 0;
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v > 0) || !isfinite(v))
        return err_set(e, EX_USAGE, "--%s takes a number above 0, not \"%s\"", option, text);
    *out = v;
    return 0;
}

static int parse_options(
    const struct keyrate_arguments *a, struct keyrate_options *o, struct err *e)
{
    *o = keyrate_paper_options();
    int r = parse_real("eps", a->eps, &o->eps, e);
    r = r ? r : parse_real("f", a->f, &o->f, e);
    r = r ? r : parse_real("pulses", a->pulses, &o->pulses, e);
    r = r ? r : parse_real("seconds", a->seconds, &o->seconds, e);
    if (r != 0 || !a->kato)
        return r;
    if (strcmp(a->kato, "zero") != 0 && strcmp(a->kato, "optimised") != 0)
        return err_set(e, EX_USAGE, "--kato takes zero or optimised, not \"%s\"", a->kato);
    o->kato = strcmp(a->kato, "zero") == 0 ? KEYRATE_KATO_ZERO : KEYRATE_KATO_OPTIMISED;
    return 0;
}

static int read_file(const char *path, char **text, size_t *len, struct err *e)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!f)
        return err_set(e, EX_NOINPUT, "cannot read %s: %s", path, strerror(errno));
    *text = malloc(KEYRATE_FILE_MAX + 1);
    *len = *text ? fread(*text, 1, KEYRATE_FILE_MAX + 1, f) : 0;
    bool failed = !*text || ferror(f);
    if (f != stdin)
        fclose(f);
    if (failed)
        return err_set(e, EX_IOERR, "cannot read %s", path);
    if (*len > KEYRATE_FILE_MAX)
        return err_set(e, EX_DATAERR, "%s is larger than %zu MiB", path, KEYRATE_FILE_MAX >> 20);
    return 0;
}

static int load_table(const struct keyrate_arguments *a, const struct keyrate_options *o,
    const char *path, struct keyrate_table *t, struct err *e)
{
    if (a->paper)
        return keyrate_table_paper(t, a->network, a->measured) < 0
                   ? err_set(e, EX_USAGE, "--network takes paper-3 or paper-4")
                   : 0;
    auto_free char *text = NULL;
    size_t len = 0;
    int r = read_file(path, &text, &len, e);
    if (r != 0)
        return r;
    return keyrate_csv_parse(t, text, len, strcmp(path, "-") == 0 ? "standard input" : path, o, e) <
                   0
               ? EX_DATAERR
               : 0;
}

/* The simulated network is the paper's: only the length of a block may differ. */
static int simulate(
    const struct keyrate_arguments *a, const struct keyrate_options *o, struct err *e)
{
    long long seed = 1;
    if (!a->paper || a->measured || a->eps || a->f || a->pulses || a->kato)
        return err_set(e, EX_USAGE,
            "--simulate goes with --paper, and of the options with --network, --pair, --seconds, "
            "--seed and --json");
    int r = a->seed ? options_number("seed", a->seed, 0, INT64_MAX, &seed, e) : 0;
    if (r != 0)
        return r;
    const struct keyrate_simulate s = {.network = a->network,
        .pair = a->pair,
        .seconds = o->seconds,
        .seed = (uint64_t)seed,
        .json = a->json};
    return keyrate_simulate(&s, e);
}

static int keyrate_verb(int argc, char **argv, struct err *e)
{
    struct keyrate_arguments a = {0};
    const struct option_spec specs[] = {{.name = "eps", .value = &a.eps},
        {.name = "f", .value = &a.f}, {.name = "pulses", .value = &a.pulses},
        {.name = "seconds", .value = &a.seconds}, {.name = "kato", .value = &a.kato},
        {.name = "network", .value = &a.network}, {.name = "pair", .value = &a.pair},
        {.name = "seed", .value = &a.seed},
        {.name = "simulate", .is_flag = true, .flag = &a.simulate},
        {.name = "paper", .is_flag = true, .flag = &a.paper},
        {.name = "measured-leak", .is_flag = true, .flag = &a.measured},
        {.name = "json", .is_flag = true, .flag = &a.json}, {0}};
    int operands;
    struct keyrate_options o;
    int r = options_parse(specs, argc, argv, 1, &operands, e);
    if (r == 0)
        r = parse_options(&a, &o, e);
    if (r != 0)
        return r;
    if (operands != (a.paper ? 0 : 1))
        return err_set(e, EX_USAGE, "keyrate takes one CSV file, or --paper without a file");
    if (a.simulate)
        return simulate(&a, &o, e);
    if (a.pair || a.seed)
        return err_set(e, EX_USAGE, "--pair and --seed go with --simulate");
    struct keyrate_table t = {0};
    r = load_table(&a, &o, argv[0], &t, e);
    if (r == 0) {
        keyrate_table_compute(&t, &o);
        auto_free char *text = a.json ? keyrate_table_json(&t) : keyrate_table_text(&t);
        r = text ? EX_OK : err_set(e, EX_OSERR, "out of memory");
        if (text)
            printf("%s%s", text, a.json ? "\n" : "");
    }
    keyrate_table_deinit(&t);
    return r;
}

const struct verb verbs_keyrate[] = {
    {"keyrate",
        "FILE.csv | --paper [--network paper-3|paper-4] [--measured-leak] [--eps E] [--f F] "
        "[--pulses N] [--seconds S] [--kato zero|optimised] [--json] | "
        "--paper --simulate [--network NAME] [--pair AB] [--seconds S] [--seed N] [--json]",
        "finite-key rates from counts: columns pair,mu,n,n_x,m_x,n_y,m_y[,leak_bits]; --simulate: "
        "the "
        "paper's blocks from simulated events to keys, in minutes",
        keyrate_verb},
    {0},
};
