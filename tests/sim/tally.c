/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/tally.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

static void add_story(struct tally *t, uint64_t seed, const struct story_result *r)
{
    t->seeds++;
    t->completed += r->completed;
    t->skipped += r->skipped;
    t->aborted += r->aborted;
    t->steps += r->steps;
    t->virtual_ms += r->virtual_ms;
    for (size_t i = 0; i < FAULTS; i++)
        t->struck[i] += r->struck[i];
    if (!r->violation)
        return;
    t->violations++;
    t->first_bad = MIN(t->first_bad, seed);
    fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, r->violation);
}

static void add_tally(struct tally *t, const struct tally *more)
{
    t->seeds += more->seeds;
    t->completed += more->completed;
    t->skipped += more->skipped;
    t->aborted += more->aborted;
    t->violations += more->violations;
    t->steps += more->steps;
    t->virtual_ms += more->virtual_ms;
    for (size_t i = 0; i < FAULTS; i++)
        t->struck[i] += more->struck[i];
    t->first_bad = MIN(t->first_bad, more->first_bad);
}

/* Every jobs-th seed, in a process of its own. */
static void worker(const struct tally_setting *setting, unsigned number, int out)
{
    struct tally t = {.first_bad = UINT64_MAX};
    for (uint64_t seed = setting->first + number; seed <= setting->last; seed += setting->jobs) {
        struct story_result r =
            story_tell(&(struct story_setting){.seed = seed, .rounds = setting->rounds});
        add_story(&t, seed, &r);
        free(r.violation);
        if (t.violations > 0 && !setting->keep_going)
            break;
    }
    _exit(write(out, &t, sizeof(t)) == sizeof(t) ? 0 : 1);
}

static int worker_start(const struct tally_setting *setting, unsigned number, int *in)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(ends[0]);
        worker(setting, number, ends[1]);
    }
    close(ends[1]);
    *in = ends[0];
    return 0;
}

/* A worker that dies is a violation too. */
static int worker_end(int in, struct tally *out)
{
    struct tally t;
    bool whole = read(in, &t, sizeof(t)) == sizeof(t);
    close(in);
    int status;
    if (wait(&status) < 0)
        return -errno;
    if (whole)
        add_tally(out, &t);
    else
        fprintf(stderr, "a worker died with status %d\n", status);
    return whole ? 0 : -EIO;
}

int tally_run(const struct tally_setting *setting, struct tally *out)
{
    *out = (struct tally){.first_bad = UINT64_MAX};
    int in[64];
    unsigned jobs = MIN(setting->jobs, (unsigned)ARRAY_SIZE(in));
    int result = 0;
    unsigned started = 0;
    for (; started < jobs && result == 0; started++)
        result = worker_start(setting, started, &in[started]);
    for (unsigned i = 0; i < started; i++) {
        int r = worker_end(in[i], out);
        result = result < 0 ? result : r;
    }
    return result;
}

void tally_print(const struct tally *t, FILE *out)
{
    fprintf(out,
        "{\"seeds\": %" PRIu64 ", \"completed\": %" PRIu64 ", \"skipped\": %" PRIu64
        ", \"aborted\": %" PRIu64 ",\n \"faults\": {",
        t->seeds, t->completed, t->skipped, t->aborted);
    for (size_t i = 0; i < FAULTS; i++)
        fprintf(
            out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", fault_name((enum fault)i), t->struck[i]);
    fprintf(out,
        "},\n \"steps\": %" PRIu64 ", \"virtual_s\": %" PRIu64 ", \"violations\": %" PRIu64 "}\n",
        t->steps, t->virtual_ms / 1000, t->violations);
}
