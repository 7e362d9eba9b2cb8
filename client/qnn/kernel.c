/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled once per instruction set, with QNN_LANES (doubles in a register) and QNN_LEVEL (suffix of
 * the exported name) from meson.build. The compiler's vector types keep one source for all levels. */
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

/* Two neighbouring bits at once, so that each amplitude is read and written half as often. */
INLINE void rotate_four(struct amplitude a[4], double low, double high)
{
    rotate(&a[0], &a[1], low);
    rotate(&a[2], &a[3], low);
    rotate(&a[0], &a[2], high);
    rotate(&a[1], &a[3], high);
}

INLINE void load_four(struct amplitude a[4], const struct amplitude *from, uint32_t stride)
{
    for (uint32_t j = 0; j < 4; j++)
        a[j] = from[j * stride];
}

INLINE void store_four(struct amplitude *to, uint32_t stride, const struct amplitude a[4])
{
    for (uint32_t j = 0; j < 4; j++)
        to[j * stride] = a[j];
}

/* Bits 2 and up of a layer; direction -1 undoes it. */
static void rotate_upper(
    const struct qnn_plan *p, uint32_t layer, struct amplitude *state, double direction)
{
    const double *t = p->tangent + (size_t)layer * p->circuit.qubits;
    uint32_t bit = 2;
    for (; bit + 1 < p->circuit.qubits; bit += 2) {
        uint32_t stride = 1u << bit;
        double low = direction * t[bit], high = direction * t[bit + 1];
        for (uint32_t block = 0; block < p->amplitudes; block += 4 * stride) {
            for (uint32_t k = block; k < block + stride; k++) {
                struct amplitude a[4];
                load_four(a, state + k, stride);
                rotate_four(a, low, high);
                store_four(state + k, stride, a);
            }
        }
    }
    if (bit < p->circuit.qubits) {
        uint32_t half = p->amplitudes / 2;
        double top = direction * t[bit];
        for (uint32_t k = 0; k < half; k++)
            rotate(&state[k], &state[k + half], top);
    }
}

/* Diagonal (read through the ring) and rotations of one layer: from -> to. */
static void enter_layer(const struct qnn_plan *p, uint32_t layer,
    const struct amplitude *restrict from, struct amplitude *restrict to)
{
    const uint16_t *source = p->source + (size_t)layer * p->amplitudes;
    const double *diagonal = p->diagonal + (size_t)layer * p->amplitudes * 2;
    const double *t = p->tangent + (size_t)layer * p->circuit.qubits;
    double low = t[0], high = t[1];
    for (uint32_t k = 0; k < p->amplitudes; k += 4) {
        struct amplitude a[4];
        for (uint32_t j = 0; j < 4; j++)
            a[j] = multiply(from[source[k + j]], diagonal[2 * (k + j)], diagonal[2 * (k + j) + 1]);
        rotate_four(a, low, high);
        store_four(to + k, 1, a);
    }
    rotate_upper(p, layer, to, 1);
}

/* The mirror image: from a layer's end to the end of the one before; `from` is destroyed. */
static void leave_layer(const struct qnn_plan *p, uint32_t layer, struct amplitude *restrict from,
    struct amplitude *restrict to)
{
    const uint16_t *source = p->source + (size_t)layer * p->amplitudes;
    const double *diagonal = p->diagonal + (size_t)layer * p->amplitudes * 2;
    const double *t = p->tangent + (size_t)layer * p->circuit.qubits;
    double low = -t[0], high = -t[1];
    rotate_upper(p, layer, from, -1);
    for (uint32_t k = 0; k < p->amplitudes; k += 4) {
        struct amplitude a[4];
        load_four(a, from + k, 1);
        rotate_four(a, low, high);
        for (uint32_t j = 0; j < 4; j++)
            to[source[k + j]] = multiply(a[j], diagonal[2 * (k + j)], -diagonal[2 * (k + j) + 1]);
    }
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
            load_four(l, lambda + k, stride);
            load_four(f, phi + k, stride);
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

/* Transposes the rows into lanes. */
static void load_block(const struct qnn_plan *p, const struct qnn_block *b, struct amplitude *to)
{
    double *out = (double *)to;
    for (uint32_t lane = 0; lane < QNN_LANES; lane++) {
        const double *re = b->rows[lane];
        for (uint32_t k = 0; k < p->amplitudes; k++) {
            out[2 * k * QNN_LANES + lane] = re ? re[k] : 0;
            out[(2 * k + 1) * QNN_LANES + lane] = re ? re[p->amplitudes + k] : 0;
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
