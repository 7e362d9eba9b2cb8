/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_block.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/source.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <assert.h>
#include <errno.h>

#define SLICE_EVENTS (QKD_EVENTS_MAX / 8 * 7) /* of a chunk, on average */
#define CREDIT_LEAST (QKD_EVENTS_MAX / 4) /* no frames of a few events for an end that takes few */
#define CALL_WORK    1000                 /* of a chunk without events, in events */

struct sim_chunk {
    struct optics_event truth[QKD_EVENTS_MAX];
    struct optics_event said[QKD_EVENTS_MAX];
    struct sim_frames *frames; /* owned */
};

struct sim_block {
    const struct sim_link *link;
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    struct sim_draw *draw; /* owned */
    struct eve_lies lies;
    uint64_t pulses;
    uint64_t slice; /* pulses of a chunk */
    uint64_t done;  /* pulses of which all was told */
    struct sim_told told[2];
    uint64_t taken[2]; /* events, by the ends */
    uint64_t drawn[OPTICS_OUTCOMES];
    bool is_complete;
};

/* ---- life --------------------------------------------------------------------------------- */

struct sim_chunk *sim_chunk_new(void)
{
    struct sim_chunk *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->frames = sim_frames_new();
    if (c->frames)
        return c;
    free(c);
    return NULL;
}

void sim_chunk_free(struct sim_chunk *c)
{
    if (!c)
        return;
    sim_frames_free(c->frames);
    secret_wipe(c, sizeof(*c));
    free(c);
}

static char *peer_name(const struct sim_block *b, int end)
{
    return b->link->user[!end]->name;
}

static uint32_t conn_of(const struct sim_block *b, int end)
{
    return b->link->user[end]->conn;
}

static ProtobufCBinaryData id_of(const struct sim_block *b)
{
    return (ProtobufCBinaryData){sizeof(b->id), (uint8_t *)b->id};
}

static int say_begin(const struct sim_block *b, double seconds, struct update *u)
{
    const struct link_params *p = &b->link->params;
    Qkd__Block m = QKD__BLOCK__INIT;
    m.block = id_of(b);
    m.pulses = b->pulses;
    m.seconds = seconds;
    m.mu = p->mu;
    m.share_xx = p->share_xx;
    m.share_yy = p->share_yy;
    m.expected_e_y = link_model_expect(p, 1).expected_e_y;
    int r = 0;
    for (int end = 0; r == 0 && end < 2; end++) {
        m.peer = peer_name(b, end);
        r = link_send(u, conn_of(b, end), QKD_BLOCK, &m.base);
    }
    return r;
}

static void plan_block(struct sim_block *b, const struct sim_block_plan *plan)
{
    b->link = plan->link;
    b->draw = plan->draw;
    b->pulses = plan->pulses;
    b->slice = sim_draw_slice(plan->draw, eve_lie_room(plan->link->running.lie, SLICE_EVENTS));
    memcpy(b->id, plan->id, sizeof(b->id));
    for (int end = 0; end < 2; end++)
        b->told[end] = (struct sim_told){.link = plan->link, .end = end, .block = b->id};
}

int sim_block_new(struct sim_block **out, const struct sim_block_plan *plan, struct update *u)
{
    struct sim_block *b = calloc(1, sizeof(*b));
    if (!b) {
        sim_draw_free(plan->draw);
        return -ENOMEM;
    }
    plan_block(b, plan);
    int r = eve_lies_init(
        &b->lies, plan->link->running.lie, &plan->link->params, plan->pulses, plan->seed);
    if (r == 0)
        r = say_begin(b, plan->seconds, u);
    if (r < 0)
        sim_block_free(b);
    else
        *out = b;
    return r;
}

void sim_block_free(struct sim_block *b)
{
    if (!b)
        return;
    sim_draw_free(b->draw);
    eve_lies_deinit(&b->lies);
    free(b);
}

/* ---- credit ------------------------------------------------------------------------------- */

int sim_block_got(struct sim_block *b, int end, uint64_t events)
{
    if (events < b->taken[end] || events > b->told[end].events)
        return SIM_BLOCK_E_CREDIT;
    b->taken[end] = events;
    return 0;
}

/* Events that both ends may be told at once. */
static size_t credit(const struct sim_block *b)
{
    uint64_t room = QKD_EVENTS_MAX;
    for (int end = 0; end < 2; end++)
        room = MIN(room, QKD_EVENTS_AHEAD - (b->told[end].events - b->taken[end]));
    return (size_t)room;
}

bool sim_block_can_go_on(const struct sim_block *b)
{
    return !b->is_complete && (b->done == b->pulses || credit(b) >= CREDIT_LEAST);
}

/* ---- chunks ------------------------------------------------------------------------------- */

static uint64_t slice_end(const struct sim_block *b)
{
    return MIN(b->pulses, (b->done / b->slice + 1) * b->slice);
}

static void count(struct sim_block *b, const struct optics_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        b->drawn[optics_outcome(&events[i])]++;
}

/* What Eve says of `n` true events. */
static int announce(struct sim_block *b, struct sim_chunk *c, size_t n, struct update *u)
{
    struct optics_event *said = c->truth;
    if (b->lies.lie != EVE_HONEST) {
        said = c->said;
        n = eve_lies_invent(&b->lies, c->truth, n, b->done == b->pulses, said);
    }
    int r = sim_frames_send(c->frames, &b->told[0], said, n, u);
    eve_lies_turn(&b->lies, said, n, b->done);
    if (r == 0)
        r = sim_frames_send(c->frames, &b->told[1], said, n, u);
    secret_wipe(said, n * sizeof(said[0]));
    return r;
}

static int next_chunk(struct sim_block *b, struct sim_chunk *c, struct update *u, uint64_t *work)
{
    uint64_t until = slice_end(b);
    size_t max = eve_lie_room(b->lies.lie, credit(b));
    size_t n = sim_draw_until(b->draw, c->truth, max, until);
    *work += n + CALL_WORK + sim_draw_cost(b->draw, until - b->done);
    b->done = n < max ? until : c->truth[n - 1].position + 1;
    count(b, c->truth, n);
    int r = announce(b, c, n, u);
    secret_wipe(c->truth, n * sizeof(c->truth[0]));
    return r;
}

static int say_end(struct sim_block *b, struct update *u)
{
    Qkd__BlockEnd m = QKD__BLOCK_END__INIT;
    m.block = id_of(b);
    b->is_complete = true;
    int r = 0;
    for (int end = 0; r == 0 && end < 2; end++) {
        m.peer = peer_name(b, end);
        m.events = eve_lies_count(&b->lies, b->told[end].events);
        r = link_send(u, conn_of(b, end), QKD_BLOCK_END, &m.base);
    }
    return r;
}

int sim_block_go_on(
    struct sim_block *b, struct sim_chunk *scratch, struct update *u, uint64_t *work)
{
    int r = b->done < b->pulses ? next_chunk(b, scratch, u, work) : 0;
    return r == 0 && b->done == b->pulses ? say_end(b, u) : r;
}

int sim_block_call_off(
    const struct sim_block *b, unsigned ends, const char *reason, struct update *u)
{
    Qkd__BlockOff m = QKD__BLOCK_OFF__INIT;
    m.block = id_of(b);
    m.reason = (char *)reason;
    int r = 0;
    for (int end = 0; r == 0 && end < 2; end++) {
        m.peer = peer_name(b, end);
        if (ends & 1U << end)
            r = link_send(u, conn_of(b, end), QKD_BLOCK_OFF, &m.base);
    }
    return r;
}

/* ---- queries ------------------------------------------------------------------------------ */

double sim_block_next(const struct sim_block *b)
{
    return b->pulses ? (double)slice_end(b) / (double)b->pulses : 1;
}

bool sim_block_is_complete(const struct sim_block *b)
{
    return b->is_complete;
}

bool sim_block_is(const struct sim_block *b, const uint8_t *id, size_t len)
{
    return len == sizeof(b->id) && memcmp(id, b->id, len) == 0;
}

struct keyrate_counts sim_block_counts(const struct sim_block *b)
{
    double outcome[OPTICS_OUTCOMES];
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        outcome[i] = (double)b->drawn[i];
    return optics_counts(outcome);
}
