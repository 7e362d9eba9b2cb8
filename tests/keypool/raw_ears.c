/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/raw_ears.h"

#include "common/util.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define OPERATOR 99

/* ---- the loop ------------------------------------------------------------------------------- */

struct loop_plan loop_short(void)
{
    return (struct loop_plan){
        .params = link_paper_find("paper-4", "alice", "bob")->params,
        .config = {.level = SIM_EVENT,
            .block_s = 0.2,
            .clock_hz = 1e8,
            .options = keyrate_paper_options()},
        .seed = 1,
    };
}

struct loop_plan loop_bright(bool by_pulse)
{
    return (struct loop_plan){
        .params = {.mu = 0.6,
            .eta = 0.5,
            .e_x = 0.03,
            .e_y = 0.08,
            .dark = 2e-3,
            .share_xx = 0.45,
            .share_yy = 0.2},
        .config = {.level = by_pulse ? SIM_PULSE : SIM_EVENT,
            .block_s = 1,
            .clock_hz = 1e6,
            .options = keyrate_paper_options()},
        .seed = 1,
    };
}

static int step(void *core, const struct event *event, struct update *u)
{
    return simulator_step(core, event, u);
}

struct loop loop_begin(const struct loop_plan *plan)
{
    static const char *const users[] = {"alice", "bob", "charlie"};
    struct link_params *params = malloc(sizeof(*params));
    assert_non_null(params);
    *params = plan->params;
    const struct sim_topology_config network = {
        .users = users, .n_users = ARRAY_SIZE(users), .fallback = params};
    const uint8_t seed[RNG_SEED_BYTES] = {plan->seed};
    struct sim_topology *t;
    struct err e;
    assert_int_equal(sim_topology_new(&t, &network, 0, &e), 0);
    struct sim_level *level = simulator_level_new(&plan->config, seed);
    assert_non_null(level);
    struct simulator *sim = simulator_new(&plan->config, t, level);
    assert_non_null(sim);
    return (struct loop){.sim = sim, .talk = talk_new(sim, step), .params = params};
}

void loop_end(struct loop *l)
{
    simulator_free(l->sim);
    talk_free(l->talk);
    free(l->params);
}

void loop_join(struct loop *l, uint32_t conn, const char *site)
{
    Qkd__Hello m = QKD__HELLO__INIT;
    m.version = QKD_VERSION;
    m.site = (char *)site;
    talk_opened(l->talk, conn, ROLE_KME, site);
    talk_say(l->talk, conn, QKD_HELLO, &m.base);
}

void loop_join_three(struct loop *l)
{
    loop_join(l, ALICE, "alice");
    loop_join(l, BOB, "bob");
    loop_join(l, CHARLIE, "charlie");
}

void loop_grant(struct loop *l, uint32_t conn, const char *peer)
{
    Qkd__Grant m = QKD__GRANT__INIT;
    m.peer = (char *)peer;
    talk_say(l->talk, conn, QKD_GRANT, &m.base);
}

void loop_run(struct loop *l)
{
    while (simulator_deadline_ms(l->sim) <= talk_now(l->talk))
        talk_tick(l->talk, 0);
}

json_t *loop_ask(struct loop *l, const char *verb, const char *arguments, int code)
{
    Ctl__Request q = CTL__REQUEST__INIT;
    q.verb = (char *)verb;
    q.arguments = (char *)arguments;
    talk_opened(l->talk, OPERATOR, ROLE_CTL, "eve");
    talk_say(l->talk, OPERATOR, CTL_REQUEST, &q.base);
    const Ctl__Reply *m =
        (const Ctl__Reply *)talk_heard(l->talk, OPERATOR, CTL_REPLY, &ctl__reply__descriptor);
    assert_non_null(m);
    if (m->code != code)
        fail_msg("%s %s: %d %s", verb, arguments, m->code, m->reason);
    json_t *result = code ? json_string(m->reason) : json_loads(m->result, 0, NULL);
    assert_non_null(result);
    talk_closed(l->talk, OPERATOR);
    return result;
}

/* ---- an end --------------------------------------------------------------------------------- */

struct ear ear_of(uint32_t conn, const char *peer)
{
    return (struct ear){.conn = conn, .peer = peer, .ack = true};
}

void ear_free(struct ear *ear)
{
    free(ear->events);
    ear->events = NULL;
    ear->n = ear->room = 0;
}

static void assert_is_of(const struct ear *ear, const char *peer, ProtobufCBinaryData id)
{
    assert_string_equal(peer, ear->peer);
    assert_int_equal(id.len, sizeof(ear->id));
    assert_memory_equal(id.data, ear->id, sizeof(ear->id));
}

static bool hear_begin(struct ear *ear, struct loop *l)
{
    const Qkd__Block *m =
        (const Qkd__Block *)talk_heard(l->talk, ear->conn, QKD_BLOCK, &qkd__block__descriptor);
    if (!m)
        return false;
    ear_free(ear);
    *ear = (struct ear){.conn = ear->conn, .peer = ear->peer, .ack = ear->ack, .is_open = true};
    assert_int_equal(m->block.len, sizeof(ear->id));
    memcpy(ear->id, m->block.data, sizeof(ear->id));
    assert_is_of(ear, m->peer, m->block);
    ear->pulses = m->pulses;
    ear->seconds = m->seconds;
    ear->mu = m->mu;
    ear->share_xx = m->share_xx;
    ear->share_yy = m->share_yy;
    ear->expected_e_y = m->expected_e_y;
    return true;
}

static uint64_t read_gap(const uint8_t **p, const uint8_t *end)
{
    uint64_t gap = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(*p < end && shift < 64);
        uint8_t byte = *(*p)++;
        gap |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return gap;
    }
}

static uint8_t bit_of(ProtobufCBinaryData set, size_t i)
{
    return set.data[i / 8] >> i % 8 & 1;
}

static void assert_set(ProtobufCBinaryData set, size_t n)
{
    assert_int_equal(set.len, (n + 7) / 8);
    if (n % 8)
        assert_int_equal(set.data[set.len - 1] >> n % 8, 0);
}

static void take_events(struct ear *ear, const Qkd__Events *m)
{
    const uint8_t *gap = m->gaps.data, *end = gap + m->gaps.len;
    if (ear->n + m->count > ear->room) {
        ear->room = 2 * (ear->n + m->count);
        ear->events = realloc(ear->events, ear->room * sizeof(*ear->events));
        assert_non_null(ear->events);
    }
    for (size_t i = 0; i < m->count; i++) {
        uint64_t last = ear->n ? ear->events[ear->n - 1].position : UINT64_MAX;
        uint64_t ahead = read_gap(&gap, end);
        ear->repeats += ahead == 0;
        ear->events[ear->n++] = (struct heard_event){
            last + ahead, bit_of(m->detectors, i), bit_of(m->bases, i), bit_of(m->bits, i)};
    }
    assert_ptr_equal(gap, end);
}

static bool hear_events(struct ear *ear, struct loop *l)
{
    const Qkd__Events *m =
        (const Qkd__Events *)talk_heard(l->talk, ear->conn, QKD_EVENTS, &qkd__events__descriptor);
    if (!m)
        return false;
    assert_true(talk_last_was_secret(l->talk));
    assert_true(ear->is_open);
    assert_is_of(ear, m->peer, m->block);
    assert_true(m->from == ear->n);
    assert_in_range(m->count, 1, QKD_EVENTS_MAX);
    assert_in_range(m->gaps.len, m->count, QKD_GAPS_MAX);
    assert_set(m->detectors, m->count);
    assert_set(m->bases, m->count);
    assert_set(m->bits, m->count);
    take_events(ear, m);
    ear->frames++;
    return true;
}

static bool hear_end(struct ear *ear, struct loop *l)
{
    const Qkd__BlockEnd *m = (const Qkd__BlockEnd *)talk_heard(
        l->talk, ear->conn, QKD_BLOCK_END, &qkd__block_end__descriptor);
    if (!m)
        return false;
    assert_true(ear->is_open);
    assert_is_of(ear, m->peer, m->block);
    ear->is_open = false;
    ear->has_ended = true;
    ear->said = m->events;
    return true;
}

static bool hear_off(struct ear *ear, struct loop *l)
{
    const Qkd__BlockOff *m = (const Qkd__BlockOff *)talk_heard(
        l->talk, ear->conn, QKD_BLOCK_OFF, &qkd__block_off__descriptor);
    if (!m)
        return false;
    assert_true(ear->is_open);
    assert_is_of(ear, m->peer, m->block);
    ear->is_open = false;
    ear->is_off = true;
    snprintf(ear->reason, sizeof(ear->reason), "%s", m->reason);
    return true;
}

static void hear_all_events(struct ear *ear, struct loop *l)
{
    while (hear_events(ear, l))
        if (ear->ack)
            ear_got(ear, l, ear->n);
}

void ear_listen(struct ear *ear, struct loop *l)
{
    if (!ear->is_open && !hear_begin(ear, l))
        return;
    hear_all_events(ear, l);
    if (!hear_end(ear, l))
        (void)hear_off(ear, l);
}

void ears_take_block(struct ear *a, struct ear *b, struct loop *l)
{
    loop_grant(l, a->conn, a->peer);
    loop_grant(l, b->conn, b->peer);
    do {
        loop_run(l);
        ear_listen(a, l);
        ear_listen(b, l);
    } while (a->is_open || b->is_open);
    assert_true(a->has_ended && b->has_ended);
    assert_memory_equal(a->id, b->id, sizeof(a->id));
}

void ear_got(const struct ear *ear, struct loop *l, uint64_t events)
{
    Qkd__Got m = QKD__GOT__INIT;
    m.peer = (char *)ear->peer;
    m.block = (ProtobufCBinaryData){sizeof(ear->id), (uint8_t *)ear->id};
    m.events = events;
    talk_say(l->talk, ear->conn, QKD_GOT, &m.base);
}

void ear_stop(const struct ear *ear, struct loop *l, const char *reason)
{
    Qkd__Stop m = QKD__STOP__INIT;
    m.peer = (char *)ear->peer;
    m.block = (ProtobufCBinaryData){sizeof(ear->id), (uint8_t *)ear->id};
    m.reason = (char *)reason;
    talk_say(l->talk, ear->conn, QKD_STOP, &m.base);
}

/* ---- pairs ---------------------------------------------------------------------------------- */

void ears_count(const struct ear *a, const struct ear *b, uint64_t counts[OPTICS_OUTCOMES + 1])
{
    assert_int_equal(a->n, b->n);
    assert_true(a->pulses == b->pulses);
    memset(counts, 0, (OPTICS_OUTCOMES + 1) * sizeof(counts[0]));
    counts[OPTICS_OUTCOMES] = a->pulses - a->n;
    for (size_t i = 0; i < a->n; i++) {
        const struct heard_event *x = &a->events[i], *y = &b->events[i];
        assert_true(x->position == y->position && x->detector == y->detector);
        const struct optics_event e = {
            .a = {x->basis, x->bit}, .b = {y->basis, y->bit}, .detector = x->detector};
        counts[optics_outcome(&e)]++;
    }
}

struct keyrate_counts ears_counts(const struct ear *a, const struct ear *b)
{
    uint64_t counts[OPTICS_OUTCOMES + 1];
    double outcome[OPTICS_OUTCOMES];
    ears_count(a, b, counts);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        outcome[i] = (double)counts[i];
    return optics_counts(outcome);
}

void assert_5_deviations(double count, double expected)
{
    if (!(fabs(count - expected) <= 5 * sqrt(expected)))
        fail_msg("%g instead of about %g", count, expected);
}

void assert_as_expected(const struct keyrate_counts *c, const struct link_params *p,
    const struct eve *eve, double pulses)
{
    struct optics o;
    eve_optics(&o, p, eve);
    struct keyrate_counts mean = optics_expect(&o, pulses);
    assert_5_deviations(c->n, mean.n);
    assert_5_deviations(c->n_x, mean.n_x);
    assert_5_deviations(c->m_x, mean.m_x);
    assert_5_deviations(c->n_y, mean.n_y);
    assert_5_deviations(c->m_y, mean.m_y);
}
