/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_level_rate.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/sim_seed.h"
#include "keypool/qkd/source.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <errno.h>
#include <math.h>

#define POISSON_EXACT_BELOW 64 /* mean from which the normal approximation is used */

struct sim_level_rate {
    struct sim_level level; /* first */
    uint8_t seed[RNG_SEED_BYTES];
    struct keyrate_options options;
    struct rng *counts; /* owned */
};

/* ---- counts ------------------------------------------------------------------------------- */

static double poisson(struct rng *r, double mean)
{
    if (mean >= POISSON_EXACT_BELOW)
        return MAX(0, round(mean + sqrt(mean) * rng_normal(r)));
    double n = 0;
    double left = rng_uniform(r);
    while (left > exp(-mean)) {
        left *= rng_uniform(r);
        n++;
    }
    return n;
}

/* What one block counts: independent Poisson numbers about the model's expectations. */
static struct keyrate_counts draw(struct rng *r, const struct sim_link *link, double pulses)
{
    struct keyrate_counts mean = sim_link_expect(&link->params, &link->running.light, pulses);
    struct keyrate_counts c = mean;
    c.m_x = poisson(r, mean.m_x);
    c.n_x = c.m_x + poisson(r, mean.n_x - mean.m_x);
    c.m_y = poisson(r, mean.m_y);
    c.n_y = c.m_y + poisson(r, mean.n_y - mean.m_y);
    c.n = c.n_x + c.n_y + poisson(r, mean.n - mean.n_x - mean.n_y);
    return c;
}

/* ---- key ---------------------------------------------------------------------------------- */

static int fill_key(struct secret *key, const struct sim_level_rate *l, const struct sim_request *q)
{
    uint8_t seed[RNG_SEED_BYTES];
    sim_seed_derive(seed, l->seed, "qfl simulated key", q->link, q->number);
    struct rng *r = rng_new(seed);
    secret_wipe(seed, sizeof(seed));
    if (!r)
        return -ENOMEM;
    rng_bytes(r, key->data, key->len);
    rng_free(r);
    return 0;
}

static int send_both(const struct sim_request *q, Qkd__RateBlock *block, struct update *u)
{
    for (int end = 0; end < 2; end++) {
        block->peer = q->link->user[!end]->name;
        int r = link_send_secret(u, q->link->user[end]->conn, QKD_RATE_BLOCK, &block->base);
        if (r < 0)
            return r;
    }
    return 0;
}

static int deliver(const struct sim_level_rate *l, const struct sim_request *q, uint64_t bytes,
    const struct keyrate *k, struct update *u)
{
    cleanup(secret_deinit) struct secret key = {0};
    int r = secret_init(&key, bytes);
    if (r == 0)
        r = fill_key(&key, l, q);
    if (r < 0)
        return r;
    uint8_t id[RNG_SEED_BYTES];
    sim_seed_derive(id, l->seed, "qfl simulated block id", q->link, q->number);
    Qkd__RateBlock block = QKD__RATE_BLOCK__INIT;
    block.block = (ProtobufCBinaryData){SOURCE_BLOCK_ID_BYTES, id};
    block.key = (ProtobufCBinaryData){key.len, key.data};
    block.rate_kbps = k->rate_kbps;
    block.qber = k->e_x;
    block.seconds = q->seconds;
    return send_both(q, &block, u);
}

static struct keyrate measure(struct sim_level_rate *l, const struct sim_request *q)
{
    if (q->prefill_bytes)
        return (struct keyrate){.key_bits = 8 * (double)q->prefill_bytes};
    struct keyrate_options o = l->options;
    o.pulses = q->pulses;
    o.seconds = q->seconds;
    struct keyrate_counts c = draw(l->counts, q->link, q->pulses);
    return keyrate_compute(&c, &o);
}

static int make(
    struct sim_level *level, const struct sim_request *q, struct update *u, struct sim_made *made)
{
    struct sim_level_rate *l = (struct sim_level_rate *)level;
    struct keyrate k = measure(l, q);
    uint64_t bytes = (uint64_t)MIN(k.key_bits / 8, (double)SIM_BLOCK_BYTES_MAX);
    if (q->max_bytes)
        bytes = MIN(bytes, q->max_bytes);
    *made = (struct sim_made){.key_bytes = bytes, .qber = k.e_x};
    return bytes ? deliver(l, q, bytes, &k, u) : 0;
}

/* ---- life --------------------------------------------------------------------------------- */

static void free_rate(struct sim_level *level)
{
    struct sim_level_rate *l = (struct sim_level_rate *)level;
    rng_free(l->counts);
    secret_wipe(l->seed, sizeof(l->seed));
    free(l);
}

static const struct sim_level_ops ops = {.make = make, .free = free_rate};

struct sim_level *sim_level_rate_new(
    const uint8_t seed[RNG_SEED_BYTES], const struct keyrate_options *options)
{
    struct sim_level_rate *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->level = (struct sim_level){.ops = &ops, .name = "rate"};
    l->options = *options;
    memcpy(l->seed, seed, sizeof(l->seed));
    uint8_t counts[RNG_SEED_BYTES];
    rng_derive(counts, seed, "qfl simulated counts", 0, 0);
    l->counts = rng_new(counts);
    secret_wipe(counts, sizeof(counts));
    if (l->counts)
        return &l->level;
    free_rate(&l->level);
    return NULL;
}
