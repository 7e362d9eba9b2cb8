/* SPDX-License-Identifier: Apache-2.0 */
/* What qflctl asks of the key pool: status, keys, audit, pair, metrics. Amounts in bits. */
#include "common/hex.h"
#include "common/util.h"
#include "keypool/vault/condition.h"
#include "keypool/vault/core.h"
#include "proto/ctl_responder.h"

#include <errno.h>
#include <jansson.h>
#include <sysexits.h>

static json_t *bits(uint64_t bytes)
{
    return json_integer((json_int_t)(8 * bytes));
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *hex(const uint8_t *id)
{
    char text[2 * ENTRY_ID_BYTES + 1];
    hex_encode(text, id, ENTRY_ID_BYTES);
    return json_string(text);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void put_account(json_t *to, const struct ledger_stream *s)
{
    json_object_set_new(to, "ingested_bits", bits(s->end));
    json_object_set_new(to, "available_bits", bits(ledger_available(s)));
    json_object_set_new(to, "reserved_bits", bits(s->reserved));
    json_object_set_new(to, "used_bits", bits(s->used));
    json_object_set_new(to, "wasted_bits", bits(s->skipped + s->voided + s->expired));
    json_object_set_new(to, "skipped_bits", bits(s->skipped));
    json_object_set_new(to, "void_bits", bits(s->voided));
    json_object_set_new(to, "expired_bits", bits(s->expired));
}

static json_t *stream_json(const struct ledger_stream *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "purpose", json_string(ledger_purpose_name(s->purpose)));
    json_object_set_new(o, "stream", hex(s->id));
    put_account(o, s);
    json_object_set_new(o, "cursor", number(s->cursor));
    json_object_set_new(o, "end", number(s->end));
    json_object_set_new(o, "peer_cursor", number(s->heard));
    json_object_set_new(o, "in_step", json_boolean(s->peer->session->streams[s->purpose].in_step));
    return o;
}

static json_t *peer_json(const struct vault *v, const struct ledger_peer *p)
{
    const struct ledger_stream *mask = &p->streams[VAULT_MASK];
    json_t *o = json_object();
    json_object_set_new(o, "peer", json_string(p->site));
    json_object_set_new(o, "state", json_string(condition_name(p)));
    json_object_set_new(o, "source", json_string(mask->source));
    json_object_set_new(o, "simulated", json_boolean(mask->simulated));
    put_account(o, mask);
    json_object_set_new(o, "blocks", number(mask->blocks));
    json_object_set_new(o, "void_blocks", number(mask->void_blocks));
    json_object_set_new(o, "undecided_blocks", number(p->n_staged));
    json_object_set_new(o, "room_bits", bits(blocks_room(v, p)));
    json_t *streams = json_array();
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        json_array_append_new(streams, stream_json(&p->streams[i]));
    json_object_set_new(o, "streams", streams);
    return o;
}

static json_t *keys_json(const struct vault *v)
{
    json_t *o = json_object();
    json_t *peers = json_array();
    for (size_t i = 0; i < v->store.ledger.n; i++)
        json_array_append_new(peers, peer_json(v, v->store.ledger.peers[i]));
    json_object_set_new(o, "site", json_string(v->store.ledger.site));
    json_object_set_new(o, "peers", peers);
    return o;
}

/* ---- status and metrics ---------------------------------------------------------------------- */

static json_t *status_json(const struct vault *v)
{
    json_t *o = json_object();
    json_t *pairs = json_object();
    for (size_t i = 0; i < v->store.ledger.n; i++)
        json_object_set_new(pairs, v->store.ledger.peers[i]->site,
            json_string(condition_name(v->store.ledger.peers[i])));
    json_object_set_new(o, "site", json_string(v->store.ledger.site));
    json_object_set_new(o, "kme", json_boolean(v->kme != 0));
    json_object_set_new(o, "consumers", number(v->n_consumers));
    json_object_set_new(o, "epoch", number(keystore_epoch(&v->store)));
    json_object_set_new(o, "capacity_bits", bits(v->capacity));
    json_object_set_new(o, "allow_simulated_keys", json_boolean(v->allow_simulated));
    json_object_set_new(o, "locked_memory", json_boolean(v->window.locked));
    json_object_set_new(o, "pairs", pairs);
    return o;
}

static json_t *vault_metrics(const struct vault *v)
{
    json_t *o = metrics_json(vault_counters_table, &v->counters);
    json_object_set_new(o, "records", number(keystore_epoch(&v->store)));
    return o;
}

/* ---- audit ----------------------------------------------------------------------------------- */

/* Collects ranges from a walk through the journal. */
struct audit {
    uint64_t from;  /* first record wanted */
    uint64_t limit; /* of ranges, but whole records */
    uint64_t next;  /* first record left out; 0: none */
    json_t *ranges;
};

static json_t *range_json(uint64_t seq, const struct entry *e)
{
    static const char *const kinds[] = {
        [BURN_RESERVE] = "reserve", [BURN_TAG] = "tag", [BURN_SKIP] = "skip"};
    json_t *o = json_object();
    json_object_set_new(o, "record", number(seq));
    json_object_set_new(o, "kind", json_string(kinds[e->burn.use]));
    json_object_set_new(o, "stream", hex(e->stream));
    json_object_set_new(o, "start", number(e->burn.start));
    json_object_set_new(o, "end", number(e->burn.end));
    if (e->burn.use == BURN_RESERVE) {
        json_object_set_new(o, "role", json_string(role_name(e->burn.role)));
        json_object_set_new(o, "run", hex(e->burn.run));
        json_object_set_new(o, "attempt", number(e->burn.attempt));
    }
    return o;
}

static int audit_record(
    void *arg, enum journal_kind kind, uint64_t seq, const uint8_t *payload, size_t len)
{
    struct audit *a = arg;
    if (seq < a->from || a->next > 0)
        return 0;
    if (json_array_size(a->ranges) >= a->limit) {
        a->next = seq;
        return 0;
    }
    while (len > 0) {
        struct entry e;
        int r = entry_decode(&payload, &len, &e);
        if (r != 0)
            return r < 0 ? r : JOURNAL_E_FAULT;
        if (e.kind == ENTRY_BURN && e.burn.use > 0)
            json_array_append_new(a->ranges, range_json(seq, &e));
    }
    return 0;
}

static uint64_t argument(const json_t *arguments, const char *key, uint64_t fallback)
{
    const json_t *value = json_object_get(arguments, key);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : fallback;
}

#define AUDIT_RANGES_MAX 50000 /* so that the answer fits a frame */

static int audit_json(struct vault *v, const json_t *arguments, json_t **result, struct err *e)
{
    struct audit a = {
        .from = argument(arguments, "from", 0),
        .limit = MIN(argument(arguments, "limit", AUDIT_RANGES_MAX), (uint64_t)AUDIT_RANGES_MAX),
        .ranges = json_array(),
    };
    int r = keystore_walk(&v->store, audit_record, &a);
    if (r != 0) {
        json_decref(a.ranges);
        return r < 0 ? r : err_set(e, EX_DATAERR, "the journal's history is damaged");
    }
    json_t *o = json_object();
    json_object_set_new(o, "site", json_string(v->store.ledger.site));
    json_object_set_new(o, "records", number(keystore_epoch(&v->store)));
    json_object_set_new(o, "ranges", a.ranges);
    if (a.next > 0)
        json_object_set_new(o, "next", number(a.next));
    *result = o;
    return 0;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int pair(struct vault *v, const json_t *arguments, json_t **result, struct err *e)
{
    const char *path = json_string_value(json_object_get(arguments, "path"));
    if (!v->import)
        return err_set(e, EX_UNAVAILABLE, "this key pool imports no pairings");
    size_t before = v->store.ledger.n;
    int r = v->import(v->import_arg, v, path, e);
    if (v->failure < 0)
        return v->failure;
    if (r < 0)
        return EX_DATAERR;
    *result = json_pack("{s:I}", "new_peers", (json_int_t)(v->store.ledger.n - before));
    return 0;
}

static int answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e)
{
    struct vault *v = owner;
    if (strcmp(verb, "status") == 0)
        *result = status_json(v);
    else if (strcmp(verb, "keys") == 0)
        *result = keys_json(v);
    else if (strcmp(verb, "metrics") == 0)
        *result = vault_metrics(v);
    else if (strcmp(verb, "audit") == 0)
        return audit_json(v, arguments, result, e);
    else if (strcmp(verb, "pair") == 0)
        return pair(v, arguments, result, e);
    else
        return err_set(e, EX_USAGE, "the key pool knows no verb '%.40s'", verb);
    return *result ? 0 : -ENOMEM;
}

int control_frame(
    struct vault *v, struct consumer *c, const struct event *event, struct update *u, struct err *e)
{
    ProtobufCMessage *m;
    int r = link_frame(&c->link, event, v->arena, u, &m, e);
    return r == 0 && m ? ctl_respond(answer, v, c->conn, m, u) : r;
}
