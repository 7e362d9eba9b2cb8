/* SPDX-License-Identifier: Apache-2.0 */
/* What qflctl may ask and order: the verbs status, approve, drain, metrics. */
#include "client/core.h"

#include "common/hex.h"
#include "common/util.h"

#include <errno.h>
#include <sysexits.h>

static int give(json_t **result, json_t *value)
{
    *result = value;
    return value ? 0 : -ENOMEM;
}

/* The run named by {"run": hex}, or without it the one that waits. */
static bool find_run(
    const struct participant *p, const json_t *arguments, uint8_t run[FED_RUN_BYTES])
{
    const char *text = json_string_value(json_object_get(arguments, "run"));
    bool found = text && hex_decode(run, FED_RUN_BYTES, text, strlen(text));
    if (!text && p->round.waiting.held) {
        memcpy(run, p->round.waiting.run, FED_RUN_BYTES);
        found = true;
    }
    return found;
}

/* Approving also lifts the mark of a skipped round (policy strict): the operator has looked at it. */
static int approve(struct participant *p, const json_t *arguments, struct update *u, struct err *e)
{
    uint8_t run[FED_RUN_BYTES];
    char text[2 * FED_RUN_BYTES + 1];
    if (!find_run(p, arguments, run))
        return err_set(e, EX_USAGE, "approve takes {\"run\": 32 hexadecimal digits}; no run waits");
    client_state_approve(&p->state, run);
    p->state.has_skipped = false;
    int r = client_state_save(&p->state, p->disk);
    if (r < 0)
        return r;
    hex_encode(text, run, FED_RUN_BYTES);
    update_note(u, NOTE_INFO, "the operator has approved run %s", text);
    return client_round_retry_waiting(p, u);
}

int client_admin_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e)
{
    struct participant *p = owner;
    if (strcmp(verb, "status") == 0)
        return give(result, client_status_json(p));
    if (strcmp(verb, "metrics") == 0)
        return give(result, client_metrics_json(p));
    int r = 0;
    if (strcmp(verb, "approve") == 0)
        r = approve(p, arguments, u, e);
    else if (strcmp(verb, "drain") == 0)
        participant_drain(p);
    else
        return err_set(e, EX_USAGE, "a client knows the verbs status, approve, drain and metrics");
    return r == 0 ? give(result, json_object()) : r;
}
