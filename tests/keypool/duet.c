/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/duet.h"

#include "tests/keypool/duet_disk.h"

#include "common/util.h"
#include "proto/arena.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/pool.pb-c.h"
#include "proto/vault.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define STREAMS  3
#define WINDOW   ((uint64_t)1 << 17) /* last bytes of the mask stream remembered for comparison */
#define CAPACITY ((uint64_t)1 << 20)

static const char *const names[2] = {"alice", "bob"};

struct message {
    uint8_t *data;
    size_t len;
};

struct block {
    uint8_t id[DUET_ID];
    uint8_t *bytes;
    size_t len;
    int decided[2];
};

struct end {
    struct disk_sim *disk;
    struct duet_disk outside; /* the disk as the pool sees it */
    uint64_t cut_at;          /* operation, counted from the beginning; 0: none */
    struct vault *vault;
    uint64_t witness;
    uint32_t kme, client; /* connections */
    struct message *inbox;
    size_t n_inbox;
    uint64_t burnt[STREAMS]; /* acknowledged */
    uint64_t handed;         /* offset behind the last byte of the mask stream handed out */
    uint64_t *offsets;       /* WINDOW: offset + 1 of the byte remembered there, 0: none */
    uint8_t *bytes;          /* WINDOW */
    uint64_t reserved_start;
    uint64_t attempt; /* of the last reservation */
    /* what came last */
    uint32_t code;
    bool has_code;
    uint8_t *pad;
    bool has_pad;
    uint32_t ingested;
    bool has_ingested;
    char *notes;
};

/* Frames of one type on one connection: the last. */
struct heard {
    uint32_t conn;
    uint16_t type;
    uint8_t *body;
    size_t len;
};

struct duet {
    struct heard *heard;
    size_t n_heard;
    struct arena *heard_arena;
    struct rnd rnd;
    struct end ends[2];
    uint64_t now_ms;
    uint32_t next_conn;
    uint64_t attempt;
    bool link;
    bool is_distrusted;
    duet_gate gate; /* NULL: none */
    uint64_t cuts;
    struct block *blocks;
    size_t n_blocks;
    duet_tamper tamper;
    void *tamper_arg;
    struct arena *arena;
};

/* ---- small things ---------------------------------------------------------------------------- */

static void stream_id(uint8_t number, uint8_t which, uint8_t id[VAULT_STREAM_BYTES])
{
    memset(id, which, VAULT_STREAM_BYTES);
    id[0] = number;
}

struct disk_sim *duet_disk(struct duet *d, enum duet_end end)
{
    return d->ends[end].disk;
}

struct vault *duet_vault(struct duet *d, enum duet_end end)
{
    return d->ends[end].vault;
}

bool duet_is_down(const struct duet *d, enum duet_end end)
{
    return !d->ends[end].vault;
}

static void inbox_clear(struct end *e)
{
    for (size_t i = 0; i < e->n_inbox; i++)
        free(e->inbox[i].data);
    free(e->inbox);
    e->inbox = NULL;
    e->n_inbox = 0;
}

static void note(struct end *e, const char *text)
{
    size_t old = e->notes ? strlen(e->notes) : 0;
    char *longer = realloc(e->notes, old + strlen(text) + 2);
    assert_non_null(longer);
    e->notes = longer;
    sprintf(e->notes + old, "%s\n", text);
    if (getenv("DUET_VERBOSE"))
        fprintf(stderr, "# %s\n", text);
}

bool duet_noted(const struct duet *d, enum duet_end end, const char *text)
{
    return d->ends[end].notes && strstr(d->ends[end].notes, text);
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct vault_account duet_account(
    const struct duet *d, enum duet_end end, enum vault_purpose purpose)
{
    struct vault_account a[STREAMS];
    assert_non_null(d->ends[end].vault);
    assert_int_equal(vault_accounts(d->ends[end].vault, a, STREAMS), STREAMS);
    return a[purpose];
}

static void check_accounts(struct duet *d, enum duet_end end)
{
    struct end *e = &d->ends[end];
    struct vault_account a[STREAMS];
    size_t n = vault_accounts(e->vault, a, STREAMS);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].ingested,
            a[i].available + a[i].reserved + a[i].used + a[i].skipped + a[i].voided + a[i].expired);
        assert_int_equal(a[i].available, a[i].end - a[i].cursor);
        assert_true(a[i].cursor >= e->burnt[i]);
    }
}

/* What a message has left for the outside with is burnt for good. */
static void acknowledge(struct duet *d, enum duet_end end)
{
    struct vault_account a[STREAMS];
    size_t n = vault_accounts(d->ends[end].vault, a, STREAMS);
    for (size_t i = 0; i < n; i++)
        d->ends[end].burnt[i] = MAX(d->ends[end].burnt[i], a[i].cursor);
}

static void on_pad(struct duet *d, enum duet_end end, const Vault__Pad *m)
{
    struct end *e = &d->ends[end];
    const struct end *other = &d->ends[!end];
    uint64_t offset = e->reserved_start + m->offset;
    assert_true(offset >= e->handed); /* never twice */
    e->handed = offset + m->data.len;
    for (size_t i = 0; i < m->data.len; i++) {
        uint64_t at = (offset + i) % WINDOW;
        e->offsets[at] = offset + i + 1;
        e->bytes[at] = m->data.data[i];
        if (other->offsets[at] == offset + i + 1 && !d->is_distrusted)
            assert_int_equal(other->bytes[at], m->data.data[i]);
    }
    free(e->pad);
    e->pad = malloc(m->data.len);
    assert_non_null(e->pad);
    memcpy(e->pad, m->data.data, m->data.len);
    e->has_pad = true;
}

/* ---- effects --------------------------------------------------------------------------------- */

static void push(struct end *to, const uint8_t *data, size_t len)
{
    to->inbox = reallocarray(to->inbox, to->n_inbox + 1, sizeof(*to->inbox));
    assert_non_null(to->inbox);
    struct message m = {malloc(len + 1), len};
    assert_non_null(m.data);
    memcpy(m.data, data, len);
    to->inbox[to->n_inbox++] = m;
}

static void on_carry(struct duet *d, enum duet_end from, const Vault__Carry *m)
{
    assert_string_equal(m->peer, names[!from]);
    size_t len = m->data.len;
    if (d->tamper && !d->tamper(d->tamper_arg, from, m->data.data, &len))
        return;
    if (d->link)
        push(&d->ends[!from], m->data.data, len);
}

static void on_decided(struct duet *d, enum duet_end end, const Vault__Decided *m)
{
    for (size_t i = 0; i < d->n_blocks; i++) {
        struct block *b = &d->blocks[i];
        if (memcmp(b->id, m->block.data, DUET_ID) != 0)
            continue;
        int told = m->confirmed ? 1 : -1;
        assert_true(b->decided[end] == 0);
        assert_true(d->is_distrusted || b->decided[!end] == 0 || b->decided[!end] == told);
        b->decided[end] = told;
    }
}

static const ProtobufCMessageDescriptor *descriptor_of(uint16_t type)
{
    for (size_t i = 0; i < vault_exchange.n; i++)
        if (vault_exchange.rules[i].type == type)
            return vault_exchange.rules[i].descriptor;
    return NULL;
}

static struct heard *find_heard(struct duet *d, uint32_t conn, uint16_t type)
{
    for (size_t i = 0; i < d->n_heard; i++)
        if (d->heard[i].conn == conn && d->heard[i].type == type)
            return &d->heard[i];
    return NULL;
}

static void keep_heard(struct duet *d, const struct effect *effect)
{
    struct heard *h = find_heard(d, effect->conn, effect->type);
    if (!h) {
        d->heard = reallocarray(d->heard, d->n_heard + 1, sizeof(*d->heard));
        assert_non_null(d->heard);
        h = &d->heard[d->n_heard++];
        *h = (struct heard){.conn = effect->conn, .type = effect->type};
    }
    free(h->body);
    h->len = effect->body->len;
    h->body = malloc(h->len + 1);
    assert_non_null(h->body);
    memcpy(h->body, effect->body->data, h->len);
}

const void *duet_heard(struct duet *d, uint32_t conn, uint16_t type)
{
    struct heard *h = find_heard(d, conn, type);
    if (!h || !h->body)
        return NULL;
    ProtobufCMessage *m;
    arena_reset(d->heard_arena, false);
    assert_int_equal(codec_unpack(descriptor_of(type), h->body, h->len, d->heard_arena, &m), 0);
    free(steal(&h->body));
    return m;
}

static void on_send(struct duet *d, enum duet_end end, const struct effect *effect)
{
    struct end *e = &d->ends[end];
    ProtobufCMessage *m;
    if (effect->conn != e->kme && effect->conn != e->client) {
        keep_heard(d, effect);
        return;
    }
    if (effect->type == VAULT_LEVELS || effect->type == VAULT_ROOM ||
        effect->type == VAULT_RESERVED || effect->type == VAULT_DRAWN)
        keep_heard(d, effect);
    arena_reset(d->arena, false);
    assert_int_equal(codec_unpack_in_place(descriptor_of(effect->type), effect->body->data,
                         effect->body->len, d->arena, &m),
        0);
    switch (effect->type) {
    case VAULT_CARRY:
        on_carry(d, end, (const Vault__Carry *)m);
        return;
    case VAULT_DECIDED:
        on_decided(d, end, (const Vault__Decided *)m);
        return;
    case VAULT_INGESTED:
        e->ingested = ((const Vault__Ingested *)m)->code;
        e->has_ingested = true;
        return;
    case VAULT_RESERVED:
        e->code = ((const Vault__Reserved *)m)->code;
        e->has_code = true;
        return;
    case VAULT_PAD:
        assert_true(effect->is_secret);
        on_pad(d, end, (const Vault__Pad *)m);
        return;
    default:
        return;
    }
}

static void on_closed(struct duet *d, enum duet_end end, uint32_t conn);

static void carry_out(struct duet *d, enum duet_end end, struct update *u)
{
    d->ends[end].witness = vault_epoch(d->ends[end].vault);
    acknowledge(d, end);
    for (size_t i = 0; i < u->n; i++) {
        const struct effect *effect = &u->effects[i];
        if (effect->kind == EFFECT_NOTE)
            note(&d->ends[end], effect->text);
        if (effect->kind == EFFECT_CLOSE) {
            note(&d->ends[end], effect->text);
            on_closed(d, end, effect->conn);
        }
        if (effect->kind == EFFECT_SEND)
            on_send(d, end, effect);
    }
}

/* The process is gone, and with it what was on its way. */
static void go_down(struct duet *d, enum duet_end end)
{
    struct end *e = &d->ends[end];
    vault_free(e->vault);
    e->vault = NULL;
    inbox_clear(e);
    inbox_clear(&d->ends[!end]);
}

static void enter(const struct duet *d, bool inside)
{
    if (d->gate)
        d->gate(inside);
}

static void leave(void *arg, bool left)
{
    enter(arg, !left);
}

void duet_set_gate(struct duet *d, duet_gate gate)
{
    d->gate = gate;
}

/* What ended a pool was what the test has arranged. */
static void check_failure(const struct duet *d, const struct end *e, int r)
{
    if (r == -ENOMEM)
        assert_true(d->gate != NULL);
    else
        assert_true(r == -EIO && disk_sim_is_cut(e->disk));
}

/* Feeds one event; an end whose disk fails goes down. */
static void feed(struct duet *d, enum duet_end end, struct event event)
{
    struct end *e = &d->ends[end];
    struct update u = {0};
    if (!e->vault)
        return;
    event.now_ms = d->now_ms;
    enter(d, true);
    int r = vault_step(e->vault, &event, &u);
    enter(d, false);
    if (r < 0) {
        check_failure(d, e, r);
        d->cuts++;
        go_down(d, end);
    } else {
        check_accounts(d, end);
        carry_out(d, end, &u);
    }
    update_deinit(&u);
}

static void say_bytes(
    struct duet *d, enum duet_end end, uint32_t conn, uint16_t type, uint8_t *body, size_t len)
{
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    event.frame.type = type;
    event.frame.body = body;
    event.frame.len = len;
    feed(d, end, event);
}

static void say(struct duet *d, enum duet_end end, uint32_t conn, uint16_t type,
    const ProtobufCMessage *message)
{
    struct blob *body = codec_pack(message);
    assert_non_null(body);
    say_bytes(d, end, conn, type, body->data, body->len);
    blob_unref(body);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void open_conn(struct duet *d, enum duet_end end, enum role role, uint32_t conn)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn};
    event.opened.role = role;
    event.opened.site = names[end];
    feed(d, end, event);
}

uint32_t duet_open(struct duet *d, enum duet_end end, enum role role)
{
    open_conn(d, end, role, d->next_conn);
    return d->next_conn++;
}

void duet_close(struct duet *d, enum duet_end end, uint32_t conn)
{
    feed(d, end, (struct event){.kind = EVENT_CLOSED, .conn = conn});
}

void duet_say(struct duet *d, enum duet_end end, uint32_t conn, uint16_t type,
    const ProtobufCMessage *message)
{
    say(d, end, conn, type, message);
}

uint32_t duet_kme(const struct duet *d, enum duet_end end)
{
    return d->ends[end].kme;
}

uint32_t duet_client(const struct duet *d, enum duet_end end)
{
    return d->ends[end].client;
}

void duet_hello(struct duet *d, enum duet_end end, enum role role, uint32_t conn)
{
    Vault__Hello m = VAULT__HELLO__INIT;
    m.version = VAULT_VERSION;
    m.role = (char *)role_name(role);
    m.site = (char *)names[end];
    say(d, end, conn, VAULT_HELLO, &m.base);
}

static void hello(struct duet *d, enum duet_end end, enum role role, uint32_t conn)
{
    open_conn(d, end, role, conn);
    duet_hello(d, end, role, conn);
}

static void connect_client(struct duet *d, enum duet_end end)
{
    d->ends[end].client = d->next_conn++;
    hello(d, end, ROLE_CLIENT, d->ends[end].client);
}

static void say_link(struct duet *d, enum duet_end end, bool up)
{
    Vault__LinkState m = VAULT__LINK_STATE__INIT;
    m.peer = (char *)names[!end];
    m.up = up;
    say(d, end, d->ends[end].kme, VAULT_LINK_STATE, &m.base);
}

static void on_closed(struct duet *d, enum duet_end end, uint32_t conn)
{
    if (conn == d->ends[end].client)
        d->ends[end].client = 0;
    if (conn == d->ends[end].kme)
        d->ends[end].kme = 0;
}

void duet_new_kme(struct duet *d, enum duet_end end)
{
    d->ends[end].kme = d->next_conn++;
    hello(d, end, ROLE_KME, d->ends[end].kme);
    say_link(d, end, d->link);
}

void duet_say_bytes(
    struct duet *d, enum duet_end end, uint32_t conn, uint16_t type, uint8_t *body, size_t len)
{
    say_bytes(d, end, conn, type, body, len);
}

void duet_hang_up(struct duet *d, enum duet_end end)
{
    struct event event = {.kind = EVENT_CLOSED, .conn = d->ends[end].client};
    feed(d, end, event);
    connect_client(d, end);
}

void duet_link(struct duet *d, bool up)
{
    d->link = up;
    inbox_clear(&d->ends[ALICE]);
    inbox_clear(&d->ends[BOB]);
    for (enum duet_end end = ALICE; end <= BOB; end++)
        say_link(d, end, up && !duet_is_down(d, !end));
}

void duet_relink_one(struct duet *d, enum duet_end end)
{
    say_link(d, end, false);
    say_link(d, end, true);
}

/* ---- processes ------------------------------------------------------------------------------- */

int duet_start(struct duet *d, enum duet_end end, const struct duet_start *how, struct err *err)
{
    struct end *e = &d->ends[end];
    struct vault_config config = {
        .site = names[end],
        .epoch = how->no_witness ? 0 : e->witness,
        .capacity_bytes = CAPACITY,
        .adopt = how->adopt,
        .allow_simulated = how->allow_simulated,
    };
    memset(config.kek, 0x11 + (int)end, sizeof(config.kek));
    memset(config.machine, how->other_machine ? 9 : 1, sizeof(config.machine));
    rnd_bytes(&d->rnd, config.entropy, sizeof(config.entropy));
    if (how->rolled_back || how->adopt)
        memset(e->burnt, 0, sizeof(e->burnt));
    enter(d, true);
    int r = vault_new(&e->vault, &config, &e->outside.base, d->now_ms, err);
    enter(d, false);
    if (r != 0) {
        e->vault = NULL;
        return r;
    }
    check_accounts(d, end);
    e->witness = vault_epoch(e->vault);
    e->kme = d->next_conn++;
    hello(d, end, ROLE_KME, e->kme);
    connect_client(d, end);
    return 0;
}

void duet_forget_witness(struct duet *d, enum duet_end end)
{
    d->ends[end].witness = 0;
}

/* Both KMEs notice that the other end's pool is there again. */
static void relink(struct duet *d)
{
    if (!d->link)
        return;
    duet_link(d, false);
    duet_link(d, true);
}

void duet_stop(struct duet *d, enum duet_end end)
{
    if (d->ends[end].vault)
        go_down(d, end);
}

static void start_again(struct duet *d, enum duet_end end)
{
    struct err err = {{0}};
    const struct duet_start how = {0};
    int r = duet_start(d, end, &how, &err);
    for (int tries = 0; (r == -EIO || r == -ENOMEM) && tries < 1000; tries++) {
        check_failure(d, &d->ends[end], r);
        d->cuts++;
        disk_sim_crash(d->ends[end].disk); /* cut again while starting */
        r = duet_start(d, end, &how, &err);
    }
    if (r != 0)
        fail_msg("%s does not start: %d %s", names[end], r, err.text);
    relink(d);
}

void duet_cut_at(struct duet *d, enum duet_end end, uint64_t n)
{
    struct end *e = &d->ends[end];
    e->cut_at = n > 0 ? disk_sim_operations(e->disk) + n : 0;
    disk_sim_cut_at(e->disk, n);
}

void duet_restart(struct duet *d, enum duet_end end)
{
    struct end *e = &d->ends[end];
    duet_stop(d, end);
    disk_sim_crash(e->disk);
    if (e->cut_at > disk_sim_operations(e->disk))
        disk_sim_cut_at(e->disk, e->cut_at - disk_sim_operations(e->disk));
    start_again(d, end);
}

void duet_revive(struct duet *d, enum duet_end end, bool power_cut)
{
    duet_stop(d, end);
    if (power_cut)
        disk_sim_crash(d->ends[end].disk);
    else
        disk_sim_kill(d->ends[end].disk);
    start_again(d, end);
}

int duet_pair(struct duet *d, enum duet_end end, uint8_t number)
{
    uint8_t key[VAULT_PAIRING_BYTES];
    struct rnd rnd;
    rnd_init(&rnd, 1000 + number);
    rnd_bytes(&rnd, key, sizeof(key));
    struct vault_pairing pairing = {.peer = names[!end], .key = key};
    stream_id(number, 'm', pairing.mask_stream);
    stream_id(number, 'l', pairing.auth_low_high);
    stream_id(number, 'h', pairing.auth_high_low);
    struct err err;
    memset(d->ends[end].burnt, 0, sizeof(d->ends[end].burnt));
    if (d->ends[end].handed > 0) /* costs a megabyte */
        memset(d->ends[end].offsets, 0, WINDOW * sizeof(uint64_t));
    d->ends[end].handed = 0;
    enter(d, true);
    int r = vault_pair(d->ends[end].vault, &pairing, &err);
    enter(d, false);
    if (r == -EIO || r == -ENOMEM) {
        d->cuts++;
        go_down(d, end);
    }
    return r;
}

struct duet *duet_new_strangers(uint64_t seed)
{
    struct duet *d = calloc(1, sizeof(*d));
    assert_non_null(d);
    rnd_init(&d->rnd, seed);
    d->arena = arena_new(4096);
    d->heard_arena = arena_new(4096);
    d->now_ms = 1000;
    d->next_conn = 1;
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        struct end *e = &d->ends[end];
        e->disk = disk_sim_new(rnd_u64(&d->rnd));
        duet_disk_init(&e->outside, disk_sim_disk(e->disk), leave, d);
        e->offsets = calloc(WINDOW, sizeof(*e->offsets));
        e->bytes = calloc(WINDOW, 1);
        assert_true(e->offsets && e->bytes);
        start_again(d, end);
    }
    return d;
}

struct duet *duet_new(uint64_t seed)
{
    struct duet *d = duet_new_strangers(seed);
    assert_int_equal(duet_pair(d, ALICE, 1), 0);
    assert_int_equal(duet_pair(d, BOB, 1), 0);
    duet_link(d, true);
    duet_talk(d);
    return d;
}

void duet_free(struct duet *d)
{
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        struct end *e = &d->ends[end];
        vault_free(e->vault);
        disk_sim_free(e->disk);
        inbox_clear(e);
        free(e->offsets);
        free(e->bytes);
        free(e->pad);
        free(e->notes);
    }
    for (size_t i = 0; i < d->n_blocks; i++)
        free(d->blocks[i].bytes);
    free(d->blocks);
    for (size_t i = 0; i < d->n_heard; i++)
        free(d->heard[i].body);
    free(d->heard);
    arena_free(d->heard_arena);
    arena_free(d->arena);
    free(d);
}

/* ---- talk and time --------------------------------------------------------------------------- */

void duet_set_tamper(struct duet *d, duet_tamper tamper, void *arg)
{
    d->tamper = tamper;
    d->tamper_arg = arg;
}

void duet_distrust(struct duet *d)
{
    d->is_distrusted = true;
}

void duet_inject(struct duet *d, enum duet_end to, const uint8_t *data, size_t len)
{
    Vault__Carry m = VAULT__CARRY__INIT;
    m.peer = (char *)names[!to];
    m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
    say(d, to, d->ends[to].kme, VAULT_CARRY, &m.base);
}

static bool deliver_one(struct duet *d, enum duet_end to)
{
    struct end *e = &d->ends[to];
    if (e->n_inbox == 0)
        return false;
    struct message m = e->inbox[0];
    memmove(e->inbox, e->inbox + 1, --e->n_inbox * sizeof(*e->inbox));
    duet_inject(d, to, m.data, m.len);
    free(m.data);
    return true;
}

void duet_talk(struct duet *d)
{
    bool is_moving = true;
    for (int i = 0; is_moving; i++) {
        is_moving = deliver_one(d, ALICE);
        is_moving = deliver_one(d, BOB) || is_moving;
        assert_true(i < 10000); /* they do not talk for ever */
    }
}

void duet_pass(struct duet *d, uint64_t ms)
{
    d->now_ms += ms;
    for (enum duet_end end = ALICE; end <= BOB; end++)
        feed(d, end, (struct event){.kind = EVENT_TICK});
    duet_talk(d);
}

/* ---- key ------------------------------------------------------------------------------------- */

uint32_t duet_ingest(struct duet *d, enum duet_end end, size_t block, bool differs)
{
    struct end *e = &d->ends[end];
    struct block *b = &d->blocks[block];
    Vault__Ingest m = VAULT__INGEST__INIT;
    m.peer = (char *)names[!end];
    m.block = (ProtobufCBinaryData){DUET_ID, b->id};
    m.source = (char *)"test";
    m.key = (ProtobufCBinaryData){b->len, b->bytes};
    struct blob *body = codec_pack(&m.base);
    assert_non_null(body);
    if (differs)
        body->data[body->len - 1] ^= 1;
    e->has_ingested = false;
    say_bytes(d, end, e->kme, VAULT_INGEST, body->data, body->len);
    for (size_t i = 0; i < body->len; i++)
        assert_true(duet_is_down(d, end) || body->data[i] == 0); /* wiped where it arrived */
    blob_unref(body);
    return e->has_ingested ? e->ingested : UINT32_MAX;
}

size_t duet_block(struct duet *d, unsigned ends, size_t len)
{
    d->blocks = reallocarray(d->blocks, d->n_blocks + 1, sizeof(*d->blocks));
    assert_non_null(d->blocks);
    struct block *b = &d->blocks[d->n_blocks++];
    *b = (struct block){.bytes = malloc(len), .len = len};
    assert_non_null(b->bytes);
    rnd_bytes(&d->rnd, b->id, sizeof(b->id));
    rnd_bytes(&d->rnd, b->bytes, len);
    for (enum duet_end end = ALICE; end <= BOB; end++)
        if (ends & 1u << end)
            (void)duet_ingest(d, end, d->n_blocks - 1, false);
    return d->n_blocks - 1;
}

int duet_decided(const struct duet *d, enum duet_end end, size_t block)
{
    return d->blocks[block].decided[end];
}

const uint8_t *duet_block_bytes(const struct duet *d, size_t block)
{
    return d->blocks[block].bytes;
}

/* ---- clients --------------------------------------------------------------------------------- */

uint64_t duet_cuts(const struct duet *d)
{
    return d->cuts;
}

uint64_t duet_next_attempt(struct duet *d)
{
    return ++d->attempt;
}

uint32_t duet_reserve(
    struct duet *d, enum duet_end end, uint64_t attempt, uint64_t start, uint64_t len)
{
    struct end *e = &d->ends[end];
    uint8_t run[16] = "run";
    uint8_t id[VAULT_STREAM_BYTES];
    if (!e->vault)
        return UINT32_MAX;
    memcpy(id, duet_account(d, end, VAULT_MASK).stream, sizeof(id));
    Vault__Range range = VAULT__RANGE__INIT;
    Vault__Range *ranges[] = {&range};
    range.stream = (ProtobufCBinaryData){sizeof(id), id};
    range.start = start;
    range.length = len;
    Vault__Reserve m = VAULT__RESERVE__INIT;
    m.run = (ProtobufCBinaryData){sizeof(run), run};
    m.attempt = attempt;
    m.n_ranges = 1;
    m.ranges = ranges;
    e->has_code = false;
    e->reserved_start = start;
    e->attempt = attempt;
    say(d, end, e->client, VAULT_RESERVE, &m.base);
    return e->has_code ? e->code : UINT32_MAX;
}

const uint8_t *duet_take(struct duet *d, enum duet_end end, uint64_t offset, uint32_t len)
{
    struct end *e = &d->ends[end];
    Vault__Take m = VAULT__TAKE__INIT;
    m.attempt = e->attempt;
    m.offset = offset;
    m.length = len;
    e->has_pad = false;
    say(d, end, e->client, VAULT_TAKE, &m.base);
    if (e->vault && e->client == 0)
        connect_client(d, end);
    return e->has_pad ? e->pad : NULL;
}

void duet_release(struct duet *d, enum duet_end end)
{
    Vault__Release m = VAULT__RELEASE__INIT;
    m.attempt = d->ends[end].attempt;
    say(d, end, d->ends[end].client, VAULT_RELEASE, &m.base);
}

/* ---- at the end ------------------------------------------------------------------------------ */

void duet_settle(struct duet *d)
{
    for (enum duet_end end = ALICE; end <= BOB; end++)
        duet_release(d, end);
    if (!d->link)
        duet_link(d, true);
    duet_talk(d);
    for (int i = 0; i < 20; i++)
        duet_pass(d, 10 * 1000);
    /* The directions of alice are the other way round for bob. */
    static const enum vault_purpose theirs[] = {VAULT_MASK, VAULT_AUTH_RX, VAULT_AUTH_TX};
    for (enum vault_purpose p = VAULT_MASK; p <= VAULT_AUTH_RX; p++) {
        struct vault_account a = duet_account(d, ALICE, p);
        struct vault_account b = duet_account(d, BOB, theirs[p]);
        assert_memory_equal(a.stream, b.stream, sizeof(a.stream));
        assert_int_equal(a.ingested, b.ingested);
        assert_int_equal(a.available, b.available);
        assert_int_equal(a.reserved + b.reserved, 0);
    }
    for (size_t i = 0; i < d->n_blocks; i++) /* a KME that has restarted may not have been told */
        assert_true(d->blocks[i].decided[ALICE] * d->blocks[i].decided[BOB] >= 0);
}

struct range {
    uint64_t start, end, attempt;
};

json_t *duet_ask(
    struct duet *d, enum duet_end end, const char *verb, const char *arguments, int *code)
{
    uint32_t conn = duet_open(d, end, ROLE_CTL);
    Ctl__Request q = CTL__REQUEST__INIT;
    q.verb = (char *)verb;
    q.arguments = (char *)arguments;
    say(d, end, conn, CTL_REQUEST, &q.base);
    const struct heard *h = find_heard(d, conn, CTL_REPLY);
    assert_non_null(h);
    ProtobufCMessage *m;
    arena_reset(d->heard_arena, false);
    assert_int_equal(codec_unpack(&ctl__reply__descriptor, h->body, h->len, d->heard_arena, &m), 0);
    const Ctl__Reply *reply = (const Ctl__Reply *)m;
    *code = reply->code;
    duet_close(d, end, conn);
    if (reply->code == 0)
        return json_loads(reply->result, 0, NULL);
    note(&d->ends[end], reply->reason);
    return NULL;
}

static json_t *ask(struct duet *d, enum duet_end end, const char *verb)
{
    int code;
    json_t *result = duet_ask(d, end, verb, "", &code);
    assert_non_null(result);
    return result;
}

static size_t collect(const json_t *audit, const char *stream, struct range *out, size_t max)
{
    size_t n = 0, i;
    const json_t *r;
    json_array_foreach(json_object_get(audit, "ranges"), i, r)
    {
        if (strcmp(json_string_value(json_object_get(r, "kind")), "reserve") != 0 ||
            strcmp(json_string_value(json_object_get(r, "stream")), stream) != 0)
            continue;
        assert_true(n < max);
        out[n++] = (struct range){(uint64_t)json_integer_value(json_object_get(r, "start")),
            (uint64_t)json_integer_value(json_object_get(r, "end")),
            (uint64_t)json_integer_value(json_object_get(r, "attempt"))};
    }
    return n;
}

void duet_audit(struct duet *d)
{
    enum { MAX_RANGES = 20000 };
    struct range *ranges[2];
    size_t n[2];
    json_t *keys = ask(d, ALICE, "keys");
    const json_t *peer = json_array_get(json_object_get(keys, "peers"), 0);
    const char *stream = json_string_value(
        json_object_get(json_array_get(json_object_get(peer, "streams"), VAULT_MASK), "stream"));
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        json_t *audit = ask(d, end, "audit");
        ranges[end] = calloc(MAX_RANGES, sizeof(struct range));
        assert_non_null(ranges[end]);
        n[end] = collect(audit, stream, ranges[end], MAX_RANGES);
        for (size_t i = 1; i < n[end]; i++) {
            assert_true(ranges[end][i].start >= ranges[end][i - 1].end);
            assert_true(ranges[end][i].attempt > ranges[end][i - 1].attempt);
        }
        json_decref(audit);
    }
    for (size_t i = 0; i < n[ALICE]; i++)
        for (size_t k = 0; k < n[BOB]; k++)
            if (ranges[ALICE][i].start < ranges[BOB][k].end &&
                ranges[BOB][k].start < ranges[ALICE][i].end)
                assert_int_equal(ranges[ALICE][i].attempt, ranges[BOB][k].attempt);
    json_decref(keys);
    free(ranges[ALICE]);
    free(ranges[BOB]);
}
