/* SPDX-License-Identifier: Apache-2.0 */
/* The heavy steps of a block, as jobs; Cascade's are in post_frames.c. */
#include "keypool/post/post_internal.h"

#include "common/util.h"
#include "keypool/post/amplify.h"

#include <errno.h>

#define VERIFY_DOMAIN 2 /* the transcripts' are 0 and 1 */

static uint64_t count_ones(const uint8_t *p, uint64_t bits)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < bytes_of(bits); i++)
        n += (unsigned)__builtin_popcount(p[i]);
    return n;
}

int post_work_new(struct post_work **out, enum post_side side, struct post_record *record)
{
    *out = NULL;
    struct post_work *w = calloc(1, sizeof(*w));
    if (!w) {
        post_record_free(record);
        return -ENOMEM;
    }
    w->side = side;
    w->record = record;
    w->n = record->n;
    uint64_t own_y = count_ones(record->basis.data, w->n);
    memcpy(w->hash_key, record->keys.data + POST_HIGH * POST_TAG_BYTES, POST_TAG_BYTES);
    int r = secret_init(&w->x, bytes_of(w->n - own_y) + 1);
    if (r == 0)
        r = secret_init(&w->y, bytes_of(own_y) + 1);
    if (r < 0) {
        post_work_free(w);
        return r;
    }
    *out = w;
    return 0;
}

void post_work_free(struct post_work *w)
{
    if (!w)
        return;
    post_record_free(w->record);
    secret_deinit(&w->x);
    secret_deinit(&w->y);
    secret_deinit(&w->key);
    post_cascade_deinit(&w->cascade);
    buf_deinit(&w->in);
    buf_deinit(&w->out);
    buf_deinit(&w->t);
    secret_wipe(w, sizeof(*w));
    free(w);
}

static uint64_t word_at(const uint8_t *p, uint64_t bytes)
{
    uint8_t word[8] = {0};
    memcpy(word, p, MIN(bytes, sizeof(word)));
    return get_u64le(word);
}

/* Appends the bits of `word` where `mask` is set. */
static void keep(uint8_t *out, uint64_t *n, uint64_t word, uint64_t mask)
{
    for (; mask; mask &= mask - 1, ++*n)
        out[*n / 8] |= (uint8_t)((word >> __builtin_ctzll(mask) & 1) << (*n % 8));
}

int post_sift(struct post_work *w)
{
    const uint8_t *own = w->record->basis.data + w->at / 8;
    const uint8_t *bits = w->record->bits.data + w->at / 8;
    uint64_t events = MIN(w->n - w->at, 8 * (uint64_t)w->in.len);
    for (uint64_t i = 0; i < events; i += 64) {
        uint64_t left = events - i;
        uint64_t bytes = bytes_of(left);
        uint64_t valid = left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;
        uint64_t a = word_at(own + i / 8, bytes);
        uint64_t b = word_at(w->in.data + i / 8, bytes);
        uint64_t bit = word_at(bits + i / 8, bytes);
        if (b & ~valid)
            return err_set(&w->why, 1, "bases of more events than there are");
        keep(w->x.data, &w->n_x, bit, ~a & ~b & valid);
        keep(w->y.data, &w->n_y, bit, a & b);
        w->n_mismatched += (unsigned)__builtin_popcountll(a ^ b);
    }
    w->at += events;
    return 0;
}

int post_compare(struct post_work *w)
{
    uint64_t bits = MIN(w->n_y - w->y_at, 8 * (uint64_t)w->in.len);
    if (bits % 8 && w->in.data[bits / 8] >> bits % 8)
        return err_set(&w->why, 1, "more bits than there are events in Y");
    const uint8_t *own = w->y.data + w->y_at / 8;
    for (uint64_t i = 0; i < bytes_of(bits); i++)
        w->m_y += (unsigned)__builtin_popcount(own[i] ^ w->in.data[i]);
    w->y_at += bits;
    if (w->y_at == w->n_y) {
        post_record_free(w->record);
        w->record = NULL;
        secret_deinit(&w->y);
    }
    return 0;
}

int post_verify(struct post_work *w)
{
    struct gf128 h;
    gf128_init(&h, w->hash_key);
    gf128_u64(&h, VERIFY_DOMAIN);
    gf128_u64(&h, w->n_x);
    gf128_part(&h, w->x.data, bytes_of(w->n_x));
    gf128_tag(&h, w->pad, w->tag);
    secret_wipe(w->pad, sizeof(w->pad));
    return 0;
}

int post_amplify(struct post_work *w)
{
    int r = secret_init(&w->key, bytes_of(w->key_bits));
    if (r < 0)
        return r;
    return amplify(fft128_best(), w->x.data, w->n_x, w->t.data, w->key_bits, w->key.data);
}
