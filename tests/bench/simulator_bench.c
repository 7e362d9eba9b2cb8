/* SPDX-License-Identifier: Apache-2.0 */
/* Raw clicks through the whole simulator on one core, by processor time: the six links of the paper's
 * 4-client network, a 10 s block each, both ends' frames packed, credit given back at once. Goal: 10
 * million events/s, and no step above 5 ms, so that one simulator feeds the network in real time. */
#include "common/util.h"
#include "keypool/qkd/simulator.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"
#include "tests/bench/stand.h"

#include <stdio.h>

static const char *const users[] = {"alice", "bob", "charlie", "david"};

struct bench {
    struct simulator *sim;
    double busy_s, longest_s;
    uint64_t events, bytes;
    unsigned ended; /* ends of blocks */
    size_t first;   /* of the frames waiting to be heard */
    struct update out;
};

static void need(bool is_so)
{
    if (!is_so)
        abort();
}

static void step(struct bench *b, struct event event)
{
    event.now_ms = 1000;
    double start = stand_cpu_s();
    need(simulator_step(b->sim, &event, &b->out) == 0);
    double took = stand_cpu_s() - start;
    b->busy_s += took;
    b->longest_s = MAX(b->longest_s, took);
}

static void say(struct bench *b, uint32_t conn, uint16_t type, const ProtobufCMessage *m)
{
    struct blob *body = codec_pack(m);
    need(body);
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    event.frame.type = type;
    event.frame.body = body->data;
    event.frame.len = body->len;
    step(b, event);
    blob_unref(body);
}

static void join(struct bench *b, uint32_t conn)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn};
    event.opened.role = ROLE_KME;
    event.opened.site = users[conn - 1];
    step(b, event);
    Qkd__Hello hello = QKD__HELLO__INIT;
    hello.version = QKD_VERSION;
    hello.site = (char *)users[conn - 1];
    say(b, conn, QKD_HELLO, &hello.base);
}

static void grant_all(struct bench *b)
{
    for (uint32_t conn = 1; conn <= ARRAY_SIZE(users); conn++)
        for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
            Qkd__Grant grant = QKD__GRANT__INIT;
            grant.peer = (char *)users[i];
            if (i != conn - 1)
                say(b, conn, QKD_GRANT, &grant.base);
        }
}

static void hear_events(struct bench *b, uint32_t conn, const struct blob *body)
{
    Qkd__Events *m = qkd__events__unpack(NULL, body->len, body->data);
    need(m);
    b->events += m->count;
    Qkd__Got got = QKD__GOT__INIT;
    got.peer = m->peer;
    got.block = m->block;
    got.events = m->from + m->count;
    say(b, conn, QKD_GOT, &got.base);
    qkd__events__free_unpacked(m, NULL);
}

/* What was said so far is heard; answers may add to it. */
static void hear_all(struct bench *b)
{
    for (; b->first < b->out.n; b->first++) {
        struct effect *e = &b->out.effects[b->first];
        struct blob *body = e->kind == EFFECT_SEND ? steal(&e->body) : NULL;
        if (!body)
            continue;
        b->bytes += body->len;
        b->ended += e->type == QKD_BLOCK_END;
        if (e->type == QKD_EVENTS)
            hear_events(b, e->conn, body);
        blob_unref(body);
    }
    update_deinit(&b->out);
    b->first = 0;
}

static struct simulator *make(const struct simulator_config *config)
{
    static const uint8_t seed[RNG_SEED_BYTES] = {1};
    const struct sim_topology_config network = {
        .users = users, .n_users = ARRAY_SIZE(users), .network = "paper-4"};
    struct sim_topology *t;
    struct err e;
    need(sim_topology_new(&t, &network, 0, &e) == 0);
    struct sim_level *level = simulator_level_new(config, seed);
    need(level);
    struct simulator *s = simulator_new(config, t, level);
    need(s);
    return s;
}

static void bench_level(enum sim_fidelity level, const char *name, double block_s)
{
    const struct simulator_config config = {
        .level = level, .block_s = block_s, .clock_hz = 1e8, .options = keyrate_paper_options()};
    struct bench b = {.sim = make(&config)};
    for (uint32_t conn = 1; conn <= ARRAY_SIZE(users); conn++)
        join(&b, conn);
    grant_all(&b);
    while (b.ended < 12) {
        hear_all(&b);
        step(&b, (struct event){.kind = EVENT_TICK});
    }
    b.events /= 2; /* both ends were told */
    double pulses = 6 * block_s * config.clock_hz;
    printf(
        "level %s: six blocks of %g s, %llu events, in %.3f s: %.1f million events/s, %.3g million "
        "pulses/s, %.2g times real time, %.2f bytes an event and end, longest step %.2f ms, peak "
        "%.0f MB\n",
        name, block_s, (unsigned long long)b.events, b.busy_s, (double)b.events / b.busy_s / 1e6,
        pulses / b.busy_s / 1e6, block_s / b.busy_s, (double)b.bytes / 2 / (double)b.events,
        1e3 * b.longest_s, stand_peak_mb());
    update_deinit(&b.out);
    simulator_free(b.sim);
}

int main(void)
{
    bench_level(SIM_EVENT, "event", 10);
    bench_level(SIM_PULSE, "pulse", 0.01);
    return 0;
}
