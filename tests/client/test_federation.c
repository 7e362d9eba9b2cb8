/* SPDX-License-Identifier: Apache-2.0 */
/* The real aggregator with real participants: calm, and with one disturbance at every delivery. */
#include "tests/client/federation.h"

#include "common/quantiser.h"
#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMIT_MS ((uint64_t)600 * 1000)

/* ---- what must hold ----------------------------------------------------------------------------- */

static const struct contribution *contribution_of(const struct node *n, uint64_t attempt)
{
    for (size_t i = 0; i < n->n_given; i++)
        if (n->given[i].attempt == attempt)
            return &n->given[i];
    return NULL;
}

static bool has_released(const struct node *n, uint64_t attempt)
{
    for (size_t i = 0; i < n->n_released; i++)
        if (n->released[i].attempt == attempt)
            return true;
    return false;
}

static void check_sum(struct federation *f, const struct store_sim_result *result)
{
    int64_t published[FEDERATION_PARAMETERS], expected[FEDERATION_PARAMETERS] = {0};
    uint32_t k = 0;
    for (size_t i = 0; i < FEDERATION_SITES; i++) {
        if (!has_released(&f->nodes[i], result->attempt))
            continue;
        const struct contribution *c = contribution_of(&f->nodes[i], result->attempt);
        assert_non_null(c);
        for (size_t p = 0; p < FEDERATION_PARAMETERS; p++)
            expected[p] += c->v[p];
        k++;
    }
    struct quantiser z = {.q = f->params.q,
        .participants = k,
        .parameters = FEDERATION_PARAMETERS,
        .chunk_words = f->params.chunk_words,
        .clip = f->params.clip};
    assert_true(k >= 3);
    assert_int_equal(quantiser_canaries_wrong(&z, result->sum->data), 0);
    quantiser_integers(&z, result->sum->data, published);
    assert_memory_equal(published, expected, sizeof(expected));
}

/* A trained update leaves in one attempt; attempts only grow. */
static void check_releases(const struct node *n)
{
    for (size_t i = 0; i < n->n_released; i++)
        for (size_t k = 0; k < i; k++) {
            assert_true(n->released[k].attempt < n->released[i].attempt);
            assert_int_not_equal(n->released[k].training, n->released[i].training);
        }
}

static void check(struct federation *f)
{
    for (size_t i = 0; i < store_sim_results(f->store); i++)
        check_sum(f, store_sim_result(f->store, i));
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        check_releases(&f->nodes[i]);
}

/* ---- stories ------------------------------------------------------------------------------------ */

static uint64_t run(enum disturbance what, uint64_t at, size_t victim)
{
    struct federation f;
    federation_init(&f, at);
    f.disturbance = what;
    f.disturb_at = at;
    f.victim = victim;
    f.is_loud = getenv("QFL_LOUD") != NULL;
    if (f.is_loud)
        print_message("# disturbance %d at %d of %s\n", what, (int)at, federation_sites[victim]);
    bool ended = federation_run(&f, LIMIT_MS);
    if (!ended || aggregator_query(f.aggregator).rounds_summed == 0)
        print_error("disturbance %d at delivery %d of %s: %s, %d rounds summed\n", what, (int)at,
            federation_sites[victim], ended ? "ended" : "did not end",
            (int)aggregator_query(f.aggregator).rounds_summed);
    assert_true(ended);
    check(&f);
    uint64_t lost = FEDERATION_ROUNDS - aggregator_query(f.aggregator).rounds_summed;
    assert_int_equal(store_sim_results(f.store), FEDERATION_ROUNDS - lost);
    uint64_t delivered = f.delivered;
    federation_deinit(&f);
    assert_true(lost <= (what == CALM ? 0 : 1));
    return delivered;
}

static void a_calm_run_sums_every_round(void **state)
{
    (void)state;
    struct federation f;
    federation_init(&f, 1);
    assert_true(federation_run(&f, LIMIT_MS));
    assert_int_equal(store_sim_results(f.store), FEDERATION_ROUNDS);
    check(&f);
    for (size_t i = 0; i < FEDERATION_SITES; i++) {
        struct participant_view view = participant_query(f.nodes[i].p);
        assert_int_equal(f.nodes[i].n_released, FEDERATION_ROUNDS);
        assert_memory_equal(
            view.model, aggregator_query(f.aggregator).model, FEDERATION_PARAMETERS * 8);
    }
    federation_deinit(&f);
}

static void disturb_everywhere(enum disturbance what)
{
    uint64_t deliveries = run(CALM, 0, 0);
    assert_true(deliveries > 100);
    for (uint64_t at = 1; at <= deliveries; at++)
        run(what, at, at % FEDERATION_SITES);
}

static void a_link_that_breaks_at_every_delivery(void **state)
{
    (void)state;
    disturb_everywhere(BREAK_LINK);
}

static void a_vault_that_is_lost_at_every_delivery(void **state)
{
    (void)state;
    disturb_everywhere(BREAK_VAULT);
}

static void a_client_that_dies_at_every_delivery(void **state)
{
    (void)state;
    disturb_everywhere(KILL_CLIENT);
}

static void a_server_that_dies_at_every_delivery(void **state)
{
    (void)state;
    disturb_everywhere(KILL_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_run_sums_every_round),
        cmocka_unit_test(a_link_that_breaks_at_every_delivery),
        cmocka_unit_test(a_vault_that_is_lost_at_every_delivery),
        cmocka_unit_test(a_client_that_dies_at_every_delivery),
        cmocka_unit_test(a_server_that_dies_at_every_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
