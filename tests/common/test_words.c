/* SPDX-License-Identifier: Apache-2.0 */
/* Packed words against a bit-by-bit oracle: every width, odd lengths, unaligned, every kernel. */
#include "common/util.h"
#include "common/words.h"
#include "common/words_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROOM  4096 /* bytes of a test vector, guards included */
#define GUARD 16

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void fill(uint8_t *p, size_t len, uint64_t *x)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)next(x);
}

/* ---- the oracle: one bit at a time ------------------------------------------------------------- */

static uint64_t oracle_get(const uint8_t *p, uint64_t k, unsigned q)
{
    uint64_t v = 0;
    for (unsigned b = 0; b < q; b++)
        v |= (uint64_t)(p[(k * q + b) / 8] >> (k * q + b) % 8 & 1) << b;
    return v;
}

static void oracle_put(uint8_t *p, uint64_t k, unsigned q, uint64_t v)
{
    for (unsigned b = 0; b < q; b++) {
        uint8_t bit = (uint8_t)(1u << (k * q + b) % 8);
        p[(k * q + b) / 8] &= (uint8_t)~bit;
        if (v >> b & 1)
            p[(k * q + b) / 8] |= bit;
    }
}

static void oracle_add(uint8_t *y, const uint8_t *pad, uint64_t n, unsigned q, bool subtract)
{
    for (uint64_t k = 0; k < n; k++) {
        uint64_t a = oracle_get(y, k, q), b = oracle_get(pad, k, q);
        oracle_put(y, k, q, subtract ? a - b : a + b);
    }
}

/* Words with clear padding bits, as they always stand in y. */
static void fill_words(uint8_t *y, uint64_t n, unsigned q, uint64_t *x)
{
    memset(y, 0, words_bytes(n, q));
    for (uint64_t k = 0; k < n; k++)
        oracle_put(y, k, q, next(x));
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void check_add(uint64_t n, unsigned q, size_t skew, bool subtract, bool wipe, uint64_t *x)
{
    uint8_t y[ROOM], pad[ROOM], expected[ROOM], kept[ROOM];
    size_t len = words_bytes(n, q), at = GUARD + skew;
    assert_true(at + len + GUARD <= ROOM);
    fill(y, sizeof(y), x);
    fill(pad, sizeof(pad), x);
    fill_words(y + at, n, q, x);
    memcpy(expected, y, sizeof(y));
    memcpy(kept, pad, sizeof(pad));
    oracle_add(expected + at, pad + at, n, q, subtract);
    if (wipe) {
        words_add_wipe(y + at, pad + at, n, q, subtract);
        memset(kept + at, 0, len);
    } else {
        words_add(y + at, pad + at, n, q, subtract);
    }
    if (memcmp(y, expected, ROOM) != 0 || memcmp(pad, kept, ROOM) != 0)
        fail_msg("q %u, n %zu, skew %zu, subtract %d, wipe %d", q, (size_t)n, skew, subtract, wipe);
}

static void every_width_adds_and_subtracts_as_the_oracle(void **state)
{
    uint64_t x = 20240611;
    for (unsigned q = WORDS_Q_MIN; q <= WORDS_Q_MAX; q++) {
        for (uint64_t n = 0; n <= 70; n++)
            for (int mode = 0; mode < 4; mode++)
                check_add(n, q, next(&x) % 16, mode & 1, mode >> 1, &x);
        for (uint64_t n = 250; n <= 260; n++)
            for (int mode = 0; mode < 4; mode++)
                check_add(n, q, n % 8, mode & 1, mode >> 1, &x);
    }
}

static void adding_and_subtracting_the_same_pad_gives_back_the_vector(void **state)
{
    uint64_t x = 7;
    for (unsigned q = WORDS_Q_MIN; q <= WORDS_Q_MAX; q++) {
        uint8_t y[ROOM], pad[ROOM], before[ROOM];
        uint64_t n = 777;
        fill(pad, sizeof(pad), &x);
        fill_words(y, n, q, &x);
        memcpy(before, y, words_bytes(n, q));
        words_add(y, pad, n, q, false);
        assert_memory_not_equal(y, before, words_bytes(n, q));
        words_add(y, pad, n, q, true);
        assert_memory_equal(y, before, words_bytes(n, q));
    }
}

static void check_kernel(const struct words_kernel *k, unsigned lane, size_t n, uint64_t *x)
{
    unsigned q = 8u << lane;
    size_t len = words_bytes(n, q);
    uint8_t y[ROOM], pad[4][ROOM], expected[ROOM], kept[ROOM];
    const uint8_t *v[WORDS_SUM_GROUP] = {pad[0] + 1, pad[1] + 2, pad[2] + 3, pad[3] + 4};
    for (int mode = 0; mode < 4; mode++) {
        fill(y, sizeof(y), x);
        fill(pad[0], ROOM, x);
        memcpy(expected, y, ROOM);
        memcpy(kept, pad[0], ROOM);
        oracle_add(expected + 3, pad[0] + 5, n, q, mode & 1);
        if (mode & 2)
            memset(kept + 5, 0, len);
        k->add[lane](y + 3, pad[0] + 5, len, mode & 1, mode & 2);
        if (memcmp(y, expected, ROOM) != 0 || memcmp(pad[0], kept, ROOM) != 0)
            fail_msg("%s: q %u, n %zu, mode %d", k->name, q, n, mode);
    }
    for (size_t i = 0; i < 4; i++)
        fill(pad[i], ROOM, x);
    for (size_t i = 0; i < 4; i++)
        oracle_add(expected + 3, v[i], n, q, false);
    k->sum[lane](y + 3, v, len);
    if (memcmp(y, expected, ROOM) != 0)
        fail_msg("%s: sum, q %u, n %zu", k->name, q, n);
}

static void every_kernel_of_this_processor_agrees(void **state)
{
    uint64_t x = 99;
    const struct words_kernel *k;
    for (size_t i = 0; (k = words_kernel_at(i)); i++)
        for (unsigned lane = 0; lane < WORDS_LANES; lane++)
            for (size_t n = 0; n < 300; n += 1 + n / 40)
                check_kernel(k, lane, n, &x);
#if defined(__x86_64__)
    assert_non_null(words_kernel_best());
#endif
}

static void check_sum(uint64_t n, unsigned q, size_t count, uint64_t *x)
{
    size_t len = words_bytes(n, q);
    uint8_t *vectors[11], *sum = malloc(len + 1), *expected = calloc(1, len + 1);
    for (size_t i = 0; i < count; i++) {
        vectors[i] = malloc(len);
        fill_words(vectors[i], n, q, x);
        oracle_add(expected, vectors[i], n, q, false);
    }
    memset(sum, 0xa5, len + 1);
    words_sum(sum, (const uint8_t *const *)vectors, count, n, q);
    if (memcmp(sum, expected, len) != 0 || sum[len] != 0xa5)
        fail_msg("q %u, n %zu, %zu vectors", q, (size_t)n, count);
    for (size_t i = 0; i < count; i++)
        free(vectors[i]);
    free(sum);
    free(expected);
}

static void sums_go_over_blocks_and_groups(void **state)
{
    uint64_t x = 4711;
    for (size_t count = 0; count <= 11; count++)
        for (unsigned q = 7; q <= 9; q++)
            check_sum(333, q, count, &x);
    static const unsigned widths[] = {2, 3, 8, 13, 16, 31, 32};
    for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
        check_sum(2 * 8 * 8192 / widths[i] + 77, widths[i], 6, &x);
}

static void single_words_are_read_and_written(void **state)
{
    uint64_t x = 31337;
    for (unsigned q = WORDS_Q_MIN; q <= WORDS_Q_MAX; q++) {
        uint8_t p[ROOM], expected[ROOM];
        fill(p, sizeof(p), &x);
        memcpy(expected, p, sizeof(p));
        for (uint64_t k = 0; k < 100; k++) {
            uint64_t v = next(&x);
            oracle_put(expected, k, q, v);
            words_put(p, k, q, (uint32_t)v);
            assert_int_equal(words_get(p, k, q), oracle_get(expected, k, q));
        }
        assert_memory_equal(p, expected, sizeof(p));
    }
}

/* The last word of a vector on the heap: a byte too far is seen by ASan. */
static void the_last_word_is_read_within_the_vector(void **state)
{
    for (unsigned q = WORDS_Q_MIN; q <= WORDS_Q_MAX; q++) {
        for (uint64_t n = 1; n < 20; n++) {
            uint8_t *p = calloc(1, words_bytes(n, q));
            words_put(p, n - 1, q, UINT32_MAX);
            assert_int_equal(words_get(p, n - 1, q), ((uint64_t)1 << q) - 1);
            free(p);
        }
    }
}

static void the_upper_half_is_negative(void **state)
{
    static const struct {
        unsigned q;
        uint32_t word;
        int64_t value;
    } cases[] = {{2, 1, 1}, {2, 2, -2}, {2, 3, -1}, {8, 127, 127}, {8, 128, -128}, {8, 255, -1},
        {16, 0x8000, -32768}, {32, 0x7fffffff, 0x7fffffff}, {32, 0x80000000, -2147483648LL},
        {32, 0xffffffff, -1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t p[8] = {0};
        words_put(p, 1, cases[i].q, cases[i].word);
        assert_true(words_get_signed(p, 1, cases[i].q) == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_adds_and_subtracts_as_the_oracle),
        cmocka_unit_test(adding_and_subtracting_the_same_pad_gives_back_the_vector),
        cmocka_unit_test(every_kernel_of_this_processor_agrees),
        cmocka_unit_test(sums_go_over_blocks_and_groups),
        cmocka_unit_test(single_words_are_read_and_written),
        cmocka_unit_test(the_last_word_is_read_within_the_vector),
        cmocka_unit_test(the_upper_half_is_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
