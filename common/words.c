/* SPDX-License-Identifier: Apache-2.0 */
#include "common/words.h"

#include "common/util.h"
#include "common/words_kernels.h"

#include <assert.h>

/* ---- any width: 64 bits at a time -------------------------------------------------------------- *
 *
 * The vector as one long number with the carries between words cut: with H the top bit of every word,
 * a + b = ((a & ~H) + (b & ~H)) ^ ((a ^ b) & H), a - b = ((a | H) - (b & ~H)) ^ ((a ^ ~b) & H). A
 * carry crosses from limb to limb only inside a word that lies across both. H repeats after q limbs. */

struct tops {
    unsigned q;
    uint64_t limb[WORDS_Q_MAX];
};

static void tops_init(struct tops *t, unsigned q)
{
    *t = (struct tops){.q = q};
    for (unsigned k = 0; k < 64; k++) {
        unsigned bit = k * q + q - 1;
        t->limb[bit / 64] |= (uint64_t)1 << bit % 64;
    }
}

static uint64_t limb_add(uint64_t a, uint64_t b, uint64_t top, uint64_t *carry)
{
    uint64_t sum, out;
    bool c1 = __builtin_add_overflow(a & ~top, b & ~top, &sum);
    bool c2 = __builtin_add_overflow(sum, *carry, &out);
    *carry = c1 | c2;
    return out ^ ((a ^ b) & top);
}

static uint64_t limb_subtract(uint64_t a, uint64_t b, uint64_t top, uint64_t *borrow)
{
    uint64_t difference, out;
    bool c1 = __builtin_sub_overflow(a | top, b & ~top, &difference);
    bool c2 = __builtin_sub_overflow(difference, *borrow, &out);
    *borrow = c1 | c2;
    return out ^ ((a ^ ~b) & top);
}

static uint64_t limb_load(const uint8_t *p, size_t len)
{
    uint8_t bytes[8] = {0};
    memcpy(bytes, p, len);
    return get_u64le(bytes);
}

static void limb_store(uint8_t *p, size_t len, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    memcpy(p, bytes, len);
}

static void add_any(uint8_t *y, const uint8_t *pad, uint64_t n, unsigned q, bool subtract)
{
    struct tops t;
    tops_init(&t, q);
    uint64_t carry = 0, bits = n * q;
    unsigned phase = 0;
    for (; bits >= 64; bits -= 64, y += 8, pad += 8) {
        uint64_t a = limb_load(y, 8), b = limb_load(pad, 8);
        limb_store(y, 8,
            subtract ? limb_subtract(a, b, t.limb[phase], &carry)
                     : limb_add(a, b, t.limb[phase], &carry));
        phase = phase + 1 == q ? 0 : phase + 1;
    }
    if (bits > 0) {
        size_t len = (bits + 7) / 8;
        uint64_t valid = ((uint64_t)1 << bits) - 1;
        uint64_t a = limb_load(y, len), b = limb_load(pad, len) & valid;
        uint64_t v = subtract ? limb_subtract(a, b, t.limb[phase], &carry)
                              : limb_add(a, b, t.limb[phase], &carry);
        limb_store(y, len, v & valid);
    }
}

/* ---- dispatch ---------------------------------------------------------------------------------- */

/* The lane of words that fill whole bytes, or WORDS_LANES. */
static enum words_lane lane_of(unsigned q)
{
    switch (q) {
    case 8:
        return WORDS_LANE_8;
    case 16:
        return WORDS_LANE_16;
    case 32:
        return WORDS_LANE_32;
    default:
        return WORDS_LANES;
    }
}

void words_add(uint8_t *y, const uint8_t *pad, uint64_t n, unsigned q, bool subtract)
{
    assert(q >= WORDS_Q_MIN && q <= WORDS_Q_MAX);
    const struct words_kernel *k = words_kernel_best();
    enum words_lane lane = lane_of(q);
    if (k && lane != WORDS_LANES)
        k->add[lane](y, (uint8_t *)pad, words_bytes(n, q), subtract, false);
    else
        add_any(y, pad, n, q, subtract);
}

/* Keeps the compiler from leaving out writes to memory that is not read again. */
static void keep_writes(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

void words_add_wipe(uint8_t *y, uint8_t *pad, uint64_t n, unsigned q, bool subtract)
{
    assert(q >= WORDS_Q_MIN && q <= WORDS_Q_MAX);
    const struct words_kernel *k = words_kernel_best();
    enum words_lane lane = lane_of(q);
    if (k && lane != WORDS_LANES) {
        k->add[lane](y, pad, words_bytes(n, q), subtract, true);
    } else {
        add_any(y, pad, n, q, subtract);
        memset(pad, 0, words_bytes(n, q));
    }
    keep_writes(pad);
}

/* ---- sums -------------------------------------------------------------------------------------- */

#define BLOCK_BITS ((uint64_t)8 * 8 * 1024) /* of the sum: it stays in the first-level cache */

/* One block over all vectors; a multiple of 64 words, so that every block begins like the first. */
static void sum_block(uint8_t *sum, const uint8_t *const *vectors, size_t count, uint64_t offset,
    uint64_t n, unsigned q)
{
    const struct words_kernel *k = words_kernel_best();
    enum words_lane lane = lane_of(q);
    size_t i = 0, len = words_bytes(n, q);
    memset(sum, 0, len);
    for (; k && lane != WORDS_LANES && i + WORDS_SUM_GROUP <= count; i += WORDS_SUM_GROUP) {
        const uint8_t *group[WORDS_SUM_GROUP];
        for (size_t j = 0; j < WORDS_SUM_GROUP; j++)
            group[j] = vectors[i + j] + offset;
        k->sum[lane](sum, group, len);
    }
    for (; i < count; i++)
        words_add(sum, vectors[i] + offset, n, q, false);
}

void words_sum(uint8_t *sum, const uint8_t *const *vectors, size_t count, uint64_t n, unsigned q)
{
    assert(q >= WORDS_Q_MIN && q <= WORDS_Q_MAX);
    uint64_t block = BLOCK_BITS / q / 64 * 64;
    for (uint64_t k = 0; k < n; k += block) {
        uint64_t offset = k * q / 8;
        sum_block(sum + offset, vectors, count, offset, MIN(block, n - k), q);
    }
}

/* ---- one word ---------------------------------------------------------------------------------- */

static uint64_t word_mask(unsigned q)
{
    return ((uint64_t)1 << q) - 1;
}

/* Bytes that hold word k, at most 5. */
static size_t span(uint64_t k, unsigned q)
{
    return (k * q % 8 + q + 7) / 8;
}

uint32_t words_get(const uint8_t *packed, uint64_t k, unsigned q)
{
    uint64_t limb = limb_load(packed + k * q / 8, span(k, q));
    return (uint32_t)(limb >> k * q % 8 & word_mask(q));
}

int64_t words_get_signed(const uint8_t *packed, uint64_t k, unsigned q)
{
    int64_t v = words_get(packed, k, q);
    return v >> (q - 1) ? v - ((int64_t)1 << q) : v;
}

void words_put(uint8_t *packed, uint64_t k, unsigned q, uint32_t v)
{
    uint8_t *p = packed + k * q / 8;
    unsigned shift = k * q % 8;
    uint64_t limb = limb_load(p, span(k, q));
    limb &= ~(word_mask(q) << shift);
    limb |= (v & word_mask(q)) << shift;
    limb_store(p, span(k, q), limb);
}
