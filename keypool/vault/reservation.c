/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/reservation.h"

#include "common/util.h"
#include "keypool/vault/session.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

/* ---- the checks, in the order of keypool.md -------------------------------------------------- */

static int check_form(const Vault__Reserve *m, struct err *e)
{
    if (m->run.len != ENTRY_ID_BYTES)
        return err_set(e, VAULT_BAD_REQUEST, "a run id has %d bytes", ENTRY_ID_BYTES);
    if (m->n_ranges == 0 || m->n_ranges > VAULT_RANGES_MAX)
        return err_set(e, VAULT_BAD_REQUEST, "a reservation has 1 to %d ranges", VAULT_RANGES_MAX);
    for (size_t i = 0; i < m->n_ranges; i++)
        if (m->ranges[i]->length == 0)
            return err_set(e, VAULT_BAD_REQUEST, "range %zu is empty", i);
    return 0;
}

static int check_attempt(struct ledger *l, enum role role, const Vault__Reserve *m, struct err *e)
{
    const struct entry_attempt *last = ledger_last(l, role);
    if (m->attempt > last->attempt)
        return 0;
    if (m->attempt == last->attempt && memcmp(m->run.data, last->run, ENTRY_ID_BYTES) == 0)
        return err_set(
            e, VAULT_LOST, "attempt %" PRIu64 " was reserved already; its key is gone", m->attempt);
    return err_set(e, VAULT_OLD_ATTEMPT, "attempt %" PRIu64 " is not above %" PRIu64, m->attempt,
        last->attempt);
}

static struct ledger_stream *find(
    const struct keystore *k, enum role role, const Vault__Range *range)
{
    struct ledger_stream *s = ledger_find_stream(&k->ledger, range->stream.data, range->stream.len);
    bool is_mask = s && s->purpose == VAULT_MASK;
    return s && is_mask == (role == ROLE_CLIENT) ? s : NULL;
}

static int check_range(
    const struct ledger_stream *s, const Vault__Range *range, bool allow_simulated, struct err *e)
{
    const char *peer = s->peer->site;
    if (!s->peer->session->streams[s->purpose].in_step)
        return err_set(e, VAULT_OUT_OF_STEP,
            "%s: cursors have not been compared with its key pool since the start", peer);
    if (s->simulated && !allow_simulated)
        return err_set(
            e, VAULT_NO_KEY, "%s: the key is simulated, and allow_simulated_keys is off", peer);
    if (range->start < s->cursor)
        return err_set(e, VAULT_REUSE,
            "%s: the range begins at %" PRIu64 ", all below %" PRIu64 " is burnt", peer,
            range->start, s->cursor);
    if (range->start > s->end || range->length > s->end - range->start)
        return err_set(e, VAULT_NO_KEY,
            "%s: %" PRIu64 " bytes from %" PRIu64 " on are wanted, confirmed is %" PRIu64, peer,
            range->length, range->start, s->end);
    return 0;
}

/* Streams of a reservation are few: no index needed. */
static bool is_repeated(const Vault__Reserve *m, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (memcmp(m->ranges[i]->stream.data, m->ranges[j]->stream.data, ENTRY_ID_BYTES) == 0)
            return true;
    return false;
}

/* Every problem of one kind comes before those of the next, whatever the order of the ranges. */
static int check_ranges(const struct keystore *k, const struct reservation_rules *rules,
    const Vault__Reserve *m, struct err *e)
{
    int worst = 0;
    static const int rank[] = {
        [VAULT_OUT_OF_STEP] = 3, [VAULT_REUSE] = 2, [VAULT_NO_KEY] = 1, [VAULT_BAD_REQUEST] = 0};
    for (size_t i = 0; i < m->n_ranges; i++) {
        const struct ledger_stream *s = find(k, rules->role, m->ranges[i]);
        if (!s)
            return err_set(e, VAULT_NO_STREAM, "range %zu names no stream of this role", i);
        if (is_repeated(m, i))
            return err_set(e, VAULT_BAD_REQUEST, "range %zu repeats a stream", i);
        struct err why = {{0}};
        int code = check_range(s, m->ranges[i], rules->allow_simulated, &why);
        if (code > 0 && (worst == 0 || rank[code] > rank[worst])) {
            worst = code;
            *e = why;
        }
    }
    return worst;
}

/* ---- open ------------------------------------------------------------------------------------ */

static struct entry burn_of(const struct ledger_stream *s, enum role role, const Vault__Reserve *m,
    const Vault__Range *range)
{
    struct entry e = keystore_burn(s, BURN_RESERVE, range->start, range->start + range->length);
    e.burn.role = role;
    e.burn.attempt = m->attempt;
    memcpy(e.burn.run, m->run.data, ENTRY_ID_BYTES);
    return e;
}

/* One record for all ranges and for the gaps before them. */
static int burn(struct keystore *k, enum role role, const Vault__Reserve *m)
{
    auto_free struct entry *entries = calloc(2 * m->n_ranges, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < m->n_ranges; i++) {
        const struct ledger_stream *s = find(k, role, m->ranges[i]);
        if (m->ranges[i]->start > s->cursor)
            entries[n++] = keystore_burn(s, BURN_SKIP, s->cursor, m->ranges[i]->start);
        entries[n++] = burn_of(s, role, m, m->ranges[i]);
    }
    return keystore_commit(k, entries, n);
}

int reservation_open(struct reservation *r, struct keystore *k,
    const struct reservation_rules *rules, const Vault__Reserve *m, struct err *e)
{
    assert(!r->ranges);
    int res = check_form(m, e);
    if (res == 0)
        res = check_attempt(&k->ledger, rules->role, m, e);
    if (res == 0)
        res = check_ranges(k, rules, m, e);
    if (res != 0)
        return res;
    auto_free struct reserved_range *ranges = calloc(m->n_ranges, sizeof(*ranges));
    if (!ranges)
        return -ENOMEM;
    res = burn(k, rules->role, m);
    if (res < 0)
        return res;
    for (size_t i = 0; i < m->n_ranges; i++) {
        struct ledger_stream *s = find(k, rules->role, m->ranges[i]);
        ranges[i] = (struct reserved_range){s, m->ranges[i]->start, m->ranges[i]->length, 0};
        s->peer->session->streams[s->purpose].last_range = m->ranges[i]->length;
    }
    *r = (struct reservation){steal(&ranges), m->n_ranges, m->attempt};
    return 0;
}

/* ---- take ------------------------------------------------------------------------------------ */

static int check_take(const struct reservation *r, const Vault__Take *m, struct err *e)
{
    if (!r->ranges || m->attempt != r->attempt)
        return err_set(
            e, RESERVATION_E_REFUSED, "attempt %" PRIu64 " is not reserved here", m->attempt);
    if (m->range >= r->n || !r->ranges[m->range].stream)
        return err_set(e, RESERVATION_E_REFUSED, "there is no range %" PRIu32, m->range);
    const struct reserved_range *range = &r->ranges[m->range];
    if (m->length == 0 || m->length > VAULT_TAKE_MAX)
        return err_set(e, RESERVATION_E_REFUSED, "one take has 1 to %u bytes", VAULT_TAKE_MAX);
    if (m->offset < range->passed)
        return err_set(e, RESERVATION_E_REFUSED,
            "byte %" PRIu64 " of range %" PRIu32 " was passed already", m->offset, m->range);
    if (m->offset > range->len || m->length > range->len - m->offset)
        return err_set(
            e, RESERVATION_E_REFUSED, "a take beyond the end of range %" PRIu32, m->range);
    return 0;
}

int reservation_take(
    struct reservation *r, struct keystore *k, const Vault__Take *m, uint8_t *out, struct err *e)
{
    int res = check_take(r, m, e);
    if (res != 0)
        return res;
    struct reserved_range *range = &r->ranges[m->range];
    /* Passed first: whatever happens now, these bytes are never read again. */
    uint64_t gap = m->offset - range->passed;
    range->passed = m->offset + m->length;
    res = keystore_read(k, range->stream, range->start + m->offset, out, m->length);
    if (res < 0)
        return res;
    ledger_settle(range->stream, res == 0 ? m->length : 0, gap + (res == 0 ? 0 : m->length));
    if (res == 0)
        return 0;
    return err_set(e, RESERVATION_E_DAMAGED,
        "%s: %" PRIu32 " bytes of key at %" PRIu64 " are damaged on the disk",
        range->stream->peer->site, m->length, range->start + m->offset);
}

/* ---- close ----------------------------------------------------------------------------------- */

void reservation_close(struct reservation *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct reserved_range *range = &r->ranges[i];
        if (range->stream && range->passed < range->len)
            ledger_settle(range->stream, 0, range->len - range->passed);
    }
    free(r->ranges);
    *r = (struct reservation){0};
}

void reservation_forget(struct reservation *r, const struct ledger_peer *p)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->ranges[i].stream && r->ranges[i].stream->peer == p)
            r->ranges[i].stream = NULL;
}

/* ---- queries --------------------------------------------------------------------------------- */

uint64_t reservation_wants(const struct reservation *r, const struct ledger_stream *s)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < r->n; i++) {
        const struct reserved_range *range = &r->ranges[i];
        if (range->stream == s && range->passed < range->len)
            least = MIN(least, range->start + range->passed);
    }
    return least;
}

bool reservation_is_spent(const struct reservation *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->ranges[i].passed < r->ranges[i].len)
            return false;
    return true;
}
