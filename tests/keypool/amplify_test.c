/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy amplification against the definition, bit by bit, on every kernel of this processor. */
#include "common/gf128.h"
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/amplify.h"
#include "keypool/post/fft128_kernel.h"

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

static void check(enum fft128_kernel kernel, uint64_t n, uint64_t l, uint8_t salt)
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

static void check_kernel(enum fft128_kernel kernel)
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
    for (int k = FFT128_PORTABLE; k <= (int)fft128_best(); k++)
        check_kernel((enum fft128_kernel)k);
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
    assert_int_equal(0, amplify(FFT128_PORTABLE, key, N, t, L, a));
    assert_int_equal(0, amplify(fft128_best(), key, N, t, L, b));
    assert_memory_equal(a, b, L / 8 + 1);
    for (uint64_t i = 0; i < L; i += 997)
        assert_int_equal(by_definition(key, t, N, L, i), bit(b, i));
}

/* Several tiles, and transforms deeper than the cached part: a sample of rows against the definition. */
static void long_blocks_follow_the_definition(void **state)
{
    static const struct {
        uint64_t n, l;
    } sizes[] = {{1000003, 250007}, {700001, 60013}, {500009, 460001}};
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        uint64_t n = sizes[s].n;
        uint64_t l = sizes[s].l;
        uint8_t seed[RNG_SEED_BYTES] = {10, (uint8_t)s};
        cleanup(rng_freep) struct rng *rng = rng_new(seed);
        auto_free uint8_t *key = malloc(n / 8 + 1);
        auto_free uint8_t *t = malloc(n / 8 + 1);
        auto_free uint8_t *out = malloc(l / 8 + 1);
        rng_bytes(rng, key, n / 8 + 1);
        rng_bytes(rng, t, n / 8 + 1);
        assert_int_equal(0, amplify(fft128_best(), key, n, t, l, out));
        for (unsigned i = 0; i < 100; i++) {
            uint64_t row = i == 0 ? l - 1 : rng_below(rng, l);
            assert_int_equal(by_definition(key, t, n, l, row), bit(out, row));
        }
    }
}

static void the_points_are_a_cantor_basis(void **state)
{
    struct gf128_element sum = {0};
    for (unsigned i = 0; i < FFT128_BASIS; i++) {
        const struct gf128_element *b = &fft128_cantor[i];
        uint64_t x[2] = {b->lo, b->hi};
        uint64_t square[2];
        gf128_multiply_portable(x, x, square);
        assert_int_equal(i ? b[-1].lo : 0, square[0] ^ b->lo);
        assert_int_equal(i ? b[-1].hi : 0, square[1] ^ b->hi);
        sum = element_add(sum, *b);
        assert_memory_equal(&sum, &fft128_cantor_sums[i], sizeof(sum));
    }
}

static void lengths_that_make_no_key_are_refused(void **state)
{
    uint8_t bytes[8] = {0};
    assert_int_equal(-EINVAL, amplify(FFT128_PORTABLE, bytes, 10, bytes, 0, bytes));
    assert_int_equal(-EINVAL, amplify(FFT128_PORTABLE, bytes, 10, bytes, 10, bytes));
    assert_int_equal(-EINVAL, amplify(FFT128_PORTABLE, bytes, 10, bytes, 11, bytes));
}

static void memory_is_bounded_by_a_few_copies_of_the_block(void **state)
{
    assert_true(amplify_memory(100000000, 25000000) < 60u << 20);
    for (uint64_t n = 1000; n < 300000000; n = n * 5 / 4)
        for (unsigned part = 1; part < 64; part++) {
            size_t bytes = amplify_memory(n, n * part / 64);
            assert_true(bytes > 0 && bytes <= n);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_follows_the_definition),
        cmocka_unit_test(kernels_agree_on_large_blocks),
        cmocka_unit_test(long_blocks_follow_the_definition),
        cmocka_unit_test(the_points_are_a_cantor_basis),
        cmocka_unit_test(lengths_that_make_no_key_are_refused),
        cmocka_unit_test(memory_is_bounded_by_a_few_copies_of_the_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
