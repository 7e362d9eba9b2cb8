/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that the oracle judges by: a judge that never says no is worth nothing. */
#include "tests/sim/leak.h"
#include "tests/sim/padbook.h"
#include "tests/sim/ranges.h"
#include "tests/sim/viewcheck.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- ranges ---- */

static const uint8_t stream[RANGES_STREAM_BYTES] = {1};
static const uint8_t other_stream[RANGES_STREAM_BYTES] = {2};

static void key_handed_out_twice_is_seen(void **state)
{
    struct ranges r = {0};
    assert_int_equal(ranges_use(&r, stream, 0, 5, 0, 48), 0);
    assert_int_equal(ranges_use(&r, stream, 0, 5, 48, 100), 0);
    assert_int_equal(ranges_use(&r, other_stream, 0, 6, 0, 100), 0);
    assert_int_equal(ranges_use(&r, stream, 1, 5, 0, 100), 0);   /* the other end, same attempt */
    assert_int_equal(ranges_use(&r, stream, 0, 6, 99, 120), 5);  /* one byte twice, same end */
    assert_int_equal(ranges_use(&r, stream, 1, 7, 100, 110), 6); /* at the ends, two attempts */
    assert_int_equal(ranges_use(&r, stream, 1, 5, 0, 1), 5);     /* twice for one attempt */
    assert_int_equal(ranges_bytes(&r, stream, 0), 121);
    ranges_deinit(&r);
}

/* ---- pads by content ---- */

static void the_same_bytes_from_two_places_are_seen(void **state)
{
    struct padbook *b = padbook_new();
    uint8_t pad[64];
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] = (uint8_t)(i * i + 7 * i + 1);
    assert_int_equal(padbook_add(b, stream, 100, pad, 40), 0);
    assert_int_equal(padbook_add(b, stream, 100, pad, 40), 0); /* the other end */
    assert_int_equal(padbook_add(b, stream, 140, pad + 40, 24), 0);
    assert_int_equal(padbook_add(b, stream, 203, pad + 5, 30), PADBOOK_E_REUSED);
    assert_int_equal(padbook_add(b, other_stream, 100, pad, 40), PADBOOK_E_REUSED);
    padbook_free(b);
}

static void other_bytes_from_one_place_are_seen(void **state)
{
    struct padbook *b = padbook_new();
    const uint8_t pad[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, other[] = {1, 2, 3, 4, 5, 6, 7, 8, 8};
    assert_int_equal(padbook_add(b, stream, 0, pad, sizeof(pad)), 0);
    assert_int_equal(padbook_add(b, stream, 0, other, sizeof(other)), PADBOOK_E_DIFFERS);
    padbook_free(b);
}

/* ---- leaks ---- */

static void a_run_of_secret_bytes_is_found(void **state)
{
    struct leak *l = leak_new();
    const uint8_t secret[] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6};
    leak_add(l, secret, sizeof(secret));
    uint8_t frame[32] = {9, 9, 9};
    assert_false(leak_in_bytes(l, frame, sizeof(frame)));
    memcpy(frame + 5, secret + 2, 7);
    assert_false(leak_in_bytes(l, frame, sizeof(frame))); /* 7 bytes are not a run */
    memcpy(frame + 5, secret + 2, 8);
    assert_true(leak_in_bytes(l, frame, sizeof(frame)));
    leak_free(l);
}

static void a_run_is_found_in_text_and_in_hexadecimal(void **state)
{
    struct leak *l = leak_new();
    leak_add(l, "pad-pad-", 8);
    const uint8_t secret[] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
    leak_add(l, secret, sizeof(secret));
    assert_false(leak_in_text(l, "a note about pads and DEADBEEF"));
    assert_true(leak_in_text(l, "this is a pad-pad-pad"));
    assert_true(leak_in_text(l, "key 0xDEADbeef01020304!"));
    assert_true(leak_in_text(l, "key fdeadbeef01020304"));
    leak_free(l);
}

static void old_secrets_are_forgotten_only_by_the_thousand(void **state)
{
    struct leak *l = leak_new();
    leak_add(l, "pad-pad-", 8);
    for (uint64_t i = 1; i < 30000; i++) {
        uint8_t run[8];
        put_u64le(run, i << 20 | 0xabc);
        leak_add(l, run, sizeof(run));
    }
    assert_true(leak_in_bytes(l, "pad-pad-", 8));
    leak_free(l);
}

/* ---- views ---- */

struct quartet {
    View__View view;
    View__Member members[4], *member_list[4];
    View__Edge edges[6], *edge_list[6];
    View__Component component, *component_list[1];
};

static const char *const roster[] = {"alice", "bob", "charlie", "david"};

/* Four members of equal weight in a complete graph, T = 2. */
static void quartet_init(struct quartet *t)
{
    view__view__init(&t->view);
    view__component__init(&t->component);
    t->component.tolerance = 2;
    t->component_list[0] = &t->component;
    t->view.components = t->component_list;
    t->view.n_components = 1;
    for (uint32_t i = 0; i < 4; i++) {
        view__member__init(&t->members[i]);
        t->members[i].site = (char *)roster[i];
        t->members[i].samples = 100;
        t->member_list[i] = &t->members[i];
    }
    t->view.members = t->member_list;
    t->view.n_members = 4;
    t->view.n_edges = 0;
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = i + 1; j < 4; j++) {
            View__Edge *e = &t->edges[t->view.n_edges];
            view__edge__init(e);
            e->low = i;
            e->high = j;
            t->edge_list[t->view.n_edges++] = e;
        }
    t->view.edges = t->edge_list;
    t->view.q = 8;
    t->view.parameters = 2;
    t->view.clip = 1;
}

static const char *judge(const struct quartet *t)
{
    return viewcheck_release(&t->view, "alice", 100, roster, 4, 3, 1);
}

static void a_good_view_passes(void **state)
{
    struct quartet t;
    quartet_init(&t);
    assert_null(judge(&t));
    t.component.tolerance = 1;
    t.view.n_edges = 5; /* charlie-david is missing: still 2-connected */
    assert_null(judge(&t));
}

static void what_must_not_be_released_under_is_named(void **state)
{
    struct quartet t;
    quartet_init(&t);
    t.view.n_edges = 5;
    assert_string_equal(judge(&t), "kappa(G) below T+1");
    quartet_init(&t);
    t.component.tolerance = 3;
    assert_string_equal(judge(&t), "T out of range");
    quartet_init(&t);
    t.members[1].samples = t.members[2].samples = t.members[3].samples = 1;
    assert_string_equal(judge(&t), "starved weights");
    quartet_init(&t);
    t.members[3].site = (char *)"mallory";
    assert_string_equal(judge(&t), "a stranger in S");
    quartet_init(&t);
    t.members[0].samples = 101;
    assert_string_equal(judge(&t), "the client is not in S with its own samples");
    quartet_init(&t);
    t.view.n_members = 2;
    t.view.n_edges = 1;
    assert_string_equal(judge(&t), "K below K_min");
}

static void integers_must_fit_the_weights(void **state)
{
    struct quartet t;
    quartet_init(&t);
    /* p = 1/4, B = 31, step = 1/31: x/step = 1.55 and -31 (clipped). */
    const double update[] = {0.2, -400};
    assert_true(viewcheck_fits(&t.view, "alice", update, (const int64_t[]){1, -31}));
    assert_true(viewcheck_fits(&t.view, "alice", update, (const int64_t[]){2, -31}));
    assert_false(viewcheck_fits(&t.view, "alice", update, (const int64_t[]){3, -31}));
    assert_false(viewcheck_fits(&t.view, "alice", update, (const int64_t[]){2, -32}));
    t.members[1].samples = 1000; /* other weights: p = 1/13, x/step = 0.48 */
    assert_false(viewcheck_fits(&t.view, "alice", update, (const int64_t[]){2, -31}));
    assert_false(viewcheck_fits(&t.view, "mallory", update, (const int64_t[]){1, -31}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_handed_out_twice_is_seen),
        cmocka_unit_test(the_same_bytes_from_two_places_are_seen),
        cmocka_unit_test(other_bytes_from_one_place_are_seen),
        cmocka_unit_test(a_run_of_secret_bytes_is_found),
        cmocka_unit_test(a_run_is_found_in_text_and_in_hexadecimal),
        cmocka_unit_test(old_secrets_are_forgotten_only_by_the_thousand),
        cmocka_unit_test(a_good_view_passes),
        cmocka_unit_test(what_must_not_be_released_under_is_named),
        cmocka_unit_test(integers_must_fit_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
