/* SPDX-License-Identifier: Apache-2.0 */
/* What operators can ask and order (server/core.h): one REQUEST, one REPLY. */
#include "server/core.h"

#include "common/util.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "server/draft.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sysexits.h>

/* An answer: JSON text when code is 0, else a sentence. */
struct reply {
    int code;
    char *result; /* owned */
    struct reason reason;
};

__attribute__((format(printf, 3, 4))) static int refuse(
    struct reply *reply, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reply->reason.text, sizeof(reply->reason.text), format, args);
    va_end(args);
    reply->code = code;
    return 0;
}

static int give(struct reply *reply, char *text)
{
    reply->result = text;
    return text ? 0 : -ENOMEM;
}

static int give_done(struct reply *reply)
{
    return give(reply, strdup("{}"));
}

/* ---- questions ------------------------------------------------------------------------------- */

static int do_status(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    return give(reply, status_json(a));
}

static int do_metrics(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    return give(reply, status_metrics_json(a));
}

static int do_rounds(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    json_int_t first = json_integer_value(json_object_get(arguments, "first"));
    return give(reply, a->store->ops->rounds_json(a->store, (uint64_t)MAX(first, 0)));
}

static json_t *split_names(const char *names)
{
    json_t *list = json_array();
    while (*names) {
        size_t len = strcspn(names, ",");
        json_array_append_new(list, json_stringn(names, len));
        names += len + (names[len] == ',');
    }
    return list;
}

static json_t *list_integers(const struct quantiser *z, const uint8_t *packed)
{
    auto_free int64_t *integers = calloc(z->parameters, sizeof(*integers));
    json_t *list = json_array();
    if (!integers)
        return list;
    quantiser_integers(z, packed, integers);
    for (uint32_t i = 0; i < z->parameters; i++)
        json_array_append_new(list, json_integer(integers[i]));
    return list;
}

static char *describe_sum(const struct aggregator *a, const struct store_published *p)
{
    struct quantiser z = draft_quantiser(a->config.params, p->participants);
    json_t *all = json_pack("{s:I, s:I, s:i, s:o, s:o}", "round", (json_int_t)p->round, "attempt",
        (json_int_t)p->attempt, "participants", (int)p->participants, "sites",
        split_names(p->sites), "sum", list_integers(&z, p->sum->data));
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

/* The published integers of a round, for audits. */
static int do_sum(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    json_int_t round = json_integer_value(json_object_get(arguments, "round"));
    if (round <= 0)
        return refuse(reply, EX_USAGE, "sum takes {\"round\": N}");
    const struct store_published *last = &a->published.result;
    if (last->sum && last->round == (uint64_t)round)
        return give(reply, describe_sum(a, last));
    cleanup(store_published_deinit) struct store_published kept = {0};
    int r = -ENOENT;
    if (a->store->ops->published)
        r = a->store->ops->published(a->store, 0, (uint64_t)round, &kept);
    if (r == -ENOENT)
        return refuse(reply, EX_NOINPUT, "the sum of round %lld is not kept", (long long)round);
    return r < 0 ? r : give(reply, describe_sum(a, &kept));
}

/* ---- orders ---------------------------------------------------------------------------------- */

static int do_run_start(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    if (a->run.is_active)
        return refuse(reply, EX_TEMPFAIL, "a run is under way: round %llu of %llu",
            (unsigned long long)a->round.number, (unsigned long long)a->config.rounds);
    if (a->run.drain)
        return refuse(reply, EX_TEMPFAIL, "the server is stopping");
    int r = run_begin(a);
    return r < 0 ? r : give_done(reply);
}

static int do_run_stop(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    if (!a->run.is_active)
        return refuse(reply, EX_UNAVAILABLE, "no run is under way");
    a->run.stop = true;
    return give_done(reply);
}

static int do_drain(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    aggregator_drain(a);
    return give_done(reply);
}

static int do_evaluation(struct aggregator *a, const json_t *arguments, struct reply *reply)
{
    const json_t *round = json_object_get(arguments, "round");
    const json_t *loss = json_object_get(arguments, "loss");
    const json_t *accuracy = json_object_get(arguments, "accuracy");
    if (!json_is_integer(round) || json_integer_value(round) < 0 || !json_is_number(loss) ||
        !json_is_number(accuracy))
        return refuse(
            reply, EX_USAGE, "evaluation takes {\"round\": N, \"loss\": X, \"accuracy\": Y}");
    int r = a->store->ops->evaluation(a->store, (uint64_t)json_integer_value(round),
        json_number_value(loss), json_number_value(accuracy));
    return r < 0 ? r : give_done(reply);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const struct verb {
    const char *name;
    int (*handle)(struct aggregator *a, const json_t *arguments, struct reply *reply);
} verbs[] = {
    {"status", do_status},
    {"rounds", do_rounds},
    {"sum", do_sum},
    {"metrics", do_metrics},
    {"run-start", do_run_start},
    {"run-stop", do_run_stop},
    {"drain", do_drain},
    {"evaluation", do_evaluation},
};

static int execute(struct aggregator *a, const Ctl__Request *request, struct reply *reply)
{
    const char *text = *request->arguments ? request->arguments : "{}";
    json_error_t problem;
    json_t *arguments = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(arguments)) {
        json_decref(arguments);
        return refuse(reply, EX_USAGE, "the arguments are not a JSON object");
    }
    int r = refuse(reply, EX_USAGE, "no verb \"%s\" here", reason_quote(request->verb).text);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, request->verb) == 0) {
            *reply = (struct reply){0};
            r = verbs[i].handle(a, arguments, reply);
        }
    json_decref(arguments);
    return r;
}

int verbs_request(struct aggregator *a, struct session *session, const ProtobufCMessage *message,
    uint64_t now_ms, struct update *u)
{
    struct reply reply = {0};
    int r = execute(a, (const Ctl__Request *)message, &reply);
    if (r == 0) {
        Ctl__Reply m = CTL__REPLY__INIT;
        m.code = reply.code;
        m.reason = reply.reason.text;
        m.result = reply.result ? reply.result : (char *)"";
        r = link_send(u, session->conn, CTL_REPLY, &m.base);
    }
    free(reply.result);
    return r;
}
