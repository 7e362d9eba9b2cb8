/* SPDX-License-Identifier: Apache-2.0 */
#include "client/terms.h"

#include "common/util.h"

#include <errno.h>

enum { TERMS_E_SHAPE = 1 };

static int check_shape(const Fed__Open *open, struct err *e)
{
    if (open->run.len != FED_RUN_BYTES)
        return err_set(e, TERMS_E_SHAPE, "OPEN: the run has %zu bytes", open->run.len);
    if (open->round == 0)
        return err_set(e, TERMS_E_SHAPE, "OPEN: rounds count from 1");
    if (open->model_hash.len != SHA256_BYTES || open->previous.len != SHA256_BYTES)
        return err_set(e, TERMS_E_SHAPE, "OPEN: a hash does not have 32 bytes");
    if (!open->params)
        return err_set(e, TERMS_E_SHAPE, "OPEN: the parameters are missing");
    if (open->params->n_settings > TERMS_SETTINGS_MAX)
        return err_set(e, TERMS_E_SHAPE, "OPEN: more than %d settings", TERMS_SETTINGS_MAX);
    return 0;
}

static int copy_settings(struct terms *t, const Fed__Params *params)
{
    t->settings = calloc(MAX(params->n_settings, (size_t)1), sizeof(*t->settings));
    if (!t->settings)
        return -ENOMEM;
    for (size_t i = 0; i < params->n_settings; i++) {
        char *name = strdup(params->settings[i]->name);
        if (!name)
            return -ENOMEM;
        t->settings[t->n_settings++] = (struct train_setting){name, params->settings[i]->value};
    }
    return 0;
}

int terms_init(
    struct terms *t, const Fed__Open *open, const uint8_t *body, size_t len, struct err *e)
{
    int r = check_shape(open, e);
    if (r != 0)
        return r;
    const Fed__Params *params = open->params;
    *t = (struct terms){
        .held = true,
        .round = open->round,
        .rounds = open->rounds,
        .task = strdup(params->task),
        .parameters = params->parameters,
        .chunk_words = params->chunk_words,
        .q = params->q,
        .clip = params->clip,
        .rounding = params->rounding,
    };
    sha256(t->open_hash, body, len);
    memcpy(t->run, open->run.data, FED_RUN_BYTES);
    memcpy(t->model_hash, open->model_hash.data, SHA256_BYTES);
    memcpy(t->previous, open->previous.data, SHA256_BYTES);
    r = t->task ? copy_settings(t, params) : -ENOMEM;
    if (r < 0)
        terms_deinit(t);
    return r;
}

void terms_deinit(struct terms *t)
{
    for (size_t i = 0; i < t->n_settings; i++)
        free((char *)t->settings[i].name);
    free(t->settings);
    free(t->task);
    *t = (struct terms){0};
}

struct terms terms_move(struct terms *from)
{
    struct terms to = *from;
    *from = (struct terms){0};
    return to;
}

bool terms_is_round(const struct terms *t, const uint8_t *run, size_t run_len, uint64_t round)
{
    return t->held && run_len == FED_RUN_BYTES && memcmp(t->run, run, run_len) == 0 &&
           t->round == round;
}

struct quantiser terms_quantiser(const struct terms *t, uint32_t participants)
{
    return (struct quantiser){
        .q = t->q,
        .participants = participants,
        .parameters = t->parameters,
        .chunk_words = t->chunk_words,
        .clip = t->clip,
        .rounding = t->rounding == 0 ? ROUNDING_STOCHASTIC : ROUNDING_NEAREST,
    };
}
