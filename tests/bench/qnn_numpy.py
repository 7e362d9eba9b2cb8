#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmark (b): the QNN engine's batch gradient against NumPy doing the same, in the same minutes.

usage: qnn_numpy.py BENCH_QNN

Batch 50, exact, double precision, one thread; RZ-RY-RZ per qubit and a ring of CNOTs, Z of the last
qubit, mean squared error. NumPy runs the batched adjoint method in two well vectorised forms, and the
faster one is the reference:

  gates   all RZ of a column as one diagonal, every RY on strided halves, in real numbers
  layers  every layer as one 2^n x 2^n matrix, products by BLAS (Debian's libblas3 is slow here; the
          stronger reference has libopenblas0-pthread installed)

The engine and the reference take turns; figures are medians, with the least times beside them (on a
busy machine those are the undisturbed ones). Both gradients are compared first.
Goals: 10 times as fast at 6 qubits x 4 layers, 20 times at 4 x 3. Prints only; it never fails on a
slow machine.
"""
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import struct
import subprocess
import sys
import time

try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy for this python3 (apt-get install python3-numpy)")
    sys.exit(77)

BATCH = 50
TURNS = 201
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def ring(qubits):
    """image[k]: where CNOT(0,1), ..., CNOT(n-1,0) sends basis state k."""
    k = np.arange(2**qubits)
    for q in range(qubits):
        control, target = qubits - 1 - q, qubits - 1 - (q + 1) % qubits
        k = k ^ (((k >> control) & 1) << target)
    return k


class Circuit:
    def __init__(self, qubits, layers):
        self.n, self.layers, self.size = qubits, layers, 2**qubits
        image = ring(qubits)
        self.unring = np.argsort(image)  # (P psi) = psi[unring]
        self.image = image
        self.sign = np.where(np.arange(self.size) & 1, -1.0, 1.0)[:, None]
        bits = [1 << (qubits - 1 - q) for q in range(qubits)]
        self.flips = np.array([np.arange(self.size) ^ bit for bit in bits])
        self.signs = np.array([np.where(np.arange(self.size) & bit, -1.0, 1.0) for bit in bits])
        rest = np.arange(self.size // 2)
        zero = []  # basis states with qubit q = 0
        for q in range(qubits):
            low = qubits - 1 - q
            zero.append((rest >> low << (low + 1)) | (rest & ((1 << low) - 1)))
        ends = np.array([[z, z | 1 << (qubits - 1 - q)] for q, z in enumerate(zero)])
        # index of M[end a, end b] in a flat matrix, over the other qubits
        self.cross = ends[:, :, None, :] * self.size + ends[:, None, :, :]

    def unitaries(self, theta):
        """U = RZ(c) RY(b) RZ(a), and generators carried to its end, for all qubits at once."""
        a, b, c = np.moveaxis(theta.reshape(self.layers, self.n, 3), 2, 0) / 2
        cos, sin = np.cos(b), np.sin(b)
        plus, minus = np.exp(1j * (a + c)), np.exp(1j * (c - a))
        u = np.empty((self.layers, self.n, 2, 2), complex)
        u[..., 0, 0], u[..., 0, 1] = plus.conj() * cos, -minus.conj() * sin
        u[..., 1, 0], u[..., 1, 1] = minus * sin, plus * cos
        # axes: Z before U becomes U Z U^-1; Y is turned by RZ(c); Z stays
        axes = np.zeros((self.layers, self.n, 3, 3))
        axes[..., 0, 0] = np.sin(2 * b) * np.cos(2 * c)
        axes[..., 0, 1] = np.sin(2 * b) * np.sin(2 * c)
        axes[..., 0, 2] = np.cos(2 * b)
        axes[..., 1, 0], axes[..., 1, 1] = -np.sin(2 * c), np.cos(2 * c)
        axes[..., 2, 2] = 1
        return u, axes

    def slope(self, psi, target):
        z = np.einsum("kb,kb->b", psi.real**2 + psi.imag**2, np.broadcast_to(self.sign, psi.shape))
        return 2 / BATCH * (z - target)

    def contract(self, reduced, axes):
        """reduced[..., i, j] = sum <lambda|i><j|phi>; gradient = n . Im <lambda|P|phi>."""
        moments = np.einsum("lqij,pij->lqp", reduced, PAULI).imag
        return np.einsum("lqkp,lqp->lqk", axes, moments).ravel()


def turn(psi, spare, q, cos, sin):
    """RY on qubit q: real, so on real numbers only."""
    size, batch = psi.shape
    shape = (2**q, 2, size // 2 ** (q + 1) * 2 * batch)
    a, b = psi.view(float).reshape(shape), spare.view(float).reshape(shape)
    np.multiply(a, cos, out=b)
    a *= sin
    b[:, 0] -= a[:, 1]
    b[:, 1] += a[:, 0]
    return spare, psi


def moments_of(c, phi, lam):
    """Im <lambda|P_q|phi>, all qubits and P = X, Y, Z."""
    lam = lam.conj()
    pairs = np.matmul(lam[:, None, :], phi[c.flips].transpose(1, 2, 0))[:, 0, :]
    same = np.einsum("kb,kb->k", lam, phi)
    return np.stack([pairs.sum(axis=0).imag, -(c.signs.T * pairs).sum(axis=0).real,
                     c.signs @ same.imag], axis=1)


def by_gates(c, theta, states, target):
    angles = theta.reshape(c.layers, c.n, 3)
    first, last = (np.exp(-0.5j * angles[:, :, k] @ c.signs)[..., None] for k in (0, 2))
    cos, sin = np.cos(angles[:, :, 1] / 2), np.sin(angles[:, :, 1] / 2)
    _, axes = c.unitaries(theta)
    phi, spare = first[0] * states, np.empty_like(states)
    kept = []
    for layer in range(c.layers):
        for q in range(c.n):
            phi, spare = turn(phi, spare, q, cos[layer, q], sin[layer, q])
        phi *= last[layer]
        kept.append(phi)
        phi = phi[c.unring]
        if layer + 1 < c.layers:
            phi *= first[layer + 1]
    lam = (c.slope(phi, target) * c.sign * phi)[c.image]
    moments = np.empty((c.layers, c.n, 3))
    for layer in reversed(range(c.layers)):
        moments[layer] = moments_of(c, kept[layer], lam)
        if layer == 0:
            break
        lam *= last[layer].conj()
        for q in range(c.n):
            lam, spare = turn(lam, spare, q, cos[layer, q], -sin[layer, q])
        lam *= first[layer].conj()
        lam = lam[c.image]
    return np.einsum("lqkp,lqp->lqk", axes, moments).ravel()


def by_layers(c, theta, states, target):
    u, axes = c.unitaries(theta)
    whole = u[:, 0]
    for q in range(1, c.n):
        whole = whole[:, :, None, :, None] * u[:, q, None, :, None, :]
        whole = whole.reshape(c.layers, 2 ** (q + 1), 2 ** (q + 1))
    psi = states
    for layer in range(c.layers):
        psi = (whole[layer] @ psi)[c.unring]
    both = np.concatenate([psi, c.slope(psi, target) * c.sign * psi], axis=1)
    reduced = np.empty((c.layers, c.n, 2, 2), complex)
    adjoint = whole.conj().swapaxes(-1, -2)
    for layer in reversed(range(c.layers)):
        both = both[c.image]
        matrix = both[:, BATCH:].conj() @ both[:, :BATCH].T  # [lambda, phi]
        reduced[layer] = matrix.ravel()[c.cross].sum(axis=-1)
        if layer > 0:
            both = adjoint[layer] @ both
    return c.contract(reduced, axes)


class Engine:
    """bench_qnn: one process per circuit; it answers `time REPEATS` and `gradient`."""

    def __init__(self, program, c, theta, states, target):
        self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        rows = np.concatenate([states.real.T, states.imag.T], axis=1)
        self.child.stdin.write(struct.pack("<3Q", c.n, c.layers, BATCH))
        for part in (theta, target, np.ascontiguousarray(rows)):
            self.child.stdin.write(part.astype("<f8").tobytes())
        self.child.stdin.flush()
        self.level = self.child.stdout.readline().decode().strip()

    def ask(self, question):
        self.child.stdin.write(question.encode() + b"\n")
        self.child.stdin.flush()
        return np.array([float(x) for x in self.child.stdout.readline().split()])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def seconds(function, repeats, *arguments):
    start = time.perf_counter()
    for _ in range(repeats):
        function(*arguments)
    return (time.perf_counter() - start) / repeats


def compare(program, qubits, layers, goal):
    rng = np.random.default_rng(qubits)
    c = Circuit(qubits, layers)
    states = rng.normal(size=(c.size, BATCH)) + 1j * rng.normal(size=(c.size, BATCH))
    states /= np.linalg.norm(states, axis=0)
    theta = rng.uniform(-np.pi, np.pi, layers * qubits * 3)
    target = np.where(np.arange(BATCH) % 2, 0.4, -0.4)
    engine = Engine(program, c, theta, states, target)
    ours = engine.ask("gradient")
    for form in (by_gates, by_layers):
        worst = np.abs(form(c, theta, states, target) - ours).max()
        if not worst < 1e-12:
            sys.exit(f"{form.__name__} and the engine differ by {worst}")
    times = {"engine": [], "gates": [], "layers": []}
    for _ in range(TURNS):
        times["engine"].append(engine.ask("time 10")[0])
        times["gates"].append(seconds(by_gates, 1, c, theta, states, target))
        times["layers"].append(seconds(by_layers, 1, c, theta, states, target))
    engine.close()
    middle = {name: 1e3 * statistics.median(t) for name, t in times.items()}
    least = {name: 1e3 * min(t) for name, t in times.items()}
    ratio = [min(t["gates"], t["layers"]) / t["engine"] for t in (middle, least)]
    print(f"{qubits} qubits x {layers} layers, batch {BATCH}: engine ({engine.level}) "
          f"{middle['engine']:.4f} ms, NumPy {middle['gates']:.3f} ms by gates, "
          f"{middle['layers']:.3f} ms by layers: {ratio[0]:.1f} times as fast (goal {goal}); "
          f"least times {least['engine']:.4f}, {least['gates']:.3f}, {least['layers']:.3f} ms: "
          f"{ratio[1]:.1f}", flush=True)


def blas():
    with open("/proc/self/maps") as maps:
        return "OpenBLAS" if "openblas" in maps.read() else "the default BLAS"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"NumPy {np.__version__} with {blas()}")
    compare(sys.argv[1], 6, 4, 10)
    compare(sys.argv[1], 4, 3, 20)


main()
