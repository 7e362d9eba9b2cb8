/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/session.h"

#include "common/util.h"

struct session *session_new(void)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    if (secret_init(&s->keys, sizeof(struct session_keys)) < 0) {
        free(s);
        return NULL;
    }
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        s->streams[i].ahead_since_ms = NEVER_MS;
    return s;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    secret_deinit(&s->keys);
    free(s);
}

struct session_keys *session_keys(struct session *s)
{
    return (struct session_keys *)s->keys.data;
}

void session_reset(struct session *s)
{
    s->is_synced = false;
    s->has_rx_key = false;
    s->has_asked = false;
    s->n_claims = 0;
    secret_wipe(s->keys.data, s->keys.len);
    s->tx_seq = 0;
}

int session_find_claim(const struct session *s, const uint8_t *id)
{
    for (size_t i = 0; i < s->n_claims; i++)
        if (memcmp(s->claims[i].id, id, ENTRY_ID_BYTES) == 0)
            return (int)i;
    return -1;
}

struct claim *session_add_claim(struct session *s, const uint8_t *id, uint64_t now_ms)
{
    if (s->n_claims == LEDGER_STAGED_MAX)
        return NULL;
    struct claim *c = &s->claims[s->n_claims++];
    *c = (struct claim){.since_ms = now_ms};
    memcpy(c->id, id, ENTRY_ID_BYTES);
    return c;
}

void session_drop_claim(struct session *s, size_t index)
{
    struct session_keys *k = session_keys(s);
    size_t after = s->n_claims - index - 1;
    memmove(&s->claims[index], &s->claims[index + 1], after * sizeof(s->claims[0]));
    memmove(&k->claims[index], &k->claims[index + 1], after * sizeof(k->claims[0]));
    s->n_claims--;
    secret_wipe(&k->claims[s->n_claims], sizeof(k->claims[0]));
}
