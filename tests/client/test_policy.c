/* SPDX-License-Identifier: Apache-2.0 */
/* What a client refuses, one sentence each; and that nothing else is refused. */
#include "client/policy.h"
#include "common/util.h"
#include "tests/client/fake_vault.h"
#include "tests/client/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const sites[] = {"alice", "bob", "charlie", "david", "erin"};
static const char *const peers[] = {"alice", "charlie", "david", "erin"};
static const uint64_t samples[] = {10, 20, 30, 40, 50};

/* A client (bob), an open round, and a view of five that it accepts. */
struct scene {
    struct policy policy;
    struct terms terms;
    struct policy_witness witness;
    struct plan plan;
    struct level level_list[ARRAY_SIZE(peers)];
    struct levels levels;
    struct budget budget;
    uint64_t attempt;
    uint64_t now_ms;
    uint8_t skipped[32];
};

static void scene_init(struct scene *s)
{
    *s = (struct scene){.attempt = 9, .now_ms = 1000};
    s->policy = (struct policy){
        .k_min = 3, .t_min = 2, .task = "colours", .q_min = 6, .q_max = 16, .clip_max = 1};
    s->terms = (struct terms){.held = true,
        .round = 4,
        .task = (char *)"colours",
        .parameters = 20,
        .chunk_words = 8,
        .q = 8,
        .clip = 0.5};
    memset(s->terms.run, 'r', sizeof(s->terms.run));
    const struct plan_terms terms = {
        .round = 4, .attempt = 9, .q = 8, .parameters = 20, .chunk_words = 8, .clip = 0.5};
    plan_init(&s->plan, &terms, sites, samples, ARRAY_SIZE(sites), NULL);
    s->witness = (struct policy_witness){.policy = &s->policy,
        .site = "bob",
        .peers = peers,
        .n_peers = ARRAY_SIZE(peers),
        .terms = &s->terms,
        .samples = 20,
        .last_attempt = 8};
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        s->level_list[i] = (struct level){.peer = peers[i], .end = 10000, .in_step = true};
        fake_vault_id("bob", peers[i], s->level_list[i].stream);
    }
    s->levels = (struct levels){s->level_list, ARRAY_SIZE(peers)};
}

struct row {
    const char *name;
    void (*bend)(struct scene *s);
    int code;
    const char *sentence;
};

/* ---- the view ----------------------------------------------------------------------------------- */

static void nothing(struct scene *s)
{
    (void)s;
}

static void other_run(struct scene *s)
{
    s->plan.run[0] ^= 1;
}

static void other_round(struct scene *s)
{
    s->plan.view.round = 5;
}

static void other_previous(struct scene *s)
{
    s->plan.previous[31] ^= 1;
}

static void other_model(struct scene *s)
{
    s->plan.model_hash[0] ^= 1;
}

static void other_q(struct scene *s)
{
    s->plan.view.q = 10;
}

static void other_parameters(struct scene *s)
{
    s->plan.view.parameters = 21;
}

static void other_clip(struct scene *s)
{
    s->plan.view.clip = 0.25;
}

static void other_rounding(struct scene *s)
{
    s->plan.view.rounding = ROUNDING_NEAREST;
}

static void other_chunks(struct scene *s)
{
    s->plan.view.chunk_words = 16;
}

static void other_attempt(struct scene *s)
{
    s->attempt = 10;
}

static void old_attempt(struct scene *s)
{
    s->witness.last_attempt = 9;
}

static void not_a_member(struct scene *s)
{
    s->plan.members[1].site = (char *)"beatrice";
}

static void other_samples(struct scene *s)
{
    s->plan.members[1].samples = 21;
}

static void a_stranger(struct scene *s)
{
    s->plan.members[4].site = (char *)"mallory";
}

static void too_few(struct scene *s)
{
    s->policy.k_min = 6;
}

static void two_components(struct scene *s)
{
    static View__Component *components[2];
    components[0] = components[1] = &s->plan.component;
    s->plan.view.components = components;
    s->plan.view.n_components = 2;
}

/* Alice alone has weight: the "sum" would be hers. */
static void starved_weights(struct scene *s)
{
    s->plan.members[0].samples = 1000000;
}

/* The floor is 1/20 of 1463: only 1000 and 400 reach it. */
static void barely_starved(struct scene *s)
{
    static const uint64_t bent[] = {1000, 20, 21, 22, 400};
    for (size_t i = 0; i < 5; i++)
        s->plan.members[i].samples = bent[i];
}

static void barely_fed(struct scene *s)
{
    static const uint64_t bent[] = {100, 20, 1, 1, 40};
    for (size_t i = 0; i < 5; i++)
        s->plan.members[i].samples = bent[i];
}

static void changed_after_skip(struct scene *s)
{
    s->policy.strict = true;
    s->witness.skipped = s->skipped;
}

static void unchanged_after_skip(struct scene *s)
{
    s->policy.strict = true;
    policy_hash_members(&s->plan.view, s->skipped);
    s->witness.skipped = s->skipped;
}

static void changed_but_not_strict(struct scene *s)
{
    s->witness.skipped = s->skipped;
}

static void low_tolerance(struct scene *s)
{
    s->plan.component.tolerance = 1;
}

static void high_tolerance(struct scene *s)
{
    s->plan.component.tolerance = 4;
}

/* T = 3 on five sites needs the complete graph. */
static void one_edge_missing(struct scene *s)
{
    plan_cut(&s->plan, 2, 4);
}

/* Without one edge the graph of five still bears two colluders. */
static void one_edge_missing_is_enough_for_two(struct scene *s)
{
    plan_cut(&s->plan, 2, 4);
    s->plan.component.tolerance = 2;
}

/* Two triangles that meet in bob: without him they are two. */
static void a_bow_tie(struct scene *s)
{
    static const uint32_t cut[][2] = {{0, 3}, {0, 4}, {2, 3}, {2, 4}};
    for (size_t i = 0; i < ARRAY_SIZE(cut); i++)
        plan_cut(&s->plan, cut[i][0], cut[i][1]);
    s->policy.t_min = 1;
    s->plan.component.tolerance = 1;
}

static const struct row views[] = {
    {"accepted", nothing, 0, ""},
    {"run", other_run, FED_VIEW, "the view is of another run"},
    {"round", other_round, FED_VIEW, "the view is of round 5, open is round 4"},
    {"previous", other_previous, FED_VIEW, "the view follows another result than the round"},
    {"model", other_model, FED_VIEW, "the view names another model than the round"},
    {"q", other_q, FED_VIEW, "the view has 10 bits per word, the round 8"},
    {"parameters", other_parameters, FED_VIEW, "the view has 21 parameters, the round 20"},
    {"clip", other_clip, FED_VIEW, "the view clips at 0.25, the round at 0.5"},
    {"rounding", other_rounding, FED_VIEW, "the view rounds otherwise than the round"},
    {"chunks", other_chunks, FED_VIEW, "the view has chunks of 16 words, the round of 8"},
    {"attempt", other_attempt, FED_VIEW, "the view is of attempt 9, the message of 10"},
    {"old attempt", old_attempt, FED_STALE, "attempt 9 is not above 9, the last one seen"},
    {"member", not_a_member, FED_POLICY, "this site is not a participant of the view"},
    {"samples", other_samples, FED_POLICY, "the view gives this site 21 samples instead of 20"},
    {"stranger", a_stranger, FED_POLICY, "the participant 'mallory' is not on this site's roster"},
    {"K", too_few, FED_POLICY, "5 participants, this site wants at least 6"},
    {"components", two_components, FED_POLICY, "2 mask graphs instead of one"},
    {"weights", starved_weights, FED_POLICY,
        "only 1 participants have a weight of at least 0.05, this site wants 3"},
    {"weights, barely", barely_starved, FED_POLICY,
        "only 2 participants have a weight of at least 0.05, this site wants 3"},
    {"weights, enough", barely_fed, 0, ""},
    {"skipped", changed_after_skip, FED_POLICY,
        "the participants have changed since the round that was skipped (policy strict)"},
    {"skipped, the same", unchanged_after_skip, 0, ""},
    {"skipped, not strict", changed_but_not_strict, 0, ""},
    {"T low", low_tolerance, FED_POLICY, "the view bears 1 colluders, this site wants at least 2"},
    {"T high", high_tolerance, FED_POLICY, "5 participants cannot bear 4 colluders"},
    {"kappa", one_edge_missing, FED_POLICY,
        "the mask graph falls apart when 3 participants collude, though it is to bear that"},
    {"kappa for two", one_edge_missing_is_enough_for_two, 0, ""},
    {"bow tie", a_bow_tie, FED_POLICY,
        "the mask graph falls apart when 1 participants collude, though it is to bear that"},
};

static void what_views_are_refused_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
        struct scene s;
        struct err e = {0};
        scene_init(&s);
        views[i].bend(&s);
        int r = policy_check_view(&s.witness, &s.plan.view, s.attempt, &e);
        if (r != views[i].code)
            print_error("row '%s': %d: %s\n", views[i].name, r, e.text);
        assert_int_equal(r, views[i].code);
        assert_string_equal(e.text, views[i].sentence);
    }
}

/* ---- the terms ---------------------------------------------------------------------------------- */

static void other_task(struct scene *s)
{
    s->terms.task = (char *)"faces";
}

static void narrow(struct scene *s)
{
    s->terms.q = 5;
}

static void wide(struct scene *s)
{
    s->terms.q = 17;
}

static void no_clip(struct scene *s)
{
    s->terms.clip = NAN;
}

static void zero_clip(struct scene *s)
{
    s->terms.clip = 0;
}

static void high_clip(struct scene *s)
{
    s->terms.clip = 1.5;
}

static void other_model_size(struct scene *s)
{
    s->terms.parameters = 21;
}

static void unknown_rounding(struct scene *s)
{
    s->terms.rounding = 2;
}

static void odd_chunks(struct scene *s)
{
    s->terms.chunk_words = 12;
}

static void no_chunks(struct scene *s)
{
    s->terms.chunk_words = 0;
}

static void huge_chunks(struct scene *s)
{
    s->terms.chunk_words = 1 << 24;
}

static const struct row terms_rows[] = {
    {"accepted", nothing, 0, ""},
    {"task", other_task, FED_POLICY,
        "the run trains 'faces', this site is configured for 'colours'"},
    {"narrow", narrow, FED_POLICY, "the run wants 5 bits per word, this site allows 6 to 16"},
    {"wide", wide, FED_POLICY, "the run wants 17 bits per word, this site allows 6 to 16"},
    {"nan", no_clip, FED_POLICY, "the clip nan is not a positive number"},
    {"zero", zero_clip, FED_POLICY, "the clip 0 is not a positive number"},
    {"clip", high_clip, FED_POLICY, "the run clips at 1.5, this site allows at most 1"},
    {"size", other_model_size, FED_POLICY,
        "the run's model has 21 parameters, this site's trainer has 20"},
    {"rounding", unknown_rounding, FED_POLICY, "the rounding 2 is not known"},
    {"odd chunks", odd_chunks, FED_POLICY,
        "chunks of 12 words of 8 bits are not whole bytes, or more than 1048576 of them"},
    {"no chunks", no_chunks, FED_POLICY,
        "chunks of 0 words of 8 bits are not whole bytes, or more than 1048576 of them"},
    {"huge chunks", huge_chunks, FED_POLICY,
        "chunks of 16777216 words of 8 bits are not whole bytes, or more than 1048576 of them"},
};

static void what_terms_are_refused_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(terms_rows); i++) {
        struct scene s;
        struct err e = {0};
        scene_init(&s);
        terms_rows[i].bend(&s);
        assert_int_equal(policy_check_terms(&s.policy, 20, &s.terms, &e), terms_rows[i].code);
        assert_string_equal(e.text, terms_rows[i].sentence);
    }
}

/* ---- the edges ---------------------------------------------------------------------------------- */

/* bob's edge with charlie: members 1 and 2; 28 words of 8 bits make 76 bytes. */
static View__Edge *with_charlie(struct scene *s)
{
    return plan_edge(&s->plan, 1, 2);
}

static void no_stream(struct scene *s)
{
    s->level_list[1] = s->level_list[3];
    s->levels.n = 3;
}

static void other_stream(struct scene *s)
{
    with_charlie(s)->stream.data[0] ^= 1;
}

static void out_of_step(struct scene *s)
{
    s->level_list[1].in_step = false;
}

static void stale_start(struct scene *s)
{
    with_charlie(s)->start = 99;
    s->level_list[1].cursor = 100;
}

static void two_ranges_ahead(struct scene *s)
{
    s->level_list[1].cursor = 100;
    with_charlie(s)->start = 100 + 2 * 76;
}

static void three_ranges_ahead(struct scene *s)
{
    s->level_list[1].cursor = 100;
    with_charlie(s)->start = 100 + 2 * 76 + 1;
}

static void ahead_with_the_peer(struct scene *s)
{
    s->level_list[1].peer_cursor = 1000;
    with_charlie(s)->start = 1000 + 2 * 76;
}

static void beyond_the_end(struct scene *s)
{
    s->level_list[1].end = 75;
}

static void exactly_to_the_end(struct scene *s)
{
    s->level_list[1].end = 76;
}

static void anothers_edge(struct scene *s)
{
    plan_edge(&s->plan, 0, 2)->start = 12345678;
}

static void over_budget(struct scene *s)
{
    s->policy.key_budget_bytes_per_hour = 200;
    assert_int_equal(budget_burn(&s->budget, s->now_ms, 3, "charlie", 125), 0);
}

static void within_budget(struct scene *s)
{
    s->policy.key_budget_bytes_per_hour = 200;
    assert_int_equal(budget_burn(&s->budget, s->now_ms, 3, "charlie", 124), 0);
    assert_int_equal(budget_burn(&s->budget, s->now_ms, 3, "david", 124), 0);
}

static void burnt_an_hour_ago(struct scene *s)
{
    over_budget(s);
    s->now_ms += BUDGET_WINDOW_MS;
}

static void burnt_and_released(struct scene *s)
{
    over_budget(s);
    budget_release(&s->budget, 3);
}

/* What a start skips is burnt too. */
static void skipping_over_budget(struct scene *s)
{
    s->policy.key_budget_bytes_per_hour = 200;
    with_charlie(s)->start = 125;
}

static const struct row edges[] = {
    {"accepted", nothing, 0, ""},
    {"no stream", no_stream, FED_NO_KEY, "the key pool has no mask stream with charlie"},
    {"stream", other_stream, FED_VIEW,
        "the view names another stream with charlie than the key pool"},
    {"step", out_of_step, FED_NO_KEY, "the key pool is not in step with charlie"},
    {"stale", stale_start, FED_STALE, "the key for charlie starts at 99, the cursor is at 100"},
    {"two ranges ahead", two_ranges_ahead, 0, ""},
    {"far ahead", three_ranges_ahead, FED_STALE,
        "the key for charlie starts at 253, far ahead of 100"},
    {"ahead with the peer", ahead_with_the_peer, 0, ""},
    {"no key", beyond_the_end, FED_NO_KEY,
        "76 bytes of key with charlie from 0 on, the pool ends at 75"},
    {"all the key", exactly_to_the_end, 0, ""},
    {"another's edge", anothers_edge, 0, ""},
    {"budget", over_budget, FED_POLICY,
        "125 bytes of key with charlie were burnt without a release within the hour, the budget is "
        "200"},
    {"within the budget", within_budget, 0, ""},
    {"an hour ago", burnt_an_hour_ago, 0, ""},
    {"released", burnt_and_released, 0, ""},
    {"skipped key", skipping_over_budget, FED_POLICY,
        "0 bytes of key with charlie were burnt without a release within the hour, the budget is "
        "200"},
};

static void what_key_ranges_are_refused_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
        struct scene s;
        struct err e = {0};
        scene_init(&s);
        edges[i].bend(&s);
        int r = policy_check_edges(&s.witness, &s.plan.view, &s.levels, &s.budget, s.now_ms, &e);
        assert_string_equal(e.text, edges[i].sentence);
        assert_int_equal(r, edges[i].code);
        budget_deinit(&s.budget);
    }
}

/* ---- the default budget ------------------------------------------------------------------------- */

static void the_default_budget_is_a_number_of_attempts(void **state)
{
    (void)state;
    assert_int_equal(budget_limit(5, 1 << 20), 5);
    assert_int_equal(budget_limit(0, 100), BUDGET_DEFAULT_BYTES);
    assert_int_equal(budget_limit(0, 1 << 20), (1 << 20) * BUDGET_DEFAULT_ATTEMPTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_views_are_refused_for),
        cmocka_unit_test(what_terms_are_refused_for),
        cmocka_unit_test(what_key_ranges_are_refused_for),
        cmocka_unit_test(the_default_budget_is_a_number_of_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
