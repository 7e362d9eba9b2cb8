/* SPDX-License-Identifier: Apache-2.0 */
#include "client/levels.h"

#include "common/util.h"

#include <errno.h>

void client_levels_deinit(struct levels *l)
{
    free(l->list);
    *l = (struct levels){0};
}

static const Vault__Stream *mask_stream(const Vault__Levels *from, const char *peer)
{
    for (size_t i = 0; i < from->n_streams; i++)
        if (strcmp(from->streams[i]->peer, peer) == 0 &&
            strcmp(from->streams[i]->purpose, "mask") == 0)
            return from->streams[i];
    return NULL;
}

static int level_set(struct level *l, const char *peer, const Vault__Stream *s, struct err *e)
{
    if (s->stream.len != FED_STREAM_BYTES)
        return err_set(e, 1, "the stream id of %s has %zu bytes", peer, s->stream.len);
    if (s->cursor > s->end)
        return err_set(e, 1, "the cursor of the stream with %s is behind its end", peer);
    *l = (struct level){
        .peer = peer,
        .cursor = s->cursor,
        .end = s->end,
        .peer_cursor = s->peer_cursor,
        .in_step = s->in_step,
        .simulated = s->simulated,
    };
    memcpy(l->stream, s->stream.data, FED_STREAM_BYTES);
    return 0;
}

int client_levels_set(struct levels *l, const Vault__Levels *from, const char *const *peers,
    size_t n_peers, struct err *e)
{
    struct levels fresh = {.list = calloc(MAX(n_peers, (size_t)1), sizeof(*fresh.list))};
    if (!fresh.list)
        return -ENOMEM;
    for (size_t i = 0; i < n_peers; i++) {
        const Vault__Stream *s = mask_stream(from, peers[i]);
        int r = s ? level_set(&fresh.list[fresh.n++], peers[i], s, e) : 0;
        if (r != 0) {
            client_levels_deinit(&fresh);
            return r;
        }
    }
    client_levels_deinit(l);
    *l = fresh;
    return 0;
}

const struct level *client_levels_find(const struct levels *l, const char *peer)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->list[i].peer, peer) == 0)
            return &l->list[i];
    return NULL;
}

uint64_t client_level_available(const struct level *l)
{
    return l->end - l->cursor;
}

static bool level_differs(const struct level *a, const struct level *b)
{
    uint64_t before = client_level_available(a), now = client_level_available(b);
    return a->in_step != b->in_step || memcmp(a->stream, b->stream, FED_STREAM_BYTES) != 0 ||
           MAX(before, now) - MIN(before, now) > before / 8;
}

bool client_levels_differ(const struct levels *a, const struct levels *b)
{
    if (a->n != b->n)
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (a->list[i].peer != b->list[i].peer || level_differs(&a->list[i], &b->list[i]))
            return true;
    return false;
}

int client_levels_copy(struct levels *to, const struct levels *from)
{
    struct level *list = calloc(MAX(from->n, (size_t)1), sizeof(*list));
    if (!list)
        return -ENOMEM;
    if (from->n > 0)
        memcpy(list, from->list, from->n * sizeof(*list));
    client_levels_deinit(to);
    *to = (struct levels){list, from->n};
    return 0;
}

int client_levels_message(struct levels_message *m, const struct levels *l)
{
    m->items = calloc(MAX(l->n, (size_t)1), sizeof(*m->items));
    m->list = calloc(MAX(l->n, (size_t)1), sizeof(Fed__Level *));
    if (!m->items || !m->list) {
        client_levels_message_free(m);
        return -ENOMEM;
    }
    for (size_t i = 0; i < l->n; i++) {
        struct level *from = &l->list[i];
        fed__level__init(&m->items[i]);
        m->items[i].peer = (char *)from->peer;
        m->items[i].stream = (ProtobufCBinaryData){FED_STREAM_BYTES, from->stream};
        m->items[i].cursor = from->cursor;
        m->items[i].end = from->end;
        m->items[i].in_step = from->in_step;
        m->items[i].simulated = from->simulated;
        m->list[i] = &m->items[i];
    }
    return 0;
}

void client_levels_message_free(struct levels_message *m)
{
    free(m->items);
    free(m->list);
    *m = (struct levels_message){0};
}
