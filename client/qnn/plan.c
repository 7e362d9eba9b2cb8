/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/plan.h"

#include "client/qnn/cplx.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

/* One qubit's unitary, taken apart. */
struct parts {
    double complex e; /* e1 / e0: a common phase has no consequence */
    double complex d; /* d1, d0 being 1 */
    double cosine, tangent;
    bool flip;
};

int qnn_plan_init(struct qnn_plan *p, const struct qnn_circuit *c, struct err *e)
{
    memset(p, 0, sizeof(*p));
    int r = qnn_circuit_check(c, e);
    if (r < 0)
        return r;
    size_t n = qnn_circuit_amplitudes(c), layers = c->layers;
    p->circuit = *c;
    p->amplitudes = (uint32_t)n;
    p->diagonal = calloc(layers * n * 2, sizeof(double));
    p->tangent = calloc(layers * c->qubits, sizeof(double));
    p->source = calloc(layers * n, sizeof(uint16_t));
    p->sign = calloc(n, sizeof(double));
    p->axes = calloc((size_t)qnn_circuit_parameters(c) * 3, sizeof(double));
    p->unring = calloc(n, sizeof(uint16_t));
    p->e = calloc(n, sizeof(double complex));
    p->d = calloc(n, sizeof(double complex));
    if (!p->diagonal || !p->tangent || !p->source || !p->sign || !p->axes || !p->unring || !p->e ||
        !p->d) {
        qnn_plan_deinit(p);
        return err_set(e, -ENOMEM, "circuit: no memory");
    }
    uint32_t readout = qnn_qubit_bit(c->qubits, c->readout);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t image = qnn_ring(c->qubits, k);
        p->unring[image] = (uint16_t)k;
        p->sign[k] = image & readout ? -1 : 1;
    }
    return 0;
}

void qnn_plan_deinit(struct qnn_plan *p)
{
    free(p->diagonal);
    free(p->tangent);
    free(p->source);
    free(p->sign);
    free(p->axes);
    free(p->unring);
    free(p->e);
    free(p->d);
    memset(p, 0, sizeof(*p));
}

/* a b; -b* a*: a product of rotations, cheaper than a general matrix. */
struct turn {
    double complex a, b;
};

static inline struct turn turn_of(enum qnn_axis axis, double angle)
{
    double s, c;
    sincos(angle / 2, &s, &c);
    switch (axis) {
    case QNN_X:
        return (struct turn){c, cplx(0, -s)};
    case QNN_Y:
        return (struct turn){c, s};
    case QNN_Z:
    default:
        return (struct turn){cplx(c, -s), 0};
    }
}

/* First v, then u. */
static inline struct turn turn_product(struct turn u, struct turn v)
{
    return (struct turn){
        cplx_mul(u.a, v.a) - cplx_mul(conj(u.b), v.b),
        cplx_mul(u.b, v.a) + cplx_mul(conj(u.a), v.b),
    };
}

static inline struct parts take_apart(struct turn u)
{
    struct parts out = {.flip = cplx_norm2(u.a) < cplx_norm2(u.b)};
    double complex upper = out.flip ? -conj(u.b) : u.a; /* first column, after the swap */
    double complex lower = out.flip ? conj(u.a) : u.b;
    double complex corner = out.flip ? u.b : conj(u.a); /* lower row, second column */
    double c = sqrt(cplx_norm2(upper)), s = sqrt(cplx_norm2(lower));
    double complex e0 = cplx_scale(upper, 1 / c);
    double complex e1 = s > 0 ? cplx_scale(lower, 1 / s) : 1;
    out.cosine = c;
    out.tangent = s / c;
    out.e = cplx_mul(e1, conj(e0));
    out.d = cplx_scale(cplx_mul(corner, conj(e1)), 1 / c);
    return out;
}

/* n with n.sigma = e^-1 (w P w^-1) e, e being diag(1, e). */
static inline void carry_axis(struct turn w, enum qnn_axis axis, double complex e, double n[3])
{
    double complex aa, bb, lower;
    switch (axis) {
    case QNN_X:
        aa = conj(cplx_mul(w.a, w.a)), bb = cplx_mul(w.b, w.b);
        lower = aa - bb;
        n[2] = -2 * creal(cplx_mul(w.a, w.b));
        break;
    case QNN_Y:
        aa = conj(cplx_mul(w.a, w.a)), bb = cplx_mul(w.b, w.b);
        lower = cplx(-cimag(aa + bb), creal(aa + bb));
        n[2] = -2 * cimag(cplx_mul(w.a, w.b));
        break;
    case QNN_Z:
    default:
        lower = 2 * cplx_mul(conj(w.a), w.b);
        n[2] = cplx_norm2(w.a) - cplx_norm2(w.b);
        break;
    }
    lower = cplx_mul(lower, conj(e));
    n[0] = creal(lower);
    n[1] = cimag(lower);
}

/* Takes a qubit's rotations apart and carries their axes to the point between tangent and diag(e). */
static struct parts set_qubit(
    const enum qnn_axis axes[QNN_ANGLES], const double *theta, double *carried)
{
    struct turn second = turn_of(axes[1], theta[1]), third = turn_of(axes[2], theta[2]);
    struct turn later = turn_product(third, second);
    struct parts parts = take_apart(turn_product(later, turn_of(axes[0], theta[0])));
    carry_axis(later, axes[0], parts.e, carried);
    carry_axis(third, axes[1], parts.e, carried + 3);
    carry_axis((struct turn){1, 0}, axes[2], parts.e, carried + 6);
    return parts;
}

/* Appends a qubit, from the least significant one upwards, to a product diagonal. */
static void grow(double complex *table, uint32_t bit, double complex one)
{
    for (uint32_t k = 0; k < bit; k++)
        table[k + bit] = cplx_mul(table[k], one);
}

/* diagonal[k] = d[k] e[source[k]], e being the diagonal that the layer before left to this one. */
static void join_layer(struct qnn_plan *p, uint32_t layer, uint32_t flips)
{
    uint16_t *source = p->source + (size_t)layer * p->amplitudes;
    double *diagonal = p->diagonal + (size_t)layer * p->amplitudes * 2;
    for (uint32_t k = 0; k < p->amplitudes; k++) {
        source[k] = layer == 0 ? (uint16_t)(k ^ flips) : p->unring[k ^ flips];
        double complex both = layer == 0 ? p->d[k] : cplx_mul(p->d[k], p->e[source[k]]);
        diagonal[2 * k] = creal(both);
        diagonal[2 * k + 1] = cimag(both);
    }
}

static void set_layer(struct qnn_plan *p, const double *theta, uint32_t layer)
{
    enum qnn_ansatz ansatz = p->circuit.ansatz;
    const enum qnn_axis axes[QNN_ANGLES] = {
        qnn_ansatz_axis(ansatz, 0), qnn_ansatz_axis(ansatz, 1), qnn_ansatz_axis(ansatz, 2)};
    uint32_t qubits = p->circuit.qubits, flips = 0;
    struct parts parts[QNN_QUBITS_MAX];
    double norm = 1;
    for (uint32_t bit = 0; bit < qubits; bit++) {
        size_t at = ((size_t)layer * qubits + qubits - 1 - bit) * QNN_ANGLES;
        parts[bit] = set_qubit(axes, theta + at, p->axes + at * 3);
        p->tangent[layer * qubits + bit] = parts[bit].tangent;
        flips |= (uint32_t)parts[bit].flip << bit;
        norm *= parts[bit].cosine;
    }
    p->d[0] = norm;
    for (uint32_t bit = 0; bit < qubits; bit++)
        grow(p->d, 1u << bit, parts[bit].d);
    join_layer(p, layer, flips);
    p->e[0] = 1;
    for (uint32_t bit = 0; bit < qubits; bit++)
        grow(p->e, 1u << bit, parts[bit].e);
}

void qnn_plan_set(struct qnn_plan *p, const double *theta)
{
    for (uint32_t layer = 0; layer < p->circuit.layers; layer++)
        set_layer(p, theta, layer);
}

void qnn_plan_gradient(const struct qnn_plan *p, const double *moments, double *gradient)
{
    for (uint32_t i = 0; i < qnn_circuit_parameters(&p->circuit); i++) {
        const double *n = p->axes + (size_t)i * 3;
        const double *g = moments + (size_t)(i / QNN_ANGLES) * 3;
        gradient[i] = n[0] * g[0] + n[1] * g[1] + n[2] * g[2];
    }
}
