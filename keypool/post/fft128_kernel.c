/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/fft128_kernel.h"

#include "common/gf128.h"

#include <immintrin.h>

/* b[0] = 1, b[i]^2 + b[i] = b[i-1] (tests/keypool/amplify_test.c multiplies it out). */
const struct gf128_element fft128_cantor[FFT128_BASIS] = {
    {0x0000000000000001, 0x0000000000000000},
    {0x676aac9fa4b20b08, 0x295ac0b1f4731af9},
    {0xff1099c31bbe8f22, 0xa2134422cd4054c9},
    {0x53b85b6402b1e848, 0x7959d70ce1ee6942},
    {0xcabcd8e4694e5644, 0x08f6b313e935b8e2},
    {0x4d48b16661e860ec, 0x49c9321635282198},
    {0xa13fe8ac5560ce0c, 0x053d8555a9979a1c},
    {0x5cb10fbabcf00118, 0x4d52354a3a3d8c86},
    {0xe18c55b8e07d3612, 0x2ccae6ed8d6b4cd0},
    {0x588b6244c5d74470, 0x210d8fbe72672c66},
    {0xd047dada84654da4, 0xc211182c85e148b3},
    {0xfed3b473eeb39df8, 0x104d101e47f1f112},
    {0xbf199eb4f675f2ac, 0xce955ea0da2a682b},
    {0x19c55b8d6bef4c98, 0xdbacfb2ac336178f},
    {0xf5531b28858156d0, 0x58770bc4e101ab94},
    {0x8b97b65b221cc4e4, 0x497f8adb47e0ae82},
    {0xa10cfc6a1654c578, 0x05aa755df14f64da},
    {0xbae99a4e3fbe0c54, 0x82db354523f40c7b},
    {0x8e808ec2a80c4662, 0xba5ba13dbf25ee6b},
    {0x5c2b82c39ef7a93c, 0x300b8602354dbc70},
    {0x882e2943d5ee4534, 0xc25f5e75edaa4fa9},
    {0x95d3204b1d1dd922, 0x39092e35de04cc32},
    {0xcb6e1a7035541fd6, 0x8ab363f0b1f0f211},
    {0xa1318678293664f4, 0xbe1eca746232042b},
    {0xe684ecc9b397a5fe, 0xb3b2d35103f1a3ed},
    {0x6da6f30e41a8edf0, 0x34b0cc6ccf4ee620},
    {0xacd605531d728f16, 0xa6af6a59808b2143},
    {0x036771e3ca90ca14, 0x3555819a552c1192},
    {0xc6c1932eeb78b72a, 0xeabea114c8ae9a9f},
    {0xfc5874dd3b9425ce, 0x1988519c2a18a57c},
    {0x70ec558472062c44, 0x60abfabc33f697de},
    {0xa9e47128863ba654, 0x0df68fe1cdf73f30},
};

struct gf128_element fft128_factor(uint64_t m)
{
    struct gf128_element w = {0};
    for (; m; m &= m - 1)
        w = element_add(w, fft128_cantor[__builtin_ctzll(m) + 1]);
    return w;
}

/* Entry i is the sum of elements 0..i. */
const struct gf128_element fft128_cantor_sums[FFT128_BASIS] = {
    {0x0000000000000001, 0x0000000000000000},
    {0x676aac9fa4b20b09, 0x295ac0b1f4731af9},
    {0x987a355cbf0c842b, 0x8b49849339334e30},
    {0xcbc26e38bdbd6c63, 0xf210539fd8dd2772},
    {0x017eb6dcd4f33a27, 0xfae6e08c31e89f90},
    {0x4c3607bab51b5acb, 0xb32fd29a04c0be08},
    {0xed09ef16e07b94c7, 0xb61257cfad572414},
    {0xb1b8e0ac5c8b95df, 0xfb406285976aa892},
    {0x5034b514bcf6a3cd, 0xd78a84681a01e442},
    {0x08bfd7507921e7bd, 0xf6870bd66866c824},
    {0xd8f80d8afd44aa19, 0x349613faed878097},
    {0x262bb9f913f737e1, 0x24db03e4aa767185},
    {0x9932274de582c54d, 0xea4e5d44705c19ae},
    {0x80f77cc08e6d89d5, 0x31e2a66eb36a0e21},
    {0x75a467e80becdf05, 0x6995adaa526ba5b5},
    {0xfe33d1b329f01be1, 0x20ea2771158b0b37},
    {0x5f3f2dd93fa4de99, 0x2540522ce4c46fed},
    {0xe5d6b797001ad2cd, 0xa79b6769c7306396},
    {0x6b563955a81694af, 0x1dc0c65478158dfd},
    {0x377dbb9636e13d93, 0x2dcb40564d58318d},
    {0xbf5392d5e30f78a7, 0xef941e23a0f27e24},
    {0x2a80b29efe12a185, 0xd69d30167ef6b216},
    {0xe1eea8eecb46be53, 0x5c2e53e6cf064007},
    {0x40df2e96e270daa7, 0xe2309992ad34442c},
    {0xa65bc25f51e77f59, 0x51824ac3aec5e7c1},
    {0xcbfd3151104f92a9, 0x653286af618b01e1},
    {0x672b34020d3d1dbf, 0xc39decf6e10020a2},
    {0x644c45e1c7add7ab, 0xf6c86d6cb42c3130},
    {0xa28dd6cf2cd56081, 0x1c76cc787c82abaf},
    {0x5ed5a2121741454f, 0x05fe9de4569a0ed3},
    {0x2e39f7966547690b, 0x65556758656c990d},
    {0x87dd86bee37ccf5f, 0x68a3e8b9a89ba63d},
};

/* ---- portable ----------------------------------------------------------------------------------- */

struct portable_factor {
    struct gf128_element w;
};

static inline struct gf128_element load_portable(const uint64_t *p)
{
    return (struct gf128_element){p[0], p[1]};
}

static inline void store_portable(uint64_t *p, struct gf128_element e)
{
    p[0] = e.lo;
    p[1] = e.hi;
}

static inline struct gf128_element multiply_portable(
    struct gf128_element a, struct portable_factor w)
{
    uint64_t z[2];
    gf128_multiply_portable((uint64_t[2]){a.lo, a.hi}, (uint64_t[2]){w.w.lo, w.w.hi}, z);
    return (struct gf128_element){z[0], z[1]};
}

static inline void load4_portable(const uint64_t *p, struct gf128_element e[4])
{
    for (unsigned i = 0; i < 4; i++)
        e[i] = load_portable(p + 2 * i);
}

static inline void store4_portable(uint64_t *p, const struct gf128_element e[4])
{
    for (unsigned i = 0; i < 4; i++)
        store_portable(p + 2 * i, e[i]);
}

#define NAME(x) portable_##x
#define TARGET
#define VEC                struct gf128_element
#define LANES              1
#define LOAD               load_portable
#define STORE              store_portable
#define ADD                element_add
#define SPREAD(e)          (e)
#define MULTIPLY           multiply_portable
#define LOAD4              load4_portable
#define STORE4             store4_portable
#define FACTOR(v)          ((struct portable_factor){v})
#define LANE_FACTORS(a, b) ((struct gf128_element){0})
#include "keypool/post/fft128_template.h"

/* ---- PCLMULQDQ ---------------------------------------------------------------------------------- */

#undef NAME
#undef TARGET
#undef VEC
#undef LANES
#undef LOAD
#undef STORE
#undef ADD
#undef SPREAD
#undef MULTIPLY
#undef LOAD4
#undef STORE4
#undef FACTOR
#undef LANE_FACTORS

/* With w x^64 at hand a product is a.lo w + a.hi (w x^64): four word products that make 192 bits, of
 * which one more word product reduces the uppermost 64. */
#define REDUCTION 0x87
#define TARGET    __attribute__((target("pclmul,avx")))

struct pclmul_factor {
    __m128i w, shifted;
};

TARGET static inline __m128i load_pclmul(const uint64_t *p)
{
    return _mm_loadu_si128((const __m128i_u *)p);
}

TARGET static inline void store_pclmul(uint64_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i_u *)p, v);
}

TARGET static inline struct pclmul_factor factor_pclmul(__m128i w)
{
    const __m128i reduction = _mm_cvtsi64_si128(REDUCTION);
    return (struct pclmul_factor){
        w, _mm_xor_si128(_mm_slli_si128(w, 8), _mm_clmulepi64_si128(w, reduction, 0x01))};
}

TARGET static inline __m128i multiply_pclmul(__m128i a, struct pclmul_factor f)
{
    const __m128i reduction = _mm_cvtsi64_si128(REDUCTION);
    __m128i low =
        _mm_xor_si128(_mm_clmulepi64_si128(a, f.w, 0x00), _mm_clmulepi64_si128(a, f.shifted, 0x01));
    __m128i high =
        _mm_xor_si128(_mm_clmulepi64_si128(a, f.w, 0x10), _mm_clmulepi64_si128(a, f.shifted, 0x11));
    low = _mm_xor_si128(low, _mm_slli_si128(high, 8));
    return _mm_xor_si128(low, _mm_clmulepi64_si128(high, reduction, 0x01));
}

TARGET static inline void load4_pclmul(const uint64_t *p, __m128i e[4])
{
    for (unsigned i = 0; i < 4; i++)
        e[i] = load_pclmul(p + 2 * i);
}

TARGET static inline void store4_pclmul(uint64_t *p, const __m128i e[4])
{
    for (unsigned i = 0; i < 4; i++)
        store_pclmul(p + 2 * i, e[i]);
}

#define NAME(x)            pclmul_##x
#define VEC                __m128i
#define LANES              1
#define LOAD               load_pclmul
#define STORE              store_pclmul
#define ADD                _mm_xor_si128
#define SPREAD(e)          _mm_set_epi64x((long long)(e).hi, (long long)(e).lo)
#define MULTIPLY           multiply_pclmul
#define LOAD4              load4_pclmul
#define STORE4             store4_pclmul
#define FACTOR             factor_pclmul
#define LANE_FACTORS(a, b) _mm_setzero_si128()
#include "keypool/post/fft128_template.h"

/* ---- VPCLMULQDQ --------------------------------------------------------------------------------- */

#undef NAME
#undef TARGET
#undef VEC
#undef LANES
#undef LOAD
#undef STORE
#undef ADD
#undef SPREAD
#undef MULTIPLY
#undef LOAD4
#undef STORE4
#undef FACTOR
#undef LANE_FACTORS

#define TARGET __attribute__((target("vpclmulqdq,avx512f,avx512bw")))

struct vpclmul_factor {
    __m512i w, shifted;
};

TARGET static inline __m512i load_vpclmul(const uint64_t *p)
{
    return _mm512_loadu_si512(p);
}

TARGET static inline void store_vpclmul(uint64_t *p, __m512i v)
{
    _mm512_storeu_si512(p, v);
}

TARGET static inline __m512i spread_vpclmul(struct gf128_element e)
{
    return _mm512_broadcast_i32x4(_mm_set_epi64x((long long)e.hi, (long long)e.lo));
}

TARGET static inline struct vpclmul_factor factor_vpclmul(__m512i w)
{
    const __m512i reduction = _mm512_set1_epi64(REDUCTION);
    return (struct vpclmul_factor){w,
        _mm512_xor_si512(_mm512_bslli_epi128(w, 8), _mm512_clmulepi64_epi128(w, reduction, 0x01))};
}

TARGET static inline __m512i multiply_vpclmul(__m512i a, struct vpclmul_factor f)
{
    const __m512i reduction = _mm512_set1_epi64(REDUCTION);
    __m512i low = _mm512_xor_si512(
        _mm512_clmulepi64_epi128(a, f.w, 0x00), _mm512_clmulepi64_epi128(a, f.shifted, 0x01));
    __m512i high = _mm512_xor_si512(
        _mm512_clmulepi64_epi128(a, f.w, 0x10), _mm512_clmulepi64_epi128(a, f.shifted, 0x11));
    low = _mm512_xor_si512(low, _mm512_bslli_epi128(high, 8));
    return _mm512_xor_si512(low, _mm512_clmulepi64_epi128(high, reduction, 0x01));
}

/* A 4 x 4 transposition of elements, its own inverse. */
TARGET static inline void transpose_vpclmul(__m512i e[4])
{
    __m512i a = _mm512_shuffle_i64x2(e[0], e[1], 0x44);
    __m512i b = _mm512_shuffle_i64x2(e[0], e[1], 0xee);
    __m512i c = _mm512_shuffle_i64x2(e[2], e[3], 0x44);
    __m512i d = _mm512_shuffle_i64x2(e[2], e[3], 0xee);
    e[0] = _mm512_shuffle_i64x2(a, c, 0x88);
    e[1] = _mm512_shuffle_i64x2(a, c, 0xdd);
    e[2] = _mm512_shuffle_i64x2(b, d, 0x88);
    e[3] = _mm512_shuffle_i64x2(b, d, 0xdd);
}

TARGET static inline void load4_vpclmul(const uint64_t *p, __m512i e[4])
{
    for (unsigned i = 0; i < 4; i++)
        e[i] = load_vpclmul(p + 8 * i);
    transpose_vpclmul(e);
}

TARGET static inline void store4_vpclmul(uint64_t *p, __m512i e[4])
{
    transpose_vpclmul(e);
    for (unsigned i = 0; i < 4; i++)
        store_vpclmul(p + 8 * i, e[i]);
}

TARGET static inline __m512i lane_factors(struct gf128_element a, struct gf128_element b)
{
    struct gf128_element lanes[4] = {{0}, a, b, element_add(a, b)};
    return _mm512_loadu_si512(lanes);
}

#define NAME(x)      vpclmul_##x
#define VEC          __m512i
#define LANES        4
#define LOAD         load_vpclmul
#define STORE        store_vpclmul
#define ADD          _mm512_xor_si512
#define SPREAD       spread_vpclmul
#define MULTIPLY     multiply_vpclmul
#define LOAD4        load4_vpclmul
#define STORE4       store4_vpclmul
#define FACTOR       factor_vpclmul
#define LANE_FACTORS lane_factors
#include "keypool/post/fft128_template.h"

/* ---- choice ------------------------------------------------------------------------------------- */

enum fft128_kernel fft128_best(void)
{
    if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512bw"))
        return FFT128_VPCLMUL;
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx") ? FFT128_PCLMUL
                                                                             : FFT128_PORTABLE;
}

const struct fft128_ops *fft128_ops(enum fft128_kernel kernel)
{
    return kernel == FFT128_VPCLMUL  ? &vpclmul_ops
           : kernel == FFT128_PCLMUL ? &pclmul_ops
                                     : &portable_ops;
}
