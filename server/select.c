/* SPDX-License-Identifier: Apache-2.0 */
#include "server/select.h"

#include "common/util.h"

static uint64_t available(const struct select_input *in, size_t a, size_t b)
{
    return in->available[a * in->n + b];
}

static bool lacks_key(const struct select_input *in, size_t a, size_t b)
{
    return available(in, a, b) < in->need;
}

/* The chosen pair with least key among those without enough, first by name where they are equal. */
static bool find_weakest(
    const struct select_input *in, const bool *is_chosen, size_t *weak_a, size_t *weak_b)
{
    bool found = false;
    for (size_t a = 0; a < in->n; a++)
        for (size_t b = a + 1; b < in->n; b++) {
            if (!is_chosen[a] || !is_chosen[b] || !lacks_key(in, a, b))
                continue;
            if (found && available(in, a, b) >= available(in, *weak_a, *weak_b))
                continue;
            found = true;
            *weak_a = a;
            *weak_b = b;
        }
    return found;
}

/* Key that `who` shares with the other chosen ones, over pairs that have enough. */
static uint64_t key_elsewhere(
    const struct select_input *in, const bool *is_chosen, size_t who, size_t besides)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < in->n; i++) {
        if (i == who || i == besides || !is_chosen[i] || lacks_key(in, who, i))
            continue;
        uint64_t more = available(in, who, i);
        sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
    }
    return sum;
}

static int choose_complete(const struct select_input *in, struct select_result *out)
{
    memset(out->is_chosen, true, in->n * sizeof(*out->is_chosen));
    out->k = (uint32_t)in->n;
    out->has_blamed = false;
    size_t a = 0;
    size_t b = 0;
    while (out->k >= in->k_min && find_weakest(in, out->is_chosen, &a, &b)) {
        uint64_t of_a = key_elsewhere(in, out->is_chosen, a, b);
        uint64_t of_b = key_elsewhere(in, out->is_chosen, b, a);
        out->is_chosen[of_a < of_b ? a : b] = false;
        out->k--;
        if (!out->has_blamed) {
            out->has_blamed = true;
            out->blamed[0] = a;
            out->blamed[1] = b;
        }
    }
    if (out->k < in->k_min)
        return SELECT_E_FEW;
    out->tolerance = out->k - 2;
    int r = graph_init(&out->graph, out->k);
    if (r == 0)
        graph_complete(&out->graph);
    return r;
}

const struct graph_policy graph_policy_complete = {"complete", choose_complete};
