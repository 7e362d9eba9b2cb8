/* SPDX-License-Identifier: Apache-2.0 */
/* The running sum: equal to the sum of the vectors for every width, whatever order they come in. */
#include "server/accumulate.h"

#include "common/util.h"
#include "common/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define CLIENTS 5

static struct quantiser shape(unsigned q)
{
    return (struct quantiser){.q = q,
        .participants = CLIENTS,
        .parameters = 333,
        .chunk_words = 64,
        .clip = 1,
        .rounding = ROUNDING_NEAREST};
}

static void random_vector(uint8_t *out, const struct quantiser *z)
{
    for (uint32_t k = 0; k < quantiser_words(z); k++)
        words_put(out, k, z->q, (uint32_t)random());
}

/* Uploads interleaved chunk by chunk, in an order that changes. */
static void add_interleaved(struct accumulator *a, uint8_t *const vectors[CLIENTS])
{
    while (!accumulator_is_complete(a)) {
        uint32_t client = (uint32_t)random() % CLIENTS;
        uint32_t i = accumulator_next(a, client);
        if (i == a->chunks)
            continue;
        assert_int_equal(
            accumulator_add(a, client, i, vectors[client] + quantiser_chunk_offset(&a->z, i),
                quantiser_chunk_bytes(&a->z, i)),
            0);
    }
}

static void sum_is_the_sum(unsigned q)
{
    struct quantiser z = shape(q);
    struct accumulator a;
    size_t bytes = words_bytes(quantiser_words(&z), q);
    uint8_t *vectors[CLIENTS];
    for (int c = 0; c < CLIENTS; c++) {
        vectors[c] = calloc(1, bytes);
        random_vector(vectors[c], &z);
    }
    assert_int_equal(accumulator_init(&a, &z, CLIENTS), 0);
    add_interleaved(&a, vectors);
    for (uint32_t k = 0; k < quantiser_words(&z); k++) {
        uint64_t sum = 0;
        for (int c = 0; c < CLIENTS; c++)
            sum += words_get(vectors[c], k, q);
        assert_int_equal(words_get(a.sum->data, k, q), sum & (((uint64_t)1 << q) - 1));
    }
    accumulator_deinit(&a);
    for (int c = 0; c < CLIENTS; c++)
        free(vectors[c]);
}

static void every_width_adds_exactly(void **state)
{
    for (unsigned q = 4; q <= 32; q++)
        sum_is_the_sum(q);
}

static void what_does_not_fit_adds_nothing(void **state)
{
    struct quantiser z = shape(8);
    struct accumulator a;
    uint8_t ones[64];
    memset(ones, 1, sizeof(ones));
    assert_int_equal(accumulator_init(&a, &z, 2), 0);
    assert_int_equal(accumulator_add(&a, 0, 1, ones, 64), ACCUMULATOR_E_GAP);
    assert_int_equal(accumulator_add(&a, 0, a.chunks, ones, 64), ACCUMULATOR_E_GAP);
    assert_int_equal(accumulator_add(&a, 0, 0, ones, 63), ACCUMULATOR_E_LENGTH);
    assert_int_equal(accumulator_add(&a, 0, 0, ones, 0), ACCUMULATOR_E_LENGTH);
    assert_int_equal(a.sum->data[0], 0);
    assert_int_equal(accumulator_add(&a, 0, 0, ones, 64), 0);
    assert_int_equal(accumulator_add(&a, 0, 0, ones, 64), ACCUMULATOR_E_DUPLICATE);
    assert_int_equal(accumulator_add(&a, 1, 0, ones, 64), 0);
    assert_int_equal(a.sum->data[0], 2);
    assert_int_equal(a.sum->data[64], 0);
    assert_false(accumulator_is_complete(&a));
    accumulator_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_adds_exactly),
        cmocka_unit_test(what_does_not_fit_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
