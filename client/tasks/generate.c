/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets that are drawn, not read: shared by `entanglement` and `magic`. */
#include "client/tasks/copies.h"
#include "client/tasks/draw.h"
#include "client/tasks/generator.h"
#include "client/tasks/kinds.h"
#include "common/util.h"

#include <errno.h>

typedef void (*draw_fn)(void *arg, unsigned class, double complex *psi, struct rng *rng);

static int generate_set(struct samples *s, uint32_t rows, double target, struct rng *rng,
    draw_fn draw, void *arg, struct err *e)
{
    int r = samples_init(s, rows, 2u << (2 * GENERATOR_QUBITS), e);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < rows; i++) {
        double complex psi[1 << GENERATOR_QUBITS], both[1 << (2 * GENERATOR_QUBITS)];
        unsigned class = i % 2;
        draw(arg, class, psi, rng);
        copies_interleave(psi, GENERATOR_QUBITS, both);
        samples_put_state(s, i, both);
        s->targets[i] = class ? target : -target;
    }
    return 0;
}

int task_generate(
    struct task *t, const struct task_request *r, draw_fn draw, void *arg, struct err *e)
{
    cleanup(rng_freep) struct rng *test = draw_stream(r->seed, "test set", 0);
    cleanup(rng_freep) struct rng *train = draw_stream(r->seed, "training shard", r->shard);
    if (!test || !train)
        return err_set(e, -ENOMEM, "task %s: no memory", t->name);
    int code = generate_set(&t->test, t->defaults.test_samples, t->target, test, draw, arg, e);
    if (code < 0 || r->shards == 0)
        return code;
    return generate_set(&t->train, t->defaults.samples, t->target, train, draw, arg, e);
}
