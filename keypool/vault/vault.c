/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/vault.h"

#include "common/util.h"
#include "keypool/vault/core.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define SWEEP_DELAY_MS   ((uint64_t)100)
#define SAVE_DELAY_MS    ((uint64_t)1000)
#define BLOCK_TIMEOUT_MS ((uint64_t)60 * 1000)
#define ARENA_KEEP       ((size_t)64 * 1024)

/* ---- make and unmake ------------------------------------------------------------------------- */

static int make_sessions(struct vault *v)
{
    for (size_t i = 0; i < v->store.ledger.n; i++) {
        struct ledger_peer *p = v->store.ledger.peers[i];
        if (!p->session)
            p->session = session_new();
        if (!p->session)
            return -ENOMEM;
    }
    return 0;
}

static void free_sessions(struct vault *v)
{
    for (size_t i = 0; i < v->store.ledger.n; i++) {
        session_free(v->store.ledger.peers[i]->session);
        v->store.ledger.peers[i]->session = NULL;
    }
}

int vault_new(struct vault **out, const struct vault_config *config, struct disk *disk,
    uint64_t now_ms, struct err *e)
{
    struct vault *v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(e, -ENOMEM, "out of memory");
    v->capacity = config->capacity_bytes;
    v->allow_simulated = config->allow_simulated;
    v->block_timeout_ms = config->block_timeout_ms ? config->block_timeout_ms : BLOCK_TIMEOUT_MS;
    v->import = config->import;
    v->import_arg = config->import_arg;
    v->now_ms = now_ms;
    v->sweep_ms = NEVER_MS;
    v->save_ms = NEVER_MS;
    v->arena = arena_new(ARENA_KEEP);
    int r = v->arena ? secret_init(&v->window, VAULT_TAKE_MAX) : -ENOMEM;
    if (r == 0)
        r = keystore_open(&v->store, config, disk, &v->notes, e);
    if (r == 0)
        r = make_sessions(v);
    if (r != 0) {
        vault_free(v);
        return r;
    }
    *out = v;
    return 0;
}

/* What is not in the journal yet counts as destroyed at the next start: nothing is written here. */
void vault_free(struct vault *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_consumers; i++)
        free(v->consumers[i].reservation.ranges);
    free(v->consumers);
    free(v->up);
    free_sessions(v);
    if (v->store.disk)
        keystore_close(&v->store);
    arena_free(v->arena);
    secret_deinit(&v->window);
    update_deinit(&v->notes);
    free(v);
}

int vault_pair(struct vault *v, const struct vault_pairing *pairing, struct err *e)
{
    int r = keystore_check_pairing(&v->store, pairing, e);
    if (r < 0)
        return r;
    struct ledger_peer *old = ledger_find_peer(&v->store.ledger, pairing->peer);
    if (old) {
        consumer_forget_pair(v, old);
        session_free(steal(&old->session));
    }
    r = keystore_pair(&v->store, pairing, e);
    if (r == 0)
        r = make_sessions(v);
    if (r < 0)
        v->failure = r;
    return r;
}

/* ---- small services -------------------------------------------------------------------------- */

void vault_touch(struct vault *v)
{
    v->sweep_ms = MIN(v->sweep_ms, v->now_ms + SWEEP_DELAY_MS);
    v->save_ms = MIN(v->save_ms, v->now_ms + SAVE_DELAY_MS);
}

/* The least offset of the stream that somebody may still ask for. */
static uint64_t wanted(void *arg, const struct ledger_stream *s)
{
    const struct vault *v = arg;
    uint64_t least = s->cursor;
    for (size_t i = 0; i < v->n_consumers; i++)
        least = MIN(least, reservation_wants(&v->consumers[i].reservation, s));
    return least;
}

bool vault_is_reserved(const struct vault *v, const struct ledger_stream *s)
{
    for (size_t i = 0; i < v->n_consumers; i++)
        if (reservation_wants(&v->consumers[i].reservation, s) != UINT64_MAX)
            return true;
    return false;
}

int vault_carry(struct vault *v, const struct ledger_peer *p, uint16_t type,
    const ProtobufCMessage *message, struct update *u)
{
    if (!v->kme || !p->session->link_up)
        return 0;
    size_t len = protobuf_c_message_get_packed_size(message);
    auto_free uint8_t *data = malloc(2 + len);
    if (!data)
        return -ENOMEM;
    data[0] = (uint8_t)type;
    data[1] = (uint8_t)(type >> 8);
    protobuf_c_message_pack(message, data + 2);
    Vault__Carry carry = VAULT__CARRY__INIT;
    carry.peer = (char *)p->site;
    carry.data = (ProtobufCBinaryData){2 + len, data};
    return link_send(u, v->kme, VAULT_CARRY, &carry.base);
}

/* ---- step ------------------------------------------------------------------------------------ */

static struct consumer *find_consumer(struct vault *v, uint32_t conn)
{
    for (size_t i = 0; i < v->n_consumers; i++)
        if (v->consumers[i].conn == conn)
            return &v->consumers[i];
    return NULL;
}

static void drop(struct vault *v, struct consumer *c)
{
    consumer_leave(v, c);
    *c = v->consumers[--v->n_consumers];
}

static int close_consumer(
    struct vault *v, struct consumer *c, const struct err *why, struct update *u)
{
    uint32_t conn = c->conn;
    v->counters.violations++;
    drop(v, c);
    return update_close(u, conn, "%s", why->text);
}

static int open_consumer(struct vault *v, const struct event *event, struct update *u)
{
    enum role role = event->opened.role;
    if (role != ROLE_CLIENT && role != ROLE_KME && role != ROLE_CTL)
        return update_close(u, event->conn, "the key pool serves no %s", role_name(role));
    if (v->n_consumers == CONSUMERS_MAX)
        return update_close(u, event->conn, "%d connections are open already", CONSUMERS_MAX);
    if (v->n_consumers == v->cap_consumers) {
        size_t cap = MAX(2 * v->cap_consumers, (size_t)8);
        struct consumer *more = reallocarray(v->consumers, cap, sizeof(*more));
        if (!more)
            return -ENOMEM;
        v->consumers = more;
        v->cap_consumers = cap;
    }
    struct consumer *c = &v->consumers[v->n_consumers++];
    *c = (struct consumer){.conn = event->conn, .role = role};
    link_init(&c->link, role == ROLE_CTL ? &ctl_exchange : &vault_exchange, LINK_RESPONDER,
        event->now_ms);
    return 0;
}

static int take_frame(struct vault *v, const struct event *event, struct update *u)
{
    struct consumer *c = find_consumer(v, event->conn);
    struct err e = {{0}};
    int r = 0;
    if (c)
        r = c->role == ROLE_CTL ? control_frame(v, c, event, u, &e)
                                : consumer_frame(v, c, event, u, &e);
    arena_reset(v->arena, false); /* vectors stay in the frame */
    if (event->frame.type == VAULT_INGEST && event->frame.len > 0)
        secret_wipe(event->frame.body, event->frame.len);
    c = find_consumer(v, event->conn);
    return r > 0 && c ? close_consumer(v, c, &e, u) : r;
}

static int on_event(struct vault *v, const struct event *event, struct update *u)
{
    struct consumer *c;
    switch (event->kind) {
    case EVENT_OPENED:
        return open_consumer(v, event, u);
    case EVENT_FRAME:
        return take_frame(v, event, u);
    case EVENT_CLOSED:
        c = find_consumer(v, event->conn);
        if (c)
            drop(v, c);
        return 0;
    case EVENT_TICK:
    case EVENT_JOB: /* we make none */
        return 0;
    }
    return 0;
}

static int tick_consumers(struct vault *v, struct update *u)
{
    for (size_t i = 0; i < v->n_consumers; i++) {
        struct err e = {{0}};
        struct consumer *c = &v->consumers[i];
        int r = link_tick(&c->link, v->now_ms, c->conn, u, &e);
        if (r > 0) {
            r = close_consumer(v, c, &e, u);
            i--;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_up(const struct vault *v, const char *site)
{
    for (size_t i = 0; i < v->n_up; i++)
        if (strcmp(v->up[i], site) == 0)
            return true;
    return false;
}

static int tick_peers(struct vault *v, struct update *u)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < v->store.ledger.n; i++) {
        struct ledger_peer *p = v->store.ledger.peers[i];
        bool up = v->kme && is_up(v, p->site);
        if (up != p->session->link_up)
            r = pool_link(v, p, up, u);
        if (r == 0)
            r = pool_tick(v, p, u);
    }
    return r;
}

/* What is due, whatever the event was. */
static int do_chores(struct vault *v, struct update *u)
{
    int r = tick_consumers(v, u);
    if (r == 0)
        r = tick_peers(v, u);
    if (r == 0 && v->now_ms >= v->sweep_ms) {
        v->sweep_ms = NEVER_MS;
        r = keystore_sweep(&v->store, wanted, v);
    }
    if (r == 0 && v->now_ms >= v->save_ms) {
        v->save_ms = NEVER_MS;
        r = keystore_commit(&v->store, NULL, 0);
    }
    return r == 0 ? consumer_send_rooms(v, u) : r;
}

static void give_notes(struct vault *v, struct update *u)
{
    for (size_t i = 0; i < v->notes.n; i++)
        update_note(u, v->notes.effects[i].level, "%s", v->notes.effects[i].text);
    update_deinit(&v->notes);
}

int vault_step(struct vault *v, const struct event *event, struct update *update)
{
    if (v->failure < 0)
        return v->failure;
    v->now_ms = MAX(v->now_ms, event->now_ms);
    give_notes(v, update);
    int r = on_event(v, event, update);
    if (r == 0)
        r = do_chores(v, update);
    if (r < 0)
        v->failure = r;
    return r;
}

uint64_t vault_deadline_ms(const struct vault *v)
{
    uint64_t due = MIN(v->sweep_ms, v->save_ms);
    for (size_t i = 0; i < v->n_consumers; i++)
        due = MIN(due, link_deadline_ms(&v->consumers[i].link));
    for (size_t i = 0; i < v->store.ledger.n; i++)
        due = MIN(due, pool_deadline_ms(v, v->store.ledger.peers[i]));
    return due;
}

/* ---- queries --------------------------------------------------------------------------------- */

uint64_t vault_epoch(const struct vault *v)
{
    return keystore_epoch(&v->store);
}

size_t vault_accounts(const struct vault *v, struct vault_account *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < v->store.ledger.n; i++)
        for (size_t k = 0; k < LEDGER_STREAMS; k++) {
            const struct ledger_stream *s = &v->store.ledger.peers[i]->streams[k];
            if (n < max) {
                out[n] = (struct vault_account){
                    .peer = s->peer->site,
                    .purpose = s->purpose,
                    .ingested = s->end,
                    .available = ledger_available(s),
                    .reserved = s->reserved,
                    .used = s->used,
                    .skipped = s->skipped,
                    .voided = s->voided,
                    .expired = s->expired,
                    .cursor = s->cursor,
                    .end = s->end,
                };
                memcpy(out[n].stream, s->id, VAULT_STREAM_BYTES);
            }
            n++;
        }
    return n;
}
