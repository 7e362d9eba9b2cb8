/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/tag.h"

#include "common/util.h"

struct tag_place tag_place(uint64_t seq, uint64_t offset)
{
    bool is_fresh = seq % SESSION_KEY_TAGS == 0;
    return (struct tag_place){seq, offset, is_fresh ? TAG_FRESH_BYTES : GF128_BYTES};
}

struct entry tag_burn(const struct ledger_stream *s, const struct tag_place *at)
{
    return keystore_burn(s, BURN_TAG, at->offset, at->offset + at->len);
}

static int hash_from_disk(
    struct vault *v, const struct ledger_peer *p, const struct ledger_block *b, struct gf128 *h)
{
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < b->len;) {
        size_t n = (size_t)MIN(b->len - at, (uint64_t)v->window.len);
        r = keystore_read_block(&v->store, p, b, at, v->window.data, n);
        if (r == 0)
            gf128_update(h, v->window.data, n);
        at += n;
    }
    secret_wipe(v->window.data, v->window.len);
    return r;
}

int tag_make(struct vault *v, const struct ledger_stream *auth, uint64_t seq,
    const struct ledger_block *b, const uint8_t *key, const struct tag_keys *keys,
    uint8_t tag[GF128_BYTES])
{
    struct gf128 h;
    int r = 0;
    gf128_init(&h, keys->hash);
    gf128_part(&h, auth->id, VAULT_STREAM_BYTES);
    gf128_u64(&h, seq);
    gf128_part(&h, b->id, ENTRY_ID_BYTES);
    gf128_begin(&h, b->len);
    if (key)
        gf128_update(&h, key, b->len);
    else
        r = hash_from_disk(v, auth->peer, b, &h);
    if (r == 0)
        gf128_tag(&h, keys->pad, tag); /* wipes */
    gf128_deinit(&h);
    return r;
}
