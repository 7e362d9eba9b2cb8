/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled once per instruction set, with QNN_LANES (doubles in a register), QNN_GROUP (qubits whose
 * amplitudes fit in the registers at once) and QNN_LEVEL (suffix of the exported name) from meson.build.
 * The compiler's vector types keep one source for all levels. */
#include "client/qnn/kernel.h"

#include <string.h>

typedef double lanes __attribute__((vector_size(QNN_LANES * sizeof(double))));

struct amplitude {
    lanes re, im;
};

/* Im <lambda| P |phi> of one qubit, in sums that do not wait for each other. */
struct moment {
    lanes x_plus, x_minus, y_plus, y_minus;
};

#define INLINE static inline __attribute__((always_inline))

/* Loops over a group must vanish before its amplitudes can live in registers. (gcc's sanitizers refuse
 * the wish: QNN_UNROLL is 0 there.) */
#if !QNN_UNROLL
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE struct amplitude multiply(struct amplitude a, double re, double im)
{
    return (struct amplitude){a.re * re - a.im * im, a.im * re + a.re * im};
}

/* (1 -t; t 1) on one pair. */
INLINE void rotate(struct amplitude *zero, struct amplitude *one, double t)
{
    struct amplitude a = *zero, b = *one;
    *zero = (struct amplitude){a.re - t * b.re, a.im - t * b.im};
    *one = (struct amplitude){b.re + t * a.re, b.im + t * a.im};
}

/* Neighbouring bits go together, so that each amplitude is read and written less often: as many as the
 * registers hold. `bits` is a constant wherever these are called, and the loops are unrolled. */
INLINE void load_group(
    struct amplitude *a, unsigned bits, const struct amplitude *from, uint32_t stride)
{
    UNROLL
    for (uint32_t j = 0; j < 1u << bits; j++)
        a[j] = from[j * stride];
}

INLINE void store_group(
    struct amplitude *to, uint32_t stride, const struct amplitude *a, unsigned bits)
{
    UNROLL
    for (uint32_t j = 0; j < 1u << bits; j++)
        to[j * stride] = a[j];
}

INLINE void rotate_group(struct amplitude *a, unsigned bits, const double *t)
{
    UNROLL
    for (uint32_t b = 0; b < bits; b++)
        UNROLL
    for (uint32_t j = 0; j < 1u << bits; j++)
        if (!(j >> b & 1))
            rotate(&a[j], &a[j | 1u << b], t[b]);
}

/* Tangents of the bits from `bit` on; direction -1 undoes the rotations. */
INLINE void take_tangents(double *t, unsigned bits, const struct qnn_plan *p, uint32_t layer,
    uint32_t bit, double direction)
{
    UNROLL
    for (uint32_t b = 0; b < bits; b++)
        t[b] = direction * p->tangent[(size_t)layer * p->circuit.qubits + bit + b];
}

INLINE void rotate_bits(const struct qnn_plan *p, uint32_t layer, uint32_t bit, unsigned bits,
    struct amplitude *state, double direction)
{
    uint32_t stride = 1u << bit;
    double t[QNN_GROUP];
    take_tangents(t, bits, p, layer, bit, direction);
    for (uint32_t block = 0; block < p->amplitudes; block += stride << bits) {
        for (uint32_t k = block; k < block + stride; k++) {
            struct amplitude a[1 << QNN_GROUP];
            load_group(a, bits, state + k, stride);
            rotate_group(a, bits, t);
            store_group(state + k, stride, a, bits);
        }
    }
}

/* How many of the `left` bits the next group takes: no group of one where it can be helped. */
INLINE unsigned group_size(uint32_t left)
{
    return left >= QNN_GROUP && left != QNN_GROUP + 1 ? QNN_GROUP : left < 2 ? left : 2;
}

/* All bits from `bit` on. */
static void rotate_rest(const struct qnn_plan *p, uint32_t layer, uint32_t bit,
    struct amplitude *state, double direction)
{
    while (bit < p->circuit.qubits) {
        unsigned bits = group_size(p->circuit.qubits - bit);
        if (bits == QNN_GROUP)
            rotate_bits(p, layer, bit, QNN_GROUP, state, direction);
        else if (bits == 2)
            rotate_bits(p, layer, bit, 2, state, direction);
        else
            rotate_bits(p, layer, bit, 1, state, direction);
        bit += bits;
    }
}

/* Diagonal, read through the ring, and the first bits' rotations. */
INLINE void enter_bits(const struct qnn_plan *p, uint32_t layer, unsigned bits,
    const struct amplitude *restrict from, struct amplitude *restrict to)
{
    const uint16_t *source = p->source + (size_t)layer * p->amplitudes;
    const double *diagonal = p->diagonal + (size_t)layer * p->amplitudes * 2;
    double t[QNN_GROUP];
    take_tangents(t, bits, p, layer, 0, 1);
    for (uint32_t k = 0; k < p->amplitudes; k += 1u << bits) {
        struct amplitude a[1 << QNN_GROUP];
        UNROLL
        for (uint32_t j = 0; j < 1u << bits; j++)
            a[j] = multiply(from[source[k + j]], diagonal[2 * (k + j)], diagonal[2 * (k + j) + 1]);
        rotate_group(a, bits, t);
        store_group(to + k, 1, a, bits);
    }
}

/* The mirror image. */
INLINE void leave_bits(const struct qnn_plan *p, uint32_t layer, unsigned bits,
    const struct amplitude *restrict from, struct amplitude *restrict to)
{
    const uint16_t *source = p->source + (size_t)layer * p->amplitudes;
    const double *diagonal = p->diagonal + (size_t)layer * p->amplitudes * 2;
    double t[QNN_GROUP];
    take_tangents(t, bits, p, layer, 0, -1);
    for (uint32_t k = 0; k < p->amplitudes; k += 1u << bits) {
        struct amplitude a[1 << QNN_GROUP];
        load_group(a, bits, from + k, 1);
        rotate_group(a, bits, t);
        UNROLL
        for (uint32_t j = 0; j < 1u << bits; j++)
            to[source[k + j]] = multiply(a[j], diagonal[2 * (k + j)], -diagonal[2 * (k + j) + 1]);
    }
}

/* One layer: from -> to. */
static void enter_layer(const struct qnn_plan *p, uint32_t layer,
    const struct amplitude *restrict from, struct amplitude *restrict to)
{
    unsigned bits = group_size(p->circuit.qubits);
    if (bits == QNN_GROUP)
        enter_bits(p, layer, QNN_GROUP, from, to);
    else
        enter_bits(p, layer, 2, from, to);
    rotate_rest(p, layer, bits, to, 1);
}

/* From a layer's end to the end of the one before; `from` is destroyed. */
static void leave_layer(const struct qnn_plan *p, uint32_t layer, struct amplitude *restrict from,
    struct amplitude *restrict to)
{
    unsigned bits = group_size(p->circuit.qubits);
    rotate_rest(p, layer, bits, from, -1);
    if (bits == QNN_GROUP)
        leave_bits(p, layer, QNN_GROUP, from, to);
    else
        leave_bits(p, layer, 2, from, to);
}

INLINE void add_pair(struct moment *m, const struct amplitude *l0, const struct amplitude *l1,
    const struct amplitude *f0, const struct amplitude *f1)
{
    m->x_plus += l0->re * f1->im;
    m->x_minus += l0->im * f1->re;
    m->y_plus += l1->re * f0->re;
    m->y_minus += l0->re * f1->re;
    m->x_plus += l1->re * f0->im;
    m->x_minus += l1->im * f0->re;
    m->y_plus += l1->im * f0->im;
    m->y_minus += l0->im * f1->im;
}

/* moments: [qubit][x, y, z]; the least significant bit is the last qubit. */
INLINE lanes *moment_at(lanes *moments, uint32_t qubits, uint32_t bit)
{
    return moments + (size_t)(qubits - 1 - bit) * 3;
}

INLINE void put_moment(lanes *to, const struct moment *m)
{
    to[0] += m->x_plus - m->x_minus;
    to[1] += m->y_plus - m->y_minus;
}

/* Bits `bit` and `bit + 1`. */
INLINE void moments_two(const struct qnn_plan *p, const struct amplitude *lambda,
    const struct amplitude *phi, uint32_t bit, lanes *moments)
{
    uint32_t stride = 1u << bit;
    struct moment low = {0}, high = {0};
    for (uint32_t block = 0; block < p->amplitudes; block += 4 * stride) {
        for (uint32_t k = block; k < block + stride; k++) {
            struct amplitude l[4], f[4];
            load_group(l, 2, lambda + k, stride);
            load_group(f, 2, phi + k, stride);
            add_pair(&low, &l[0], &l[1], &f[0], &f[1]);
            add_pair(&high, &l[0], &l[2], &f[0], &f[2]);
            add_pair(&low, &l[2], &l[3], &f[2], &f[3]);
            add_pair(&high, &l[1], &l[3], &f[1], &f[3]);
        }
    }
    put_moment(moment_at(moments, p->circuit.qubits, bit), &low);
    put_moment(moment_at(moments, p->circuit.qubits, bit + 1), &high);
}

static void moments_top(const struct qnn_plan *p, const struct amplitude *lambda,
    const struct amplitude *phi, uint32_t bit, lanes *moments)
{
    uint32_t half = p->amplitudes / 2;
    struct moment top = {0};
    for (uint32_t k = 0; k < half; k++)
        add_pair(&top, &lambda[k], &lambda[k + half], &phi[k], &phi[k + half]);
    put_moment(moment_at(moments, p->circuit.qubits, bit), &top);
}

/* Z of all qubits from w_k = Im(lambda_k* phi_k): halve the table bit by bit. */
static void moments_z(const struct qnn_plan *p, const struct amplitude *lambda,
    const struct amplitude *phi, lanes *w, lanes *moments)
{
    for (uint32_t k = 0; k < p->amplitudes; k++)
        w[k] = lambda[k].re * phi[k].im - lambda[k].im * phi[k].re;
    for (uint32_t bit = 0; bit < p->circuit.qubits; bit++) {
        lanes sum = {0};
        for (uint32_t k = 0; k < p->amplitudes >> (bit + 1); k++) {
            lanes zero = w[2 * k], one = w[2 * k + 1];
            sum += zero - one;
            w[k] = zero + one;
        }
        moment_at(moments, p->circuit.qubits, bit)[2] += sum;
    }
}

static void add_moments(const struct qnn_plan *p, uint32_t layer, const struct amplitude *lambda,
    const struct amplitude *phi, lanes *w, lanes *all)
{
    uint32_t qubits = p->circuit.qubits, bit = 0;
    lanes *moments = all + (size_t)layer * qubits * 3;
    for (; bit + 1 < qubits; bit += 2)
        moments_two(p, lambda, phi, bit, moments);
    if (bit < qubits)
        moments_top(p, lambda, phi, bit, moments);
    /* At the end of the last layer lambda is a real multiple of phi: Z has no part in it. */
    if (layer + 1 < p->circuit.layers)
        moments_z(p, lambda, phi, w, moments);
}

/* Exchanges the upper half of every 2 `half` lanes of a with the lower half of b's. */
INLINE void exchange(lanes *a, lanes *b, unsigned half)
{
    lanes x = *a, y = *b;
#if QNN_LANES == 8
    if (half == 4) {
        *a = __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11);
        *b = __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15);
    } else if (half == 2) {
        *a = __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13);
        *b = __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
    } else {
        *a = __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14);
        *b = __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
    }
#elif QNN_LANES == 4
    if (half == 2) {
        *a = __builtin_shufflevector(x, y, 0, 1, 4, 5);
        *b = __builtin_shufflevector(x, y, 2, 3, 6, 7);
    } else {
        *a = __builtin_shufflevector(x, y, 0, 4, 2, 6);
        *b = __builtin_shufflevector(x, y, 1, 5, 3, 7);
    }
#else
    *a = __builtin_shufflevector(x, y, 0, 2);
    *b = __builtin_shufflevector(x, y, 1, 3);
#endif
}

/* A square of rows into a square of columns. */
INLINE void transpose(lanes square[QNN_LANES])
{
    UNROLL
    for (unsigned half = QNN_LANES / 2; half > 0; half /= 2)
        UNROLL
    for (unsigned i = 0; i < QNN_LANES; i++)
        if (!(i & half))
            exchange(&square[i], &square[i | half], half);
}

/* The rows' numbers, one state to a lane. */
static void load_block(const struct qnn_plan *p, const struct qnn_block *b, struct amplitude *to)
{
    for (uint32_t at = 0; at < 2 * p->amplitudes; at += QNN_LANES) {
        lanes square[QNN_LANES];
        UNROLL
        for (uint32_t lane = 0; lane < QNN_LANES; lane++)
            memcpy(&square[lane], b->rows[lane] + at, sizeof(lanes));
        transpose(square);
        UNROLL
        for (uint32_t j = 0; j < QNN_LANES; j++) {
            uint32_t k = at + j;
            *(k < p->amplitudes ? &to[k].re : &to[k - p->amplitudes].im) = square[j];
        }
    }
}

/* The state after each layer's rotations: states[1 + layer]; states[0] holds the input. */
INLINE struct amplitude *state_at(const struct qnn_plan *p, double *work, uint32_t i)
{
    return (struct amplitude *)work + (size_t)i * p->amplitudes;
}

static lanes run_forward(const struct qnn_plan *p, const struct qnn_block *b, double *work)
{
    load_block(p, b, state_at(p, work, 0));
    for (uint32_t layer = 0; layer < p->circuit.layers; layer++)
        enter_layer(p, layer, state_at(p, work, layer), state_at(p, work, layer + 1));
    const struct amplitude *phi = state_at(p, work, p->circuit.layers);
    lanes z = {0};
    for (uint32_t k = 0; k < p->amplitudes; k++)
        z += p->sign[k] * (phi[k].re * phi[k].re + phi[k].im * phi[k].im);
    return z;
}

static void expect(const struct qnn_plan *p, const struct qnn_block *b, double *work, double *z)
{
    lanes out = run_forward(p, b, work);
    memcpy(z, &out, sizeof(out));
}

static void gradient(
    const struct qnn_plan *p, const struct qnn_block *b, double *work, double *z, double *moments)
{
    uint32_t layers = p->circuit.layers;
    lanes out = run_forward(p, b, work), target;
    memcpy(z, &out, sizeof(out));
    memcpy(&target, b->target, sizeof(target));
    lanes slope = b->slope * (out - target);
    const struct amplitude *phi = state_at(p, work, layers);
    struct amplitude *lambda = state_at(p, work, 0); /* the input is not needed any more */
    for (uint32_t k = 0; k < p->amplitudes; k++) {
        lanes factor = slope * p->sign[k];
        lambda[k] = (struct amplitude){factor * phi[k].re, factor * phi[k].im};
    }
    lanes *w = (lanes *)state_at(p, work, layers + 1);
    for (uint32_t layer = layers - 1;; layer--) {
        struct amplitude *here = state_at(p, work, layer + 1);
        add_moments(p, layer, lambda, here, w, (lanes *)moments);
        if (layer == 0)
            return;
        leave_layer(p, layer, lambda, here); /* phi of this layer has served */
        lambda = here;
    }
}

#define NAME_(level) qnn_kernel_##level
#define NAME(level)  NAME_(level)
#define TEXT_(level) #level
#define TEXT(level)  TEXT_(level)

extern const struct qnn_kernel NAME(QNN_LEVEL);
const struct qnn_kernel NAME(QNN_LEVEL) = {TEXT(QNN_LEVEL), QNN_LANES, expect, gradient};
