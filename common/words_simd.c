/* SPDX-License-Identifier: Apache-2.0 */
#include "common/words_kernels.h"

#include "common/util.h"

#if defined(__x86_64__)

#define TARGET     "sse2"
#define BYTES      16
#define NAME(verb) sse2_8_##verb
#define LANE       uint8_t
#include "common/words_simd.inc"
#define NAME(verb) sse2_16_##verb
#define LANE       uint16_t
#include "common/words_simd.inc"
#define NAME(verb) sse2_32_##verb
#define LANE       uint32_t
#include "common/words_simd.inc"
#undef TARGET
#undef BYTES

#define TARGET     "avx2"
#define BYTES      32
#define NAME(verb) avx2_8_##verb
#define LANE       uint8_t
#include "common/words_simd.inc"
#define NAME(verb) avx2_16_##verb
#define LANE       uint16_t
#include "common/words_simd.inc"
#define NAME(verb) avx2_32_##verb
#define LANE       uint32_t
#include "common/words_simd.inc"
#undef TARGET
#undef BYTES

#define TARGET     "avx512f,avx512bw"
#define BYTES      64
#define NAME(verb) avx512_8_##verb
#define LANE       uint8_t
#include "common/words_simd.inc"
#define NAME(verb) avx512_16_##verb
#define LANE       uint16_t
#include "common/words_simd.inc"
#define NAME(verb) avx512_32_##verb
#define LANE       uint32_t
#include "common/words_simd.inc"
#undef TARGET
#undef BYTES

#define KERNEL(isa)                                                                                \
    {                                                                                              \
#isa, {isa##_8_add, isa##_16_add, isa##_32_add },                                          \
        {                                                                                          \
            isa##_8_sum, isa##_16_sum, isa##_32_sum                                                \
        }                                                                                          \
    }

static const struct words_kernel kernels[] = {KERNEL(avx512), KERNEL(avx2), KERNEL(sse2)};

/* How many of the list's first entries this processor lacks: a better one has what a lesser has. */
static size_t lacking(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        return 0;
    return __builtin_cpu_supports("avx2") ? 1 : 2;
}

const struct words_kernel *words_kernel_at(size_t i)
{
    i += lacking();
    return i < ARRAY_SIZE(kernels) ? &kernels[i] : NULL;
}

#else

const struct words_kernel *words_kernel_at(size_t i)
{
    return NULL;
}

#endif

const struct words_kernel *words_kernel_best(void)
{
    return words_kernel_at(0);
}
