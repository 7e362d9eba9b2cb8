/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and guards of a block, and the length of its key. */
#include "keypool/post/post_internal.h"

#include "common/util.h"
#include "proto/post.h"

#include <inttypes.h>
#include <math.h>

#define FRAME_BITS_MAX ((uint32_t)1 << 23)
#define DEVIATIONS     5.0

struct post_config post_config_default(void)
{
    return (struct post_config){.keyrate = keyrate_paper_options(),
        .share_xx = 0.81,
        .share_yy = 0.01,
        .gain_spread_max = 0.05,
        .e_y_max = 0.5,
        .frame_bits = 1000000,
        .window = 64,
        .chunk_bytes = POST_CHUNK_MAX};
}

static bool is_within(double x, double above, double limit)
{
    return x > above && x <= limit;
}

bool post_config_is_sane(const struct post_config *c, struct err *why)
{
    const struct {
        const char *name;
        bool is_sane;
    } rows[] = {
        {"pulses", is_within(c->keyrate.pulses, 0, (double)POST_PULSES_MAX)},
        {"mu", is_within(c->mu, 0, 10)},
        {"shares of X-X and Y-Y", is_within(c->share_xx, 0, 1) && is_within(c->share_yy, 0, 1) &&
                                      is_within(1 - c->share_xx - c->share_yy, 0, 1)},
        {"gain spread", is_within(c->gain_spread_max, -1e-300, 1e3)},
        {"largest E_y", is_within(c->e_y_max, 0, 0.5)},
        {"expected E_x", is_within(c->e_x_expected, -1e-300, 0.49)},
        {"frame length", c->frame_bits >= CASCADE_N_MIN && c->frame_bits <= FRAME_BITS_MAX},
        {"window", c->window >= 1 && c->window <= POST_WINDOW_MAX},
        {"chunk length",
            c->chunk_bytes > 0 && c->chunk_bytes <= POST_CHUNK_MAX && c->chunk_bytes % 64 == 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!rows[i].is_sane) {
            err_set(why, 1, "post-processing: %s out of range", rows[i].name);
            return false;
        }
    return true;
}

void post_parameters(const struct post_config *c, uint8_t digest[SHA256_BYTES])
{
    const double numbers[] = {c->keyrate.eps, c->keyrate.f, c->keyrate.pulses, c->keyrate.seconds,
        (double)c->keyrate.kato, c->mu, c->expected_e_y, c->share_xx, c->share_yy,
        c->gain_spread_max, c->e_y_max, c->frame_bits, c->window, c->chunk_bytes};
    uint8_t bytes[8 * ARRAY_SIZE(numbers)];
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uint64_t v;
        memcpy(&v, &numbers[i], sizeof(v));
        put_u64le(bytes + 8 * i, v);
    }
    sha256(digest, bytes, sizeof(bytes));
}

/* ---- guards ------------------------------------------------------------------------------------- */

struct gain {
    const char *name;
    double gain, events;
};

static bool gains_differ(const struct gain *high, const struct gain *low, double spread)
{
    double excess = high->gain / low->gain - 1;
    double deviation = sqrt(1 / high->events + 1 / low->events);
    return !(excess <= spread + DEVIATIONS * deviation);
}

bool post_gains_agree(const struct post_config *c, struct post_result *r, struct err *why)
{
    double pulses = c->keyrate.pulses;
    r->gain_xx = (double)r->n_x / (pulses * c->share_xx);
    r->gain_yy = (double)r->n_y / (pulses * c->share_yy);
    r->gain_mismatched = (double)r->n_mismatched / (pulses * (1 - c->share_xx - c->share_yy));
    const struct gain gains[] = {{"X-X", r->gain_xx, (double)r->n_x},
        {"Y-Y", r->gain_yy, (double)r->n_y},
        {"mismatched bases", r->gain_mismatched, (double)r->n_mismatched}};
    for (size_t i = 0; i < ARRAY_SIZE(gains); i++)
        if (gains[i].events == 0) {
            err_set(why, 1, "too few events: none with %s", gains[i].name);
            return false;
        }
    for (size_t i = 0; i < ARRAY_SIZE(gains); i++)
        for (size_t k = 0; k < ARRAY_SIZE(gains); k++)
            if (gains_differ(&gains[i], &gains[k], c->gain_spread_max)) {
                err_set(why, 1,
                    "gains differ by basis: %s %.3g, %s %.3g; whoever detects prefers one",
                    gains[i].name, gains[i].gain, gains[k].name, gains[k].gain);
                return false;
            }
    return true;
}

static struct keyrate compute(
    const struct post_config *c, const struct post_result *r, uint64_t errors, uint64_t leak_bits)
{
    const struct keyrate_counts counts = {.mu = c->mu,
        .n = (double)r->n,
        .n_x = (double)r->n_x,
        .m_x = (double)errors,
        .n_y = (double)r->n_y,
        .m_y = (double)r->m_y,
        .has_leak = true,
        .leak_bits = (double)leak_bits,
        .expected_e_y = c->expected_e_y};
    return keyrate_compute(&counts, &c->keyrate);
}

static bool refuse(struct post_result *r, const char *when, struct err *why)
{
    r->no_key = true;
    r->qber = r->rate.e_x > 0 ? r->rate.e_x : r->rate.e_y;
    err_set(why, 1, "no key %s: %s (n_x %" PRIu64 ", E_x %.2f %%, n_y %" PRIu64 ", E_y %.2f %%)",
        when, keyrate_outcome_text(r->rate.outcome), r->n_x, 100 * r->rate.e_x, r->n_y,
        100 * r->rate.e_y);
    return false;
}

bool post_errors_allow(const struct post_config *c, struct post_result *r, struct err *why)
{
    r->rate = compute(c, r, 0, 0);
    if (!(r->rate.e_y <= c->e_y_max)) {
        r->no_key = true;
        r->qber = r->rate.e_y;
        err_set(why, 1, "E_y is %.2f %%, above the limit of %.2f %%", 100 * r->rate.e_y,
            100 * c->e_y_max);
        return false;
    }
    return r->rate.outcome == KEYRATE_KEY || refuse(r, "whatever the errors in X", why);
}

bool post_length(const struct post_config *c, struct post_result *r, struct err *why)
{
    r->rate = compute(c, r, r->errors, r->leak_bits);
    double bound = (double)r->n_x * keyrate_entropy(r->rate.e_x);
    r->f_ec = bound > 0 ? (double)r->leak_bits / bound : 0;
    if (r->rate.outcome != KEYRATE_KEY)
        return refuse(r, "after error correction", why);
    if (r->rate.key_bits < (double)r->n_x)
        return true;
    err_set(why, 1, "no key: it would be as long as the raw key");
    return false;
}
