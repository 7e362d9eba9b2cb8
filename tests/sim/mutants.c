/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutants.h"

#include "keypool/vault/keystore.h"
#include "keypool/vault/reservation.h"
#include "proto/view.h"
#include "server/attempt.h"
#include "server/high.h"
#include "tests/sim/need.h"

#include <string.h>

struct mutants mutants;

/* ---- late_burn: keypool/vault burns at the end instead of before use ---- */

int __real_keystore_commit(struct keystore *k, const struct entry *entries, size_t n);
int __wrap_keystore_commit(struct keystore *k, const struct entry *entries, size_t n);
void __real_ledger_settle(struct ledger_stream *s, uint64_t used, uint64_t voided);
void __wrap_ledger_settle(struct ledger_stream *s, uint64_t used, uint64_t voided);
void __real_reservation_close(struct reservation *r);
void __wrap_reservation_close(struct reservation *r);
int __real_highs_propose(struct highs *h, const uint8_t *stream, uint64_t attempt, uint64_t end);
int __wrap_highs_propose(struct highs *h, const uint8_t *stream, uint64_t attempt, uint64_t end);

/* Burns that were put off, by the streams they are of. */
static struct late {
    struct late *next;
    struct keystore *keystore;
    const struct ledger_stream *last; /* of its last entry, in that keystore */
    size_t n;
    struct entry entries[];
} * put_off;

static bool is_burn_of_client(const struct entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i].kind == ENTRY_BURN && entries[i].burn.use == BURN_RESERVE &&
            entries[i].burn.role == ROLE_CLIENT)
            return true;
    return false;
}

int __wrap_keystore_commit(struct keystore *k, const struct entry *entries, size_t n)
{
    if (!mutants.late_burn || !is_burn_of_client(entries, n))
        return __real_keystore_commit(k, entries, n);
    struct late *l = need(malloc(sizeof(*l) + n * sizeof(*entries)));
    *l = (struct late){.next = put_off, .keystore = k, .n = n};
    l->last = ledger_find_stream(&k->ledger, entries[n - 1].stream, ENTRY_ID_BYTES);
    memcpy(l->entries, entries, n * sizeof(*entries));
    put_off = l;
    return 0;
}

void __wrap_ledger_settle(struct ledger_stream *s, uint64_t used, uint64_t voided)
{
    if (!mutants.late_burn || s->purpose != VAULT_MASK)
        __real_ledger_settle(s, used, voided);
}

static struct late *take_late(const struct reservation *r)
{
    for (struct late **at = &put_off; *at; at = &(*at)->next) {
        struct late *l = *at;
        if (!r->ranges || r->ranges[r->n - 1].stream != l->last)
            continue;
        *at = l->next;
        return l;
    }
    return NULL;
}

void __wrap_reservation_close(struct reservation *r)
{
    struct late *l = mutants.late_burn ? take_late(r) : NULL;
    if (l && reservation_is_spent(r) && __real_keystore_commit(l->keystore, l->entries, l->n) == 0)
        for (size_t i = 0; i < r->n; i++)
            __real_ledger_settle(r->ranges[i].stream, r->ranges[i].len, 0);
    free(l);
    __real_reservation_close(r);
}

int __wrap_highs_propose(struct highs *h, const uint8_t *stream, uint64_t attempt, uint64_t end)
{
    return mutants.late_burn ? 0 : __real_highs_propose(h, stream, attempt, end);
}

void mutants_reset(void)
{
    mutants = (struct mutants){0};
    while (put_off) {
        struct late *l = put_off;
        put_off = l->next;
        free(l);
    }
}

/* ---- weights_not_in_tag, empty_confirm ---- */

void __real_view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t *key, const uint8_t *pad, uint8_t *tag);
void __wrap_view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t *key, const uint8_t *pad, uint8_t *tag);

static struct blob *without_weights(const uint8_t *bytes, size_t len)
{
    View__View *view = need(view__view__unpack(NULL, len, bytes));
    for (size_t i = 0; i < view->n_members; i++)
        view->members[i]->samples = 0;
    struct blob *b = need(view_encode(view));
    view__view__free_unpacked(view, NULL);
    return b;
}

void __wrap_view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t *key, const uint8_t *pad, uint8_t *tag)
{
    if (mutants.weights_not_in_tag) {
        struct blob *b = without_weights(bytes, len);
        __real_view_tag(b->data, b->len, from, to, key, pad, tag);
        blob_unref(b);
        return;
    }
    __real_view_tag(bytes, mutants.empty_confirm ? 0 : len, from, to, key, pad, tag);
}

/* ---- no_barrier ---- */

bool __real_attempt_is_locked(const struct attempt *a);
bool __wrap_attempt_is_locked(const struct attempt *a);

bool __wrap_attempt_is_locked(const struct attempt *a)
{
    if (!mutants.no_barrier)
        return __real_attempt_is_locked(a);
    for (uint32_t i = 0; i < a->k; i++)
        if (a->members[i].is_locked)
            return true;
    return false;
}
