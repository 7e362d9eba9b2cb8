/* SPDX-License-Identifier: Apache-2.0 */
/* The tag against schoolbook polynomial arithmetic, and what a tag must bind. */
#include "common/gf128.h"
#include "common/secret.h"
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

static void fill(uint8_t *p, size_t len, uint64_t *x)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)next(x);
}

/* ---- the oracle: polynomials as lists of coefficients ------------------------------------------- */

static void school_multiply(const uint8_t a[16], const uint8_t b[16], uint8_t out[16])
{
    uint8_t c[256] = {0};
    for (int i = 0; i < 128; i++)
        for (int j = 0; j < 128; j++)
            c[i + j] ^= (a[i / 8] >> i % 8 & 1) & (b[j / 8] >> j % 8 & 1);
    for (int i = 255; i >= 128; i--) {
        if (!c[i])
            continue;
        c[i - 128 + 7] ^= 1;
        c[i - 128 + 2] ^= 1;
        c[i - 128 + 1] ^= 1;
        c[i - 128] ^= 1;
    }
    memset(out, 0, 16);
    for (int i = 0; i < 128; i++)
        out[i / 8] |= (uint8_t)(c[i] << i % 8);
}

/* h_k of bytes that are framed already, by the definition: sum of m_i k^(n+1-i). */
static void school_hash(const uint8_t key[16], const uint8_t *m, size_t len, uint8_t out[16])
{
    size_t n = (len + 15) / 16 + 1;
    memset(out, 0, 16);
    for (size_t i = 1; i <= n; i++) {
        uint8_t term[16] = {0};
        if (i < n)
            memcpy(term, m + (i - 1) * 16, MIN((size_t)16, len - (i - 1) * 16));
        else
            put_u64le(term, 8 * len);
        for (size_t power = 0; power < n + 1 - i; power++)
            school_multiply(term, key, term);
        for (int b = 0; b < 16; b++)
            out[b] ^= term[b];
    }
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void both_multiplications_agree_with_the_schoolbook(void **state)
{
    uint64_t x = 1234567;
    for (int i = 0; i < 300; i++) {
        uint8_t a[16], b[16], c[16];
        fill(a, 16, &x);
        fill(b, 16, &x);
        if (i < 128) { /* every power of x against a full factor */
            memset(a, 0, 16);
            a[i / 8] = (uint8_t)(1 << i % 8);
        }
        if (i == 128)
            memset(a, 0xff, 16), memset(b, 0xff, 16);
        school_multiply(a, b, c);
        uint64_t u[2] = {get_u64le(a), get_u64le(a + 8)}, v[2] = {get_u64le(b), get_u64le(b + 8)};
        uint64_t w[2], p[2];
        gf128_multiply(u, v, w);
        gf128_multiply_portable(u, v, p);
        assert_true(w[0] == get_u64le(c) && w[1] == get_u64le(c + 8));
        assert_true(p[0] == w[0] && p[1] == w[1]);
    }
}

static void the_field_is_a_field(void **state)
{
    const uint64_t one[2] = {1, 0};
    uint64_t x = 5, a[2], b[2], c[2], ab[2], left[2], right[2];
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 2; k++)
            a[k] = next(&x), b[k] = next(&x), c[k] = next(&x);
        gf128_multiply(a, one, left);
        assert_memory_equal(left, a, 16);
        gf128_multiply(a, b, ab);
        gf128_multiply(b, a, right);
        assert_memory_equal(ab, right, 16);
        gf128_multiply(ab, c, left);
        gf128_multiply(b, c, right);
        gf128_multiply(a, right, right);
        assert_memory_equal(left, right, 16);
        /* a^(2^128) = a: Frobenius, true only for an irreducible polynomial of this degree */
        memcpy(left, a, 16);
        for (int k = 0; k < 128; k++)
            gf128_multiply(left, left, left);
        assert_memory_equal(left, a, 16);
    }
}

static void the_hash_is_the_polynomial_of_its_definition(void **state)
{
    uint64_t x = 77;
    for (size_t len = 0; len < 200; len += 1 + len / 30) {
        uint8_t key[16], pad[16], framed[8 + 200], expected[16], tag[16];
        fill(key, 16, &x);
        fill(pad, 16, &x);
        put_u64le(framed, len);
        fill(framed + 8, len, &x);
        school_hash(key, framed, 8 + len, expected);
        for (int i = 0; i < 16; i++)
            expected[i] ^= pad[i];
        for (int portable = 0; portable < 2; portable++) {
            struct gf128 h;
            gf128_init(&h, key);
            h.is_portable |= portable;
            gf128_part(&h, framed + 8, len);
            gf128_tag(&h, pad, tag);
            assert_memory_equal(tag, expected, 16);
        }
    }
}

static void tag_parts(const struct gf128 *start, const char *a, const char *b, uint8_t tag[16])
{
    static const uint8_t pad[16];
    struct gf128 h = *start;
    gf128_part(&h, a, strlen(a));
    gf128_part(&h, b, strlen(b));
    gf128_tag(&h, pad, tag);
}

static void lengths_and_order_of_the_parts_are_bound(void **state)
{
    struct gf128 start;
    gf128_init(&start, (const uint8_t *)"0123456789abcdef");
    static const char *const lists[][2] = {
        {"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"c", "ab"}, {"ab", "d"}, {"ab", "cc"}};
    uint8_t tags[ARRAY_SIZE(lists)][16];
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        tag_parts(&start, lists[i][0], lists[i][1], tags[i]);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(tags[i], tags[k], 16);
    }
}

static void zeros_at_the_end_are_bound(void **state)
{
    static const uint8_t pad[16], zeros[64];
    uint8_t before[16], tag[16];
    memset(before, 0xff, sizeof(before));
    for (size_t len = 0; len < 64; len++) {
        struct gf128 h;
        gf128_init(&h, (const uint8_t *)"0123456789abcdef");
        gf128_update(&h, zeros, len); /* without the length in front: the last block must do */
        gf128_tag(&h, pad, tag);
        assert_memory_not_equal(tag, before, 16);
        memcpy(before, tag, 16);
    }
}

static void pieces_make_no_difference(void **state)
{
    uint64_t x = 424242;
    uint8_t key[16], pad[16], data[500], whole[16], tag[16];
    fill(key, 16, &x);
    fill(pad, 16, &x);
    fill(data, sizeof(data), &x);
    struct gf128 h;
    gf128_init(&h, key);
    gf128_part(&h, data, sizeof(data));
    gf128_u64(&h, 9);
    gf128_tag(&h, pad, whole);
    for (int i = 0; i < 100; i++) {
        gf128_init(&h, key);
        gf128_begin(&h, sizeof(data));
        for (size_t at = 0; at < sizeof(data);) {
            size_t n = next(&x) % 90;
            n = MIN(n, sizeof(data) - at);
            gf128_update(&h, data + at, n);
            at += n;
        }
        gf128_begin(&h, 8);
        gf128_update(&h, "\x09\0\0\0\0\0\0", 8);
        gf128_tag(&h, pad, tag);
        assert_memory_equal(tag, whole, 16);
    }
}

static void the_key_is_gone_after_the_tag(void **state)
{
    static const uint8_t zeros[sizeof(struct gf128)];
    struct gf128 h;
    uint8_t tag[16];
    gf128_init(&h, (const uint8_t *)"0123456789abcdef");
    gf128_part(&h, "view", 4);
    gf128_tag(&h, (const uint8_t *)"fedcba9876543210", tag);
    assert_memory_equal(&h, zeros, sizeof(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_multiplications_agree_with_the_schoolbook),
        cmocka_unit_test(the_field_is_a_field),
        cmocka_unit_test(the_hash_is_the_polynomial_of_its_definition),
        cmocka_unit_test(lengths_and_order_of_the_parts_are_bound),
        cmocka_unit_test(zeros_at_the_end_are_bound),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(the_key_is_gone_after_the_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
