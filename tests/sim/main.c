/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-sim: tells the stories of many seeds, or one in full. See README.md. */
#include "tests/sim/tally.h"

#include "common/util.h"

#include <getopt.h>
#include <inttypes.h>
#include <sysexits.h>
#include <unistd.h>

#define ROUNDS_DEFAULT 50
#define LAST_LINES     150 /* of the story of a failing seed */

struct arguments {
    struct tally_setting tally;
    const char *json;
    bool tell;
    uint64_t seed;
};

static int usage(FILE *out, int status)
{
    fputs("usage: qfl-sim --seeds A..B [--json FILE] [--jobs N] [--rounds N] [--keep-going]\n"
          "       qfl-sim --story SEED [--rounds N]\n",
        out);
    return status;
}

static bool parse_seeds(const char *text, struct tally_setting *t)
{
    return sscanf(text, "%" SCNu64 "..%" SCNu64, &t->first, &t->last) == 2 && t->first <= t->last;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
        {"json", required_argument, NULL, 'j'}, {"jobs", required_argument, NULL, 'n'},
        {"rounds", required_argument, NULL, 'r'}, {"story", required_argument, NULL, 't'},
        {"keep-going", no_argument, NULL, 'k'}, {NULL, 0, NULL, 0}};
    bool seeds = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            seeds = parse_seeds(optarg, &a->tally);
        else if (c == 'j')
            a->json = optarg;
        else if (c == 'n')
            a->tally.jobs = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'r')
            a->tally.rounds = strtoull(optarg, NULL, 10);
        else if (c == 'k')
            a->tally.keep_going = true;
        else if (c == 't')
            a->tell = sscanf(optarg, "%" SCNu64, &a->seed) == 1;
        else
            return false;
    }
    return optind == argc && (seeds || a->tell) && a->tally.jobs > 0 && a->tally.rounds > 0;
}

static int tell(uint64_t seed, uint64_t rounds, FILE *out)
{
    struct story_result r =
        story_tell(&(struct story_setting){.seed = seed, .rounds = rounds, .narrate = out});
    bool bad = r.violation;
    fprintf(out,
        "seed %" PRIu64 ": %" PRIu64 " rounds summed, %" PRIu64 " skipped, %" PRIu64
        " attempts aborted, %" PRIu64 " steps, trace %016" PRIx64 "\n",
        seed, r.completed, r.skipped, r.aborted, r.steps, r.trace);
    free(r.violation);
    return bad ? EX_SOFTWARE : EX_OK;
}

static const char *last_lines(const char *text, size_t len, unsigned lines)
{
    const char *p = text + len;
    while (p > text && lines > 0)
        if (*--p == '\n')
            lines--;
    return p;
}

/* The end of a failing story, and how to see all of it. */
static void tell_end(uint64_t seed, uint64_t rounds)
{
    char *text = NULL;
    size_t len = 0;
    FILE *story = open_memstream(&text, &len);
    if (!story)
        return;
    tell(seed, rounds, story);
    fclose(story);
    fprintf(stderr, "%s\nreplay: tests/sim.sh --story %" PRIu64 " --rounds %" PRIu64 "\n",
        last_lines(text, len, LAST_LINES), seed, rounds);
    free(text);
}

static int write_json(const char *path, const struct tally *t)
{
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        return EX_CANTCREAT;
    }
    tally_print(t, out);
    return fclose(out) == 0 ? EX_OK : EX_IOERR;
}

int main(int argc, char **argv)
{
    struct arguments a = {.tally = {.jobs = 2, .rounds = ROUNDS_DEFAULT}};
    if (!parse(argc, argv, &a))
        return usage(stderr, EX_USAGE);
    if (a.tell)
        return tell(a.seed, a.tally.rounds, stdout);
    struct tally t;
    int r = tally_run(&a.tally, &t);
    if (r == 0 && t.violations > 0)
        tell_end(t.first_bad, a.tally.rounds);
    tally_print(&t, stdout);
    if (a.json && write_json(a.json, &t) != EX_OK)
        return EX_IOERR;
    return r < 0 || t.violations > 0 ? EX_SOFTWARE : EX_OK;
}
