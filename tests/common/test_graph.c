/* SPDX-License-Identifier: Apache-2.0 */
/* Connectivity against brute force: remove every set of nodes and see whether the rest hangs together. */
#include "common/graph.h"
#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* ---- the oracle -------------------------------------------------------------------------------- */

/* The nodes reachable from u without the removed ones, as a bit set. */
static uint32_t reach(const struct graph *g, uint32_t u, uint32_t removed)
{
    uint32_t seen = 1u << u, before = 0;
    while (seen != before) {
        before = seen;
        for (uint32_t a = 0; a < g->n; a++)
            for (uint32_t b = 0; b < g->n; b++)
                if (seen >> a & 1 && graph_has(g, a, b) && !(removed >> b & 1))
                    seen |= 1u << b;
    }
    return seen;
}

static bool separates(const struct graph *g, uint32_t removed)
{
    uint32_t all = (1u << g->n) - 1, left = all & ~removed;
    if (left == 0)
        return false;
    return reach(g, (uint32_t)__builtin_ctz(left), removed) != left;
}

/* kappa: the fewest nodes whose removal separates the rest; n - 1 if none does. */
static uint32_t oracle_kappa(const struct graph *g)
{
    uint32_t kappa = g->n - 1;
    for (uint32_t removed = 0; removed < 1u << g->n; removed++)
        if (separates(g, removed) && (uint32_t)__builtin_popcount(removed) < kappa)
            kappa = (uint32_t)__builtin_popcount(removed);
    return kappa;
}

/* Menger: for u, v not adjacent the fewest other nodes that part them; an edge adds one. */
static uint32_t oracle_local(const struct graph *g, uint32_t u, uint32_t v)
{
    if (graph_has(g, u, v)) {
        struct graph without;
        assert_int_equal(graph_init(&without, g->n), 0);
        memcpy(without.adjacent, g->adjacent, (size_t)g->n * g->n);
        without.adjacent[u * g->n + v] = without.adjacent[v * g->n + u] = 0;
        uint32_t paths = 1 + oracle_local(&without, u, v);
        graph_deinit(&without);
        return paths;
    }
    uint32_t least = g->n;
    for (uint32_t removed = 0; removed < 1u << g->n; removed++) {
        if (removed >> u & 1 || removed >> v & 1 || reach(g, u, removed) >> v & 1)
            continue;
        least = MIN(least, (uint32_t)__builtin_popcount(removed));
    }
    return least;
}

static void compare(const struct graph *g)
{
    uint32_t kappa = oracle_kappa(g);
    for (uint32_t k = 0; k <= g->n; k++) {
        int yes = graph_is_connected(g, k);
        if ((yes > 0) != (kappa >= k) || yes < 0)
            fail_msg("n %u: kappa %u, asked for %u, answer %d", g->n, kappa, k, yes);
    }
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void from_bits(struct graph *g, uint32_t n, uint64_t bits)
{
    assert_int_equal(graph_init(g, n), 0);
    for (uint32_t u = 0; u < n; u++)
        for (uint32_t v = u + 1; v < n; v++, bits >>= 1)
            if (bits & 1)
                graph_add(g, u, v);
}

static void every_graph_of_up_to_six_nodes(void **state)
{
    for (uint32_t n = 1; n <= 6; n++) {
        for (uint64_t bits = 0; bits < (uint64_t)1 << n * (n - 1) / 2; bits++) {
            struct graph g;
            from_bits(&g, n, bits);
            compare(&g);
            graph_deinit(&g);
        }
    }
}

static void random_graphs_of_up_to_nine_nodes(void **state)
{
    uint64_t x = 2718281828;
    for (int i = 0; i < 1200; i++) {
        uint64_t bits = next(&x);
        if (i % 3)
            bits |= next(&x); /* denser: where large kappa lives */
        if (i % 3 == 2)
            bits |= next(&x);
        struct graph g;
        from_bits(&g, 7 + (uint32_t)i % 3, bits);
        compare(&g);
        graph_deinit(&g);
    }
}

static void local_connectivity_is_mengers(void **state)
{
    uint64_t x = 1618;
    for (int i = 0; i < 150; i++) {
        struct graph g;
        from_bits(&g, 4 + (uint32_t)i % 4, i & 1 ? next(&x) : next(&x) | next(&x));
        for (uint32_t u = 0; u < g.n; u++) {
            for (uint32_t v = u + 1; v < g.n; v++) {
                int expected = (int)oracle_local(&g, u, v);
                assert_int_equal(graph_local_connectivity(&g, u, v, g.n), expected);
                assert_int_equal(graph_local_connectivity(&g, v, u, g.n), expected);
                assert_int_equal(graph_local_connectivity(&g, u, v, 2), MIN(expected, 2));
                assert_int_equal(graph_local_connectivity(&g, u, v, 0), 0);
            }
        }
        graph_deinit(&g);
    }
}

static void a_complete_graph_has_kappa_n_minus_one(void **state)
{
    for (uint32_t n = 1; n <= 300; n += n < 10 ? 1 : 97) {
        struct graph g;
        assert_int_equal(graph_init(&g, n), 0);
        graph_complete(&g);
        assert_int_equal(graph_degree(&g, 0), n - 1);
        assert_true(graph_is_connected(&g, n - 1) > 0);
        assert_int_equal(graph_is_connected(&g, n), 0);
        graph_deinit(&g);
    }
}

/* Each node joined to the k/2 next ones around a ring: kappa is exactly k (F. Harary, 1962). */
static void a_harary_graph_of_a_hundred_clients(void **state)
{
    for (uint32_t k = 2; k <= 12; k += 2) {
        struct graph g;
        assert_int_equal(graph_init(&g, 100), 0);
        for (uint32_t u = 0; u < 100; u++)
            for (uint32_t step = 1; step <= k / 2; step++)
                graph_add(&g, u, (u + step) % 100);
        assert_true(graph_is_connected(&g, k) > 0);
        assert_int_equal(graph_is_connected(&g, k + 1), 0);
        assert_int_equal(graph_local_connectivity(&g, 0, 50, 100), k);
        graph_deinit(&g);
    }
}

/* Two complete halves that share three nodes: those three are the only way. */
static void three_bridges_are_three_paths(void **state)
{
    struct graph g;
    assert_int_equal(graph_init(&g, 43), 0);
    for (uint32_t u = 0; u < 43; u++)
        for (uint32_t v = u + 1; v < 43; v++)
            if (v < 23 || u >= 20)
                graph_add(&g, u, v);
    assert_true(graph_is_connected(&g, 3) > 0);
    assert_int_equal(graph_is_connected(&g, 4), 0);
    assert_int_equal(graph_local_connectivity(&g, 0, 42, 10), 3);
    graph_deinit(&g);
}

static void too_many_nodes_are_refused(void **state)
{
    struct graph g;
    assert_true(graph_init(&g, GRAPH_NODES_MAX + 1) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_of_up_to_six_nodes),
        cmocka_unit_test(random_graphs_of_up_to_nine_nodes),
        cmocka_unit_test(local_connectivity_is_mengers),
        cmocka_unit_test(a_complete_graph_has_kappa_n_minus_one),
        cmocka_unit_test(a_harary_graph_of_a_hundred_clients),
        cmocka_unit_test(three_bridges_are_three_paths),
        cmocka_unit_test(too_many_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
