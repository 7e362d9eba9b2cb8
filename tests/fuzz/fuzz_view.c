/* SPDX-License-Identifier: Apache-2.0 */
/* A view from a lying server. Oracle: what is accepted has exactly one form, and everything derived from
 * it is within its limits. */
#include "common/words.h"
#include "proto/view.h"

#include "tests/fuzz/fuzz.h"

static void derive(const View__View *v)
{
    struct quantiser z = view_quantiser(v);
    struct graph g;
    double total = 0;
    fuzz_assert(quantiser_words(&z) == v->words);
    fuzz_assert(quantiser_bound(&z) >= 1 && quantiser_step(&z) > 0);
    for (uint32_t i = 0; i < v->n_members; i++) {
        fuzz_assert(view_find(v, v->members[i]->site) == (int)i);
        total += view_weight(v, i);
    }
    fuzz_assert(total > 0.999999 && total < 1.000001);
    fuzz_assert(view_graph(v, &g) == 0);
    if (g.n <= 16)
        fuzz_assert(graph_is_connected(&g, v->components[0]->tolerance + 1) >= 0);
    graph_deinit(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(1024);
    View__View *v;
    struct err e = {0};
    int r = view_decode(data, size, a, &v, &e);
    fuzz_assert(r >= 0 && (r == 0) == (v != NULL) && (r == 0 || e.text[0]));
    if (v) {
        struct blob *again = view_encode(v);
        fuzz_assert(again->len == size && memcmp(again->data, data, size) == 0);
        blob_unref(again);
        derive(v);
    }
    arena_free(a);
    return 0;
}
