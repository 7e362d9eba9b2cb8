/* SPDX-License-Identifier: Apache-2.0 */
/* Two sites that make key out of raw events: real vaults, real KMEs, the whole post-processing, an Eve who
 * may lie. Whatever happens the two pools hold the same bytes, and what goes wrong ends in a sentence.
 */
#include "keypool/kme/kme_internal.h"
#include "keypool/vault/core.h"
#include "tests/keypool/mdi_scene.h"
#include "tests/keypool/raw_eve.h"

#include "common/util.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the scene ---------------------------------------------------------------------------------- */

static struct mdi_scene *begin_with(uint64_t seed, const struct post_config post[2])
{
    struct world *w = world_new(seed);
    return scene_new(w, seed, &raw_eve_add(w)->node, post);
}

static struct mdi_scene *begin(uint64_t seed)
{
    const struct post_config post[2] = {raw_eve_post(), raw_eve_post()};
    return begin_with(seed, post);
}

static struct raw_eve *eve_of(const struct mdi_scene *s)
{
    return (struct raw_eve *)s->eve;
}

/* Fewer blocks, for stories that are told many times. */
static void calm_down(struct mdi_scene *s)
{
    eve_of(s)->clicks = 20000;
    eve_of(s)->acquire_ms = 2000;
}

/* ---- stories ------------------------------------------------------------------------------------ */

static void in_calm_weather_raw_events_become_key(void **unused)
{
    struct mdi_scene *s = begin(1);
    scene_run(s, 5000);
    scene_assert_flows(s, 10000);
    scene_assert_not_noted(s, "void");
    scene_assert_equal_at_rest(s);
    assert_true(scene_account(s, 0, VAULT_MASK).end > 0);
    scene_free(s);
}

/* ---- what the two ends do not agree on -------------------------------------------------------------- */

/* Blocks are void at both ends with this sentence, and nothing came of them. */
static void assert_void(struct mdi_scene *s, const char *sentence)
{
    scene_assert_noted(s, sentence);
    scene_assert_noted(s, "kme alice: bob: a block is void: ");
    scene_assert_noted(s, "kme bob: alice: a block is void: ");
    scene_assert_equal_at_rest(s);
    assert_int_equal(scene_account(s, 0, VAULT_MASK).end, 0);
    assert_true(s->kme[0]->kme->links[0].n_void > 0);
    assert_true(s->kme[1]->kme->links[0].n_void > 0);
    scene_free(s);
}

static void other_parameters_are_no_key(void **unused)
{
    struct post_config post[2] = {raw_eve_post(), raw_eve_post()};
    post[1].keyrate.eps = 1e-3;
    struct mdi_scene *s = begin_with(2, post);
    scene_run(s, 20000);
    assert_true(eve_of(s)->begun < 10); /* there is a pause after each */
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    assert_void(s, "parameters");
}

static void bob_hears_another_detector(struct post_click *click, unsigned end, uint32_t i)
{
    click->d2 ^= end == 1 && i == 17;
}

static void bob_hears_another_place(struct post_click *click, unsigned end, uint32_t i)
{
    click->position += end == 1 && i == 17;
}

static void one_event_stands_still(struct post_click *click, unsigned end, uint32_t i)
{
    if (end == 1 && i == 400)
        click->position = UINT64_MAX - 1; /* the gap after it wraps around */
}

static void both_are_told_less_of_y(struct post_click *click, unsigned end, uint32_t i)
{
    click->y = click->y && i % 3 > 0;
}

static void eves_lies_are_no_key(void **unused)
{
    const struct {
        void (*bend)(struct post_click *click, unsigned end, uint32_t i);
        int end_bias;
        uint64_t pulses;
        double mu;
        const char *sentence;
    } rows[] = {
        {.bend = bob_hears_another_detector, .sentence = "announce"},
        {.bend = bob_hears_another_place, .sentence = "announce"},
        {.bend = one_event_stands_still, .sentence = "not in the block"},
        {.bend = both_are_told_less_of_y, .sentence = "gains differ by basis"},
        {.end_bias = 1, .sentence = "events were announced"},
        {.end_bias = -1, .sentence = "events were announced"},
        {.pulses = 300000, .sentence = "not in the block"},
        {.mu = 0.02, .sentence = "were announced in one block"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mdi_scene *s = begin(20 + i);
        eve_of(s)->bend = rows[i].bend;
        eve_of(s)->end_bias = rows[i].end_bias;
        eve_of(s)->pulses = rows[i].pulses;
        eve_of(s)->mu = rows[i].mu > 0 ? rows[i].mu : eve_of(s)->mu;
        scene_run(s, 12000);
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        assert_void(s, rows[i].sentence);
    }
}

static void too_many_errors_abort_the_link(void **unused)
{
    struct mdi_scene *s = begin(3);
    struct err why;
    eve_of(s)->e_x = eve_of(s)->e_y = 0.06; /* as with an intercept of 20 % */
    scene_run(s, 12000);
    for (int end = 0; end < 2; end++) {
        assert_int_equal(scene_state_of(s, end, &why), LINK_ABORTED);
        assert_non_null(strstr(why.text, "QBER 6."));
        assert_non_null(strstr(why.text, "no key"));
    }
    uint32_t begun = eve_of(s)->begun;
    scene_run(s, 10000);
    assert_in_range(eve_of(s)->begun - begun, 1, 4); /* it goes on looking */
    eve_of(s)->e_x = eve_of(s)->e_y = 0.01;
    scene_run(s, 12000);
    assert_int_not_equal(scene_state_of(s, 0, &why), LINK_ABORTED);
    scene_assert_flows(s, 5000);
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

static void errors_that_come_later_abort_it_too(void **unused)
{
    static const struct {
        double e_x, e_y;
    } rows[] = {{0.06, 0.06}, {0.25, 0.01}}; /* more than Cascade was told to expect */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mdi_scene *s = begin(40 + i);
        struct err why;
        scene_run(s, 8000);
        assert_true(s->kme[0]->kme->links[0].n_confirmed > 2);
        eve_of(s)->e_x = rows[i].e_x;
        eve_of(s)->e_y = rows[i].e_y;
        scene_run(s, 12000);
        for (int end = 0; end < 2; end++)
            assert_int_equal(scene_state_of(s, end, &why), LINK_ABORTED);
        scene_assert_equal_at_rest(s);
        scene_free(s);
    }
}

static void a_link_without_memory_says_so(void **unused)
{
    struct mdi_scene *s = begin(4);
    s->kme[1]->memory_bytes = 100000;
    node_die(&s->kme[1]->node, DEATH_KILLED); /* comes back with less */
    scene_run(s, 20000);
    assert_non_null(strstr(eve_of(s)->reason[1], "no memory for another block"));
    assert_void(s, "block_memory_mb");
}

static void the_wrong_kind_of_simulator_is_named(void **unused)
{
    struct mdi_scene *s = begin(5);
    struct err why;
    eve_of(s)->level = "rate";
    node_die(s->eve, DEATH_KILLED);
    scene_run(s, 8000);
    assert_int_equal(scene_state_of(s, 0, &why), LINK_DOWN);
    assert_string_equal(why.text, "the simulator gives finished key (level rate): these links need "
                                  "a source of type sim");
    scene_free(s);
}

/* Burns what is left of alice's pads for sending, but for `left` bytes, at both ends. */
static void burn_pads(struct mdi_scene *s, uint64_t left)
{
    for (int i = 0; i < 2; i++) {
        struct keystore *store = &s->vault[i]->vault->store;
        const struct ledger_stream *stream =
            &store->ledger.peers[0]->streams[i == 0 ? VAULT_AUTH_TX : VAULT_AUTH_RX];
        const struct entry e = keystore_burn(stream, BURN_SKIP, stream->cursor, stream->end - left);
        assert_int_equal(keystore_commit(store, &e, 1), 0);
    }
}

/* As an operator does it, one end after the other, while all is running. */
static void pair_again(struct mdi_scene *s)
{
    for (int i = 0; i < 2; i++) {
        uint8_t key[VAULT_PAIRING_BYTES];
        const struct vault_pairing p = {.peer = s->vault[i]->peer,
            .mask_stream = {11},
            .auth_low_high = {12},
            .auth_high_low = {13},
            .key = key};
        struct err e = {{0}};
        memset(key, 77, sizeof(key));
        if (vault_pair(s->vault[i]->vault, &p, &e) != 0)
            fail_msg("%s", e.text);
        node_feed(&s->vault[i]->node, &(struct event){.kind = EVENT_TICK});
        scene_run(s, 3000);
    }
}

static void without_pads_no_block_is_begun(void **unused)
{
    struct mdi_scene *s = begin(11);
    struct err why;
    eve_of(s)->e_x = eve_of(s)->e_y = 0.06; /* nothing fills the pads up again */
    scene_run(s, 12000);
    burn_pads(s, 1000);
    scene_run(s, 25000); /* the vaults tell when they next have something to do */
    assert_int_equal(scene_state_of(s, 0, &why), LINK_ABORTED);
    s->kme[0]->kme->links[0].is_aborted = s->kme[1]->kme->links[0].is_aborted = false;
    assert_int_equal(scene_state_of(s, 0, &why), LINK_LOW_AUTH);
    assert_int_equal(scene_state_of(s, 1, &why), LINK_LOW_AUTH);
    scene_run(s, 12000);
    burn_pads(s, 40);
    scene_run(s, 30000); /* what was granted before comes to its end */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(scene_state_of(s, i, &why), LINK_AUTH_EMPTY);
        assert_non_null(strstr(why.text, "qflctl site pair"));
    }
    uint32_t begun = eve_of(s)->begun;
    scene_run(s, 60000);
    assert_int_equal(eve_of(s)->begun, begun);
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    pair_again(s);
    eve_of(s)->e_x = eve_of(s)->e_y = 0.01;
    scene_run(s, 40000);
    scene_assert_flows(s, 5000);
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

static double number_in(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        fail_msg("there is no number %s", key);
    return json_number_value(v);
}

static void an_operator_is_told_what_came_of_the_last_block(void **unused)
{
    struct mdi_scene *s = begin(12);
    scene_run(s, 20300);
    json_t *both[2];
    for (int i = 0; i < 2; i++) {
        json_t *links = scene_ask(s, i, "links");
        both[i] = json_incref(json_array_get(links, 0));
        json_decref(links);
    }
    const json_t *l = both[0];
    const json_t *block = json_object_get(l, "last_block");
    static const char *const keys[] = {"n", "n_x", "n_y", "leak_bits", "key_bits", "f_ec", "e_x",
        "e_y", "e_p", "gain_xx", "gain_yy", "gain_mismatched", "seconds"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_true(number_in(block, keys[i]) > 0);
    assert_int_equal(json_array_size(json_object_get(block, "stages")), 4);
    assert_string_equal(json_string_value(json_object_get(l, "label")), "SIMULATED");
    assert_string_equal(json_string_value(json_object_get(l, "source")), "mdi-qkd-event");
    assert_string_equal(json_string_value(json_object_get(l, "level")), "event");
    double eps = 3 * s->post[0].keyrate.eps * number_in(l, "blocks");
    assert_true(fabs(number_in(l, "total_eps") - eps) < 1e-9);
    assert_in_range((int)(1000 * number_in(l, "next_block_s")), 0, 1000);
    assert_true(json_equal(json_object_get(block, "leak_bits"),
        json_object_get(json_object_get(both[1], "last_block"), "leak_bits")));
    json_t *metrics = scene_ask(s, 0, "metrics");
    assert_true(number_in(metrics, "qfl_kme_link_qber{peer=\"bob\"}") > 0.005);
    assert_true(number_in(metrics, "qfl_kme_alarms_total") == 0);
    json_decref(metrics);
    json_decref(both[0]);
    json_decref(both[1]);
    scene_free(s);
}

/* ---- what passes between the KMEs ------------------------------------------------------------------ */

enum { KEY = 1, AGAIN, PAD, POST, VOID };
enum { SEED = 23 }; /* proto/post.h */

struct plot {
    unsigned to; /* end that is deceived */
    size_t from; /* message at which it begins */
    enum fate fate;
    size_t heard;
};

static enum fate deceive(void *arg, const struct kme_node *to, uint8_t *data, size_t len)
{
    struct plot *p = arg;
    return p->heard++ == p->from ? p->fate : FATE_PASSES;
}

/* Every message of a block, one way and the other, is lost, comes twice or after the next. */
static void messages_lost_doubled_or_late_make_blocks_void(void **unused)
{
    size_t voided = 0, plots = 0;
    for (size_t from = 0; from < 80; from += 7)
        for (enum fate fate = FATE_LOST; fate <= FATE_LATE; fate++) {
            struct mdi_scene *s = begin(1000 + from);
            struct plot plot = {.to = from % 2, .from = 1 + from / 2, .fate = fate};
            calm_down(s);
            s->kme[plot.to]->tamper = deceive;
            s->kme[plot.to]->tamper_arg = &plot;
            scene_run(s, 45000); /* silence takes 30 s */
            assert_true(plot.heard > plot.from);
            voided += scene_has_noted(s, "void") && s->kme[0]->kme->links[0].n_alarms == 0;
            plots++;
            scene_assert_flows(s, 1000);
            scene_assert_equal_at_rest(s);
            scene_free(s);
        }
    assert_true(voided > plots / 2); /* a doubled KEY or PAD need not */
}

static enum fate change_the_seed(void *arg, const struct kme_node *to, uint8_t *data, size_t len)
{
    size_t *n = arg;
    bool is_seed = len > 40 && data[0] == POST && data[17] == SEED;
    if (is_seed && (*n)++ == 0)
        data[len - 1] ^= 1;
    return FATE_PASSES;
}

static void a_changed_message_is_an_alarm_at_both_ends(void **unused)
{
    struct mdi_scene *s = begin(6);
    size_t n = 0;
    s->kme[1]->tamper = change_the_seed;
    s->kme[1]->tamper_arg = &n;
    scene_run(s, 20000);
    assert_true(n > 1);
    scene_assert_noted(s, "wrong transcript tag");
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 1);
    assert_int_equal(s->kme[1]->kme->links[0].n_alarms, 1);
    scene_assert_flows(s, 5000);
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

static enum fate swallow(void *arg, const struct kme_node *to, uint8_t *data, size_t len)
{
    return data[0] == POST ? FATE_LOST : FATE_PASSES;
}

static void a_silent_end_is_not_waited_for_for_ever(void **unused)
{
    struct mdi_scene *s = begin(7);
    s->kme[0]->tamper = swallow;
    scene_run(s, 100000);
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    assert_void(s, "nothing was heard from the other end for 30 s");
}

/* Announces a place that was used before. */
static enum fate old_place(void *arg, const struct kme_node *to, uint8_t *data, size_t len)
{
    size_t *n = arg;
    if (data[0] == PAD && (*n)++ == 3)
        memset(data + 17, 0, 8);
    return FATE_PASSES;
}

static void a_pad_is_never_taken_twice(void **unused)
{
    struct mdi_scene *s = begin(8);
    size_t n = 0;
    s->kme[0]->tamper = old_place;
    s->kme[0]->tamper_arg = &n;
    scene_run(s, 20000);
    scene_assert_noted(s, "is burnt");
    scene_assert_flows(s, 5000);
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

static void hash_keys_are_renewed_without_an_alarm(void **unused)
{
    struct mdi_scene *s = begin(9);
    s->kme[0]->key_tags = 4;
    s->kme[1]->key_tags = 3;
    node_die(&s->kme[0]->node, DEATH_KILLED);
    node_die(&s->kme[1]->node, DEATH_KILLED);
    scene_run(s, 60000);
    uint64_t spent = scene_account(s, 0, VAULT_AUTH_TX).cursor;
    scene_assert_flows(s, 2000);
    assert_true(scene_account(s, 0, VAULT_AUTH_TX).cursor > spent);
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    assert_int_equal(s->kme[1]->kme->links[0].n_alarms, 0);
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

/* ---- deaths -------------------------------------------------------------------------------------- */

static bool is_time(void *arg)
{
    const struct mdi_scene *s = arg;
    return s->delivered >= s->die_at;
}

/* Each of the five processes dies at each message of the first blocks, killed or by a power cut. */
static void whoever_dies_at_whatever_message_the_pools_agree(void **unused)
{
    for (size_t at = 40; at < 400; at += 17) {
        struct mdi_scene *s = begin(2000 + at);
        struct node *nodes[] = {
            &s->kme[0]->node, &s->kme[1]->node, &s->vault[0]->node, &s->vault[1]->node, s->eve};
        calm_down(s);
        s->die_at = at;
        s->world->weather.down_ms = 400;
        world_run(s->world, s->world->now_ms + 20000, is_time, s);
        assert_true(is_time(s));
        node_die(nodes[at % 5], at % 2);
        scene_run(s, 60000);
        scene_assert_flows(s, 1000);
        scene_assert_equal_at_rest(s);
        assert_false(scene_has_noted(s, "contradict"));
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        scene_free(s);
    }
}

static void after_any_storm_raw_events_become_key_again(void **unused)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct mdi_scene *s = begin(3000 + seed);
        struct rnd r;
        rnd_init(&r, seed);
        calm_down(s);
        s->world->weather = weather_draw(&r);
        scene_run(s, 60000);
        world_heal(s->world);
        scene_run(s, 150000);
        scene_assert_flows(s, 1000);
        scene_assert_equal_at_rest(s);
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        scene_free(s);
    }
}

static void a_full_disk_at_ingest_voids_the_block_at_both_ends(void **unused)
{
    for (int end_of = 0; end_of < 2; end_of++) {
        struct mdi_scene *s = begin(10 + (uint64_t)end_of);
        scene_run(s, 8000);
        disk_sim_fail_at(s->vault[end_of]->disk, 3, -ENOSPC);
        scene_run(s, 120000);
        assert_true(
            disk_sim_has_failed(s->vault[end_of]->disk) || s->vault[end_of]->node.boots > 1);
        scene_assert_flows(s, 5000);
        scene_assert_equal_at_rest(s);
        scene_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_calm_weather_raw_events_become_key),
        cmocka_unit_test(other_parameters_are_no_key),
        cmocka_unit_test(eves_lies_are_no_key),
        cmocka_unit_test(too_many_errors_abort_the_link),
        cmocka_unit_test(errors_that_come_later_abort_it_too),
        cmocka_unit_test(a_link_without_memory_says_so),
        cmocka_unit_test(without_pads_no_block_is_begun),
        cmocka_unit_test(an_operator_is_told_what_came_of_the_last_block),
        cmocka_unit_test(the_wrong_kind_of_simulator_is_named),
        cmocka_unit_test(messages_lost_doubled_or_late_make_blocks_void),
        cmocka_unit_test(a_changed_message_is_an_alarm_at_both_ends),
        cmocka_unit_test(a_silent_end_is_not_waited_for_for_ever),
        cmocka_unit_test(a_pad_is_never_taken_twice),
        cmocka_unit_test(hash_keys_are_renewed_without_an_alarm),
        cmocka_unit_test(whoever_dies_at_whatever_message_the_pools_agree),
        cmocka_unit_test(after_any_storm_raw_events_become_key_again),
        cmocka_unit_test(a_full_disk_at_ingest_voids_the_block_at_both_ends),
    };
    return cmocka_run_group_tests_name("mdi_world", tests, NULL, NULL);
}
