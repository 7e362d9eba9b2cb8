/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/federation.h"

#include "common/util.h"
#include "common/words.h"

#include <errno.h>
#include <math.h>

#define FEDERATION_CHUNK_WORDS 4096

/* What a round works with. */
struct bench {
    const struct federation *f;
    struct quantiser quantiser;
    uint32_t parameters;
    uint64_t samples; /* of all clients */
    uint8_t *packed;  /* one client's vector */
    uint8_t *sum;
    double *exact; /* sum of the updates as they are */
    struct federation_round report;
};

static void bench_deinit(struct bench *b)
{
    free(b->packed);
    free(b->sum);
    free(b->exact);
}

static int bench_init(struct bench *b, const struct federation *f, struct err *e)
{
    *b = (struct bench){.f = f, .quantiser = f->quantiser};
    if (f->clients == 0)
        return err_set(e, -EINVAL, "federation: no clients");
    b->parameters = f->trainers[0]->parameters;
    for (uint32_t i = 0; i < f->clients; i++) {
        if (f->trainers[i]->parameters != b->parameters)
            return err_set(e, -EINVAL, "federation: the clients' models differ in size");
        b->samples += f->trainers[i]->samples;
    }
    b->quantiser.participants = f->clients;
    b->quantiser.parameters = b->parameters;
    b->quantiser.chunk_words = FEDERATION_CHUNK_WORDS;
    int r = f->exact ? 0 : quantiser_check(&b->quantiser, e);
    if (r < 0)
        return r;
    size_t bytes = f->exact ? 1 : words_bytes(quantiser_words(&b->quantiser), b->quantiser.q);
    b->packed = calloc(bytes, 1);
    b->sum = calloc(bytes, 1);
    b->exact = calloc(b->parameters, sizeof(double));
    if (b->packed && b->sum && b->exact)
        return 0;
    return err_set(e, -ENOMEM, "federation: no memory");
}

/* p_i dtheta_i in place, and its size into the report. */
static void weigh(struct bench *b, double *update, uint64_t samples)
{
    double part = (double)samples / (double)b->samples;
    for (uint32_t k = 0; k < b->parameters; k++) {
        update[k] *= part;
        b->report.largest = fmax(b->report.largest, fabs(update[k]));
        b->report.rms += update[k] * update[k];
    }
}

static int add_update(struct bench *b, const double *update, struct rng *rng, struct err *e)
{
    if (b->f->exact) {
        for (uint32_t k = 0; k < b->parameters; k++)
            b->exact[k] += update[k];
        return 0;
    }
    uint64_t clipped = 0;
    int r = quantiser_encode(&b->quantiser, update, rng, b->packed, &clipped);
    if (r < 0)
        return err_set(e, r, "federation: an update is not finite");
    b->report.clipped += clipped;
    words_add(b->sum, b->packed, quantiser_words(&b->quantiser), b->quantiser.q, false);
    return 0;
}

/* Streams of a client and round: `train` for the trainer, `rounding` for the quantiser. */
static int run_client(struct bench *b, uint32_t client, const double *model, struct err *e)
{
    struct trainer *trainer = b->f->trainers[client];
    struct train_request request = {
        .round = b->report.round,
        .model = model,
        .parameters = b->parameters,
        .settings = b->f->settings,
        .n_settings = b->f->n_settings,
    };
    uint8_t seed[RNG_SEED_BYTES];
    rng_derive(request.seed, b->f->seed, "train", client, request.round);
    rng_derive(seed, b->f->seed, "rounding", client, request.round);
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    struct train_result result = {0};
    if (!rng)
        return err_set(e, -ENOMEM, "federation: no memory");
    int r = trainer->ops->train(trainer, &request, &result, e);
    if (r < 0)
        return err_wrap(e, r, "client %u", client);
    weigh(b, result.update, result.samples);
    r = add_update(b, result.update, rng, e);
    free(result.update);
    return r;
}

static int finish_round(struct bench *b, double *model, struct err *e)
{
    if (b->f->exact) {
        for (uint32_t k = 0; k < b->parameters; k++)
            model[k] += b->exact[k];
    } else if (quantiser_canaries_wrong(&b->quantiser, b->sum) > 0) {
        return err_set(e, -EBADMSG, "federation: a canary of the sum is wrong");
    } else {
        quantiser_apply(&b->quantiser, b->sum, model);
    }
    b->report.rms = sqrt(b->report.rms / ((double)b->f->clients * b->parameters));
    b->report.model = model;
    return b->f->on_round ? b->f->on_round(b->f->arg, &b->report) : 0;
}

static int run_round(struct bench *b, uint64_t round, double *model, struct err *e)
{
    b->report = (struct federation_round){.round = round};
    memset(b->exact, 0, b->parameters * sizeof(double));
    if (!b->f->exact)
        memset(b->sum, 0, words_bytes(quantiser_words(&b->quantiser), b->quantiser.q));
    for (uint32_t client = 0; client < b->f->clients; client++) {
        int r = run_client(b, client, model, e);
        if (r < 0)
            return r;
    }
    return finish_round(b, model, e);
}

int federation_simulate(const struct federation *f, double *model, struct err *e)
{
    cleanup(bench_deinit) struct bench b;
    int r = bench_init(&b, f, e);
    for (uint64_t round = 1; r == 0 && round <= f->rounds; round++)
        r = run_round(&b, round, model, e);
    return r;
}
