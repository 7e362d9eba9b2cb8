/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/store_sim.h"

#include "common/util.h"
#include "tests/sim/need.h"
#include "tests/sim/rnd.h"

#include <errno.h>
#include <jansson.h>

struct row {
    struct store_round round;
    char *reason; /* owned */
    char *sites;  /* owned */
    struct blob *sum;
    uint8_t run[FED_RUN_BYTES];
    uint8_t base_hash[SHA256_BYTES], model_hash[SHA256_BYTES], digest[SHA256_BYTES];
};

struct store_sim {
    struct store store; /* first: the interface is cast back */
    struct rnd rnd;
    struct store_state state;
    struct row *rows; /* owned, in order of their ends */
    size_t n_rows;
    struct store_sim_result *results; /* owned; sums are references */
    size_t n_results;
    uint64_t operations;
    uint64_t last_go;
    uint64_t cut_in;
    uint64_t fail_in;
    int fail_error;
    bool cut;
    bool failed;
    bool forgets_go;
};

static struct store_sim *of(struct store *s)
{
    return (struct store_sim *)s;
}

static void *copy_of(const void *data, size_t len)
{
    void *copy = need(malloc(len ? len : 1));
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

static struct blob *blob_copy(const struct blob *b)
{
    if (!b)
        return NULL;
    struct blob *copy = need(blob_new(b->len));
    memcpy(copy->data, b->data, b->len);
    return copy;
}

static void state_copy(struct store_state *to, const struct store_state *from)
{
    *to = *from;
    to->view = blob_copy(from->view);
    to->model = from->model ? copy_of(from->model, from->parameters * sizeof(double)) : NULL;
    to->highs = from->highs ? copy_of(from->highs, from->n_highs * sizeof(*from->highs)) : NULL;
}

static void state_clear(struct store_state *s)
{
    blob_unref(s->view);
    free(s->model);
    free(s->highs);
    *s = (struct store_state){0};
}

static void rows_clear(struct store_sim *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        free(s->rows[i].reason);
        free(s->rows[i].sites);
        blob_unref(s->rows[i].sum);
    }
    for (size_t i = 0; i < s->n_results; i++)
        blob_unref(s->results[i].sum);
    free(s->rows);
    free(s->results);
    s->rows = NULL;
    s->results = NULL;
    s->n_rows = s->n_results = 0;
}

/* ---- a write: 0 go on; 1 the power went, but only after the write; < 0 nothing was written ---- */

static int write_begins(struct store_sim *s)
{
    if (s->cut)
        return -EIO;
    s->operations++;
    if (s->cut_in > 0 && --s->cut_in == 0) {
        s->cut = true;
        return rnd_chance(&s->rnd, 0.5) ? 1 : -EIO;
    }
    if (s->fail_in > 0 && --s->fail_in == 0) {
        s->failed = true;
        return s->fail_error;
    }
    return 0;
}

static int write_ends(int begun)
{
    return begun == 1 ? -EIO : 0;
}

static void view_set(struct store_state *state, const struct blob *view)
{
    struct blob *copy = blob_copy(view);
    blob_unref(state->view);
    state->view = copy;
}

static void model_set(struct store_state *state, const double *model, uint32_t parameters)
{
    double *copy = copy_of(model, parameters * sizeof(double));
    free(state->model);
    state->model = copy;
    state->parameters = parameters;
}

static void high_set(struct store_state *state, const struct store_high *high)
{
    for (size_t i = 0; i < state->n_highs; i++) {
        struct store_high *h = &state->highs[i];
        if (memcmp(h->stream, high->stream, FED_STREAM_BYTES) == 0) {
            *h = *high;
            return;
        }
    }
    state->highs = need(reallocarray(state->highs, state->n_highs + 1, sizeof(*state->highs)));
    state->highs[state->n_highs++] = *high;
}

static struct row *row_add(
    struct store_sim *s, const struct store_round *round, const struct blob *sum)
{
    s->rows = need(reallocarray(s->rows, s->n_rows + 1, sizeof(*s->rows)));
    struct row *row = &s->rows[s->n_rows++];
    *row = (struct row){
        .round = *round,
        .reason = need(strdup(round->reason ? round->reason : "")),
        .sites = need(strdup(round->sites ? round->sites : "")),
        .sum = blob_copy(sum),
    };
    row->round.reason = row->reason;
    row->round.sites = row->sites;
    memcpy(row->run, s->state.run, FED_RUN_BYTES);
    if (!sum)
        return row;
    s->results = need(reallocarray(s->results, s->n_results + 1, sizeof(*s->results)));
    s->results[s->n_results++] = (struct store_sim_result){
        .round = round->round, .attempt = round->attempt, .sum = blob_ref(row->sum)};
    return row;
}

/* The hash of a model, as in OPEN: its doubles, little-endian. */
static void model_hash(const struct store_state *state, uint8_t out[SHA256_BYTES])
{
    sha256(out, state->model, state->parameters * sizeof(double));
}

/* ---- the operations of struct store ---- */

static int sim_load(struct store *store, struct store_state *out)
{
    struct store_sim *s = of(store);
    if (s->cut)
        return -EIO;
    state_copy(out, &s->state);
    return 0;
}

static int sim_begin_run(struct store *store, const uint8_t run[FED_RUN_BYTES], const char *task,
    const double *model, uint32_t parameters)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    struct store_state *state = &s->state;
    state->has_run = true;
    state->run_ended = false;
    memcpy(state->run, run, FED_RUN_BYTES);
    state->rounds_done = 0;
    state->round = 0;
    state->aborted = 0;
    state->phase = STORE_IDLE;
    view_set(state, NULL);
    memset(state->previous, 0, sizeof(state->previous));
    model_set(state, model, parameters);
    return write_ends(begun);
}

static int sim_open_round(struct store *store, uint64_t round)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    s->state.round = round;
    s->state.aborted = 0;
    s->state.phase = STORE_OPEN;
    view_set(&s->state, NULL);
    return write_ends(begun);
}

static int sim_commit(struct store *store, uint64_t attempt, const struct blob *view,
    const struct store_high *highs, size_t n)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    s->state.attempt = attempt;
    s->state.phase = STORE_COMMIT;
    view_set(&s->state, view);
    for (size_t i = 0; i < n; i++)
        high_set(&s->state, &highs[i]);
    return write_ends(begun);
}

static int sim_go(struct store *store, uint64_t attempt)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    if (attempt != s->state.attempt)
        return -EINVAL;
    s->state.phase = STORE_GO;
    s->last_go = attempt;
    return write_ends(begun);
}

static int sim_close_attempt(struct store *store, const struct store_round *round)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    s->state.phase = round->outcome == STORE_ABORTED ? STORE_OPEN : STORE_IDLE;
    s->state.aborted += round->outcome == STORE_ABORTED;
    view_set(&s->state, NULL);
    row_add(s, round, NULL);
    return write_ends(begun);
}

static int sim_result(struct store *store, const struct store_round *round, const double *model,
    uint32_t parameters, const uint8_t previous[SHA256_BYTES], const struct blob *sum)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    s->state.phase = STORE_IDLE;
    s->state.rounds_done++;
    view_set(&s->state, NULL);
    struct row *row = row_add(s, round, sum);
    model_hash(&s->state, row->base_hash);
    memcpy(s->state.previous, previous, SHA256_BYTES);
    memcpy(row->digest, previous, SHA256_BYTES);
    model_set(&s->state, model, parameters);
    model_hash(&s->state, row->model_hash);
    return write_ends(begun);
}

static int sim_end_run(struct store *store, const char *reason)
{
    struct store_sim *s = of(store);
    int begun = write_begins(s);
    if (begun < 0)
        return begun;
    s->state.run_ended = true;
    return write_ends(begun);
}

static int sim_outcome(struct store *store, uint64_t attempt, enum store_outcome *outcome)
{
    struct store_sim *s = of(store);
    if (s->cut)
        return -EIO;
    for (size_t i = 0; i < s->n_rows; i++) {
        if (attempt == 0 || s->rows[i].round.attempt != attempt)
            continue;
        *outcome = s->rows[i].round.outcome;
        return 0;
    }
    return -ENOENT;
}

static int sim_evaluation(struct store *store, uint64_t round, double loss, double accuracy)
{
    return of(store)->cut ? -EIO : 0;
}

static char *sim_rounds_json(struct store *store, uint64_t first)
{
    static const char *const outcomes[] = {"aborted", "skipped", "summed"};
    const struct store_sim *s = of(store);
    json_t *list = need(json_array());
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct store_round *r = &s->rows[i].round;
        if (r->round < first)
            continue;
        json_t *row = json_pack("{s:I,s:I,s:s,s:i,s:s,s:s}", "round", (json_int_t)r->round,
            "attempt", (json_int_t)r->attempt, "outcome", outcomes[r->outcome], "participants",
            (int)r->participants, "reason", r->reason, "sites", r->sites);
        if (json_array_append_new(list, need(row)) < 0)
            abort();
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static const char *sim_checkpoint(struct store *store)
{
    return of(store)->n_results > 0 ? "checkpoint" : NULL;
}

static void published_of(const struct row *row, struct store_published *out)
{
    *out = (struct store_published){.round = row->round.round,
        .attempt = row->round.attempt,
        .participants = row->round.participants,
        .sum = blob_copy(row->sum),
        .sites = need(strdup(row->sites))};
    memcpy(out->base_hash, row->base_hash, SHA256_BYTES);
    memcpy(out->model_hash, row->model_hash, SHA256_BYTES);
    memcpy(out->digest, row->digest, SHA256_BYTES);
}

static int sim_published(
    struct store *store, uint64_t attempt, uint64_t round, struct store_published *out)
{
    const struct store_sim *s = of(store);
    if (s->cut)
        return -EIO;
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct row *row = &s->rows[i];
        bool meant = attempt != 0 ? row->round.attempt == attempt
                                  : row->round.round == round &&
                                        memcmp(row->run, s->state.run, FED_RUN_BYTES) == 0;
        if (!meant || row->round.outcome != STORE_SUMMED)
            continue;
        published_of(row, out);
        return 0;
    }
    return -ENOENT;
}

static const struct store_ops sim_ops = {
    .load = sim_load,
    .begin_run = sim_begin_run,
    .open_round = sim_open_round,
    .commit = sim_commit,
    .go = sim_go,
    .close_attempt = sim_close_attempt,
    .result = sim_result,
    .end_run = sim_end_run,
    .outcome = sim_outcome,
    .evaluation = sim_evaluation,
    .rounds_json = sim_rounds_json,
    .checkpoint = sim_checkpoint,
    .published = sim_published,
};

/* ---- faults, backups, queries ---- */

void store_sim_cut_at(struct store_sim *s, uint64_t n)
{
    s->cut_in = n;
}

bool store_sim_is_cut(const struct store_sim *s)
{
    return s->cut;
}

void store_sim_fail_at(struct store_sim *s, uint64_t n, int error)
{
    s->fail_in = n;
    s->fail_error = error;
}

bool store_sim_has_failed(const struct store_sim *s)
{
    return s->failed;
}

size_t store_sim_count(const struct store_sim *s, enum store_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_rows; i++)
        n += s->rows[i].round.outcome == outcome;
    return n;
}

void store_sim_forget_go(struct store_sim *s)
{
    s->forgets_go = true;
}

void store_sim_restart(struct store_sim *s)
{
    if (s->forgets_go && s->state.phase == STORE_GO)
        s->state.phase = STORE_COMMIT;
    s->cut = false;
    s->failed = false;
    s->cut_in = 0;
    s->fail_in = 0;
}

uint64_t store_sim_operations(const struct store_sim *s)
{
    return s->operations;
}

uint64_t store_sim_last_go(const struct store_sim *s)
{
    return s->last_go;
}

const struct store_state *store_sim_state(const struct store_sim *s)
{
    return &s->state;
}

size_t store_sim_results(const struct store_sim *s)
{
    return s->n_results;
}

const struct store_sim_result *store_sim_result(const struct store_sim *s, size_t i)
{
    return &s->results[i];
}

struct store_sim *store_sim_snapshot(const struct store_sim *s)
{
    struct store_sim *image = store_sim_new(0);
    store_sim_restore(image, s);
    return image;
}

void store_sim_restore(struct store_sim *s, const struct store_sim *image)
{
    state_clear(&s->state);
    rows_clear(s);
    state_copy(&s->state, &image->state);
    for (size_t i = 0; i < image->n_rows; i++) {
        const struct row *from = &image->rows[i];
        struct row *row = row_add(s, &from->round, from->sum);
        memcpy(row->run, from->run, sizeof(row->run));
        memcpy(row->base_hash, from->base_hash, SHA256_BYTES);
        memcpy(row->model_hash, from->model_hash, SHA256_BYTES);
        memcpy(row->digest, from->digest, SHA256_BYTES);
    }
    store_sim_restart(s);
}

struct store_sim *store_sim_new(uint64_t seed)
{
    struct store_sim *s = need(calloc(1, sizeof(*s)));
    s->store.ops = &sim_ops;
    rnd_init(&s->rnd, seed);
    return s;
}

void store_sim_free(struct store_sim *s)
{
    if (!s)
        return;
    state_clear(&s->state);
    rows_clear(s);
    free(s);
}

struct store *store_sim_store(struct store_sim *s)
{
    return &s->store;
}
