/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/kme_nodes.h"

#include "keypool/kme/kme_internal.h"
#include "keypool/mdi/source_mdi.h"
#include "keypool/qkd/key_file.h"
#include "keypool/qkd/source_file.h"
#include "keypool/qkd/source_sim.h"
#include "tests/sim/need.h"

#include <stdio.h>
#include <string.h>

#define FILE_BLOCKS 20000
#define FILE_BLOCK  64

#define MDI_MEMORY     ((uint64_t)64 * 1024 * 1024)
#define MDI_SILENCE_MS 30000

/* ---- the simulator --------------------------------------------------------------------------- */

static int sim_boot(struct node *n)
{
    static const char *const users[] = {"alice", "bob"};
    const struct sim_topology_config network = {
        .users = users, .n_users = 2, .fallback = &link_paper_at(3)->params};
    struct sim_node *s = (struct sim_node *)n;
    struct simulator_config config = {.level = s->is_raw ? SIM_EVENT : SIM_RATE,
        .block_s = s->is_raw ? 0.1 : 0.5,
        .clock_hz = 1e8,
        .speedup = s->is_raw ? 0.1 : 1,
        .options = keyrate_paper_options()};
    uint8_t seed[RNG_SEED_BYTES];
    struct sim_topology *t;
    struct err e;
    rnd_bytes(&n->world->rnd, seed, sizeof(seed)); /* fresh at each start */
    need_ok(sim_topology_new(&t, &network, s->is_raw ? 0 : 20000, &e));
    sim_topology_link(t, 0)->attack = s->attack;
    s->simulator = need(simulator_new(&config, t, need(simulator_level_new(&config, seed))));
    return 0;
}

static void sim_halt(struct node *n, enum death death)
{
    struct sim_node *s = (struct sim_node *)n;
    simulator_free(s->simulator);
    s->simulator = NULL;
}

static int sim_step(struct node *n, const struct event *event, struct update *u)
{
    return simulator_step(((struct sim_node *)n)->simulator, event, u);
}

static uint64_t sim_deadline(const struct node *n)
{
    return simulator_deadline_ms(((const struct sim_node *)n)->simulator);
}

static void sim_free(struct node *n)
{
    free(n);
}

static const struct node_ops sim_ops = {.boot = sim_boot,
    .halt = sim_halt,
    .step = sim_step,
    .deadline_ms = sim_deadline,
    .free = sim_free};

/* ---- a KME ----------------------------------------------------------------------------------- */

static struct kme_node *kme_of(const struct node *n)
{
    return (struct kme_node *)n;
}

static int draw_random(void *arg, void *out, size_t len)
{
    struct world *w = arg;
    rnd_bytes(&w->rnd, out, len);
    return 0;
}

static int make_mdi(struct kme_node *k, struct source **out)
{
    const struct source_mdi_config mdi = {.site = k->node.site,
        .peers = &k->peer,
        .n_peers = 1,
        .post = *k->post,
        .memory_bytes = k->memory_bytes,
        .silence_ms = MDI_SILENCE_MS,
        .key_tags = k->key_tags,
        .random = draw_random,
        .random_arg = k->node.world};
    return source_mdi_new(out, &mdi);
}

static int make_source(struct kme_node *k, struct source **out)
{
    struct err e;
    const struct source_sim_config sim = {.site = k->node.site, .peers = &k->peer, .n_peers = 1};
    const struct source_file_config file = {.site = k->node.site,
        .peer = k->peer,
        .name = "keys",
        .disk = k->disk ? disk_sim_disk(k->disk) : NULL};
    if (k->post)
        return make_mdi(k, out);
    return k->disk ? source_file_new(out, &file, &e) : source_sim_new(out, &sim);
}

static int kme_boot(struct node *n)
{
    struct kme_node *k = kme_of(n);
    struct source *source;
    int r = make_source(k, &source);
    if (r < 0)
        return r;
    const struct kme_link_config link = {k->peer, source};
    struct kme_config config = {
        .site = n->site, .links = &link, .n_links = 1, .sources = &source, .n_sources = 1};
    rnd_bytes(&n->world->rnd, config.nonce, sizeof(config.nonce));
    need_ok(kme_new(&k->kme, &config));
    return 0;
}

static void kme_halt(struct node *n, enum death death)
{
    struct kme_node *k = kme_of(n);
    kme_free(k->kme);
    k->kme = NULL;
    free(k->late);
    k->late = NULL;
    if (k->disk && death == DEATH_POWER)
        disk_sim_crash(k->disk);
    else if (k->disk)
        disk_sim_kill(k->disk);
}

/* The bytes that the sources exchange, inside a SOURCE frame: field 1, their length, then they. */
static uint8_t *find_data(uint8_t *body, size_t len, size_t *data_len)
{
    size_t at = 1;
    unsigned shift = 0;
    *data_len = 0;
    if (len < 2 || body[0] != 0x0a)
        return NULL;
    for (bool more = true; more && at < len; shift += 7) {
        more = body[at] & 0x80;
        *data_len |= (size_t)(body[at++] & 0x7f) << shift;
    }
    return *data_len <= len - at ? body + at : NULL;
}

static int step_copy(struct kme_node *k, const struct event *event, const uint8_t *body, size_t len,
    struct update *u)
{
    struct event copy = *event;
    copy.frame.body = need(malloc(len));
    copy.frame.len = len;
    memcpy(copy.frame.body, body, len);
    int r = kme_step(k->kme, &copy, u);
    free(copy.frame.body);
    return r;
}

static int step_late(struct kme_node *k, const struct event *event, struct update *u)
{
    uint8_t *late = k->late;
    k->late = NULL;
    int r = late ? step_copy(k, event, late, k->late_len, u) : 0;
    free(late);
    return r;
}

static int step_tampered(struct kme_node *k, const struct event *event, struct update *u)
{
    size_t len;
    uint8_t *data = find_data(event->frame.body, event->frame.len, &len);
    enum fate fate = data ? k->tamper(k->tamper_arg, k, data, len) : FATE_PASSES;
    int r = 0;
    if (fate == FATE_LATE && !k->late) {
        k->late = need(malloc(event->frame.len));
        k->late_len = event->frame.len;
        memcpy(k->late, event->frame.body, event->frame.len);
        return 0;
    }
    if (fate == FATE_TWICE)
        r = step_copy(k, event, event->frame.body, event->frame.len, u);
    if (r == 0 && fate != FATE_LOST)
        r = kme_step(k->kme, event, u);
    return r < 0 ? r : step_late(k, event, u);
}

static int kme_node_step(struct node *n, const struct event *event, struct update *u)
{
    struct kme_node *k = kme_of(n);
    bool is_source = k->tamper && event->kind == EVENT_FRAME && event->frame.type == KME_SOURCE &&
                     kme_peer_of(k->kme, event->conn);
    return is_source ? step_tampered(k, event, u) : kme_step(k->kme, event, u);
}

static uint64_t kme_deadline(const struct node *n)
{
    return kme_deadline_ms(kme_of(n)->kme);
}

static void kme_node_free(struct node *n)
{
    disk_sim_free(kme_of(n)->disk);
    free(n);
}

static void kme_cut_at(struct node *n, uint64_t operations)
{
    if (kme_of(n)->disk)
        disk_sim_cut_at(kme_of(n)->disk, operations);
}

static void kme_fail_at(struct node *n, uint64_t operations, int error)
{
    if (kme_of(n)->disk)
        disk_sim_fail_at(kme_of(n)->disk, operations, error);
}

static bool kme_is_cut(const struct node *n)
{
    return kme_of(n)->disk && disk_sim_is_cut(kme_of(n)->disk);
}

static bool kme_has_failed(const struct node *n)
{
    return kme_of(n)->disk && disk_sim_has_failed(kme_of(n)->disk);
}

static const struct node_ops kme_ops = {.boot = kme_boot,
    .halt = kme_halt,
    .step = kme_node_step,
    .deadline_ms = kme_deadline,
    .free = kme_node_free,
    .cut_at = kme_cut_at,
    .fail_at = kme_fail_at,
    .is_cut = kme_is_cut,
    .has_failed = kme_has_failed};

struct disk_sim *record_keys(uint64_t seed)
{
    struct key_file f = {
        .id = {9}, .site = {"alice", "bob"}, .block_bytes = FILE_BLOCK, .blocks = FILE_BLOCKS};
    struct disk_sim *disk = disk_sim_new(seed);
    struct rnd keys;
    struct err e;
    rnd_init(&keys, 7); /* the same at both ends */
    uint8_t *block = need(malloc((size_t)FILE_BLOCK * FILE_BLOCKS));
    rnd_bytes(&keys, block, (size_t)FILE_BLOCK * FILE_BLOCKS);
    struct key_file all = f;
    all.block_bytes = FILE_BLOCK * FILE_BLOCKS;
    need_ok(key_file_put(disk_sim_disk(disk), "keys", &all, 0, block));
    need_ok(key_file_seal(disk_sim_disk(disk), "keys", &f, &e));
    free(block);
    return disk;
}

struct kme_node *kme_node_add(
    struct world *w, const char *site, const char *peer, struct disk_sim *disk)
{
    struct kme_node *k = need(calloc(1, sizeof(*k)));
    k->node = (struct node){.ops = &kme_ops, .site = site, .role = ROLE_KME};
    snprintf(k->node.name, sizeof(k->node.name), "kme %s", site);
    k->peer = peer;
    k->disk = disk;
    world_add(w, &k->node);
    return k;
}

struct kme_node *kme_node_add_mdi(
    struct world *w, const char *site, const char *peer, const struct post_config *post)
{
    struct kme_node *k = need(calloc(1, sizeof(*k)));
    k->node = (struct node){.ops = &kme_ops, .site = site, .role = ROLE_KME};
    snprintf(k->node.name, sizeof(k->node.name), "kme %s", site);
    k->peer = peer;
    k->post = post;
    k->key_tags = MDI_KEY_TAGS;
    k->memory_bytes = MDI_MEMORY;
    world_add(w, &k->node);
    return k;
}

static struct sim_node *make_sim(void)
{
    struct sim_node *s = need(calloc(1, sizeof(*s)));
    s->node = (struct node){.ops = &sim_ops, .site = "eve", .role = ROLE_QKDSIM};
    snprintf(s->node.name, sizeof(s->node.name), "qkdsim");
    return s;
}

struct sim_node *sim_node_add_raw(struct world *w, const struct sim_attack *attack)
{
    struct sim_node *s = make_sim();
    s->is_raw = true;
    s->attack = *attack;
    world_add(w, &s->node);
    return s;
}

struct sim_node *sim_node_add(struct world *w)
{
    struct sim_node *s = make_sim();
    world_add(w, &s->node);
    return s;
}
