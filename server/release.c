/* SPDX-License-Identifier: Apache-2.0 */
/* From GO to the result (server/core.h): release, uploads, canaries, the new model. */
#include "server/core.h"

#include "common/checkpoint.h"
#include "common/util.h"
#include "server/draft.h"

#include <errno.h>
#include <inttypes.h>

/* ---- GO -------------------------------------------------------------------------------------- */

/* The time runs from the last progress: the base, and one upload at 1 Mbit/s. */
static void extend_deadline(struct aggregator *a, uint64_t now_ms)
{
    a->round.deadline_ms =
        now_ms + phase_timeout_ms(a, PHASE_GO) + attempt_upload_bytes(a->round.attempt) * 8 / 1000;
}

int release_go(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    struct attempt *attempt = a->round.attempt;
    int r = attempt_go(attempt);
    if (r == 0)
        r = a->store->ops->go(a->store, attempt->number);
    if (r < 0)
        return r;
    round_enter(a, PHASE_GO, now_ms, u);
    extend_deadline(a, now_ms);
    for (uint32_t i = 0; r == 0 && i < attempt->k; i++)
        r = send_go(a, i, u);
    return r;
}

int release_resume(struct aggregator *a, struct attempt *attempt, uint64_t round, uint64_t now_ms)
{
    int r = attempt_go(attempt);
    if (r < 0)
        return r;
    a->round.attempt = attempt;
    a->round.number = round;
    a->round.opened_ms = now_ms;
    a->round.phase = PHASE_GO;
    extend_deadline(a, now_ms);
    return 0;
}

/* ---- uploads --------------------------------------------------------------------------------- */

static int add_chunk(struct aggregator *a, struct session *session, uint32_t member,
    const Fed__Chunk *chunk, uint64_t now_ms, struct update *u)
{
    struct attempt *attempt = a->round.attempt;
    switch (
        accumulator_add(&attempt->sum, member, chunk->index, chunk->data.data, chunk->data.len)) {
    case 0:
        a->counters.chunks_added++;
        extend_deadline(a, now_ms);
        return 0;
    case ACCUMULATOR_E_DUPLICATE:
        a->counters.duplicate_chunks++;
        return 0;
    case ACCUMULATOR_E_FLOOD:
        return session_violation(a, session, now_ms, u, "chunks come again and again");
    case ACCUMULATOR_E_GAP:
        return session_violation(a, session, now_ms, u, "chunk %u where %u comes next",
            chunk->index, accumulator_next(&attempt->sum, member));
    default:
        return session_violation(a, session, now_ms, u, "chunk %u of %zu bytes, not %" PRIu64,
            chunk->index, chunk->data.len, quantiser_chunk_bytes(&attempt->z, chunk->index));
    }
}

int release_chunk(struct aggregator *a, struct session *session, const struct event *event,
    const Fed__Chunk *chunk, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    bool is_live = attempt && attempt->number == chunk->attempt;
    if (!is_live && chunk->attempt <= a->attempt) {
        a->counters.stale_frames++;
        return session_spend(session, event->now_ms)
                   ? 0
                   : session_violation(a, session, event->now_ms, u, "too many stale chunks");
    }
    if (!is_live)
        return session_violation(a, session, event->now_ms, u, "a chunk of no attempt");
    int member = attempt_find(attempt, session->site);
    if (member < 0 || round_is_committed(&a->round))
        return session_violation(
            a, session, event->now_ms, u, "a chunk of an attempt that was not released to it");
    if (a->round.phase != PHASE_GO)
        return 0; /* complete already */
    return add_chunk(a, session, (uint32_t)member, chunk, event->now_ms, u);
}

/* ---- the result ------------------------------------------------------------------------------ */

static double *new_weights(const struct aggregator *a)
{
    const struct attempt *attempt = a->round.attempt;
    size_t bytes = a->model.parameters * sizeof(double);
    double *weights = malloc(bytes);
    if (!weights)
        return NULL;
    memcpy(weights, a->model.weights, bytes);
    quantiser_apply(&attempt->z, attempt->sum.sum->data, weights);
    return weights;
}

static int describe_result(
    const struct aggregator *a, const double *weights, struct store_published *result)
{
    const struct attempt *attempt = a->round.attempt;
    *result = (struct store_published){.round = a->round.number,
        .attempt = attempt->number,
        .participants = attempt->k,
        .sum = blob_ref(attempt->sum.sum),
        .sites = attempt_sites(attempt)};
    memcpy(result->base_hash, a->model.hash, SHA256_BYTES);
    checkpoint_model_hash(result->model_hash, weights, a->model.parameters);
    published_digest(result->digest, a->previous, a->run.id, result);
    return result->sites ? 0 : -ENOMEM;
}

/* Model, checkpoint and result are durable before RESULT. */
static int journal(struct aggregator *a, const struct store_published *result,
    const double *weights, uint64_t now_ms)
{
    struct store_round row;
    auto_free char *sites = NULL;
    int r = round_row(a, STORE_SUMMED, now_ms, "", &row, &sites);
    if (r < 0)
        return r;
    return a->store->ops->result(
        a->store, &row, weights, a->model.parameters, result->digest, result->sum);
}

static int send_result(struct aggregator *a, struct session *session, void *arg, struct update *u)
{
    return published_send(&a->published, session->conn, u);
}

static void adopt(struct aggregator *a, double *weights)
{
    uint32_t parameters = a->model.parameters;
    model_deinit(&a->model);
    model_init(&a->model, weights, parameters);
    memcpy(a->previous, a->published.result.digest, SHA256_BYTES);
    a->run.rounds_summed++;
    run_pass(a, a->round.number);
    a->counters.rounds_summed++;
}

static int publish(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    double *weights = new_weights(a);
    if (!weights)
        return -ENOMEM;
    cleanup(store_published_deinit) struct store_published result;
    int r = describe_result(a, weights, &result);
    if (r == 0)
        r = journal(a, &result, weights, now_ms);
    published_deinit(&a->published);
    if (r == 0)
        r = published_init(&a->published, a->run.id, &result, &a->round.attempt->z);
    if (r < 0) {
        free(weights);
        return r;
    }
    adopt(a, weights);
    update_note(u, NOTE_INFO, "round %" PRIu64 ": sum of %u clients published in %" PRIu64 " ms",
        a->round.number, a->round.attempt->k, now_ms - a->round.opened_ms);
    round_enter(a, PHASE_RESULT, now_ms, u);
    return send_all(a, send_result, NULL, u);
}

int release_publish(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    uint32_t wrong = quantiser_canaries_wrong(&attempt->z, attempt->sum.sum->data);
    if (wrong == 0 && attempt->z.parameters == a->model.parameters)
        return publish(a, now_ms, u);
    a->counters.canary_failures++;
    struct reason reason;
    reason_set(&reason, "the sum does not decode: %u canary words are wrong", wrong);
    update_note(u, NOTE_ALARM, "round %" PRIu64 ": %s", a->round.number, reason.text);
    return round_skip(a, &reason, now_ms, u);
}

/* ---- once more ------------------------------------------------------------------------------- */

int release_again(struct aggregator *a, uint64_t attempt, uint32_t conn, struct update *u)
{
    if (a->published.head && a->published.result.attempt == attempt)
        return published_send(&a->published, conn, u);
    if (!a->store->ops->published)
        return 1;
    cleanup(store_published_deinit) struct store_published result = {0};
    int r = a->store->ops->published(a->store, attempt, 0, &result);
    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return r;
    struct quantiser z = draft_quantiser(a->config.params, result.participants);
    cleanup(published_deinit) struct published again = {0};
    r = published_init(&again, a->run.id, &result, &z);
    if (r == -EINVAL)
        return 1; /* of a run with other parameters */
    return r < 0 ? r : published_send(&again, conn, u);
}
