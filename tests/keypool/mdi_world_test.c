/* SPDX-License-Identifier: Apache-2.0 */
/* Two sites that make key out of raw events: real vaults, real KMEs, the whole post-processing, an Eve who
 * may lie. Whatever happens the two pools hold the same bytes, and what goes wrong ends in a sentence.
 */
#include "keypool/kme/kme_internal.h"
#include "keypool/vault/core.h"
#include "tests/keypool/kme_nodes.h"
#include "tests/keypool/raw_eve.h"
#include "tests/keypool/vault_node.h"

#include "common/util.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the scene ---------------------------------------------------------------------------------- */

struct murder;

struct scene {
    struct world *world;
    struct vault_node *vault[2];
    struct kme_node *kme[2];
    struct raw_eve *eve;
    struct post_config post[2];
    struct murder *murder; /* NULL: none is planned */
    char noted[262144];    /* every note so far */
    size_t noted_len;
};

static void count_delivered(void *arg, const struct message *message);

static void on_note(void *arg, const struct node *n, const char *text)
{
    struct scene *s = arg;
    if (s->noted_len < sizeof(s->noted) - 1)
        s->noted_len += (size_t)snprintf(
            s->noted + s->noted_len, sizeof(s->noted) - s->noted_len, "%s: %s\n", n->name, text);
    s->noted_len = MIN(s->noted_len, sizeof(s->noted) - 1);
}

static struct scene *begin_with(uint64_t seed, const struct post_config post[2])
{
    struct scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->world = world_new(seed);
    s->world->watcher = (struct watcher){.arg = s, .note = on_note, .delivered = count_delivered};
    struct world *w = s->world;
    memcpy(s->post, post, sizeof(s->post));
    s->vault[0] = vault_node_add(w, "alice", "bob", 2 * seed);
    s->vault[1] = vault_node_add(w, "bob", "alice", 2 * seed + 1);
    s->eve = raw_eve_add(w);
    s->kme[0] = kme_node_add_mdi(w, "alice", "bob", &s->post[0]);
    s->kme[1] = kme_node_add_mdi(w, "bob", "alice", &s->post[1]);
    for (int i = 0; i < 2; i++) {
        net_dial(w->net, &s->kme[i]->node, &s->vault[i]->node, NET_LOCAL, &vault_exchange);
        net_dial(w->net, &s->kme[i]->node, &s->eve->node, NET_WAN, &qkd_exchange);
    }
    net_dial(w->net, &s->kme[1]->node, &s->kme[0]->node, NET_WAN, &kme_exchange);
    return s;
}

static struct scene *begin(uint64_t seed)
{
    const struct post_config post[2] = {raw_eve_post(), raw_eve_post()};
    return begin_with(seed, post);
}

static void end(struct scene *s)
{
    world_free(s->world);
    free(s);
}

static void run(struct scene *s, uint64_t ms)
{
    world_run(s->world, s->world->now_ms + ms, NULL, NULL);
    if (s->world->violation)
        fail_msg("at %llu ms: %s", (unsigned long long)s->world->now_ms, s->world->violation);
}

static struct vault_account account(const struct scene *s, int end, enum vault_purpose purpose)
{
    struct vault_account accounts[8];
    size_t n = vault_accounts(s->vault[end]->vault, accounts, ARRAY_SIZE(accounts));
    for (size_t i = 0; i < n && i < ARRAY_SIZE(accounts); i++)
        if (accounts[i].purpose == purpose)
            return accounts[i];
    fail_msg("%s has no such stream", s->vault[end]->node.name);
    return (struct vault_account){0};
}

static bool has_noted(const struct scene *s, const char *text)
{
    return strstr(s->noted, text) != NULL;
}

static void assert_noted(const struct scene *s, const char *text)
{
    if (!has_noted(s, text))
        fail_msg("nobody says '%s' in:\n%s", text, s->noted);
}

static void assert_not_noted(const struct scene *s, const char *text)
{
    const char *at = strstr(s->noted, text);
    if (at)
        fail_msg("somebody says: ...%.200s", at - MIN(at - s->noted, 60));
}

/* Fewer blocks, for stories that are told many times. */
static void calm_down(struct scene *s)
{
    s->eve->clicks = 20000;
    s->eve->acquire_ms = 2000;
}

/* Eve stops; a while later nothing is undecided and both ends hold the same. */
static void assert_equal_at_rest(struct scene *s)
{
    s->eve->node.never_again = true;
    node_die(&s->eve->node, DEATH_KILLED);
    run(s, 120000);
    struct vault_account a = account(s, 0, VAULT_MASK);
    struct vault_account b = account(s, 1, VAULT_MASK);
    assert_int_equal(a.end, b.end);
    assert_int_equal(account(s, 0, VAULT_AUTH_TX).end, account(s, 1, VAULT_AUTH_RX).end);
    assert_int_equal(account(s, 0, VAULT_AUTH_RX).end, account(s, 1, VAULT_AUTH_TX).end);
    assert_int_equal(account(s, 0, VAULT_AUTH_TX).cursor, account(s, 1, VAULT_AUTH_RX).cursor);
    assert_int_equal(account(s, 0, VAULT_AUTH_RX).cursor, account(s, 1, VAULT_AUTH_TX).cursor);
}

/* Key of all streams that this end has ever had. */
static uint64_t made(const struct scene *s)
{
    return account(s, 0, VAULT_MASK).end + account(s, 0, VAULT_AUTH_TX).end +
           account(s, 0, VAULT_AUTH_RX).end;
}

static void assert_flows(struct scene *s, uint64_t at_least)
{
    uint64_t before = made(s);
    run(s, 60000);
    uint64_t got = made(s) - before;
    if (got < at_least)
        fail_msg("%llu bytes in the last minute after:\n%s", (unsigned long long)got,
            s->noted + (s->noted_len > 600 ? s->noted_len - 600 : 0));
}

/* ---- stories ------------------------------------------------------------------------------------ */

static void in_calm_weather_raw_events_become_key(void **unused)
{
    struct scene *s = begin(1);
    run(s, 5000);
    assert_flows(s, 10000);
    assert_not_noted(s, "void");
    assert_equal_at_rest(s);
    assert_true(account(s, 0, VAULT_MASK).end > 0);
    end(s);
}

/* ---- what the two ends do not agree on -------------------------------------------------------------- */

static enum link_state state_of(const struct scene *s, int end, struct err *why)
{
    const struct kme *k = s->kme[end]->kme;
    return kme_link_state(k, &k->links[0], why);
}

/* Blocks are void at both ends with this sentence, and nothing came of them. */
static void assert_void(struct scene *s, const char *sentence)
{
    assert_noted(s, sentence);
    assert_noted(s, "kme alice: bob: a block is void: ");
    assert_noted(s, "kme bob: alice: a block is void: ");
    assert_equal_at_rest(s);
    assert_int_equal(account(s, 0, VAULT_MASK).end, 0);
    assert_true(s->kme[0]->kme->links[0].n_void > 0);
    assert_true(s->kme[1]->kme->links[0].n_void > 0);
    end(s);
}

static void other_parameters_are_no_key(void **unused)
{
    struct post_config post[2] = {raw_eve_post(), raw_eve_post()};
    post[1].keyrate.eps = 1e-3;
    struct scene *s = begin_with(2, post);
    run(s, 20000);
    assert_true(s->eve->begun < 10); /* there is a pause after each */
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
        struct scene *s = begin(20 + i);
        s->eve->bend = rows[i].bend;
        s->eve->end_bias = rows[i].end_bias;
        s->eve->pulses = rows[i].pulses;
        s->eve->mu = rows[i].mu > 0 ? rows[i].mu : s->eve->mu;
        run(s, 12000);
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        assert_void(s, rows[i].sentence);
    }
}

static void too_many_errors_abort_the_link(void **unused)
{
    struct scene *s = begin(3);
    struct err why;
    s->eve->e_x = s->eve->e_y = 0.06; /* as with an intercept of 20 % */
    run(s, 12000);
    for (int end = 0; end < 2; end++) {
        assert_int_equal(state_of(s, end, &why), LINK_ABORTED);
        assert_non_null(strstr(why.text, "QBER 6."));
        assert_non_null(strstr(why.text, "no key"));
    }
    uint32_t begun = s->eve->begun;
    run(s, 10000);
    assert_in_range(s->eve->begun - begun, 1, 4); /* it goes on looking */
    s->eve->e_x = s->eve->e_y = 0.01;
    run(s, 12000);
    assert_int_not_equal(state_of(s, 0, &why), LINK_ABORTED);
    assert_flows(s, 5000);
    assert_equal_at_rest(s);
    end(s);
}

static void errors_that_come_later_abort_it_too(void **unused)
{
    static const struct {
        double e_x, e_y;
    } rows[] = {{0.06, 0.06}, {0.25, 0.01}}; /* more than Cascade was told to expect */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct scene *s = begin(40 + i);
        struct err why;
        run(s, 8000);
        assert_true(s->kme[0]->kme->links[0].n_confirmed > 2);
        s->eve->e_x = rows[i].e_x;
        s->eve->e_y = rows[i].e_y;
        run(s, 12000);
        for (int end = 0; end < 2; end++)
            assert_int_equal(state_of(s, end, &why), LINK_ABORTED);
        assert_equal_at_rest(s);
        end(s);
    }
}

static void a_link_without_memory_says_so(void **unused)
{
    struct scene *s = begin(4);
    s->kme[1]->memory_bytes = 100000;
    node_die(&s->kme[1]->node, DEATH_KILLED); /* comes back with less */
    run(s, 20000);
    assert_non_null(strstr(s->eve->reason[1], "no memory for another block"));
    assert_void(s, "block_memory_mb");
}

static void the_wrong_kind_of_simulator_is_named(void **unused)
{
    struct scene *s = begin(5);
    struct err why;
    s->eve->level = "rate";
    node_die(&s->eve->node, DEATH_KILLED);
    run(s, 8000);
    assert_int_equal(state_of(s, 0, &why), LINK_DOWN);
    assert_string_equal(why.text, "the simulator gives finished key (level rate): these links need "
                                  "a source of type sim");
    end(s);
}

/* Burns what is left of alice's pads for sending, but for `left` bytes, at both ends. */
static void burn_pads(struct scene *s, uint64_t left)
{
    for (int i = 0; i < 2; i++) {
        struct keystore *store = &s->vault[i]->vault->store;
        const struct ledger_stream *stream =
            &store->ledger.peers[0]->streams[i == 0 ? VAULT_AUTH_TX : VAULT_AUTH_RX];
        const struct entry e = keystore_burn(stream, BURN_SKIP, stream->cursor, stream->end - left);
        assert_int_equal(keystore_commit(store, &e, 1), 0);
    }
}

static void without_pads_no_block_is_begun(void **unused)
{
    struct scene *s = begin(11);
    struct err why;
    s->eve->e_x = s->eve->e_y = 0.06; /* nothing fills the pads up again */
    run(s, 12000);
    burn_pads(s, 1000);
    run(s, 25000); /* the vaults tell when they next have something to do */
    assert_int_equal(state_of(s, 0, &why), LINK_ABORTED);
    s->kme[0]->kme->links[0].is_aborted = s->kme[1]->kme->links[0].is_aborted = false;
    assert_int_equal(state_of(s, 0, &why), LINK_LOW_AUTH);
    assert_int_equal(state_of(s, 1, &why), LINK_LOW_AUTH);
    run(s, 12000);
    burn_pads(s, 40);
    run(s, 30000); /* what was granted before comes to its end */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_of(s, i, &why), LINK_AUTH_EMPTY);
        assert_non_null(strstr(why.text, "qflctl site pair"));
    }
    uint32_t begun = s->eve->begun;
    run(s, 60000);
    assert_int_equal(s->eve->begun, begun);
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    end(s);
}

static json_t *ask(const struct scene *s, int end, const char *verb)
{
    struct err e;
    struct update u = {0};
    json_t *answer = NULL;
    assert_int_equal(kme_ctl_answer(s->kme[end]->kme, verb, NULL, &answer, &u, &e), 0);
    update_deinit(&u);
    assert_non_null(answer);
    return answer;
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
    struct scene *s = begin(12);
    run(s, 20300);
    json_t *both[2];
    for (int i = 0; i < 2; i++) {
        json_t *links = ask(s, i, "links");
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
    json_t *metrics = ask(s, 0, "metrics");
    assert_true(number_in(metrics, "qfl_kme_link_qber{peer=\"bob\"}") > 0.005);
    assert_true(number_in(metrics, "qfl_kme_alarms_total") == 0);
    json_decref(metrics);
    json_decref(both[0]);
    json_decref(both[1]);
    end(s);
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
            struct scene *s = begin(1000 + from);
            struct plot plot = {.to = from % 2, .from = 1 + from / 2, .fate = fate};
            calm_down(s);
            s->kme[plot.to]->tamper = deceive;
            s->kme[plot.to]->tamper_arg = &plot;
            run(s, 45000); /* silence takes 30 s */
            assert_true(plot.heard > plot.from);
            voided += has_noted(s, "void") && s->kme[0]->kme->links[0].n_alarms == 0;
            plots++;
            assert_flows(s, 1000);
            assert_equal_at_rest(s);
            end(s);
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
    struct scene *s = begin(6);
    size_t n = 0;
    s->kme[1]->tamper = change_the_seed;
    s->kme[1]->tamper_arg = &n;
    run(s, 20000);
    assert_true(n > 1);
    assert_noted(s, "wrong transcript tag");
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 1);
    assert_int_equal(s->kme[1]->kme->links[0].n_alarms, 1);
    assert_flows(s, 5000);
    assert_equal_at_rest(s);
    end(s);
}

static enum fate swallow(void *arg, const struct kme_node *to, uint8_t *data, size_t len)
{
    return data[0] == POST ? FATE_LOST : FATE_PASSES;
}

static void a_silent_end_is_not_waited_for_for_ever(void **unused)
{
    struct scene *s = begin(7);
    s->kme[0]->tamper = swallow;
    run(s, 100000);
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
    struct scene *s = begin(8);
    size_t n = 0;
    s->kme[0]->tamper = old_place;
    s->kme[0]->tamper_arg = &n;
    run(s, 20000);
    assert_noted(s, "is burnt");
    assert_flows(s, 5000);
    assert_equal_at_rest(s);
    end(s);
}

static void hash_keys_are_renewed_without_an_alarm(void **unused)
{
    struct scene *s = begin(9);
    s->kme[0]->key_tags = 4;
    s->kme[1]->key_tags = 3;
    node_die(&s->kme[0]->node, DEATH_KILLED);
    node_die(&s->kme[1]->node, DEATH_KILLED);
    run(s, 60000);
    uint64_t spent = account(s, 0, VAULT_AUTH_TX).cursor;
    assert_flows(s, 2000);
    assert_true(account(s, 0, VAULT_AUTH_TX).cursor > spent);
    assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
    assert_int_equal(s->kme[1]->kme->links[0].n_alarms, 0);
    assert_equal_at_rest(s);
    end(s);
}

/* ---- deaths -------------------------------------------------------------------------------------- */

struct murder {
    struct scene *scene;
    size_t at, delivered;
    struct node *victim;
    enum death death;
};

static bool is_time(void *arg)
{
    struct murder *m = arg;
    return m->delivered >= m->at;
}

static void count_delivered(void *arg, const struct message *message)
{
    struct murder *m = ((struct scene *)arg)->murder;
    if (m)
        m->delivered++;
}

/* Each of the five processes dies at each message of the first blocks, killed or by a power cut. */
static void whoever_dies_at_whatever_message_the_pools_agree(void **unused)
{
    for (size_t at = 40; at < 400; at += 17) {
        struct scene *s = begin(2000 + at);
        struct node *nodes[] = {&s->kme[0]->node, &s->kme[1]->node, &s->vault[0]->node,
            &s->vault[1]->node, &s->eve->node};
        struct murder m = {.scene = s, .at = at, .victim = nodes[at % 5], .death = at % 2};
        calm_down(s);
        s->murder = &m;
        s->world->weather.down_ms = 400;
        world_run(s->world, s->world->now_ms + 20000, is_time, &m);
        assert_true(is_time(&m));
        node_die(m.victim, m.death);
        run(s, 60000);
        assert_flows(s, 1000);
        assert_equal_at_rest(s);
        assert_false(has_noted(s, "contradict"));
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        end(s);
    }
}

static void after_any_storm_raw_events_become_key_again(void **unused)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct scene *s = begin(3000 + seed);
        struct rnd r;
        rnd_init(&r, seed);
        calm_down(s);
        s->world->weather = weather_draw(&r);
        run(s, 60000);
        world_heal(s->world);
        run(s, 150000);
        assert_flows(s, 1000);
        assert_equal_at_rest(s);
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        end(s);
    }
}

static void a_full_disk_at_ingest_voids_the_block_at_both_ends(void **unused)
{
    for (int end_of = 0; end_of < 2; end_of++) {
        struct scene *s = begin(10 + (uint64_t)end_of);
        run(s, 8000);
        disk_sim_fail_at(s->vault[end_of]->disk, 3, -ENOSPC);
        run(s, 120000);
        assert_true(
            disk_sim_has_failed(s->vault[end_of]->disk) || s->vault[end_of]->node.boots > 1);
        assert_flows(s, 5000);
        assert_equal_at_rest(s);
        end(s);
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
