/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy amplification against the definition, bit by bit, on every kernel of this processor. */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/amplify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool bit(const uint8_t *p, uint64_t k)
{
    return p[k / 8] >> (k % 8) & 1;
}

/* mdiqkd.md section 4: K_f[i] = K[i] xor sum_j T[i][j] K[l+j], T[i][j] = t[i - j + (n-l-1)]. */
static bool by_definition(const uint8_t *key, const uint8_t *t, uint64_t n, uint64_t l, uint64_t i)
{
    bool sum = bit(key, i);
    for (uint64_t j = 0; j < n - l; j++)
        sum ^= bit(t, i + (n - l - 1) - j) && bit(key, l + j);
    return sum;
}

static void check(enum toeplitz_kernel kernel, uint64_t n, uint64_t l, uint8_t salt)
{
    uint8_t seed[RNG_SEED_BYTES] = {salt, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)l};
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    auto_free uint8_t *key = malloc((n + 7) / 8);
    auto_free uint8_t *t = malloc((n + 7) / 8);
    auto_free uint8_t *out = calloc((l + 7) / 8 + 1, 1);
    rng_bytes(rng, key, (n + 7) / 8);
    rng_bytes(rng, t, (n + 7) / 8);
    out[(l + 7) / 8] = 0xa5;
    assert_int_equal(0, amplify(kernel, key, n, t, l, out));
    for (uint64_t i = 0; i < l; i++)
        if (bit(out, i) != by_definition(key, t, n, l, i))
            fail_msg("n %llu l %llu: bit %llu differs", (unsigned long long)n,
                (unsigned long long)l, (unsigned long long)i);
    for (uint64_t i = l; i < (l + 7) / 8 * 8; i++)
        assert_false(bit(out, i));
    assert_int_equal(0xa5, out[(l + 7) / 8]);
}

static void check_kernel(enum toeplitz_kernel kernel)
{
    static const struct {
        uint64_t n, l;
    } sizes[] = {{2, 1}, {3, 1}, {3, 2}, {64, 1}, {64, 63}, {65, 64}, {127, 64}, {128, 32},
        {129, 65}, {1000, 250}, {1000, 750}, {1024, 256}, {2047, 1}, {2047, 2046}, {4099, 1025},
        {5000, 2500}, {9001, 123}, {20000, 5000}};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        check(kernel, sizes[i].n, sizes[i].l, 1);
}

static void every_kernel_follows_the_definition(void **state)
{
    for (int k = TOEPLITZ_PORTABLE; k <= (int)toeplitz_best(); k++)
        check_kernel((enum toeplitz_kernel)k);
}

static void kernels_agree_on_large_blocks(void **state)
{
    enum { N = 300001, L = 77777 };
    uint8_t seed[RNG_SEED_BYTES] = {9};
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    auto_free uint8_t *key = malloc(N / 8 + 1);
    auto_free uint8_t *t = malloc(N / 8 + 1);
    auto_free uint8_t *a = malloc(L / 8 + 1);
    auto_free uint8_t *b = malloc(L / 8 + 1);
    rng_bytes(rng, key, N / 8 + 1);
    rng_bytes(rng, t, N / 8 + 1);
    assert_int_equal(0, amplify(TOEPLITZ_PORTABLE, key, N, t, L, a));
    assert_int_equal(0, amplify(toeplitz_best(), key, N, t, L, b));
    assert_memory_equal(a, b, L / 8 + 1);
    for (uint64_t i = 0; i < L; i += 997)
        assert_int_equal(by_definition(key, t, N, L, i), bit(b, i));
}

static void lengths_that_make_no_key_are_refused(void **state)
{
    uint8_t bytes[8] = {0};
    assert_int_equal(-EINVAL, amplify(TOEPLITZ_PORTABLE, bytes, 10, bytes, 0, bytes));
    assert_int_equal(-EINVAL, amplify(TOEPLITZ_PORTABLE, bytes, 10, bytes, 10, bytes));
    assert_int_equal(-EINVAL, amplify(TOEPLITZ_PORTABLE, bytes, 10, bytes, 11, bytes));
}

static void memory_is_bounded_by_a_few_copies_of_the_block(void **state)
{
    assert_true(amplify_memory(toeplitz_best(), 100000000, 25000000) < 60u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_follows_the_definition),
        cmocka_unit_test(kernels_agree_on_large_blocks),
        cmocka_unit_test(lengths_that_make_no_key_are_refused),
        cmocka_unit_test(memory_is_bounded_by_a_few_copies_of_the_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
