/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-client with a trainer that takes no time: linked with --wrap, every task's trainer answers zeros
 * for a model of NULL_PARAMETERS parameters, so that a round is nothing but protocol. */
#include "client/config.h"
#include "client/trainers/trainer_qnn.h"
#include "tests/bench/null_trainer.h"

#include <errno.h>
#include <stdlib.h>

int __wrap_client_config_open_task(const struct client_config *c, struct task **out, struct err *e);
int __wrap_trainer_qnn_new(struct trainer **out, const struct task *task, struct err *e);

int __wrap_client_config_open_task(const struct client_config *c, struct task **out, struct err *e)
{
    *out = NULL;
    return 0;
}

static int train(
    struct trainer *t, const struct train_request *request, struct train_result *out, struct err *e)
{
    *out = (struct train_result){
        .update = calloc(request->parameters, sizeof(double)), .samples = t->samples};
    return out->update ? 0 : -ENOMEM;
}

static void null_free(struct trainer *t)
{
    free(t);
}

int __wrap_trainer_qnn_new(struct trainer **out, const struct task *task, struct err *e)
{
    static const struct trainer_ops ops = {train, null_free};
    *out = malloc(sizeof(**out));
    if (!*out)
        return -ENOMEM;
    **out = (struct trainer){.ops = &ops, .parameters = NULL_PARAMETERS, .samples = 100};
    return 0;
}
