/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/federation.h"

#include "common/util.h"
#include "proto/fed.h"
#include "proto/vault.h"

#include <assert.h>
#include <stdio.h>

const char *const federation_sites[FEDERATION_SITES] = {"alice", "bob", "charlie", "david"};

/* ---- the post ----------------------------------------------------------------------------------- */

static void post(struct federation *f, struct node *to, struct event event, struct blob *body)
{
    if (f->tail == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->queue = realloc(f->queue, f->cap * sizeof(*f->queue));
    }
    f->queue[f->tail++] = (struct delivery){to, event, body};
}

static void post_frame(
    struct federation *f, struct node *to, uint32_t conn, uint16_t type, struct blob *body)
{
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    event.frame.type = type;
    post(f, to, event, body);
}

static void post_opened(
    struct federation *f, struct node *to, uint32_t conn, enum role role, const char *site)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn};
    event.opened.role = role;
    event.opened.site = site;
    post(f, to, event, NULL);
}

static void post_closed(struct federation *f, struct node *to, uint32_t conn)
{
    post(f, to, (struct event){.kind = EVENT_CLOSED, .conn = conn}, NULL);
}

/* What is under way on a connection is lost with it. */
static void cut(struct federation *f, uint32_t conn)
{
    for (size_t i = f->head; i < f->tail; i++)
        if (f->queue[i].event.conn == conn) {
            blob_unref(f->queue[i].body);
            f->queue[i].body = NULL;
            f->queue[i].event = (struct event){.kind = EVENT_TICK};
        }
}

/* ---- connections -------------------------------------------------------------------------------- */

static void connect_server(struct federation *f, struct node *n)
{
    n->server = ++f->conns;
    post_opened(f, NULL, n->server, ROLE_CLIENT, federation_sites[n->index]);
    post_opened(f, n, n->server, ROLE_SERVER, "aggregator");
}

static void connect_pool(struct federation *f, struct node *n)
{
    n->pool = ++f->conns;
    n->vault.is_reserved = false;
    post_opened(f, n, n->pool, ROLE_VAULT, federation_sites[n->index]);
}

static void break_server_link(
    struct federation *f, struct node *n, bool tell_node, bool tell_server)
{
    uint32_t conn = n->server;
    n->server = 0;
    if (conn == 0)
        return;
    cut(f, conn);
    if (tell_server)
        post_closed(f, NULL, conn);
    if (tell_node)
        post_closed(f, n, conn);
}

static void break_pool_link(struct federation *f, struct node *n)
{
    cut(f, n->pool);
    post_closed(f, n, n->pool);
    n->pool = 0;
}

/* ---- clients ------------------------------------------------------------------------------------ */

static void on_quantised(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n)
{
    struct node *node = arg;
    (void)round;
    assert(n == FEDERATION_PARAMETERS && node->n_given < FEDERATION_NOTES_MAX);
    struct contribution *c = &node->given[node->n_given++];
    c->attempt = attempt;
    memcpy(c->v, v, sizeof(c->v));
}

static void note_release(struct node *n)
{
    struct participant_view view = participant_query(n->p);
    size_t last = n->n_released;
    if (last > 0 && n->released[last - 1].attempt == view.attempt)
        return;
    assert(last < FEDERATION_NOTES_MAX);
    n->released[last].attempt = view.attempt;
    n->released[last].training = view.training;
    n->n_released++;
}

/* The KME link is perfect: each end knows the other's cursor. */
static void share_cursors(struct federation *f, struct node *n)
{
    for (size_t i = 0; i < FEDERATION_SITES - 1; i++) {
        struct fake_stream *own = &n->vault.streams[i];
        for (size_t k = 0; k < FEDERATION_SITES; k++)
            if (strcmp(federation_sites[k], own->peer) == 0)
                own->peer_cursor =
                    fake_vault_stream(&f->nodes[k].vault, federation_sites[n->index])->cursor;
    }
}

static void node_send(struct federation *f, struct node *n, struct effect *e)
{
    if (e->conn == n->server) {
        if (e->type == FED_CHUNK)
            note_release(n);
        post_frame(f, NULL, e->conn, e->type, steal(&e->body));
    } else if (e->conn == n->pool) {
        struct blob *answer = NULL;
        share_cursors(f, n);
        uint16_t type = fake_vault_answer(&n->vault, e->type, e->body->data, e->body->len, &answer);
        if (type)
            post_frame(f, n, n->pool, type, answer);
    }
}

static void tell(struct federation *f, const char *who, const struct effect *e)
{
    if (f->is_loud && (e->kind == EFFECT_NOTE || e->kind == EFFECT_CLOSE || e->kind == EFFECT_STOP))
        printf("# %6d %s: %s\n", (int)f->now_ms, who, e->text);
}

static void node_effect(struct federation *f, struct node *n, struct effect *e)
{
    tell(f, federation_sites[n->index], e);
    switch (e->kind) {
    case EFFECT_SEND:
        node_send(f, n, e);
        break;
    case EFFECT_JOB:
        n->job = steal(&e->job);
        break;
    case EFFECT_CLOSE:
        if (e->conn == n->server)
            break_server_link(f, n, true, true);
        break;
    default:
        break;
    }
}

static void node_step(struct federation *f, struct node *n, struct event event)
{
    struct update u = {0};
    event.now_ms = f->now_ms;
    int r = participant_step(n->p, &event, &u);
    assert(r == 0);
    for (size_t i = 0; i < u.n; i++)
        node_effect(f, n, &u.effects[i]);
    update_deinit(&u);
    while (n->job) {
        struct event done = {.kind = EVENT_JOB, .job = steal(&n->job)};
        done.job->run(done.job);
        node_step(f, n, done);
    }
}

static void node_start(struct federation *f, struct node *n)
{
    struct err e = {0};
    n->config.nonce[0]++;
    int r = participant_new(&n->p, &n->config, disk_sim_disk(n->disk), f->now_ms, &e);
    if (r < 0)
        printf("# %s\n", e.text);
    assert(r == 0);
    connect_pool(f, n);
    connect_server(f, n);
}

static void node_kill(struct federation *f, struct node *n)
{
    break_server_link(f, n, false, true);
    cut(f, n->pool);
    participant_free(n->p);
    disk_sim_crash(n->disk);
    node_start(f, n);
}

static void node_init(struct federation *f, size_t index, uint64_t seed)
{
    struct node *n = &f->nodes[index];
    n->federation = f;
    n->index = index;
    n->disk = disk_sim_new(seed + index);
    n->trainer = fake_trainer(FEDERATION_PARAMETERS, 10 + index);
    for (size_t i = 0, k = 0; i < FEDERATION_SITES; i++)
        if (i != index)
            n->peers[k++] = federation_sites[i];
    fake_vault_init(&n->vault, federation_sites[index], n->peers, ARRAY_SIZE(n->peers));
    n->config = (struct participant_config){
        .federation = "test",
        .site = federation_sites[index],
        .peers = n->peers,
        .n_peers = ARRAY_SIZE(n->peers),
        .policy = {.k_min = 3,
            .t_min = 1,
            .any_run = true,
            .task = "colours",
            .q_min = 6,
            .q_max = 32,
            .clip_max = 1},
        .trainer = &n->trainer.trainer,
        .nonce = {0, (uint8_t)index},
        .on_quantised = on_quantised,
        .on_quantised_arg = n,
    };
    n->config.seed[0] = (uint8_t)index;
    node_start(f, n);
}

/* ---- the server --------------------------------------------------------------------------------- */

static struct node *node_of(struct federation *f, uint32_t conn)
{
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        if (f->nodes[i].server == conn)
            return &f->nodes[i];
    return NULL;
}

static void server_effect(struct federation *f, struct effect *e)
{
    struct node *n = node_of(f, e->conn);
    tell(f, "server", e);
    if (e->kind == EFFECT_SEND && n)
        post_frame(f, n, e->conn, e->type, blob_ref(e->body));
    if (e->kind == EFFECT_CLOSE && n) {
        break_server_link(f, n, true, true);
        connect_server(f, n);
    }
}

static void server_step(struct federation *f, struct event event)
{
    struct update u = {0};
    event.now_ms = f->now_ms;
    int r = aggregator_step(f->aggregator, &event, &u);
    assert(r == 0);
    for (size_t i = 0; i < u.n; i++)
        server_effect(f, &u.effects[i]);
    update_deinit(&u);
}

static void server_start(struct federation *f)
{
    struct err e = {0};
    int r = aggregator_new(&f->aggregator, &f->config, store_sim_store(f->store), f->now_ms, &e);
    if (r < 0)
        printf("# %s\n", e.text);
    assert(r == 0);
}

static void server_kill(struct federation *f)
{
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        break_server_link(f, &f->nodes[i], true, false);
    aggregator_free(f->aggregator);
    store_sim_restart(f->store);
    server_start(f);
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        connect_server(f, &f->nodes[i]);
}

/* ---- time --------------------------------------------------------------------------------------- */

static void disturb(struct federation *f)
{
    struct node *n = &f->nodes[f->victim];
    switch (f->disturbance) {
    case BREAK_LINK:
        break_server_link(f, n, true, true);
        connect_server(f, n);
        break;
    case BREAK_VAULT:
        break_pool_link(f, n);
        connect_pool(f, n);
        break;
    case KILL_CLIENT:
        node_kill(f, n);
        break;
    case KILL_SERVER:
        server_kill(f);
        break;
    case CALM:
        break;
    }
}

static void deliver(struct federation *f)
{
    struct delivery d = f->queue[f->head++];
    if (d.event.kind == EVENT_TICK)
        return;
    if (d.body) {
        d.event.frame.body = malloc(d.body->len + 1);
        d.event.frame.len = d.body->len;
        memcpy(d.event.frame.body, d.body->data, d.body->len);
    }
    if (d.node)
        node_step(f, d.node, d.event);
    else
        server_step(f, d.event);
    if (d.body)
        free(d.event.frame.body);
    blob_unref(d.body);
    if (++f->delivered == f->disturb_at)
        disturb(f);
}

static void deliver_all(struct federation *f)
{
    while (f->head < f->tail)
        deliver(f);
    f->head = f->tail = 0;
}

static uint64_t next_deadline(const struct federation *f)
{
    uint64_t at = aggregator_deadline_ms(f->aggregator);
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        at = MIN(at, participant_deadline_ms(f->nodes[i].p));
    return at;
}

static void tick_all(struct federation *f)
{
    server_step(f, (struct event){.kind = EVENT_TICK});
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        node_step(f, &f->nodes[i], (struct event){.kind = EVENT_TICK});
}

bool federation_run(struct federation *f, uint64_t limit_ms)
{
    deliver_all(f);
    while (!aggregator_query(f->aggregator).ended && f->now_ms < limit_ms) {
        f->now_ms = MAX(f->now_ms + 1, MIN(next_deadline(f), limit_ms));
        tick_all(f);
        deliver_all(f);
    }
    return aggregator_query(f->aggregator).ended;
}

/* ---- construction ------------------------------------------------------------------------------- */

void federation_init(struct federation *f, uint64_t seed)
{
    *f = (struct federation){.now_ms = 1000, .store = store_sim_new(seed)};
    fed__params__init(&f->params);
    f->params.task = (char *)"colours";
    f->params.trainer = (char *)"fake";
    f->params.parameters = FEDERATION_PARAMETERS;
    f->params.q = 8;
    f->params.clip = 0.25;
    f->params.chunk_words = 8;
    f->config = (struct aggregator_config){
        .federation = "test",
        .roster = federation_sites,
        .sites = FEDERATION_SITES,
        .min_clients = 3,
        .wait_ms = 1000,
        .rounds = FEDERATION_ROUNDS,
        .start_auto = true,
        .attempts_max = 8,
        .params = &f->params,
        .model = f->model,
    };
    server_start(f);
    for (size_t i = 0; i < FEDERATION_SITES; i++)
        node_init(f, i, seed);
}

void federation_deinit(struct federation *f)
{
    for (size_t i = f->head; i < f->tail; i++)
        blob_unref(f->queue[i].body);
    for (size_t i = 0; i < FEDERATION_SITES; i++) {
        participant_free(f->nodes[i].p);
        disk_sim_free(f->nodes[i].disk);
    }
    aggregator_free(f->aggregator);
    store_sim_free(f->store);
    free(f->queue);
}
