/* SPDX-License-Identifier: Apache-2.0 */
/* The source of raw events against a simulator, another end and a vault that say anything.
 *
 * Input: a byte whose lowest bit is the side of this end, then lines: who speaks (u8: see `speaker`), n (u8),
 * length (u16 big-endian), body. It begins with the channel up, both hash keys and one whole small block.
 * Oracle: no step fails for another reason than memory; each granted block ends once, with key or with a
 * sentence; memory claimed stays below the limit and is given back.
 */
#include "keypool/mdi/source_mdi.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include "common/rng.h"
#include "common/util.h"
#include "tests/fuzz/fuzz.h"

#define CONN   7
#define MEMORY ((uint64_t)8 * 1024 * 1024)
#define CLICKS 8000

enum speaker {
    SIMULATOR, /* a frame of type 16 + n */
    OTHER,     /* a message of the other end */
    CLOCK,     /* n seconds pass */
    CHANNEL,   /* down and up */
    GRANT,
    BLOCK, /* an honest block begins, with its events */
    SPEAKERS,
};

struct stage {
    struct source *source;
    bool is_low;
    uint64_t now_ms, cursor;
    uint32_t granted, ended;
    uint8_t next_block;
    struct source_draw draws[64]; /* not yet answered */
    size_t n_draws;
    struct job *jobs[64];
    size_t n_jobs;
};

static int on_block(void *owner, const struct source_block *block, struct update *u)
{
    struct stage *s = owner;
    fuzz_assert(block->len > 0 && block->simulated);
    s->ended++;
    return 0;
}

static int on_void(void *owner, const struct source_void *v, struct update *u)
{
    struct stage *s = owner;
    fuzz_assert(v->reason[0]);
    s->ended++;
    return 0;
}

static int on_send(void *owner, const char *peer, const void *data, size_t len, struct update *u)
{
    fuzz_assert(len > 0 && len <= SOURCE_MESSAGE_MAX);
    return 0;
}

static int on_draw(void *owner, const struct source_draw *d, struct update *u)
{
    struct stage *s = owner;
    if (s->n_draws < ARRAY_SIZE(s->draws))
        s->draws[s->n_draws++] = *d;
    return 0;
}

static int no_randomness(void *arg, void *out, size_t len)
{
    memset(out, 5, len);
    return 0;
}

/* ---- this end's owner ------------------------------------------------------------------------------ */

/* Jobs run, frames go nowhere. */
static void carry_out(struct stage *s, struct update *u)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->effects[i].kind == EFFECT_JOB && s->n_jobs < ARRAY_SIZE(s->jobs))
            s->jobs[s->n_jobs++] = steal(&u->effects[i].job);
    update_deinit(u);
}

static void step(struct stage *s, const struct event *event)
{
    struct update u = {0};
    s->source->now_ms = s->now_ms;
    int r = s->source->ops->step(s->source, event, &u);
    fuzz_assert(r == 0 || r == SOURCE_E_NOT_MINE);
    carry_out(s, &u);
}

static void answer_draw(struct stage *s, const struct source_draw *d)
{
    uint64_t at = d->receive ? d->start : (s->cursor += POST_TAG_BYTES);
    uint8_t bytes[POST_TAG_BYTES] = {(uint8_t)at}; /* the same in both directions */
    const struct source_pads pads = {.peer = d->peer,
        .ticket = d->ticket,
        .start = at,
        .data = d->receive && d->start % 16 ? NULL : bytes,
        .len = sizeof(bytes),
        .reason = "no such pad"};
    struct update u = {0};
    fuzz_assert(s->source->ops->drawn(s->source, &pads, &u) == 0);
    carry_out(s, &u);
}

/* Until nothing is left to do here. */
static void settle(struct stage *s)
{
    while (s->n_draws > 0 || s->n_jobs > 0) {
        if (s->n_draws > 0) {
            struct source_draw d = s->draws[0];
            memmove(s->draws, s->draws + 1, --s->n_draws * sizeof(d));
            answer_draw(s, &d);
            continue;
        }
        struct job *job = s->jobs[--s->n_jobs];
        job->run(job);
        const struct event e = {.kind = EVENT_JOB, .now_ms = s->now_ms, .job = job};
        step(s, &e);
    }
    struct source_report r;
    (void)s->source->ops->report(s->source, "mid", &r);
    fuzz_assert(r.memory_bytes <= MEMORY && s->ended <= s->granted);
}

static void channel(struct stage *s, bool up)
{
    struct update u = {0};
    s->source->now_ms = s->now_ms;
    fuzz_assert(s->source->ops->channel(s->source, "mid", up, &u) == 0);
    carry_out(s, &u);
}

static void grant(struct stage *s)
{
    struct update u = {0};
    if (s->granted - s->ended >= 2)
        return;
    s->granted++;
    fuzz_assert(s->source->ops->grant(s->source, "mid", 0, 0, &u) == 0);
    carry_out(s, &u);
}

static void hear(struct stage *s, uint8_t *data, size_t len)
{
    struct update u = {0};
    struct err e;
    int r = s->source->ops->message(s->source, "mid", data, len, &u, &e);
    fuzz_assert(r == 0 || r == SOURCE_E_VIOLATION);
    carry_out(s, &u);
}

static void frame(struct stage *s, uint16_t type, uint8_t *body, size_t len)
{
    const struct event e = {.kind = EVENT_FRAME,
        .now_ms = s->now_ms,
        .conn = CONN,
        .frame = {.type = type, .body = body, .len = len}};
    step(s, &e);
}

static void say(struct stage *s, uint16_t type, const ProtobufCMessage *m)
{
    uint8_t *body = malloc(protobuf_c_message_get_packed_size(m) + 1);
    fuzz_assert(body);
    frame(s, type, body, protobuf_c_message_pack(m, body));
    free(body);
}

static void connect_simulator(struct stage *s)
{
    const struct event e = {
        .kind = EVENT_OPENED, .now_ms = s->now_ms, .conn = CONN, .opened = {ROLE_QKDSIM, "eve"}};
    char *peers[] = {(char *)"mid"};
    Qkd__Welcome m = QKD__WELCOME__INIT;
    step(s, &e);
    m.version = QKD_VERSION;
    m.level = (char *)"event";
    m.peers = peers;
    m.n_peers = 1;
    say(s, QKD_WELCOME, &m.base);
}

/* A generator that is the same everywhere. */
static uint8_t next_byte(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (uint8_t)(*state >> 24);
}

/* 20 pulses an event, half of the bases Y, 1 % of errors: two honest ends make key out of it. */
static void honest_block(struct stage *s)
{
    uint8_t id[16] = {++s->next_block}, gaps[CLICKS], detectors[CLICKS / 8], bases[CLICKS / 8],
            bits[CLICKS / 8];
    const ProtobufCBinaryData block = {sizeof(id), id};
    uint32_t both = 1, own = s->is_low ? 2 : 3;
    memset(gaps, 20, sizeof(gaps));
    for (size_t i = 0; i < sizeof(bits); i++) {
        detectors[i] = next_byte(&both);
        bases[i] = next_byte(&own);
        bits[i] = next_byte(&both) ^ (s->is_low ? 0 : detectors[i]) ^ (!s->is_low && i % 40 == 0);
    }
    Qkd__Block m = QKD__BLOCK__INIT;
    m.peer = (char *)"mid";
    m.block = block;
    m.pulses = CLICKS * 20;
    m.seconds = 1;
    m.mu = 0.03;
    m.share_xx = m.share_yy = 0.25;
    say(s, QKD_BLOCK, &m.base);
    Qkd__Events e = QKD__EVENTS__INIT;
    e.peer = m.peer;
    e.block = block;
    e.count = CLICKS;
    e.gaps = (ProtobufCBinaryData){sizeof(gaps), gaps};
    e.detectors = (ProtobufCBinaryData){sizeof(detectors), detectors};
    e.bases = (ProtobufCBinaryData){sizeof(bases), bases};
    e.bits = (ProtobufCBinaryData){sizeof(bits), bits};
    say(s, QKD_EVENTS, &e.base);
    Qkd__BlockEnd end = QKD__BLOCK_END__INIT;
    end.peer = m.peer;
    end.block = block;
    end.events = CLICKS;
    say(s, QKD_BLOCK_END, &end.base);
}

static void pass(struct stage *s, uint64_t ms)
{
    s->now_ms += ms;
    const struct event e = {.kind = EVENT_TICK, .now_ms = s->now_ms};
    step(s, &e);
}

static struct stage begin(bool is_low)
{
    static const char *const peers[] = {"mid"};
    struct source_mdi_config c = {.site = is_low ? "alice" : "zoe",
        .peers = peers,
        .n_peers = 1,
        .post = post_config_default(),
        .memory_bytes = MEMORY,
        .silence_ms = 20000,
        .key_tags = 4,
        .random = no_randomness};
    c.post.frame_bits = 1024;
    c.post.window = 2;
    c.post.chunk_bytes = 256;
    c.post.gain_spread_max = 0.2;
    c.post.keyrate.eps = 1e-2;
    struct stage s = {.is_low = is_low, .now_ms = 1000};
    fuzz_assert(source_mdi_new(&s.source, &c) == 0);
    s.source->on_block = on_block;
    s.source->on_void = on_void;
    s.source->send = on_send;
    s.source->draw = on_draw;
    return s;
}

static void speak(struct stage *s, uint8_t who, uint8_t n, uint8_t *body, size_t len)
{
    switch (who % SPEAKERS) {
    case SIMULATOR:
        frame(s, 16u + n % 16, body, len);
        break;
    case OTHER:
        hear(s, body, len);
        break;
    case CLOCK:
        pass(s, n * (uint64_t)1000);
        break;
    case CHANNEL:
        channel(s, false);
        channel(s, true);
        break;
    case GRANT:
        grant(s);
        break;
    default:
        honest_block(s);
        break;
    }
    settle(s);
}

static void play(struct stage *s, const uint8_t *data, size_t size)
{
    while (size >= 4) {
        size_t len = MIN((size_t)data[2] << 8 | data[3], size - 4);
        uint8_t *body = malloc(len + 1);
        fuzz_assert(body);
        memcpy(body, data + 4, len);
        speak(s, data[0], data[1], body, len);
        free(body);
        data += 4 + len;
        size -= 4 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct stage s = begin(data[0] & 1);
    s.source->owner = &s;
    connect_simulator(&s);
    channel(&s, true);
    settle(&s);
    grant(&s);
    uint8_t key[9] = {1, POST_TAG_BYTES}; /* where an honest other end has it */
    hear(&s, key, sizeof(key));
    settle(&s);
    honest_block(&s);
    settle(&s);
    play(&s, data + 1, size - 1);
    channel(&s, false);
    struct source_report r;
    (void)s.source->ops->report(s.source, "mid", &r);
    fuzz_assert(r.memory_bytes == 0);
    s.source->ops->free(s.source);
    return 0;
}
