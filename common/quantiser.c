/* SPDX-License-Identifier: Apache-2.0 */
#include "common/quantiser.h"

#include "common/words.h"
#include "common/words_stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define CANARIES 2u /* per chunk */

/* ---- what is accepted -------------------------------------------------------------------------- */

/* Largest value of a word. */
static int64_t word_max(unsigned q)
{
    return ((int64_t)1 << (q - 1)) - 1;
}

unsigned quantiser_least_q(uint32_t participants)
{
    unsigned q = WORDS_Q_MIN;
    while (q < WORDS_Q_MAX && word_max(q) < participants)
        q++;
    return q;
}

static int check_layout(const struct quantiser *z, struct err *e)
{
    if (z->chunk_words < QUANTISER_CHUNK_MIN || z->chunk_words % 8 != 0)
        return err_set(e, -EINVAL,
            "chunks of %" PRIu32 " words: must be a multiple of 8, at least %d", z->chunk_words,
            QUANTISER_CHUNK_MIN);
    if (z->parameters == 0)
        return err_set(e, -EINVAL, "a model without parameters");
    uint64_t chunks = ((uint64_t)z->parameters - 1) / (z->chunk_words - CANARIES) + 1;
    if (z->parameters + CANARIES * chunks > UINT32_MAX)
        return err_set(e, -EINVAL, "%" PRIu32 " parameters are too many", z->parameters);
    return 0;
}

static int check_scale(const struct quantiser *z, struct err *e)
{
    if (!(z->clip > 0) || !isfinite(z->clip * z->participants))
        return err_set(e, -EINVAL, "clip %g: must be a positive number", z->clip);
    if (!isnormal(quantiser_step(z)))
        return err_set(e, -EINVAL, "clip %g: too small for %u bits", z->clip, z->q);
    return 0;
}

int quantiser_check(const struct quantiser *z, struct err *e)
{
    if (z->q < WORDS_Q_MIN || z->q > WORDS_Q_MAX)
        return err_set(
            e, -EINVAL, "q = %u: must be between %d and %d", z->q, WORDS_Q_MIN, WORDS_Q_MAX);
    if (z->participants == 0 || z->participants > word_max(WORDS_Q_MAX))
        return err_set(e, -EINVAL, "%" PRIu32 " participants cannot be summed", z->participants);
    if (z->participants > word_max(z->q))
        return err_set(e, -EINVAL,
            "q = %u is too small for %" PRIu32 " participants: the least is q = %u", z->q,
            z->participants, quantiser_least_q(z->participants));
    if (z->rounding != ROUNDING_STOCHASTIC && z->rounding != ROUNDING_NEAREST)
        return err_set(e, -EINVAL, "rounding %d is unknown", (int)z->rounding);
    int r = check_layout(z, e);
    return r < 0 ? r : check_scale(z, e);
}

int64_t quantiser_bound(const struct quantiser *z)
{
    return word_max(z->q) / z->participants;
}

double quantiser_step(const struct quantiser *z)
{
    return z->clip / (double)quantiser_bound(z);
}

/* ---- layout ------------------------------------------------------------------------------------ */

/* Parameters in a full chunk. */
static uint32_t chunk_load(const struct quantiser *z)
{
    return z->chunk_words - CANARIES;
}

/* Parameters in chunk c. */
static uint32_t chunk_parameters(const struct quantiser *z, uint32_t c)
{
    return MIN(chunk_load(z), z->parameters - c * chunk_load(z));
}

uint32_t quantiser_chunks(const struct quantiser *z)
{
    return (z->parameters - 1) / chunk_load(z) + 1;
}

uint32_t quantiser_words(const struct quantiser *z)
{
    return z->parameters + CANARIES * quantiser_chunks(z);
}

uint32_t quantiser_chunk_words(const struct quantiser *z, uint32_t c)
{
    assert(c < quantiser_chunks(z));
    return chunk_parameters(z, c) + CANARIES;
}

uint64_t quantiser_chunk_offset(const struct quantiser *z, uint32_t c)
{
    return (uint64_t)c * z->chunk_words / 8 * z->q;
}

uint64_t quantiser_chunk_bytes(const struct quantiser *z, uint32_t c)
{
    return words_bytes(quantiser_chunk_words(z, c), z->q);
}

/* ---- encoding ---------------------------------------------------------------------------------- */

/* s within [-bound, bound], an integer, hence so is the result. */
static double round_word(double s, enum rounding rounding, struct rng *rng)
{
    if (rounding == ROUNDING_NEAREST)
        return round(s);
    double below = floor(s);
    return below + (rng_uniform(rng) < s - below ? 1.0 : 0.0);
}

static int encode(
    const struct quantiser *z, const double *x, struct rng *rng, uint8_t *out, uint64_t *clipped)
{
    const double bound = (double)quantiser_bound(z), step = quantiser_step(z);
    struct words_writer w = {.p = out, .q = z->q};
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        words_write(&w, 1);
        for (uint32_t k = chunk_parameters(z, c); k > 0; k--, x++) {
            if (!isfinite(*x))
                return -EDOM;
            double s = *x / step;
            *clipped += fabs(*x) > z->clip;
            s = s > bound ? bound : s < -bound ? -bound : s;
            words_write(&w, (uint32_t)(int32_t)round_word(s, z->rounding, rng));
        }
        words_write(&w, 1);
    }
    words_flush(&w);
    return 0;
}

int quantiser_encode(
    const struct quantiser *z, const double *x, struct rng *rng, uint8_t *out, uint64_t *clipped)
{
    assert(rng || z->rounding == ROUNDING_NEAREST);
    uint64_t ignored;
    clipped = clipped ? clipped : &ignored;
    *clipped = 0;
    int r = encode(z, x, rng, out, clipped);
    if (r < 0)
        memset(out, 0, words_bytes(quantiser_words(z), z->q));
    return r;
}

/* ---- decoding ---------------------------------------------------------------------------------- */

static struct words_reader reader_of(const struct quantiser *z, const uint8_t *packed)
{
    assert(z->q >= WORDS_Q_MIN && z->q <= WORDS_Q_MAX);
    return (struct words_reader){.p = packed, .q = z->q};
}

uint32_t quantiser_canaries_wrong(const struct quantiser *z, const uint8_t *sum)
{
    uint32_t wrong = 0;
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        uint64_t first = (uint64_t)c * z->chunk_words;
        wrong += words_get(sum, first, z->q) != z->participants;
        wrong += words_get(sum, first + quantiser_chunk_words(z, c) - 1, z->q) != z->participants;
    }
    return wrong;
}

void quantiser_apply(const struct quantiser *z, const uint8_t *sum, double *model)
{
    const double step = quantiser_step(z);
    struct words_reader r = reader_of(z, sum);
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        words_read(&r);
        for (uint32_t k = chunk_parameters(z, c); k > 0; k--)
            *model++ += step * (double)words_read_signed(&r);
        words_read(&r);
    }
}

void quantiser_integers(const struct quantiser *z, const uint8_t *packed, int64_t *out)
{
    struct words_reader r = reader_of(z, packed);
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        words_read(&r);
        for (uint32_t k = chunk_parameters(z, c); k > 0; k--)
            *out++ = words_read_signed(&r);
        words_read(&r);
    }
}
