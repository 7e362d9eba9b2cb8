/* SPDX-License-Identifier: Apache-2.0 */
/* After LOCKED: GO, the upload, and the end of a released vector.
 *
 * The first byte leaves only on GO of the outbox's own attempt; every byte that ever leaves is read
 * from the sealed outbox. Large vectors go in windows: after UPLOAD_WINDOW bytes a ping is sent, and
 * its answer says that the server has read them.
 */
#include "client/core.h"

#include "common/util.h"

#include <errno.h>

/* Heard of before the link counts as silent from 1 Mbit/s on. */
#define UPLOAD_WINDOW ((uint64_t)1024 * 1024)

typedef unsigned long long ull;

/* ---- upload ----------------------------------------------------------------------------------- */

static int send_chunk(struct participant *p, struct update *u)
{
    struct upload *up = &p->round.upload;
    Fed__Chunk m = FED__CHUNK__INIT;
    size_t len;
    const uint8_t *data = client_outbox_chunk(&p->round.outbox, up->next, &len);
    m.attempt = p->round.outbox.label.attempt;
    m.index = up->next++;
    m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
    up->unanswered += len;
    p->counters.uploaded_bytes += len;
    return client_upstream_send(p, u, FED_CHUNK, &m.base);
}

static int send_window(struct participant *p, struct update *u)
{
    struct upload *up = &p->round.upload;
    uint32_t chunks = quantiser_chunks(&p->round.outbox.shape);
    int r = 0;
    up->unanswered = 0;
    while (r == 0 && up->next < chunks && up->unanswered < UPLOAD_WINDOW)
        r = send_chunk(p, u);
    up->is_on = up->next < chunks;
    if (r == 0 && up->is_on)
        r = link_ping(&p->server.link, p->now_ms, p->server.conn, u);
    return r;
}

int client_release_continue(struct participant *p, struct update *u)
{
    bool is_answered = p->server.is_welcome && p->server.link.pinged_ms == 0;
    return p->round.upload.is_on && is_answered ? send_window(p, u) : 0;
}

/* ---- GO --------------------------------------------------------------------------------------- */

int client_release_send_lost(struct participant *p, uint64_t attempt, struct update *u)
{
    Fed__Lost m = FED__LOST__INIT;
    update_note(u, NOTE_WARNING, "attempt %llu is lost here", (ull)attempt);
    m.attempt = attempt;
    return client_upstream_send(p, u, FED_LOST, &m.base);
}

/* From here on the update belongs to this attempt alone. */
static void release(struct participant *p, struct update *u)
{
    client_round_move(p, PHASE_RELEASED);
    p->round.trained.released = true;
    budget_release(&p->budget, p->round.attempt.number);
    p->counters.releases++;
    update_note(u, NOTE_INFO, "round %llu, attempt %llu: all are locked, the masked update leaves",
        (ull)p->round.terms.round, (ull)p->round.attempt.number);
}

/* GO before LOCKED: no honest server says that. */
static int give_up(struct participant *p, uint64_t attempt, struct update *u)
{
    update_note(u, NOTE_ALARM, "attempt %llu: GO came before LOCKED", (ull)attempt);
    int r = client_attempt_drop(p, u);
    client_round_move(p, PHASE_READY);
    return r == 0 ? client_release_send_lost(p, attempt, u) : r;
}

int client_release_on_go(struct participant *p, const Fed__Go *go, struct update *u)
{
    bool is_mine = p->round.outbox.sealed && p->round.outbox.label.attempt == go->attempt;
    if (!is_mine && p->round.attempt.number && p->round.attempt.number == go->attempt)
        return give_up(p, go->attempt, u);
    if (!is_mine)
        return client_release_send_lost(p, go->attempt, u);
    if (p->round.phase == PHASE_LOCKED)
        release(p, u);
    p->round.upload = (struct upload){.is_on = true, .next = go->from_chunk};
    return send_window(p, u);
}

/* ---- end -------------------------------------------------------------------------------------- */

/* Who took part in an update that left without a sum; or did the next sum have others? */
static void remember_members(struct participant *p, bool is_summed)
{
    const uint8_t *members = p->round.outbox.label.members;
    struct state *s = &p->state;
    if (is_summed && s->has_skipped && memcmp(s->skipped, members, SHA256_BYTES) != 0)
        p->counters.rounds_changed++;
    s->has_skipped = !is_summed;
    if (!is_summed)
        memcpy(s->skipped, members, SHA256_BYTES);
}

int client_release_end(struct participant *p, bool is_summed)
{
    const struct outbox_label *label = &p->round.outbox.label;
    if (!p->round.outbox.sealed)
        return 0;
    remember_members(p, is_summed);
    if (memcmp(label->run, p->state.run, FED_RUN_BYTES) == 0)
        p->state.closed = MAX(p->state.closed, label->round);
    int r = client_state_save(&p->state, p->disk);
    return r == 0 ? client_outbox_erase(&p->round.outbox, p->disk) : r;
}
