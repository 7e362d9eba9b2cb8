/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/plan.h"

#include "client/qnn/cplx.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

/* One qubit's unitary, taken apart. */
struct parts {
    double complex e[2];
    double complex d; /* d0 is 1 */
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

static struct parts take_apart(const struct qnn_matrix *u)
{
    struct parts out = {.flip = cplx_norm2(u->m[0][0]) < cplx_norm2(u->m[1][0])};
    int first = out.flip, second = !out.flip;
    double c = sqrt(cplx_norm2(u->m[0][first])), s = sqrt(cplx_norm2(u->m[1][first]));
    out.cosine = c;
    out.tangent = s / c;
    out.e[0] = cplx_scale(u->m[0][first], 1 / c);
    out.e[1] = s > 0 ? cplx_scale(u->m[1][first], 1 / s) : 1;
    out.d = cplx_scale(cplx_mul(u->m[1][second], conj(out.e[1])), 1 / c);
    return out;
}

/* n with n.sigma = W P W^-1, from the columns of W. */
static void carry_axis(const struct qnn_matrix *w, enum qnn_axis axis, double n[3])
{
    double complex a = w->m[0][0], b = w->m[1][0], c = w->m[0][1], d = w->m[1][1];
    double complex ac = cplx_mul(a, conj(c)), bc = cplx_mul(b, conj(c)), da = cplx_mul(d, conj(a));
    double complex lower;
    switch (axis) {
    case QNN_X:
        lower = bc + da;
        n[2] = 2 * creal(ac);
        break;
    case QNN_Y:
        lower = cplx_mul(cplx(0, 1), da - bc);
        n[2] = 2 * cimag(ac);
        break;
    case QNN_Z:
    default:
        lower = cplx_mul(b, conj(a)) - cplx_mul(d, conj(c));
        n[2] = cplx_norm2(a) - cplx_norm2(c);
        break;
    }
    n[0] = creal(lower);
    n[1] = cimag(lower);
}

/* Axes of a qubit's three angles at the point between the tangents and diag(e). */
static void set_axes(enum qnn_ansatz ansatz, const struct qnn_matrix gate[QNN_ANGLES],
    const double complex e[2], double *axes)
{
    struct qnn_matrix w = {{{conj(e[0]), 0}, {0, conj(e[1])}}};
    for (int k = QNN_ANGLES - 1; k >= 0; k--) {
        carry_axis(&w, qnn_ansatz_axis(ansatz, (unsigned)k), axes + 3 * k);
        if (k > 0)
            w = qnn_matrix_product(&w, &gate[k]);
    }
}

static struct parts set_qubit(
    struct qnn_plan *p, const double *theta, uint32_t layer, uint32_t qubit)
{
    enum qnn_ansatz ansatz = p->circuit.ansatz;
    size_t at = ((size_t)layer * p->circuit.qubits + qubit) * QNN_ANGLES;
    struct qnn_matrix gate[QNN_ANGLES];
    for (unsigned k = 0; k < QNN_ANGLES; k++)
        gate[k] = qnn_rotation(qnn_ansatz_axis(ansatz, k), theta[at + k]);
    struct qnn_matrix u = qnn_matrix_product(&gate[1], &gate[0]);
    u = qnn_matrix_product(&gate[2], &u);
    struct parts parts = take_apart(&u);
    set_axes(ansatz, gate, parts.e, p->axes + at * 3);
    return parts;
}

/* Appends a qubit, from the least significant one upwards, to a product diagonal. */
static void grow(double complex *table, uint32_t bit, double complex zero, double complex one)
{
    for (uint32_t k = 0; k < bit; k++) {
        table[k + bit] = cplx_mul(table[k], one);
        table[k] = cplx_mul(table[k], zero);
    }
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
    uint32_t qubits = p->circuit.qubits, flips = 0;
    struct parts parts[QNN_QUBITS_MAX];
    double norm = 1;
    for (uint32_t bit = 0; bit < qubits; bit++) {
        parts[bit] = set_qubit(p, theta, layer, qubits - 1 - bit);
        p->tangent[layer * qubits + bit] = parts[bit].tangent;
        flips |= (uint32_t)parts[bit].flip << bit;
        norm *= parts[bit].cosine;
    }
    p->d[0] = norm;
    for (uint32_t bit = 0; bit < qubits; bit++)
        grow(p->d, 1u << bit, 1, parts[bit].d);
    join_layer(p, layer, flips);
    p->e[0] = 1;
    for (uint32_t bit = 0; bit < qubits; bit++)
        grow(p->e, 1u << bit, parts[bit].e[0], parts[bit].e[1]);
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
