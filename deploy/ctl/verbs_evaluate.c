/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate: loss and accuracy of checkpoints on the task's public test set, once or as they appear;
 * and the centralised benchmark beside a federation. */
#include "deploy/ctl/model_file.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/task_options.h"
#include "deploy/ctl/verb.h"

#include "client/tasks/evaluate.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

#define EVALUATE_POLL_MS   100
#define EVALUATE_FILES_MAX 100000

struct evaluate_arguments {
    const char *task, *checkpoint, *follow, *control, *clients, *rounds;
    bool centralised, json;
    struct task_options o;
};

static json_t *describe(const struct task *t, const struct evaluation *v, uint64_t round)
{
    return json_pack("{s:s, s:s, s:I, s:f, s:f, s:I}", "task", t->name, "note", t->note, "round",
        (json_int_t)round, "loss", v->loss, "accuracy", v->accuracy, "samples",
        (json_int_t)v->samples);
}

static void say(
    const struct task *t, const struct evaluation *v, const char *what, uint64_t round, bool json)
{
    if (!json) {
        printf("%s %5.0f  loss %.4f  accuracy %.4f  (%u test samples)\n", what, (double)round,
            v->loss, v->accuracy, v->samples);
        fflush(stdout);
        return;
    }
    json_t *described = describe(t, v, round);
    reach_print(described);
    json_decref(described);
}

static int evaluate_file(const struct task *t, const char *path, struct checkpoint *c,
    struct evaluation *v, struct err *e)
{
    int r = model_file_read(path, c, e);
    if (r != 0)
        return r;
    if (strcmp(c->task, t->name) != 0)
        return err_set(
            e, EX_DATAERR, "%s is a model of the task %s, not of %s", path, c->task, t->name);
    if (c->parameters != t->parameters)
        return err_set(e, EX_DATAERR, "%s has %u parameters, the task %s has %u", path,
            c->parameters, t->name, t->parameters);
    return evaluate_model(t, c->model, v, e) < 0 ? EX_SOFTWARE : 0;
}

static int evaluate_once(const struct task *t, const struct evaluate_arguments *a, struct err *e)
{
    struct checkpoint c = {0};
    struct evaluation v = {0};
    int r = evaluate_file(t, a->checkpoint, &c, &v, e);
    if (r == 0)
        say(t, &v, "round", c.round, a->json);
    checkpoint_deinit(&c);
    return r;
}

/* ---- following a server's folder of checkpoints ------------------------------------------------- */

/* Checkpoints are named RUN-ROUND.qflm. Those of the newest run are evaluated, each round once: what is
 * reported counts for the run that the server is in. */
#define EVALUATE_RUN_MAX 32

struct follower {
    const struct task *task;
    const struct evaluate_arguments *a;
    char run[EVALUATE_RUN_MAX + 1];
    uint64_t done[EVALUATE_FILES_MAX / 64]; /* rounds of it, as bits */
    bool is_waiting;                        /* for the folder, and has said so */
};

static bool is_done(const struct follower *f, uint64_t round)
{
    return round >= EVALUATE_FILES_MAX || (f->done[round / 64] >> (round % 64) & 1);
}

static int report(
    const struct follower *f, uint64_t round, const struct evaluation *v, struct err *e)
{
    json_t *answer = NULL;
    int r = reach(f->a->control, "evaluation",
        json_pack("{s:I, s:f, s:f}", "round", (json_int_t)round, "loss", v->loss, "accuracy",
            v->accuracy),
        &answer, e);
    json_decref(answer);
    return r;
}

/* A file that cannot be read now (being replaced, or gone) is tried again next time. */
static int follow_file(struct follower *f, const char *path, struct err *e)
{
    struct checkpoint c = {0};
    struct evaluation v = {0};
    struct err ignored;
    int r = 0;
    if (model_file_read(path, &c, &ignored) == 0 && !is_done(f, c.round)) {
        r = evaluate_file(f->task, path, &c, &v, e);
        if (r == 0)
            r = report(f, c.round, &v, e);
        if (r == 0) {
            f->done[c.round / 64] |= (uint64_t)1 << (c.round % 64);
            say(f->task, &v, "round", c.round, f->a->json);
        }
    }
    checkpoint_deinit(&c);
    return r;
}

/* Splits RUN-ROUND.qflm. */
static bool parse_name(const char *name, char run[EVALUATE_RUN_MAX + 1], uint64_t *round)
{
    size_t len = strcspn(name, "-");
    char *end;
    if (name[len] != '-' || len == 0 || len > EVALUATE_RUN_MAX)
        return false;
    memcpy(run, name, len);
    run[len] = '\0';
    *round = strtoull(name + len + 1, &end, 10);
    return end != name + len + 1 && strcmp(end, ".qflm") == 0;
}

static int is_checkpoint(const struct dirent *entry)
{
    char run[EVALUATE_RUN_MAX + 1];
    uint64_t round;
    return parse_name(entry->d_name, run, &round);
}

/* The run that the youngest file belongs to; a change forgets what was done. */
static void find_run(struct follower *f, struct dirent **entries, int n)
{
    struct timespec newest = {0};
    char run[EVALUATE_RUN_MAX + 1] = "";
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        uint64_t round;
        snprintf(path, sizeof(path), "%s/%s", f->a->follow, entries[i]->d_name);
        if (stat(path, &st) < 0 || st.st_mtim.tv_sec < newest.tv_sec ||
            (st.st_mtim.tv_sec == newest.tv_sec && st.st_mtim.tv_nsec < newest.tv_nsec))
            continue;
        newest = st.st_mtim;
        parse_name(entries[i]->d_name, run, &round);
    }
    if (strcmp(run, f->run) == 0)
        return;
    memcpy(f->run, run, sizeof(run));
    memset(f->done, 0, sizeof(f->done));
    f->done[0] = 1; /* the model before the first round */
}

static bool is_wanted(const struct follower *f, const char *name)
{
    char run[EVALUATE_RUN_MAX + 1];
    uint64_t round;
    return parse_name(name, run, &round) && strcmp(run, f->run) == 0 && !is_done(f, round);
}

static int follow_folder(struct follower *f, struct err *e)
{
    struct dirent **entries = NULL;
    int n = scandir(f->a->follow, &entries, is_checkpoint, versionsort);
    int r = 0;
    if (n < 0 && !f->is_waiting)
        fprintf(stderr, "qflctl: waiting for %s: %s\n", f->a->follow, strerror(errno));
    f->is_waiting = n < 0;
    find_run(f, entries, n);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", f->a->follow, entries[i]->d_name);
        if (r == 0 && is_wanted(f, entries[i]->d_name))
            r = follow_file(f, path, e);
        free(entries[i]);
    }
    free(entries);
    return r;
}

/* Until a signal. A server that does not answer may be restarting: its files are tried again. */
static int evaluate_follow(const struct task *t, const struct evaluate_arguments *a, struct err *e)
{
    auto_free struct follower *f = calloc(1, sizeof(*f));
    if (!f)
        return err_set(e, EX_OSERR, "out of memory");
    f->task = t;
    f->a = a;
    for (;;) {
        int r = follow_folder(f, e);
        if (r != 0 && r != EX_UNAVAILABLE)
            return r;
        poll(NULL, 0, EVALUATE_POLL_MS);
    }
}

/* ---- the centralised benchmark ------------------------------------------------------------------ */

static int train_together(const struct evaluate_arguments *a, struct task **shards, uint32_t n,
    uint64_t epochs, struct evaluation *v, struct err *e)
{
    const struct task *t = shards[0];
    auto_free double *model = calloc(t->parameters, sizeof(*model));
    if (!model)
        return err_set(e, EX_OSERR, "out of memory");
    uint64_t seed = a->o.seed ? strtoull(a->o.seed, NULL, 10) : 1;
    int r = task_initial_model(t, seed, model, e);
    if (r == 0)
        r = evaluate_centralised((const struct task *const *)shards, n, epochs, seed, model, e);
    if (r == 0)
        r = evaluate_model(t, model, v, e);
    return r < 0 ? EX_SOFTWARE : 0;
}

static int evaluate_together(struct evaluate_arguments *a, struct err *e)
{
    long long clients;
    long long rounds;
    int r =
        options_number("clients", a->clients ? a->clients : "4", 1, TASK_SHARDS_MAX, &clients, e);
    if (r == 0)
        r = options_number("rounds", a->rounds ? a->rounds : "0", 0, 1000000, &rounds, e);
    if (r != 0)
        return r;
    struct task *shards[TASK_SHARDS_MAX] = {NULL};
    for (long long i = 0; i < clients && r == 0; i++)
        r = task_options_open(&a->o, a->task, (uint32_t)i, (uint32_t)clients, &shards[i], e);
    struct evaluation v = {0};
    if (r == 0 && shards[0]) {
        uint64_t epochs = rounds > 0 ? (uint64_t)rounds : shards[0]->defaults.rounds;
        r = train_together(a, shards, (uint32_t)clients, epochs, &v, e);
        if (r == 0)
            say(shards[0], &v, "centralised, epochs", epochs, a->json);
    }
    for (long long i = 0; i < clients; i++)
        task_free(shards[i]);
    return r;
}

static int evaluate_any(struct evaluate_arguments *a, struct err *e)
{
    if (a->centralised)
        return evaluate_together(a, e);
    struct task *t = NULL;
    int r = task_options_open(&a->o, a->task, 0, 0, &t, e);
    if (r == 0)
        r = a->follow ? evaluate_follow(t, a, e) : evaluate_once(t, a, e);
    task_free(t);
    return r;
}

static int evaluate(int argc, char **argv, struct err *e)
{
    struct evaluate_arguments a = {.control = REACH_SERVER};
    struct option_spec specs[TASK_OPTIONS_SPECS + 10] = {{.name = "task", .value = &a.task},
        {.name = "checkpoint", .value = &a.checkpoint}, {.name = "follow", .value = &a.follow},
        {.name = "control", .value = &a.control}, {.name = "clients", .value = &a.clients},
        {.name = "rounds", .value = &a.rounds},
        {.name = "centralised", .is_flag = true, .flag = &a.centralised},
        {.name = "json", .is_flag = true, .flag = &a.json}};
    size_t n = 8;
    task_options_specs(&a.o, specs, &n);
    int operands;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r != 0)
        return r;
    if (!a.task || (a.checkpoint != NULL) + (a.follow != NULL) + a.centralised != 1)
        return err_set(e, EX_USAGE,
            "evaluate needs --task and one of --checkpoint FILE, --follow DIR, --centralised");
    r = evaluate_any(&a, e);
    task_options_deinit(&a.o);
    return r;
}

const struct verb verbs_evaluate[] = {
    {"evaluate",
        "--task TASK (--checkpoint FILE | --follow DIR [--control SOCKET] | --centralised "
        "[--clients N] [--rounds N]) [--seed N] [--data DIR] [--option NAME=VALUE ...] [--json]",
        "loss and accuracy on the task's public test set; --follow reports each new checkpoint to "
        "the server",
        evaluate},
    {0},
};
