/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/circuit.h"

#include "client/qnn/cplx.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>

static const struct {
    const char *name;
    enum qnn_axis axes[QNN_ANGLES];
} ansaetze[] = {
    [QNN_RZ_RY_RZ] = {"RZ-RY-RZ", {QNN_Z, QNN_Y, QNN_Z}},
    [QNN_RX_RY_RZ] = {"RX-RY-RZ", {QNN_X, QNN_Y, QNN_Z}},
};

int qnn_circuit_check(const struct qnn_circuit *c, struct err *e)
{
    if (c->qubits < QNN_QUBITS_MIN || c->qubits > QNN_QUBITS_MAX)
        return err_set(e, -EINVAL, "circuit: %u qubits, but only %d to %d can be simulated",
            c->qubits, QNN_QUBITS_MIN, QNN_QUBITS_MAX);
    if (c->layers < 1 || c->layers > QNN_LAYERS_MAX)
        return err_set(
            e, -EINVAL, "circuit: %u layers, but it takes 1 to %d", c->layers, QNN_LAYERS_MAX);
    if (c->readout >= c->qubits)
        return err_set(e, -EINVAL, "circuit: read-out of qubit %u, but there are only %u (from 0)",
            c->readout, c->qubits);
    if ((size_t)c->ansatz >= ARRAY_SIZE(ansaetze))
        return err_set(e, -EINVAL, "circuit: no such ansatz (%u)", (unsigned)c->ansatz);
    return 0;
}

uint32_t qnn_circuit_parameters(const struct qnn_circuit *c)
{
    return c->layers * c->qubits * QNN_ANGLES;
}

uint32_t qnn_circuit_amplitudes(const struct qnn_circuit *c)
{
    return 1u << c->qubits;
}

int qnn_ansatz_parse(const char *name, enum qnn_ansatz *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(ansaetze); i++) {
        if (strcmp(name, ansaetze[i].name) == 0) {
            *out = (enum qnn_ansatz)i;
            return 0;
        }
    }
    return 1;
}

const char *qnn_ansatz_name(enum qnn_ansatz ansatz)
{
    return ansaetze[ansatz].name;
}

enum qnn_axis qnn_ansatz_axis(enum qnn_ansatz ansatz, unsigned k)
{
    return ansaetze[ansatz].axes[k];
}

struct qnn_matrix qnn_rotation(enum qnn_axis axis, double angle)
{
    double s, c;
    sincos(angle / 2, &s, &c);
    switch (axis) {
    case QNN_X:
        return (struct qnn_matrix){{{c, cplx(0, -s)}, {cplx(0, -s), c}}};
    case QNN_Y:
        return (struct qnn_matrix){{{c, -s}, {s, c}}};
    case QNN_Z:
    default:
        return (struct qnn_matrix){{{cplx(c, -s), 0}, {0, cplx(c, s)}}};
    }
}

uint32_t qnn_qubit_bit(uint32_t qubits, uint32_t qubit)
{
    return 1u << (qubits - 1 - qubit);
}

uint32_t qnn_ring(uint32_t qubits, uint32_t index)
{
    for (uint32_t q = 0; q < qubits; q++)
        if (index & qnn_qubit_bit(qubits, q))
            index ^= qnn_qubit_bit(qubits, (q + 1) % qubits);
    return index;
}
