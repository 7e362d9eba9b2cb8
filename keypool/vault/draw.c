/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/draw.h"

#include "common/util.h"

#include <inttypes.h>

/* 0, or enum vault_code with a sentence: nothing was consumed. */
static int check(const struct vault *v, const Vault__Draw *m, const struct ledger_stream *s,
    uint64_t start, struct err *e)
{
    const char *peer = s->peer->site;
    if (m->length == 0 || m->length > VAULT_DRAW_MAX)
        return err_set(e, VAULT_BAD_REQUEST, "1 to %d bytes of pads at once", VAULT_DRAW_MAX);
    if (s->peer->session->is_broken || !s->peer->session->streams[s->purpose].in_step)
        return err_set(e, VAULT_OUT_OF_STEP,
            "%s: cursors have not been compared with its key pool since the start", peer);
    if (s->simulated && !v->allow_simulated)
        return err_set(
            e, VAULT_NO_KEY, "%s: the pads are simulated, and allow_simulated_keys is off", peer);
    if (start < s->cursor)
        return err_set(e, VAULT_REUSE,
            "%s: pads at %" PRIu64 " are wanted, all below %" PRIu64 " is burnt", peer, start,
            s->cursor);
    if (start > s->end || m->length > s->end - start)
        return err_set(e, VAULT_NO_KEY,
            "%s: AUTH EMPTY: no pads left to authenticate with (qflctl site pair)", peer);
    return 0;
}

static int burn(struct vault *v, const struct ledger_stream *s, uint64_t start, uint32_t len)
{
    struct entry entries[2];
    size_t n = 0;
    if (start > s->cursor)
        entries[n++] = keystore_burn(s, BURN_SKIP, s->cursor, start);
    entries[n++] = keystore_burn(s, BURN_TAG, start, start + len);
    vault_touch(v);
    return keystore_commit(&v->store, entries, n);
}

static int answer(uint32_t conn, const Vault__Draw *m, uint64_t start, const uint8_t *data,
    int code, const struct err *why, struct update *u)
{
    Vault__Drawn drawn = VAULT__DRAWN__INIT;
    drawn.peer = m->peer;
    drawn.ticket = m->ticket;
    drawn.start = start;
    drawn.data = (ProtobufCBinaryData){code ? 0 : m->length, (uint8_t *)data};
    drawn.code = (uint32_t)code;
    drawn.reason = code ? (char *)why->text : (char *)"";
    return link_send_secret(u, conn, VAULT_DRAWN, &drawn.base);
}

static int refuse(struct vault *v, uint32_t conn, const Vault__Draw *m, int code,
    const struct err *why, struct update *u)
{
    v->counters.refusals++;
    update_note(u, code == VAULT_REUSE ? NOTE_ALARM : NOTE_INFO, "pads refused: %s", why->text);
    return answer(conn, m, m->start, NULL, code, why, u);
}

int draw_pads(struct vault *v, uint32_t conn, const Vault__Draw *m, struct update *u)
{
    struct err why = {{0}};
    struct ledger_peer *p = ledger_find_peer(&v->store.ledger, m->peer);
    if (!p)
        return refuse(
            v, conn, m, err_set(&why, VAULT_NO_STREAM, "site %s is not paired", m->peer), &why, u);
    struct ledger_stream *s = &p->streams[m->receive ? VAULT_AUTH_RX : VAULT_AUTH_TX];
    uint64_t start = m->receive ? m->start : s->cursor;
    int r = check(v, m, s, start, &why);
    if (r > 0)
        return refuse(v, conn, m, r, &why, u);
    r = burn(v, s, start, m->length);
    if (r < 0)
        return r;
    uint8_t pads[VAULT_DRAW_MAX];
    r = keystore_read(&v->store, s, start, pads, m->length);
    if (r < 0)
        return r;
    if (r > 0)
        r = err_set(&why, VAULT_NO_KEY, "%s: pads are damaged on this disk", p->site);
    r = r > 0 ? refuse(v, conn, m, r, &why, u) : answer(conn, m, start, pads, 0, NULL, u);
    secret_wipe(pads, sizeof(pads));
    return r;
}
