/* SPDX-License-Identifier: Apache-2.0 */
#include "client/model.h"

#include "common/util.h"

#include <errno.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "models are little-endian doubles");

int client_model_init(struct model *m, uint32_t parameters)
{
    *m = (struct model){.parameters = parameters};
    m->values = calloc(MAX(parameters, 1u), sizeof(double));
    return m->values ? 0 : -ENOMEM;
}

static void drop_fetch(struct model *m)
{
    free(m->incoming);
    m->incoming = NULL;
}

void client_model_deinit(struct model *m)
{
    drop_fetch(m);
    free(m->values);
    *m = (struct model){0};
}

static uint64_t model_bytes(const struct model *m)
{
    return (uint64_t)m->parameters * sizeof(double);
}

bool client_model_is(const struct model *m, const uint8_t hash[SHA256_BYTES])
{
    return m->held && memcmp(m->hash, hash, SHA256_BYTES) == 0;
}

int client_model_begin_fetch(struct model *m, const uint8_t hash[SHA256_BYTES])
{
    drop_fetch(m);
    m->incoming = calloc(MAX(m->parameters, 1u), sizeof(double));
    if (!m->incoming)
        return -ENOMEM;
    m->received = 0;
    m->next_chunk = 0;
    memcpy(m->wanted, hash, SHA256_BYTES);
    return 0;
}

/* Takes over a whole new set of values. */
static void model_become(struct model *m, double *values, const uint8_t hash[SHA256_BYTES])
{
    free(m->values);
    m->values = values;
    m->held = true;
    m->has_previous = false;
    memcpy(m->hash, hash, SHA256_BYTES);
}

static int check_chunk(const struct model *m, const Fed__ModelChunk *c, struct err *e)
{
    if (c->index != m->next_chunk || c->index >= c->count)
        return err_set(e, MODEL_E_SHAPE, "the model's chunk %u of %u came instead of chunk %u",
            c->index, c->count, m->next_chunk);
    if (c->data.len == 0 || c->data.len > model_bytes(m) - m->received)
        return err_set(e, MODEL_E_SHAPE, "the model's chunk %u has %zu bytes, %llu are missing",
            c->index, c->data.len, (unsigned long long)(model_bytes(m) - m->received));
    return 0;
}

static int finish_fetch(struct model *m, struct err *e)
{
    uint8_t hash[SHA256_BYTES];
    sha256(hash, m->incoming, model_bytes(m));
    if (m->received == model_bytes(m) && memcmp(hash, m->wanted, SHA256_BYTES) == 0) {
        model_become(m, steal(&m->incoming), hash);
        return 0;
    }
    drop_fetch(m);
    return err_set(e, MODEL_E_HASH, "the model received is not the one that the round names");
}

int client_model_add_chunk(struct model *m, const Fed__ModelChunk *c, struct err *e)
{
    if (!m->incoming || c->model_hash.len != SHA256_BYTES ||
        memcmp(c->model_hash.data, m->wanted, SHA256_BYTES) != 0)
        return MODEL_E_MORE; /* of a fetch given up since */
    int r = check_chunk(m, c, e);
    if (r > 0) {
        drop_fetch(m);
        return r;
    }
    memcpy((uint8_t *)m->incoming + m->received, c->data.data, c->data.len);
    m->received += c->data.len;
    m->next_chunk++;
    return m->next_chunk < c->count ? MODEL_E_MORE : finish_fetch(m, e);
}

int client_model_apply(struct model *m, const struct quantiser *z, const uint8_t *sum,
    const uint8_t expected[SHA256_BYTES], struct err *e)
{
    uint32_t wrong = quantiser_canaries_wrong(z, sum);
    if (wrong > 0)
        return err_set(e, MODEL_E_CANARY, "%u canary words of the sum are wrong", wrong);
    auto_free double *values = malloc(MAX(model_bytes(m), (uint64_t)1));
    if (!values)
        return -ENOMEM;
    memcpy(values, m->values, model_bytes(m));
    quantiser_apply(z, sum, values);
    uint8_t hash[SHA256_BYTES];
    sha256(hash, values, model_bytes(m));
    if (memcmp(hash, expected, SHA256_BYTES) != 0)
        return err_set(e, MODEL_E_HASH, "the sum does not make the model that the result names");
    model_become(m, steal(&values), hash);
    return 0;
}
