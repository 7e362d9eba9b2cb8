/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include "common/checkpoint.h"
#include "common/file_io.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the table ------------------------------------------------------------------------------- */

static const char *const starts[] = {"auto", "manual", NULL};
static const char *const roundings[] = {"stochastic", "nearest", NULL};

#define RUN(field) offsetof(struct server_run_config, field)

static const struct config_field run_fields[] = {
    {.key = "task",
        .type = CONFIG_STRING,
        .offset = RUN(task),
        .help = "what is trained; clients refuse any other",
        .required = true},
    {.key = "trainer",
        .type = CONFIG_STRING,
        .offset = RUN(trainer),
        .help = "which of the clients' trainers",
        .required = true},
    {.key = "model",
        .type = CONFIG_PATH,
        .offset = RUN(model),
        .help = "file of the first model (docs/checkpoint.md)",
        .required = true},
    {.key = "rounds",
        .type = CONFIG_U64,
        .offset = RUN(rounds),
        .help = "after so many rounds, summed or skipped, the run ends",
        .required = true,
        .min = 1,
        .max = 1000000000},
    {.key = "min_clients",
        .type = CONFIG_U64,
        .offset = RUN(min_clients),
        .help = "a round needs so many, at least 3",
        .fallback = "3",
        .min = 3,
        .max = FED_SITES_MAX},
    {.key = "wait_s",
        .type = CONFIG_DOUBLE,
        .offset = RUN(wait_s),
        .help = "time that those who are not here yet have to come",
        .fallback = "10",
        .max_double = 86400},
    {.key = "start",
        .type = CONFIG_ENUM,
        .offset = RUN(start),
        .help = "auto: the first run begins by itself; manual: by qflctl run start",
        .fallback = "auto",
        .choices = starts},
    {.key = "exit",
        .type = CONFIG_BOOL,
        .offset = RUN(exit),
        .help = "end the process after the run",
        .fallback = "false"},
    {.key = "q",
        .type = CONFIG_U64,
        .offset = RUN(q),
        .help = "bits per word on the wire and of key",
        .fallback = "16",
        .min = 2,
        .max = 32},
    {.key = "clip",
        .type = CONFIG_DOUBLE,
        .offset = RUN(clip),
        .help = "weighted updates are clipped to this",
        .required = true,
        .min_double = 1e-300,
        .max_double = 1e300},
    {.key = "rounding",
        .type = CONFIG_ENUM,
        .offset = RUN(rounding),
        .help = "how updates become integers",
        .fallback = "stochastic",
        .choices = roundings},
    {.key = "chunk_words",
        .type = CONFIG_U64,
        .offset = RUN(chunk_words),
        .help = "words of one message of an upload, a multiple of 8",
        .fallback = "65536",
        .min = 8,
        .max = 8388608},
    {.key = "attempts",
        .type = CONFIG_U64,
        .offset = RUN(attempts),
        .help = "in one round, before it is skipped",
        .fallback = "5",
        .min = 1,
        .max = 1000},
    {.key = "settings",
        .type = CONFIG_MAP,
        .offset = RUN(settings),
        .help = "of the trainer: lr, batch, local_epochs, ..."},
    {0},
};

#define SECONDS(name, text, value)                                                                 \
    {                                                                                              \
        .key = #name, .type = CONFIG_DOUBLE,                                                       \
        .offset = offsetof(struct server_deadlines_config, name), .help = text, .fallback = value, \
        .min_double = 0.01, .max_double = 604800                                                   \
    }

static const struct config_field deadlines_fields[] = {
    SECONDS(ready_s, "OPEN to READY: fetching the model and training", "600"),
    SECONDS(confirm_s, "COMMIT to CONFIRM", "10"),
    SECONDS(locked_s, "the last CONFIRM to LOCKED", "10"),
    SECONDS(
        upload_s, "since the last progress of the uploads; one upload at 1 Mbit/s is added", "10"),
    SECONDS(key_wait_s, "for key, when too few pairs have enough", "60"),
    SECONDS(done_s, "RESULT to DONE", "10"),
    {0},
};

#define FIELD(field) offsetof(struct server_config, field)

const struct config_field server_fields[] = {
    {.key = "federation",
        .type = CONFIG_STRING,
        .offset = FIELD(federation),
        .help = "as in the certificates",
        .required = true},
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = FIELD(site),
        .help = "own name, as in the certificate",
        .fallback = "aggregator"},
    {.key = "listen",
        .type = CONFIG_STRING,
        .offset = FIELD(listen),
        .help = "address:port for the clients",
        .required = true},
    CONFIG_TLS_FIELD(struct server_config, tls),
    {.key = "state",
        .type = CONFIG_PATH,
        .offset = FIELD(state),
        .help = "folder of the journal and the checkpoints",
        .fallback = "/var/lib/qfl/server"},
    {.key = "control",
        .type = CONFIG_PATH,
        .offset = FIELD(control),
        .help = "socket for qflctl",
        .fallback = "/run/qfl/server.sock"},
    {.key = "keep_checkpoints",
        .type = CONFIG_U64,
        .offset = FIELD(keep_checkpoints),
        .help = "so many of the newest are kept with their sums, and every tenth older one",
        .fallback = "100",
        .min = 1,
        .max = 1000000},
    {.key = "roster",
        .type = CONFIG_LIST,
        .offset = FIELD(roster),
        .help = "sites that may take part",
        .required = true,
        .min = 3,
        .max = FED_SITES_MAX},
    {.key = "run",
        .type = CONFIG_SECTION,
        .offset = FIELD(run),
        .help = "what is trained, and how",
        .required = true,
        .fields = run_fields},
    {.key = "deadlines",
        .type = CONFIG_SECTION,
        .offset = FIELD(deadlines),
        .help = "how long each phase of a round may take, in seconds",
        .fields = deadlines_fields},
    DAEMON_LOG_FIELD(struct server_config, log),
    {0},
};

/* ---- the first model ------------------------------------------------------------------------- */

static int read_open_file(int fd, struct blob **out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > SIZE_MAX / 2)
        return -EINVAL;
    struct blob *b = blob_new((size_t)st.st_size);
    if (!b)
        return -ENOMEM;
    int64_t n = file_read_at(fd, b->data, b->len, 0);
    if (n == (int64_t)b->len) {
        *out = b;
        return 0;
    }
    blob_unref(b);
    return n < 0 ? (int)n : -EIO;
}

static int read_file(const char *path, struct blob **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = read_open_file(fd, out);
    close(fd);
    return r;
}

static int check_model(
    const struct server_config *config, const struct checkpoint *model, struct err *e)
{
    if (strcmp(model->task, config->run.task) != 0)
        return err_set(
            e, -EINVAL, "is of task \"%s\", the run trains \"%s\"", model->task, config->run.task);
    if (strcmp(model->federation, config->federation) != 0)
        return err_set(e, -EINVAL, "is of federation \"%s\", this one is \"%s\"", model->federation,
            config->federation);
    return 0;
}

static int read_model(const struct server_config *config, struct checkpoint *out, struct err *e)
{
    struct blob *bytes = NULL;
    int r = read_file(config->run.model, &bytes);
    if (!bytes)
        return err_set(e, r, "run: model: %s: %s", config->run.model, strerror(-r));
    r = checkpoint_decode(bytes->data, bytes->len, out, e);
    blob_unref(bytes);
    if (r > 0)
        r = -EINVAL;
    if (r == 0)
        r = check_model(config, out, e);
    if (r < 0)
        checkpoint_deinit(out);
    return r < 0 ? err_wrap(e, r, "run: model: %s", config->run.model) : 0;
}

/* ---- terms of the core ----------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int fill_roster(struct server_terms *t, const struct server_config *config, struct err *e)
{
    char *const *names = config->roster.items;
    size_t n = config->roster.n;
    t->roster = calloc(n, sizeof(*t->roster));
    if (!t->roster)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!site_name_is_valid(names[i]))
            return err_set(e, -EINVAL, "roster: \"%.80s\" is no name of a site", names[i]);
        t->roster[i] = names[i];
    }
    qsort(t->roster, n, sizeof(*t->roster), compare_names);
    return 0;
}

static int fill_settings(struct server_terms *t, const struct config_list *map)
{
    const struct config_number *numbers = map->items;
    t->settings = calloc(map->n + 1, sizeof(*t->settings));
    t->setting_list = calloc(map->n + 1, sizeof(*t->setting_list));
    if (!t->settings || !t->setting_list)
        return -ENOMEM;
    for (size_t i = 0; i < map->n; i++) {
        fed__setting__init(&t->settings[i]);
        t->settings[i].name = numbers[i].key;
        t->settings[i].value = numbers[i].value;
        t->setting_list[i] = &t->settings[i];
    }
    t->params.settings = t->setting_list;
    t->params.n_settings = map->n;
    return 0;
}

static void fill_params(
    struct server_terms *t, const struct server_run_config *run, uint32_t parameters)
{
    fed__params__init(&t->params);
    t->params.task = run->task;
    t->params.trainer = run->trainer;
    t->params.parameters = parameters;
    t->params.q = (uint32_t)run->q;
    t->params.clip = run->clip;
    t->params.rounding = (uint32_t)run->rounding;
    t->params.chunk_words = (uint32_t)run->chunk_words;
}

static uint64_t ms(double seconds)
{
    return (uint64_t)(seconds * 1000 + 0.5);
}

static void fill_aggregator(struct server_terms *t, const struct server_config *c)
{
    t->aggregator = (struct aggregator_config){
        .federation = c->federation,
        .roster = t->roster,
        .sites = c->roster.n,
        .min_clients = (uint32_t)c->run.min_clients,
        .wait_ms = (uint32_t)ms(c->run.wait_s),
        .rounds = c->run.rounds,
        .start_auto = c->run.start == SERVER_START_AUTO,
        .exit_when_done = c->run.exit,
        .attempts_max = (uint32_t)c->run.attempts,
        .params = &t->params,
        .model = t->model,
        .deadlines = {.ready_ms = ms(c->deadlines.ready_s),
            .confirm_ms = ms(c->deadlines.confirm_s),
            .locked_ms = ms(c->deadlines.locked_s),
            .upload_ms = ms(c->deadlines.upload_s),
            .wait_key_ms = ms(c->deadlines.key_wait_s),
            .done_ms = ms(c->deadlines.done_s)},
    };
}

int server_terms_init(struct server_terms *t, const struct server_config *config, struct err *e)
{
    *t = (struct server_terms){0};
    struct checkpoint model = {0};
    int r = fill_roster(t, config, e);
    if (r == 0)
        r = read_model(config, &model, e);
    if (r == 0) {
        t->model = steal(&model.model);
        fill_params(t, &config->run, model.parameters);
        r = fill_settings(t, &config->run.settings);
        fill_aggregator(t, config);
    }
    if (r < 0)
        server_terms_deinit(t);
    return r;
}

void server_terms_deinit(struct server_terms *t)
{
    free(t->settings);
    free(t->setting_list);
    free(t->roster);
    free(t->model);
    *t = (struct server_terms){0};
}

int server_config_check(const void *config, const char *path, struct err *e)
{
    const struct server_config *c = config;
    if (!site_name_is_valid(c->federation) || !site_name_is_valid(c->site))
        return err_set(
            e, -EINVAL, "%s: federation and site are lower-case letters, digits and '-'", path);
    struct server_terms terms;
    int r = server_terms_init(&terms, c, e);
    if (r < 0)
        return err_wrap(e, r, "%s", path);
    r = aggregator_check(&terms.aggregator, e);
    server_terms_deinit(&terms);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}
