/* SPDX-License-Identifier: Apache-2.0 */
/* The store that crashes: whole transactions only, and a load that shares nothing. */
#include "tests/sim/store_sim.h"

#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t run[FED_RUN_BYTES] = {1};
static const double model[2] = {0.5, -0.5};

static struct store_state load(struct store_sim *s)
{
    struct store_state state = {0};
    struct store *store = store_sim_store(s);
    assert_int_equal(store->ops->load(store, &state), 0);
    return state;
}

static void drop(struct store_state *state)
{
    blob_unref(state->view);
    free(state->model);
    free(state->highs);
}

static void a_round_is_remembered_through_its_phases(void **unused)
{
    struct store_sim *s = store_sim_new(1);
    struct store *store = store_sim_store(s);
    struct blob *view = blob_new(3);
    memcpy(view->data, "abc", 3);
    const struct store_high highs[] = {
        {.stream = {1}, .high = 9, .burnt = 3}, {.stream = {2}, .high = 5}};
    const struct store_high lower = {.stream = {1}, .high = 7, .burnt = 4};
    assert_int_equal(store->ops->begin_run(store, run, "task", model, 2), 0);
    assert_int_equal(store->ops->open_round(store, 1), 0);
    assert_int_equal(store->ops->commit(store, 4, view, highs, 2), 0);
    assert_int_equal(store->ops->commit(store, 5, view, &lower, 1), 0);
    assert_int_equal(store->ops->go(store, 5), 0);
    blob_unref(view);
    struct store_state state = load(s);
    assert_int_equal(state.phase, STORE_GO);
    assert_int_equal(state.attempt, 5);
    assert_int_equal(state.view->len, 3);
    assert_int_equal(state.n_highs, 2);
    assert_int_equal(
        state.highs[0].high, 7); /* as given: what may go down is not the store's matter */
    assert_int_equal(state.highs[0].burnt, 4);
    assert_int_equal(state.highs[1].high, 5);
    drop(&state);
    const struct store_round row = {.round = 1, .attempt = 5, .outcome = STORE_SUMMED};
    const double next[2] = {1, 2};
    struct blob *sum = blob_new(1);
    sum->data[0] = 3;
    assert_int_equal(store->ops->result(store, &row, next, 2, (uint8_t[32]){7}, sum), 0);
    blob_unref(sum);
    state = load(s);
    assert_int_equal(state.phase, STORE_IDLE);
    assert_int_equal(state.rounds_done, 1);
    assert_null(state.view);
    assert_true(state.model[1] == 2 && state.previous[0] == 7);
    drop(&state);
    enum store_outcome outcome;
    assert_int_equal(store->ops->outcome(store, 5, &outcome), 0);
    assert_int_equal(outcome, STORE_SUMMED);
    assert_int_equal(store->ops->outcome(store, 4, &outcome), -ENOENT);
    assert_int_equal(store_sim_results(s), 1);
    struct store_published published;
    assert_int_equal(store->ops->published(store, 4, 0, &published), -ENOENT);
    assert_int_equal(store->ops->published(store, 0, 1, &published), 0);
    assert_int_equal(published.attempt, 5);
    uint8_t hash[SHA256_BYTES];
    sha256(hash, next, sizeof(next));
    assert_memory_equal(published.model_hash, hash, sizeof(hash));
    sha256(hash, model, sizeof(model));
    assert_memory_equal(published.base_hash, hash, sizeof(hash));
    blob_unref(published.sum);
    free(published.sites);
    store_sim_free(s);
}

static void a_cut_write_is_whole_or_not_at_all(void **unused)
{
    int written = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct store_sim *s = store_sim_new(seed);
        struct store *store = store_sim_store(s);
        assert_int_equal(store->ops->begin_run(store, run, "task", model, 2), 0);
        store_sim_cut_at(s, 1);
        assert_int_equal(store->ops->open_round(store, 1), -EIO);
        assert_true(store_sim_is_cut(s));
        assert_int_equal(store->ops->open_round(store, 1), -EIO);
        store_sim_restart(s);
        struct store_state state = load(s);
        written += state.phase == STORE_OPEN;
        assert_true(state.phase == STORE_OPEN ? state.round == 1 : state.round == 0);
        drop(&state);
        store_sim_free(s);
    }
    assert_true(written > 0 && written < 100);
}

static void a_backup_is_the_past(void **unused)
{
    struct store_sim *s = store_sim_new(1);
    struct store *store = store_sim_store(s);
    assert_int_equal(store->ops->begin_run(store, run, "task", model, 2), 0);
    struct store_sim *image = store_sim_snapshot(s);
    assert_int_equal(store->ops->open_round(store, 1), 0);
    store_sim_restore(s, image);
    store_sim_free(image);
    assert_int_equal(store_sim_state(s)->phase, STORE_IDLE);
    char *rounds = store->ops->rounds_json(store, 0);
    assert_string_equal(rounds, "[]");
    free(rounds);
    store_sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_is_remembered_through_its_phases),
        cmocka_unit_test(a_cut_write_is_whole_or_not_at_all),
        cmocka_unit_test(a_backup_is_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
