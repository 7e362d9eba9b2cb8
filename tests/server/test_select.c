/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes part: the policy `complete`, and the weight rule. */
#include "server/select.h"
#include "server/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define N_MAX 8
#define NEED  10

enum { A, B, C, D, E };

struct pools {
    size_t n;
    uint64_t available[N_MAX * N_MAX];
    bool is_chosen[N_MAX];
    struct select_result result;
};

static void pools_init(struct pools *p, size_t n, uint64_t all)
{
    *p = (struct pools){.n = n};
    for (size_t i = 0; i < n * n; i++)
        p->available[i] = i / n == i % n ? 0 : all;
}

static void set(struct pools *p, size_t a, size_t b, uint64_t available)
{
    p->available[a * p->n + b] = p->available[b * p->n + a] = available;
}

static int choose(struct pools *p, uint32_t k_min)
{
    const struct select_input in = {
        .n = p->n, .available = p->available, .need = NEED, .k_min = k_min};
    p->result = (struct select_result){.is_chosen = p->is_chosen};
    return graph_policy_complete.choose(&in, &p->result);
}

/* "ABD", then the graph goes. */
static void expect_chosen(struct pools *p, const char *names)
{
    char chosen[N_MAX + 1] = "";
    size_t k = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->is_chosen[i])
            chosen[k++] = "ABCDEFGH"[i];
    assert_string_equal(chosen, names);
    assert_int_equal(p->result.k, strlen(names));
    assert_int_equal(p->result.tolerance, strlen(names) - 2);
    for (uint32_t i = 0; i < p->result.k; i++)
        assert_int_equal(graph_degree(&p->result.graph, i), p->result.k - 1);
    graph_deinit(&p->result.graph);
}

static void all_take_part_when_all_have_key(void **state)
{
    struct pools p;
    pools_init(&p, 4, NEED);
    assert_int_equal(choose(&p, 3), 0);
    assert_false(p.result.has_blamed);
    expect_chosen(&p, "ABCD");
}

static void a_pair_without_key_costs_the_one_with_less_elsewhere(void **state)
{
    struct pools p;
    pools_init(&p, 4, 100);
    set(&p, B, C, NEED - 1);
    set(&p, A, C, 50);
    assert_int_equal(choose(&p, 3), 0);
    assert_int_equal(p.result.blamed[0], B);
    assert_int_equal(p.result.blamed[1], C);
    expect_chosen(&p, "ABD");
    pools_init(&p, 4, 100);
    set(&p, B, C, NEED - 1);
    set(&p, A, B, 50);
    assert_int_equal(choose(&p, 3), 0);
    expect_chosen(&p, "ACD");
}

static void who_has_key_with_nobody_goes_alone(void **state)
{
    struct pools p;
    pools_init(&p, 5, 100);
    for (size_t i = A; i <= D; i++)
        set(&p, i, E, 0);
    assert_int_equal(choose(&p, 3), 0);
    expect_chosen(&p, "ABCD");
}

/* A is the one that both bad pairs share; without it four are left, not three. */
static void the_common_end_of_bad_pairs_goes(void **state)
{
    struct pools p;
    pools_init(&p, 5, 100);
    set(&p, A, B, 0);
    set(&p, A, C, 0);
    assert_int_equal(choose(&p, 3), 0);
    expect_chosen(&p, "BCDE");
}

static void below_k_min_the_weakest_pair_is_named(void **state)
{
    struct pools p;
    pools_init(&p, 3, 100);
    set(&p, A, C, 3);
    assert_int_equal(choose(&p, 3), SELECT_E_FEW);
    assert_true(p.result.has_blamed);
    assert_int_equal(p.result.blamed[0], A);
    assert_int_equal(p.result.blamed[1], C);
}

/* Huge pools do not overflow into poor ones. */
static void sums_of_pools_saturate(void **state)
{
    struct pools p;
    pools_init(&p, 4, UINT64_MAX);
    set(&p, C, D, 0);
    set(&p, B, D, 20);
    assert_int_equal(choose(&p, 3), 0);
    expect_chosen(&p, "ABC");
}

static void shares_below_a_quarter_of_the_mean_are_starved(void **state)
{
    const uint64_t fair[] = {80, 60, 40, 20};
    assert_false(weights_are_starved(fair, 4, 3));
    /* p >= 1/16 of 1600 is 100 */
    const uint64_t edge[] = {1300, 100, 100, 100};
    assert_false(weights_are_starved(edge, 4, 4));
    const uint64_t below[] = {1301, 100, 100, 99};
    assert_true(weights_are_starved(below, 4, 4));
    const uint64_t one[] = {1000000, 1, 1};
    assert_true(weights_are_starved(one, 3, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_take_part_when_all_have_key),
        cmocka_unit_test(a_pair_without_key_costs_the_one_with_less_elsewhere),
        cmocka_unit_test(who_has_key_with_nobody_goes_alone),
        cmocka_unit_test(the_common_end_of_bad_pairs_goes),
        cmocka_unit_test(below_k_min_the_weakest_pair_is_named),
        cmocka_unit_test(sums_of_pools_saturate),
        cmocka_unit_test(shares_below_a_quarter_of_the_mean_are_starved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
