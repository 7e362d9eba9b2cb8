/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel of fft128, included once for each, with
 *   NAME(x)            names of this kernel
 *   TARGET             attribute of its functions
 *   VEC, LANES         a register of so many elements
 *   LOAD, STORE, ADD, SPREAD(element), MULTIPLY(a, struct NAME(factor))
 *   LOAD4, STORE4      element i of LANES blocks of four in register i
 *   FACTOR(vec)        struct NAME(factor) of it
 *   LANE_FACTORS(a, b) 0, a, b, a + b in the lanes, or 0 if there is one
 */

TARGET static inline void NAME(down_step)(VEC *p, VEC *q, struct NAME(factor) w)
{
    *p = ADD(*p, MULTIPLY(*q, w));
    *q = ADD(*q, *p);
}

TARGET static inline void NAME(up_step)(VEC *p, VEC *q, struct NAME(factor) w)
{
    *q = ADD(*q, *p);
    *p = ADD(*p, MULTIPLY(*q, w));
}

TARGET static void NAME(add)(uint64_t *out, const uint64_t *in, size_t words)
{
    size_t i = 0;
    for (; i + 2 * LANES <= words; i += 2 * LANES)
        STORE(out + i, ADD(LOAD(out + i), LOAD(in + i)));
    for (; i < words; i++)
        out[i] ^= in[i];
}

TARGET static void NAME(down)(uint64_t *p, uint64_t *q, size_t n, struct gf128_element w)
{
    if ((w.lo | w.hi) == 0) {
        NAME(add)(q, p, 2 * n);
        return;
    }
    struct NAME(factor) factor = FACTOR(SPREAD(w));
    for (size_t i = 0; i < 2 * n; i += 2 * LANES) {
        VEC a = LOAD(p + i);
        VEC b = LOAD(q + i);
        NAME(down_step)(&a, &b, factor);
        STORE(p + i, a);
        STORE(q + i, b);
    }
}

TARGET static void NAME(up)(uint64_t *p, uint64_t *q, size_t n, struct gf128_element w)
{
    if ((w.lo | w.hi) == 0) {
        NAME(add)(q, p, 2 * n);
        return;
    }
    struct NAME(factor) factor = FACTOR(SPREAD(w));
    for (size_t i = 0; i < 2 * n; i += 2 * LANES) {
        VEC a = LOAD(p + i);
        VEC b = LOAD(q + i);
        NAME(up_step)(&a, &b, factor);
        STORE(p + i, a);
        STORE(q + i, b);
    }
}

/* The factors of LANES blocks of four and of their two pairs each. */
struct NAME(tail) {
    VEC outer_lanes, inner_lanes, second;
    struct gf128_element outer, inner;
    uint64_t group;
};

TARGET static inline struct NAME(tail) NAME(tail_begin)(uint64_t m)
{
    const struct gf128_element *b = fft128_cantor;
    return (struct NAME(tail)){.outer_lanes = LANE_FACTORS(b[1], b[2]),
        .inner_lanes = LANE_FACTORS(b[2], b[3]),
        .second = SPREAD(b[1]),
        .outer = fft128_factor(m),
        .inner = fft128_factor(2 * m),
        .group = m / LANES};
}

TARGET static inline void NAME(tail_factors)(struct NAME(tail) * t, struct NAME(factor) w[3])
{
    const unsigned shift = LANES == 4 ? 2 : 0;
    VEC inner = ADD(SPREAD(t->inner), t->inner_lanes);
    w[0] = FACTOR(ADD(SPREAD(t->outer), t->outer_lanes));
    w[1] = FACTOR(inner);
    w[2] = FACTOR(ADD(inner, t->second));
    t->outer = element_add(t->outer, fft128_factor_step(t->group, shift));
    t->inner = element_add(t->inner, fft128_factor_step(t->group, shift + 1));
    t->group++;
}

TARGET static void NAME(down_tail)(uint64_t *a, size_t n, uint64_t m, bool exchanged)
{
    struct NAME(tail) tail = NAME(tail_begin)(m);
    struct NAME(factor) w[3];
    for (size_t i = 0; i < 2 * n; i += 8 * LANES) {
        VEC e[4];
        LOAD4(a + i, e);
        NAME(tail_factors)(&tail, w);
        if (exchanged) {
            NAME(down_step)(&e[2], &e[0], w[0]);
            NAME(down_step)(&e[3], &e[1], w[0]);
            NAME(down_step)(&e[1], &e[0], w[1]);
            NAME(down_step)(&e[3], &e[2], w[2]);
        } else {
            NAME(down_step)(&e[0], &e[2], w[0]);
            NAME(down_step)(&e[1], &e[3], w[0]);
            NAME(down_step)(&e[0], &e[1], w[1]);
            NAME(down_step)(&e[2], &e[3], w[2]);
        }
        STORE4(a + i, e);
    }
}

TARGET static void NAME(up_tail)(uint64_t *a, size_t n, uint64_t m, bool exchanged)
{
    struct NAME(tail) tail = NAME(tail_begin)(m);
    struct NAME(factor) w[3];
    for (size_t i = 0; i < 2 * n; i += 8 * LANES) {
        VEC e[4];
        LOAD4(a + i, e);
        NAME(tail_factors)(&tail, w);
        if (exchanged) {
            NAME(up_step)(&e[1], &e[0], w[1]);
            NAME(up_step)(&e[3], &e[2], w[2]);
            NAME(up_step)(&e[2], &e[0], w[0]);
            NAME(up_step)(&e[3], &e[1], w[0]);
        } else {
            NAME(up_step)(&e[0], &e[1], w[1]);
            NAME(up_step)(&e[2], &e[3], w[2]);
            NAME(up_step)(&e[0], &e[2], w[0]);
            NAME(up_step)(&e[1], &e[3], w[0]);
        }
        STORE4(a + i, e);
    }
}

TARGET static void NAME(multiply_add)(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < 2 * n; i += 2 * LANES) {
        VEC product = MULTIPLY(LOAD(a + i), FACTOR(LOAD(b + i)));
        STORE(sum + i, ADD(LOAD(sum + i), product));
    }
}

static const struct fft128_ops NAME(ops) = {
    NAME(down), NAME(up), NAME(down_tail), NAME(up_tail), NAME(multiply_add), NAME(add)};
