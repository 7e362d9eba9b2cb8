/* SPDX-License-Identifier: Apache-2.0 */
/* A client between a server, a vault and an operator that say anything at any time.
 *
 * Input: events, each a byte and what belongs to it:
 *
 *     0, 1, 2   a frame of the server, the vault, qflctl: u16 type, u16 length (big-endian), body
 *     3, 4, 5   a (new) connection to the server, the vault, of qflctl
 *     6, 7      the connection to the server, the vault is lost
 *     8         the training job ends
 *     9         time: u16 ms
 *
 * Oracle: no step fails; chunks leave only of an attempt that was LOCKED and for which GO came; pads
 * are wiped in their frames, whatever became of them.
 */
#include "client/participant.h"
#include "common/util.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/vault.h"
#include "tests/client/fake_trainer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/disk_sim.h"

#define PARAMETERS 20
#define EVENTS_MAX 400

struct scene {
    struct participant *p;
    struct disk_sim *disk;
    struct fake_trainer trainer;
    uint64_t now_ms;
    uint32_t conns;   /* given out so far */
    uint32_t conn[3]; /* server, vault, qflctl */
    struct job *job;
    uint64_t locked; /* attempt of the last LOCKED */
    uint64_t gone;   /* attempt of the last GO */
    const uint8_t *data;
    size_t size;
};

/* ---- input ------------------------------------------------------------------------------------ */

static uint8_t next_byte(struct scene *s)
{
    if (s->size == 0)
        return 0;
    s->size--;
    return *s->data++;
}

static uint16_t next_u16(struct scene *s)
{
    uint8_t high = next_byte(s);
    return (uint16_t)(high << 8 | next_byte(s));
}

/* ---- oracle ----------------------------------------------------------------------------------- */

static uint64_t attempt_of(const struct effect *e, const ProtobufCMessageDescriptor *d)
{
    struct arena *a = arena_new(1024);
    ProtobufCMessage *m = NULL;
    fuzz_assert(codec_unpack(d, e->body->data, e->body->len, a, &m) == 0);
    uint64_t attempt =
        e->type == FED_LOCKED ? ((Fed__Locked *)m)->attempt : ((Fed__Chunk *)m)->attempt;
    arena_free(a);
    return attempt;
}

/* The host says so at once. */
static void forget(struct scene *s, uint32_t conn)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->conn); i++)
        if (s->conn[i] == conn)
            s->conn[i] = 0;
}

static void judge(struct scene *s, struct effect *e)
{
    if (e->kind == EFFECT_CLOSE)
        forget(s, e->conn);
    if (e->kind == EFFECT_JOB) {
        fuzz_assert(!s->job);
        s->job = steal(&e->job);
    }
    if (e->kind != EFFECT_SEND || e->conn != s->conn[0])
        return;
    if (e->type == FED_LOCKED)
        s->locked = attempt_of(e, &fed__locked__descriptor);
    if (e->type == FED_CHUNK) {
        uint64_t attempt = attempt_of(e, &fed__chunk__descriptor);
        fuzz_assert(attempt == s->locked && attempt == s->gone);
    }
}

static void step(struct scene *s, struct event *event)
{
    struct update u = {0};
    event->now_ms = s->now_ms;
    fuzz_assert(participant_step(s->p, event, &u) == 0);
    for (size_t i = 0; i < u.n; i++)
        judge(s, &u.effects[i]);
    update_deinit(&u);
    struct participant_view view = participant_query(s->p);
    fuzz_assert(view.phase);
}

/* ---- events ----------------------------------------------------------------------------------- */

static void note_go(struct scene *s, uint16_t type, const uint8_t *body, size_t len)
{
    struct arena *a = arena_new(1024);
    ProtobufCMessage *m = NULL;
    if (type == FED_GO && codec_unpack(&fed__go__descriptor, body, len, a, &m) == 0)
        s->gone = ((Fed__Go *)m)->attempt;
    arena_free(a);
}

static void frame(struct scene *s, unsigned from)
{
    struct event event = {.kind = EVENT_FRAME, .conn = s->conn[from]};
    event.frame.type = next_u16(s);
    size_t len = next_u16(s);
    event.frame.len = MIN(len, s->size);
    if (!event.conn)
        return;
    event.frame.body = malloc(MAX(event.frame.len, (size_t)1));
    memcpy(event.frame.body, s->data, event.frame.len);
    s->data += event.frame.len;
    s->size -= event.frame.len;
    if (from == 0)
        note_go(s, event.frame.type, event.frame.body, event.frame.len);
    step(s, &event);
    if (from == 1 && event.frame.type == VAULT_PAD)
        for (size_t i = 0; i < event.frame.len; i++)
            fuzz_assert(event.frame.body[i] == 0);
    free(event.frame.body);
}

static void open_connection(struct scene *s, unsigned to)
{
    static const enum role roles[] = {ROLE_SERVER, ROLE_VAULT, ROLE_CTL};
    struct event event = {.kind = EVENT_OPENED, .conn = ++s->conns};
    s->conn[to] = s->conns;
    event.opened.role = roles[to];
    event.opened.site = "bob";
    step(s, &event);
}

static void lose(struct scene *s, unsigned to)
{
    struct event event = {.kind = EVENT_CLOSED, .conn = s->conn[to]};
    s->conn[to] = 0;
    if (event.conn)
        step(s, &event);
}

static void finish_job(struct scene *s)
{
    struct event event = {.kind = EVENT_JOB, .job = s->job};
    s->job = NULL;
    if (!event.job)
        return;
    event.job->run(event.job);
    step(s, &event);
}

static void play(struct scene *s)
{
    uint8_t what = next_byte(s);
    if (what <= 2)
        frame(s, what);
    else if (what <= 5)
        open_connection(s, what - 3u);
    else if (what <= 7)
        lose(s, what - 6u);
    else if (what == 8)
        finish_job(s);
    else if (what == 9) {
        struct event event = {.kind = EVENT_TICK};
        s->now_ms += next_u16(s);
        step(s, &event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const peers[] = {"alice", "charlie", "david"};
    struct scene s = {.now_ms = 1000, .data = data, .size = size};
    s.trainer = fake_trainer(PARAMETERS, 10);
    s.disk = disk_sim_new(1);
    /* As in tests/client/rig.c, whose stories are the corpus. */
    const struct participant_config config = {
        .federation = "test",
        .site = "bob",
        .peers = peers,
        .n_peers = ARRAY_SIZE(peers),
        .policy = {.k_min = 3,
            .t_min = 1,
            .any_run = true,
            .task = "colours",
            .q_min = 6,
            .q_max = 32,
            .clip_max = 1},
        .trainer = &s.trainer.trainer,
        .seed = "bob",
        .nonce = "nonce",
    };
    fuzz_assert(participant_new(&s.p, &config, disk_sim_disk(s.disk), s.now_ms, NULL) == 0);
    for (unsigned i = 0; i < EVENTS_MAX && s.size > 0; i++)
        play(&s);
    if (s.job)
        s.job->free(s.job);
    participant_free(s.p);
    disk_sim_free(s.disk);
    return 0;
}
