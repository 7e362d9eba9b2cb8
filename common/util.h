/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers that every module may use: cleanup attributes, array sizes, little-endian integers. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* `cleanup(fn)` runs fn(&variable) at the end of the scope; `steal(&p)` returns p and leaves NULL. */
#define cleanup(fn) __attribute__((cleanup(fn)))
#define steal(p)                                                                                   \
    ({                                                                                             \
        typeof(*(p)) stolen_ = *(p);                                                               \
        *(p) = NULL;                                                                               \
        stolen_;                                                                                   \
    })

static inline void freep(void *p)
{
    free(*(void **)p);
}
#define auto_free cleanup(freep)

static inline uint32_t get_u32le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_u64le(const uint8_t *p)
{
    return get_u32le(p) | (uint64_t)get_u32le(p + 4) << 32;
}

static inline void put_u32le(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_u64le(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}
