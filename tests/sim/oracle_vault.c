/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/oracle_parts.h"

#include "common/util.h"
#include "proto/pool.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/sim/need.h"
#include "tests/sim/nodes.h"

#include <inttypes.h>

/* ---- invariant 1, between vaults: a tag's pad serves one tag ---- */

#define TAG_PAD_BYTES 16

/* The hash key comes before the pad in the first tag of a session (proto/pool.proto). */
static uint64_t pad_bytes(const Pool__Staged *m)
{
    return m->tag_seq % (1 << 20) == 0 ? 2 * TAG_PAD_BYTES : TAG_PAD_BYTES;
}

static void tag_is_fresh(struct oracle *o, unsigned site, unsigned peer, const Pool__Staged *m)
{
    struct tag tag = {site, peer, m->pad_offset, m->pad_offset + pad_bytes(m), {0}};
    if (m->tag.len == sizeof(tag.value))
        memcpy(tag.value, m->tag.data, sizeof(tag.value));
    for (size_t i = o->n_tags; i-- > 0;) {
        const struct tag *t = &o->tags[i];
        if (t->site != site || t->peer != peer || t->end <= tag.start || tag.end <= t->start)
            continue;
        if (t->start != tag.start || memcmp(t->value, tag.value, sizeof(tag.value)) != 0)
            world_violation(o->set.world,
                "invariant 1: the vaults of %s and %s: two tags under the pad at %" PRIu64,
                o->set.sites[site], o->set.sites[peer], tag.start);
        return;
    }
    o->tags = need(reallocarray(o->tags, o->n_tags + 1, sizeof(*o->tags)));
    o->tags[o->n_tags++] = tag;
}

void oracle_sent_carry(struct oracle *o, unsigned site, const struct message *m)
{
    Vault__Carry *carry = vault__carry__unpack(NULL, m->len, m->body);
    bool is_staged = carry && carry->data.len > 2 &&
                     (carry->data.data[0] | carry->data.data[1] << 8) == POOL_STAGED;
    Pool__Staged *staged =
        is_staged ? pool__staged__unpack(NULL, carry->data.len - 2, carry->data.data + 2) : NULL;
    for (unsigned i = 0; staged && i < o->set.n; i++)
        if (strcmp(o->set.sites[i], carry->peer) == 0)
            tag_is_fresh(o, site, i, staged);
    pool__staged__free_unpacked(staged, NULL);
    vault__carry__free_unpacked(carry, NULL);
}

/* ---- invariant 6: accounting ---- */

static size_t accounts_of(const struct oracle *o, size_t site, struct vault_account *out)
{
    return vault_accounts(vault_node_core(o->set.vaults[site]), out, 3 * ORACLE_SITES_MAX);
}

void oracle_vault_stepped(struct oracle *o, size_t site)
{
    struct vault_account list[3 * ORACLE_SITES_MAX];
    size_t n = accounts_of(o, site, list);
    for (size_t i = 0; i < n; i++) {
        const struct vault_account *a = &list[i];
        if (a->ingested !=
            a->available + a->reserved + a->used + a->skipped + a->voided + a->expired)
            world_violation(o->set.world,
                "invariant 6: %s/vault, stream with %s: ingested %" PRIu64
                " is not available %" PRIu64 " + reserved %" PRIu64 " + used %" PRIu64
                " + skipped %" PRIu64 " + void %" PRIu64 " + expired %" PRIu64,
                o->set.sites[site], a->peer, a->ingested, a->available, a->reserved, a->used,
                a->skipped, a->voided, a->expired);
    }
}

static const struct vault_account *find_stream(
    const struct vault_account *list, size_t n, const uint8_t *stream)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i].stream, stream, VAULT_STREAM_BYTES) == 0)
            return &list[i];
    return NULL;
}

/* No key is reserved, and both ends have ingested and burnt the same. */
static void ends_agree(struct oracle *o, size_t i, size_t j)
{
    struct vault_account here[3 * ORACLE_SITES_MAX], there[3 * ORACLE_SITES_MAX];
    size_t n_here = accounts_of(o, i, here), n_there = accounts_of(o, j, there);
    for (size_t k = 0; k < n_here; k++) {
        const struct vault_account *a = &here[k];
        if (strcmp(a->peer, o->set.sites[j]) != 0)
            continue;
        const struct vault_account *b = find_stream(there, n_there, a->stream);
        if (a->reserved > 0)
            world_violation(o->set.world,
                "invariant 6: at rest %s has %" PRIu64 " bytes of key with %s reserved",
                o->set.sites[i], a->reserved, o->set.sites[j]);
        else if (!b || a->ingested != b->ingested || a->end != b->end ||
                 (a->purpose == VAULT_MASK && a->cursor != b->cursor))
            world_violation(o->set.world,
                "invariant 6: at rest %s and %s differ in stream %u: ingested %" PRIu64
                " and %" PRIu64 ", end %" PRIu64 " and %" PRIu64 ", cursor %" PRIu64
                " and %" PRIu64,
                o->set.sites[i], o->set.sites[j], a->purpose, a->ingested, b ? b->ingested : 0,
                a->end, b ? b->end : 0, a->cursor, b ? b->cursor : 0);
    }
}

/* A vault that was rolled back has burnt its pairs and takes nothing until they are paired anew. */
static bool is_whole(const struct oracle *o, size_t site)
{
    return o->set.vaults[site]->up && !vault_node_has_rolled_back(o->set.vaults[site]);
}

void oracle_at_rest(struct oracle *o)
{
    for (size_t i = 0; i < o->set.n; i++)
        for (size_t j = 0; j < o->set.n; j++)
            if (i != j && is_whole(o, i) && is_whole(o, j))
                ends_agree(o, i, j);
}
