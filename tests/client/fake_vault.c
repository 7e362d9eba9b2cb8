/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fake_vault.h"

#include "common/sha256.h"
#include "common/util.h"

#include <assert.h>

/* ---- bytes ------------------------------------------------------------------------------------ */

static void block(const char *a, const char *b, uint64_t index, uint8_t out[SHA256_BYTES])
{
    uint8_t number[8];
    put_u64le(number, index);
    const char *low = strcmp(a, b) < 0 ? a : b;
    const char *high = low == a ? b : a;
    const struct sha256_part parts[] = {
        {low, strlen(low)}, {high, strlen(high)}, {number, sizeof(number)}};
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}

void fake_vault_bytes(const char *a, const char *b, uint64_t offset, uint8_t *out, size_t len)
{
    uint8_t bytes[SHA256_BYTES];
    uint64_t have = UINT64_MAX;
    for (size_t i = 0; i < len; i++) {
        uint64_t index = (offset + i) / SHA256_BYTES;
        if (index != have)
            block(a, b, index, bytes);
        have = index;
        out[i] = bytes[(offset + i) % SHA256_BYTES];
    }
}

void fake_vault_id(const char *a, const char *b, uint8_t id[16])
{
    uint8_t bytes[SHA256_BYTES];
    block(a, b, UINT64_MAX, bytes);
    memcpy(id, bytes, 16);
}

/* ---- the vault -------------------------------------------------------------------------------- */

void fake_vault_init(struct fake_vault *v, const char *site, const char *const *peers, size_t n)
{
    *v = (struct fake_vault){.site = site, .n = (uint32_t)n};
    assert(n <= FAKE_PEERS_MAX);
    for (size_t i = 0; i < n; i++) {
        v->streams[i] =
            (struct fake_stream){.peer = peers[i], .end = (uint64_t)1 << 40, .in_step = true};
        fake_vault_id(site, peers[i], v->streams[i].id);
    }
}

struct fake_stream *fake_vault_stream(struct fake_vault *v, const char *peer)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (strcmp(v->streams[i].peer, peer) == 0)
            return &v->streams[i];
    return NULL;
}

static struct blob *pack_welcome(const struct fake_vault *v)
{
    Vault__Welcome m = VAULT__WELCOME__INIT;
    char *peers[FAKE_PEERS_MAX];
    for (uint32_t i = 0; i < v->n; i++)
        peers[i] = (char *)v->streams[i].peer;
    m.version = VAULT_VERSION;
    m.site = (char *)v->site;
    m.peers = peers;
    m.n_peers = v->n;
    return codec_pack(&m.base);
}

static struct blob *pack_levels(struct fake_vault *v)
{
    Vault__Levels m = VAULT__LEVELS__INIT;
    Vault__Stream items[FAKE_PEERS_MAX];
    Vault__Stream *list[FAKE_PEERS_MAX];
    char purpose[] = "mask";
    for (uint32_t i = 0; i < v->n; i++) {
        struct fake_stream *s = &v->streams[i];
        vault__stream__init(&items[i]);
        items[i].peer = (char *)s->peer;
        items[i].purpose = purpose;
        items[i].stream = (ProtobufCBinaryData){16, s->id};
        items[i].cursor = s->cursor;
        items[i].end = s->end;
        items[i].peer_cursor = s->peer_cursor;
        items[i].in_step = s->in_step;
        items[i].simulated = true;
        list[i] = &items[i];
    }
    m.streams = list;
    m.n_streams = v->n;
    return codec_pack(&m.base);
}

static uint32_t stream_index(const struct fake_vault *v, ProtobufCBinaryData id)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (id.len == 16 && memcmp(v->streams[i].id, id.data, 16) == 0)
            return i;
    return UINT32_MAX;
}

static uint32_t burn(struct fake_vault *v, const Vault__Reserve *m)
{
    if (m->attempt <= v->attempt)
        return m->attempt == v->attempt ? VAULT_LOST : VAULT_OLD_ATTEMPT;
    for (size_t i = 0; i < m->n_ranges; i++) {
        uint32_t s = stream_index(v, m->ranges[i]->stream);
        if (s == UINT32_MAX)
            return VAULT_NO_STREAM;
        if (m->ranges[i]->start < v->streams[s].cursor)
            return VAULT_REUSE;
        if (m->ranges[i]->start + m->ranges[i]->length > v->streams[s].end)
            return VAULT_NO_KEY;
    }
    v->n_ranges = (uint32_t)m->n_ranges;
    for (uint32_t i = 0; i < v->n_ranges; i++) {
        uint32_t s = stream_index(v, m->ranges[i]->stream);
        v->ranges[i] = (struct fake_range){s, m->ranges[i]->start, m->ranges[i]->length, 0};
        v->streams[s].cursor = m->ranges[i]->start + m->ranges[i]->length;
    }
    v->attempt = m->attempt;
    v->is_reserved = true;
    return VAULT_OK;
}

static struct blob *answer_reserve(struct fake_vault *v, const Vault__Reserve *m)
{
    Vault__Reserved answer = VAULT__RESERVED__INIT;
    char reason[] = "the vault says no";
    answer.attempt = m->attempt;
    answer.code = v->refuse ? v->refuse : burn(v, m);
    if (answer.code != VAULT_OK)
        answer.reason = reason;
    v->refuse = 0;
    return codec_pack(&answer.base);
}

static struct blob *answer_take(struct fake_vault *v, const Vault__Take *m)
{
    assert(v->is_reserved && m->attempt == v->attempt && m->range < v->n_ranges);
    struct fake_range *range = &v->ranges[m->range];
    assert(m->offset >= range->taken && m->offset + m->length <= range->length);
    assert(m->length <= VAULT_TAKE_MAX);
    uint8_t *bytes = malloc(m->length + 1);
    fake_vault_bytes(
        v->site, v->streams[range->stream].peer, range->start + m->offset, bytes, m->length);
    range->taken = m->offset + m->length;
    v->handed_out += m->length;
    Vault__Pad pad = VAULT__PAD__INIT;
    pad.attempt = m->attempt;
    pad.range = m->range;
    pad.offset = m->offset;
    pad.data = (ProtobufCBinaryData){m->length, bytes};
    struct blob *body = codec_pack(&pad.base);
    free(bytes);
    return body;
}

static ProtobufCMessage *decode(
    const ProtobufCMessageDescriptor *d, const uint8_t *body, size_t len, struct arena *a)
{
    ProtobufCMessage *m = NULL;
    int r = codec_unpack(d, body, len, a, &m);
    assert(r == 0);
    return m;
}

uint16_t fake_vault_answer(
    struct fake_vault *v, uint16_t type, const uint8_t *body, size_t len, struct blob **out)
{
    struct arena *a = arena_new(4096);
    uint16_t answer = 0;
    switch (type) {
    case VAULT_HELLO:
        *out = pack_welcome(v);
        answer = VAULT_WELCOME;
        break;
    case VAULT_LEVELS_GET:
        *out = pack_levels(v);
        answer = VAULT_LEVELS;
        break;
    case VAULT_RESERVE:
        *out = answer_reserve(v, (void *)decode(&vault__reserve__descriptor, body, len, a));
        answer = VAULT_RESERVED;
        break;
    case VAULT_TAKE:
        *out = answer_take(v, (void *)decode(&vault__take__descriptor, body, len, a));
        answer = VAULT_PAD;
        break;
    case VAULT_RELEASE:
        v->is_reserved = false;
        break;
    default:
        assert(!"not for a vault");
    }
    arena_free(a);
    return answer;
}
