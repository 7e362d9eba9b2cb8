/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/server/puppets.h"

#include "proto/fed.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void on_go(struct puppet *at, const struct blob *body)
{
    Fed__Go *m = fed__go__unpack(NULL, body->len, body->data);
    at->do_upload = true;
    at->from_chunk = m->from_chunk;
    fed__go__free_unpacked(m, NULL);
}

static void on_relay(struct puppet *at, const struct blob *body)
{
    Fed__Relay *m = fed__relay__unpack(NULL, body->len, body->data);
    for (int i = 0; i < STAGE_SITES; i++)
        at->has_tag[i] |= strcmp(m->tag->peer, stage_roster[i]) == 0;
    fed__relay__free_unpacked(m, NULL);
}

/* The attempt is over: its outbox goes. */
static void on_end(struct stage_client *client, struct puppet *at)
{
    client->outbox = 0;
    *at = (struct puppet){0};
}

static void on_message(struct stage *s, int client, uint16_t type, const struct blob *body)
{
    struct puppet *at = &((struct puppets *)s)->puppets[client];
    if (type == FED_OPEN)
        at->do_ready = true;
    else if (type == FED_COMMIT)
        *at = (struct puppet){.do_confirm = true};
    else if (type == FED_RELAY)
        on_relay(at, body);
    else if (type == FED_GO)
        on_go(at, body);
    else if (type == FED_RESULT)
        at->do_done = true;
    else if (type == FED_ABORT || type == FED_SKIP)
        on_end(&s->clients[client], at);
}

void puppets_init(struct puppets *p, size_t sites)
{
    *p = (struct puppets){0};
    stage_init(&p->stage, sites);
    p->stage.on_message = on_message;
    p->stage.may_die = true;
}

void puppets_deinit(struct puppets *p)
{
    stage_deinit(&p->stage);
}

static bool take(bool *what)
{
    bool was = *what;
    *what = false;
    return was;
}

static bool may_lock(const struct puppets *p, const struct puppet *at)
{
    size_t tags = 0;
    for (int i = 0; i < STAGE_SITES; i++)
        tags += at->has_tag[i];
    return at->has_confirmed && !at->has_locked && tags == p->stage.config.sites - 1;
}

static bool act(struct puppets *p, int client)
{
    struct stage *s = &p->stage;
    struct puppet *at = &p->puppets[client];
    if (take(&at->do_ready))
        stage_ready(s, client);
    else if (take(&at->do_confirm)) {
        at->has_confirmed = true;
        stage_confirm(s, client);
    } else if (may_lock(p, at)) {
        at->has_locked = true;
        stage_locked(s, client);
    } else if (take(&at->do_upload))
        stage_upload(s, client, at->from_chunk, STAGE_CHUNKS, (uint8_t)(client + 1));
    else if (take(&at->do_done))
        stage_done(s, client);
    else
        return false;
    return true;
}

void puppets_play(struct puppets *p)
{
    struct stage *s = &p->stage;
    bool progress = true;
    while (progress && !s->is_dead) {
        progress = false;
        for (int i = 0; i < (int)s->config.sites && !s->is_dead; i++) {
            bool is_away = s->clients[i].conn == 0;
            if (is_away)
                stage_connect(s, i);
            progress |= is_away || (!s->is_dead && act(p, i));
        }
    }
}
