/* SPDX-License-Identifier: Apache-2.0 */
#include "common/gf128.h"

#include "common/secret.h"
#include "common/util.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_PCLMUL 1
#else
#define HAVE_PCLMUL 0
#endif

/* A product before reduction, 256 bits, least significant limb first. */
struct product {
    uint64_t limb[4];
};

/* ---- reduction --------------------------------------------------------------------------------- */

/* x^128 = x^7 + x^2 + x + 1: a limb v at x^(64 i) above the field comes back as v * 0x87. */
static uint64_t fold_low(uint64_t v)
{
    return v ^ v << 1 ^ v << 2 ^ v << 7;
}

static uint64_t fold_high(uint64_t v)
{
    return v >> 63 ^ v >> 62 ^ v >> 57;
}

static void reduce(const struct product *p, uint64_t z[2])
{
    uint64_t second = p->limb[2] ^ fold_high(p->limb[3]);
    z[1] = p->limb[1] ^ fold_low(p->limb[3]) ^ fold_high(second);
    z[0] = p->limb[0] ^ fold_low(second);
}

/* ---- portable ---------------------------------------------------------------------------------- */

/* The low 64 bits of the carry-less product: every fourth bit of each factor, so that the sums in the
 * integer products have room to carry into bits that are masked away (T. Pornin, BearSSL ctmul64). */
static uint64_t clmul_low(uint64_t x, uint64_t y)
{
    const uint64_t every4 = 0x1111111111111111u;
    uint64_t z = 0;
    for (unsigned r = 0; r < 4; r++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < 4; i++)
            sum ^= (x & every4 << i) * (y & every4 << (r - i) % 4);
        z |= sum & every4 << r;
    }
    return z;
}

static uint64_t reverse(uint64_t v)
{
    v = (v & 0x5555555555555555u) << 1 | (v >> 1 & 0x5555555555555555u);
    v = (v & 0x3333333333333333u) << 2 | (v >> 2 & 0x3333333333333333u);
    v = (v & 0x0f0f0f0f0f0f0f0fu) << 4 | (v >> 4 & 0x0f0f0f0f0f0f0f0fu);
    return __builtin_bswap64(v);
}

/* (high, low) ^= x y */
static void clmul_add(uint64_t x, uint64_t y, uint64_t *high, uint64_t *low)
{
    *low ^= clmul_low(x, y);
    *high ^= reverse(clmul_low(reverse(x), reverse(y))) >> 1;
}

static void multiply_add_portable(const uint64_t x[2], const uint64_t y[2], struct product *p)
{
    clmul_add(x[0], y[0], &p->limb[1], &p->limb[0]);
    clmul_add(x[1], y[1], &p->limb[3], &p->limb[2]);
    clmul_add(x[0], y[1], &p->limb[2], &p->limb[1]);
    clmul_add(x[1], y[0], &p->limb[2], &p->limb[1]);
}

void gf128_multiply_portable(const uint64_t x[2], const uint64_t y[2], uint64_t z[2])
{
    struct product p = {0};
    multiply_add_portable(x, y, &p);
    reduce(&p, z);
}

/* state = (state + m_1) k^n + m_2 k^(n-1) + ... + m_n k */
static void blocks_portable(struct gf128 *h, const uint8_t *m, size_t n)
{
    struct product p = {0};
    for (size_t i = 0; i < n; i++, m += GF128_BYTES) {
        uint64_t block[2] = {get_u64le(m), get_u64le(m + 8)};
        if (i == 0) {
            block[0] ^= h->state[0];
            block[1] ^= h->state[1];
        }
        multiply_add_portable(block, h->powers[n - 1 - i], &p);
    }
    reduce(&p, h->state);
}

/* ---- PCLMULQDQ --------------------------------------------------------------------------------- */

#if HAVE_PCLMUL

static bool has_pclmul(void)
{
    return __builtin_cpu_supports("pclmul");
}

/* Loops over all whole strides; n is a multiple of GF128_STRIDE, or below it. */
__attribute__((target("sse2,pclmul"))) static void blocks_pclmul(
    struct gf128 *h, const uint8_t *m, size_t n)
{
    const size_t stride = MIN(n, (size_t)GF128_STRIDE);
    for (; n > 0; n -= stride) {
        __m128i low = _mm_setzero_si128(), middle = low, high = low;
        __m128i state = _mm_loadu_si128((const __m128i *)h->state);
        for (size_t i = 0; i < stride; i++, m += GF128_BYTES) {
            __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)m), state);
            __m128i k = _mm_loadu_si128((const __m128i *)h->powers[stride - 1 - i]);
            low = _mm_xor_si128(low, _mm_clmulepi64_si128(x, k, 0x00));
            high = _mm_xor_si128(high, _mm_clmulepi64_si128(x, k, 0x11));
            middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(x, k, 0x01));
            middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(x, k, 0x10));
            state = _mm_setzero_si128();
        }
        low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
        high = _mm_xor_si128(high, _mm_srli_si128(middle, 8));
        struct product p;
        _mm_storeu_si128((__m128i *)p.limb, low);
        _mm_storeu_si128((__m128i *)(p.limb + 2), high);
        reduce(&p, h->state);
    }
}

#else

static bool has_pclmul(void)
{
    return false;
}

static void blocks_pclmul(struct gf128 *h, const uint8_t *m, size_t n)
{
    abort();
}

#endif

void gf128_multiply(const uint64_t x[2], const uint64_t y[2], uint64_t z[2])
{
    struct gf128 h = {.powers = {{x[0], x[1]}}};
    uint8_t block[GF128_BYTES];
    put_u64le(block, y[0]);
    put_u64le(block + 8, y[1]);
    if (has_pclmul())
        blocks_pclmul(&h, block, 1);
    else
        blocks_portable(&h, block, 1);
    memcpy(z, h.state, sizeof(h.state));
}

/* ---- the hash ---------------------------------------------------------------------------------- */

void gf128_init(struct gf128 *h, const uint8_t key[GF128_BYTES])
{
    *h = (struct gf128){.is_portable = !has_pclmul()};
    h->powers[0][0] = get_u64le(key);
    h->powers[0][1] = get_u64le(key + 8);
    for (size_t i = 1; i < GF128_STRIDE; i++)
        gf128_multiply(h->powers[i - 1], h->powers[0], h->powers[i]);
}

static void add_blocks(struct gf128 *h, const uint8_t *m, size_t n)
{
    size_t strides = n / GF128_STRIDE * GF128_STRIDE;
    if (!h->is_portable && strides > 0) {
        blocks_pclmul(h, m, strides);
        m += strides * GF128_BYTES;
        n -= strides;
    }
    for (; n > 0; n--, m += GF128_BYTES) {
        if (h->is_portable)
            blocks_portable(h, m, 1);
        else
            blocks_pclmul(h, m, 1);
    }
}

void gf128_update(struct gf128 *h, const void *data, size_t len)
{
    const uint8_t *m = data;
    h->bytes += len;
    if (h->pending_len > 0) {
        size_t n = MIN(len, GF128_BYTES - h->pending_len);
        memcpy(h->pending + h->pending_len, m, n);
        h->pending_len += n;
        m += n;
        len -= n;
        if (h->pending_len < GF128_BYTES)
            return;
        add_blocks(h, h->pending, 1);
        h->pending_len = 0;
    }
    add_blocks(h, m, len / GF128_BYTES);
    h->pending_len = len % GF128_BYTES;
    if (h->pending_len > 0)
        memcpy(h->pending, m + len - h->pending_len, h->pending_len);
}

void gf128_begin(struct gf128 *h, uint64_t len)
{
    uint8_t length[8];
    put_u64le(length, len);
    gf128_update(h, length, sizeof(length));
}

void gf128_part(struct gf128 *h, const void *data, size_t len)
{
    gf128_begin(h, len);
    if (len > 0)
        gf128_update(h, data, len);
}

void gf128_u64(struct gf128 *h, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    gf128_part(h, bytes, sizeof(bytes));
}

void gf128_tag(struct gf128 *h, const uint8_t pad[GF128_BYTES], uint8_t tag[GF128_BYTES])
{
    uint8_t last[GF128_BYTES];
    put_u64le(last, h->bytes << 3);
    put_u64le(last + 8, h->bytes >> 61);
    if (h->pending_len > 0) {
        memset(h->pending + h->pending_len, 0, GF128_BYTES - h->pending_len);
        add_blocks(h, h->pending, 1);
    }
    add_blocks(h, last, 1);
    put_u64le(tag, h->state[0]);
    put_u64le(tag + 8, h->state[1]);
    for (size_t i = 0; i < GF128_BYTES; i++)
        tag[i] ^= pad[i];
    gf128_deinit(h);
}

void gf128_deinit(struct gf128 *h)
{
    secret_wipe(h, sizeof(*h));
}
