/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fake_trainer.h"

#include "common/util.h"

#include <errno.h>

static int train(
    struct trainer *t, const struct train_request *request, struct train_result *out, struct err *e)
{
    struct fake_trainer *f = (struct fake_trainer *)t;
    f->runs++;
    if (f->fails)
        return err_set(e, -EIO, "the data set cannot be read");
    struct rng *rng = rng_new(request->seed);
    out->update = calloc(request->parameters, sizeof(double));
    for (uint32_t i = 0; i < request->parameters; i++)
        out->update[i] = f->scale * (2 * rng_uniform(rng) - 1);
    if (f->poison != 0)
        out->update[0] = f->poison;
    out->samples = f->samples;
    rng_free(rng);
    return 0;
}

static void nothing(struct trainer *t)
{
    (void)t;
}

struct fake_trainer fake_trainer(uint32_t parameters, uint64_t samples)
{
    static const struct trainer_ops ops = {train, nothing};
    return (struct fake_trainer){
        .trainer = {.ops = &ops, .parameters = parameters, .samples = samples},
        .scale = 0.5,
        .samples = samples,
    };
}
