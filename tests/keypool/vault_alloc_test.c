/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th allocation of a key pool fails, for every n of a story, until none does any more: the pool
 * ends with -ENOMEM or goes on, and after the next start nothing is lost and nothing was used twice. */
#include "tests/keypool/duet.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/vault/entry.h"
#include "proto/vault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)

/* Counted only inside the pools' code; the linker puts these in place of the allocator (--wrap). */
static struct {
    bool inside;
    uint64_t left; /* allocations until one fails; 0: none will */
    bool failed;
} fate;

static void gate(bool inside)
{
    fate.inside = inside;
}

static bool must_fail(void)
{
    if (!fate.inside || fate.left == 0 || --fate.left > 0)
        return false;
    fate.failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return must_fail() ? NULL : __real_reallocarray(p, n, size);
}

int __real_secret_init(struct secret *s, size_t len);
int __wrap_secret_init(struct secret *s, size_t len);

int __wrap_secret_init(struct secret *s, size_t len)
{
    if (!must_fail())
        return __real_secret_init(s, len);
    *s = (struct secret){0};
    return -ENOMEM;
}

static void mend(struct duet *d)
{
    for (enum duet_end end = ALICE; end <= BOB; end++)
        if (duet_is_down(d, end))
            duet_revive(d, end, false);
    duet_talk(d);
    if (duet_is_down(d, ALICE) || duet_is_down(d, BOB))
        mend(d);
}

static void pair(struct duet *d, enum duet_end end)
{
    int r = duet_pair(d, end, 1);
    while (r != 0 && r != -EEXIST) {
        mend(d);
        r = duet_pair(d, end, 1);
    }
}

static void tell_story(struct duet *d)
{
    pair(d, ALICE);
    pair(d, BOB);
    duet_link(d, true);
    mend(d);
    (void)duet_block(d, BOTH, 70000);
    mend(d);
    uint64_t attempt = duet_next_attempt(d);
    for (enum duet_end end = ALICE; end <= BOB; end++)
        if (duet_reserve(d, end, attempt, 0, 66000) == VAULT_OK)
            (void)duet_take(d, end, 0, 1000);
    mend(d);
    duet_pass(d, 200);
    mend(d);
    duet_restart(d, BOB);
    mend(d);
    (void)duet_block(d, BOTH, 1000);
    mend(d);
    duet_pass(d, 2000);
    mend(d);
}

static void any_allocation_may_fail(void **state)
{
    uint64_t n = 0;
    do {
        struct duet *d = duet_new_strangers(1);
        duet_set_gate(d, gate);
        fate.left = ++n;
        fate.failed = false;
        tell_story(d);
        fate.left = 0;
        duet_settle(d);
        duet_audit(d);
        assert_false(duet_noted(d, ALICE, "damaged") || duet_noted(d, BOB, "damaged"));
        duet_free(d);
    } while (fate.failed);
    print_message("# %d allocations\n", (int)n - 1);
    assert_true(n > 100);
}

/* A record that leaves out what found no memory would be a burn that nobody remembers. */
static void an_entry_without_memory_is_no_shorter_record(void **state)
{
    const struct entry e = {.kind = ENTRY_STARTED};
    struct buf to = {0};
    fate.inside = true;
    fate.left = 1;
    int r = entry_encode(&to, &e);
    fate.inside = false;
    assert_int_equal(r, -ENOMEM);
    buf_deinit(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_without_memory_is_no_shorter_record),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
