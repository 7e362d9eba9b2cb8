/* SPDX-License-Identifier: Apache-2.0 */
/* From a real update to q-bit words and back, with a sum that cannot overflow.
 *
 * |v_i| <= B = floor((2^(q-1)-1)/K), step Delta = clip/B, for x_i = p_i dtheta_i clipped to
 * [-clip, clip] (aggregation.md section 1). A q is accepted only if B >= 1. Canary words (value 1,
 * whose sum must be K) stand at the first and last word of every chunk; parameters fill the rest.
 *
 * Rounding of s = min(max(x/Delta, -B), B): stochastic, v = floor(s) + [u < s - floor(s)] with u uniform
 * in [0, 1), so that the mean of v is s; or nearest, half away from zero. Either stays within B, because
 * B is an integer. One u is drawn per parameter, in order, whatever x is.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"

#include <stdint.h>

enum rounding { ROUNDING_STOCHASTIC, ROUNDING_NEAREST };

#define QUANTISER_CANARIES_ENDS 1 /* the one layout: first and last word of each chunk */
#define QUANTISER_CHUNK_MIN     8 /* words */

struct quantiser {
    unsigned q;            /* bits per word */
    uint32_t participants; /* K */
    uint32_t parameters;   /* words that carry the model */
    uint32_t chunk_words;  /* multiple of 8, at least 8 */
    double clip;
    enum rounding rounding;
};

/* The least q that K participants can use: 2^(q-1)-1 >= K. */
unsigned quantiser_least_q(uint32_t participants);

/* Refuses (-EINVAL with a sentence that names the least q) what cannot be exact. */
int quantiser_check(const struct quantiser *z, struct err *e) must_check;

int64_t quantiser_bound(const struct quantiser *z); /* B */
double quantiser_step(const struct quantiser *z);   /* Delta */

/* Every chunk but the last has chunk_words words, of which chunk_words - 2 are parameters; the last one
 * has the parameters that remain (1 to chunk_words - 2) and its two canaries, so it is never shorter
 * than 3 words. Chunk c has the words [c chunk_words, ...). */
uint32_t quantiser_words(const struct quantiser *z); /* d: parameters and canaries */
uint32_t quantiser_chunks(const struct quantiser *z);
/* Words of chunk c. */
uint32_t quantiser_chunk_words(const struct quantiser *z, uint32_t c);
/* Byte offset and length of chunk c in the packed vector (chunks start on whole bytes). */
uint64_t quantiser_chunk_offset(const struct quantiser *z, uint32_t c);
uint64_t quantiser_chunk_bytes(const struct quantiser *z, uint32_t c);

/* x: `parameters` doubles, p_i dtheta_i. out: words_bytes(d, q) bytes, packed, canaries set. Values
 * that are not finite are refused with -EDOM, and out is zeroed. Number of clipped values in *clipped
 * (may be NULL). `rng` may be NULL with ROUNDING_NEAREST. */
int quantiser_encode(const struct quantiser *z, const double *x, struct rng *rng, uint8_t *out,
    uint64_t *clipped) must_check;

/* > 0 when some canary of the packed sum is not K: the number of wrong ones. */
uint32_t quantiser_canaries_wrong(const struct quantiser *z, const uint8_t *sum);

/* model[k] += Delta * sum[k] for every parameter: bit-exact on every machine (no FMA contraction). */
void quantiser_apply(const struct quantiser *z, const uint8_t *sum, double *model);

/* The clear integers, parameters only, for tests and sum_exact: out has `parameters` entries. */
void quantiser_integers(const struct quantiser *z, const uint8_t *packed, int64_t *out);
