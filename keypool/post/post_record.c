/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/post_internal.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>

#define CLICK_BYTES_MAX 10

static int record_init(struct post_record *r, const struct post_record_config *c)
{
    r->side = c->side;
    r->pulses = c->pulses;
    r->clicks_max = c->clicks_max;
    int e = secret_init(&r->keys, 2 * POST_TAG_BYTES);
    if (e == 0)
        e = secret_init(&r->basis, bytes_of(c->clicks_max));
    if (e == 0)
        e = secret_init(&r->bits, bytes_of(c->clicks_max));
    if (e < 0)
        return e;
    for (unsigned side = 0; side < 2; side++) {
        uint8_t *key = r->keys.data + side * POST_TAG_BYTES;
        memcpy(key, c->keys[side], POST_TAG_BYTES);
        gf128_init(&r->transcript[side], key);
        gf128_u64(&r->transcript[side], side);
        gf128_u64(&r->transcript[side], c->pulses);
    }
    return 0;
}

int post_record_new(struct post_record **out, const struct post_record_config *config)
{
    *out = NULL;
    if (config->pulses == 0 || config->pulses > POST_PULSES_MAX || config->clicks_max == 0 ||
        config->clicks_max > POST_CLICKS_MAX)
        return -EINVAL;
    struct post_record *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    int e = record_init(r, config);
    if (e < 0) {
        post_record_free(r);
        return e;
    }
    *out = r;
    return 0;
}

void post_record_free(struct post_record *r)
{
    if (!r)
        return;
    for (unsigned side = 0; side < 2; side++)
        gf128_deinit(&r->transcript[side]);
    secret_deinit(&r->keys);
    secret_deinit(&r->basis);
    secret_deinit(&r->bits);
    free(r);
}

static void hash_piece(struct post_record *r)
{
    const struct sha256_part parts[] = {{r->digest, SHA256_BYTES}, {r->piece, r->piece_len}};
    sha256_parts(r->digest, parts, ARRAY_SIZE(parts));
    for (unsigned side = 0; side < 2; side++)
        gf128_part(&r->transcript[side], r->piece, r->piece_len);
    r->piece_len = 0;
}

/* Distance to the click before and the detector, as a varint. */
static void announce(struct post_record *r, const struct post_click *c)
{
    uint64_t v = (c->position - r->next) << 1 | c->d2;
    if (r->piece_len > POST_PIECE - CLICK_BYTES_MAX)
        hash_piece(r);
    for (; v >= 0x80; v >>= 7)
        r->piece[r->piece_len++] = (uint8_t)(v | 0x80);
    r->piece[r->piece_len++] = (uint8_t)v;
}

static int add_click(struct post_record *r, const struct post_click *c, struct err *e)
{
    if (c->position < r->next || c->position >= r->pulses)
        return err_set(e, POST_E_ANNOUNCEMENT,
            "event %" PRIu64 " was announced at pulse %" PRIu64 ", which is %s", r->n, c->position,
            c->position < r->next ? "not behind the one before" : "not in the block");
    if (r->n == r->clicks_max)
        return err_set(e, POST_E_ANNOUNCEMENT,
            "more than %" PRIu64 " events were announced in one block", r->clicks_max);
    announce(r, c);
    r->next = c->position + 1;
    bool bit = c->bit ^ (c->d2 && r->side == POST_HIGH);
    r->basis.data[r->n / 8] |= (uint8_t)(c->y << (r->n % 8));
    r->bits.data[r->n / 8] |= (uint8_t)(bit << (r->n % 8));
    r->n++;
    return 0;
}

int post_record_add(struct post_record *r, const struct post_click *clicks, size_t n, struct err *e)
{
    int result = r->is_sealed ? -EINVAL : 0;
    for (size_t i = 0; i < n && result == 0; i++)
        result = add_click(r, &clicks[i], e);
    return result;
}

void post_record_seal(struct post_record *r)
{
    if (!r->is_sealed && r->piece_len > 0)
        hash_piece(r);
    r->is_sealed = true;
}

uint64_t post_record_clicks(const struct post_record *r)
{
    return r->n;
}
