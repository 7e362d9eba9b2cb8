/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/mdi/source_mdi.h"

#include "common/util.h"
#include "keypool/mdi/mdi_internal.h"
#include "proto/kme.h"

#include <errno.h>
#include <stdio.h>

struct mdi_peer *mdi_find_peer(const struct source_mdi *s, const char *name)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    return NULL;
}

/* ---- verbs -------------------------------------------------------------------------------------- */

static int grant(struct source *source, const char *name, uint64_t want_bytes, uint64_t deadline_ms,
    struct update *u)
{
    struct mdi_peer *p = mdi_find_peer(mdi_of(source), name);
    if (!p)
        return -ENOENT;
    p->grants++;
    return mdi_simulator_grant(p, u);
}

static int step(struct source *source, const struct event *event, struct update *u)
{
    struct source_mdi *s = mdi_of(source);
    if (event->kind == EVENT_JOB)
        return mdi_block_job(s, event->job, u);
    int r = mdi_simulator_step(s, event, u);
    for (size_t i = 0; r == 0 && event->kind == EVENT_TICK && i < s->n_peers; i++)
        r = mdi_peer_tick(&s->peers[i], u);
    return r;
}

/* Nothing is kept of a block that was handed over. */
static int close_block(struct source *source, const char *peer, const uint8_t *id, bool confirmed)
{
    return 0;
}

static int channel(struct source *source, const char *name, bool up, struct update *u)
{
    struct mdi_peer *p = mdi_find_peer(mdi_of(source), name);
    return p ? mdi_peer_channel(p, up, u) : 0;
}

static int message(struct source *source, const char *name, uint8_t *data, size_t len,
    struct update *u, struct err *e)
{
    struct mdi_peer *p = mdi_find_peer(mdi_of(source), name);
    return p ? mdi_peer_hear(p, data, len, u, e) : 0;
}

static int drawn(struct source *source, const struct source_pads *pads, struct update *u)
{
    struct mdi_peer *p = mdi_find_peer(mdi_of(source), pads->peer);
    return p ? mdi_peer_drawn(p, pads, u) : 0;
}

/* ---- queries ------------------------------------------------------------------------------------ */

static uint64_t deadline_ms(const struct source *source)
{
    const struct source_mdi *s = mdi_of(source);
    uint64_t deadline = s->conn ? link_deadline_ms(&s->link) : NEVER_MS;
    for (size_t i = 0; i < s->n_peers; i++) {
        const struct mdi_peer *p = &s->peers[i];
        if (p->channel_up)
            deadline = MIN(deadline, p->key_retry_ms);
        for (size_t k = 0; k < p->n_blocks; k++)
            deadline = MIN(deadline, mdi_block_deadline_ms(p->blocks[k]));
    }
    return deadline;
}

static bool is_ready(const struct source *source, const char *name, struct err *why)
{
    const struct source_mdi *s = mdi_of(source);
    const struct mdi_peer *p = mdi_find_peer(s, name);
    if (!s->is_welcome)
        err_set(why, 0, "%s", *s->refusal ? s->refusal : "the simulator is not connected");
    else if (!p || !p->is_known)
        err_set(why, 0, "the simulator has no link with %s", name);
    else if (!mdi_peer_has_keys(p))
        err_set(why, 0, "%s", *p->key_refusal ? p->key_refusal : "the hash keys are being drawn");
    else
        return true;
    return false;
}

/* As long as the one before took; the first one may have come at full speed. */
static double seconds_to_next(const struct mdi_peer *p)
{
    for (size_t i = 0; i < p->n_blocks; i++) {
        const struct mdi_block *b = p->blocks[i];
        if (b->state != MDI_INTAKE)
            continue;
        double whole =
            p->n_acquired > 1 ? (double)p->acquisition_ms / 1000 : b->config.keyrate.seconds;
        double gone = (double)(p->source->source.now_ms - b->begun_ms) / 1000;
        return whole > gone ? whole - gone : 0;
    }
    return -1;
}

static bool report(const struct source *source, const char *name, struct source_report *r)
{
    const struct source_mdi *s = mdi_of(source);
    const struct mdi_peer *p = mdi_find_peer(s, name);
    if (!p)
        return false;
    *r = p->report;
    r->level = s->level;
    r->eps = 3 * s->config.post.keyrate.eps;
    r->next_block_s = seconds_to_next(p);
    r->memory_bytes = s->memory;
    r->tags = p->tags;
    return p->has_report;
}

/* ---- life --------------------------------------------------------------------------------------- */

static void free_peer(struct mdi_peer *p)
{
    while (p->n_blocks > 0)
        mdi_block_free(p->blocks[--p->n_blocks]);
    secret_deinit(&p->key_bytes);
    free(p->stray);
}

static void free_mdi(struct source *source)
{
    struct source_mdi *s = mdi_of(source);
    for (size_t i = 0; i < s->n_peers; i++)
        free_peer(&s->peers[i]);
    arena_free(s->arena);
    free(s->peers);
    free(s);
}

static const struct source_ops ops = {
    .grant = grant,
    .step = step,
    .deadline_ms = deadline_ms,
    .close_block = close_block,
    .channel = channel,
    .message = message,
    .is_ready = is_ready,
    .free = free_mdi,
    .drawn = drawn,
    .report = report,
};

static int init_peer(struct mdi_peer *p, struct source_mdi *s, const char *name)
{
    p->source = s;
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->side = strcmp(s->site, name) < 0 ? POST_LOW : POST_HIGH;
    p->key_retry_ms = NEVER_MS;
    return secret_init(&p->key_bytes, 2 * POST_TAG_BYTES);
}

static int init_peers(struct source_mdi *s, const struct source_mdi_config *config)
{
    s->peers = calloc(config->n_peers + 1, sizeof(*s->peers));
    if (!s->peers)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < config->n_peers; i++)
        r = init_peer(&s->peers[s->n_peers++], s, config->peers[i]);
    return r;
}

int source_mdi_new(struct source **out, const struct source_mdi_config *config)
{
    struct source_mdi *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->config = *config;
    snprintf(s->site, sizeof(s->site), "%s", config->site);
    snprintf(s->simulator, sizeof(s->simulator), "%s", config->simulator ? config->simulator : "");
    snprintf(s->name, sizeof(s->name), "mdi-qkd");
    s->source = (struct source){.ops = &ops, .name = s->name, .simulated = true};
    s->arena = arena_new(EXCHANGE_HELLO_MAX);
    int r = s->arena ? init_peers(s, config) : -ENOMEM;
    if (r < 0)
        free_mdi(&s->source);
    else
        *out = &s->source;
    return r;
}
