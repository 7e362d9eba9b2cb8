/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of qfl-qkdsim and qfl-kme: what a person may write, and what they are told. */
#include "keypool/kme/config.h"
#include "keypool/qkd/source_file.h"
#include "keypool/qkd/key_file.h"
#include "keypool/qkdsim/config.h"
#include "tests/sim/disk_sim.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIM_HEAD                                                                                   \
    "federation: demo\nsite: eve\nlisten: 127.0.0.1:7001\n"                                        \
    "tls: {certificate: c, key: k, ca: a}\n"
#define KME_HEAD                                                                                   \
    "federation: demo\nsite: bob\nlisten: 127.0.0.1:7002\n"                                        \
    "tls: {certificate: c, key: k, ca: a}\n"

static int load_sim(const char *text, struct qkdsim_config *c, struct err *e)
{
    char all[2048];
    snprintf(all, sizeof(all), SIM_HEAD "%s", text);
    int r = config_load_text("sim.yaml", all, strlen(all), qkdsim_fields, c, e);
    if (r < 0)
        return r;
    r = qkdsim_check(c, "sim.yaml", e);
    if (r < 0)
        config_free(qkdsim_fields, c);
    return r;
}

static struct qkdsim_network network_of(const char *text, struct qkdsim_config *c)
{
    struct qkdsim_network n;
    struct err e = {{0}};
    if (load_sim(text, c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(qkdsim_network_init(&n, c, &e), 0);
    return n;
}

static const struct link_params *params_of(
    const struct qkdsim_network *n, const char *a, const char *b)
{
    const struct sim_user *user = sim_topology_find_user(n->topology, a);
    const struct sim_link *l = user ? sim_topology_find_link(n->topology, user, b) : NULL;
    return l ? &l->params : NULL;
}

/* ---- the simulator -------------------------------------------------------------------------- */

static void the_papers_network_needs_three_lines(void **unused)
{
    struct qkdsim_config c;
    struct qkdsim_network n =
        network_of("network: paper-4\nusers: [david, alice, bob, charlie]\n", &c);
    assert_int_equal(sim_topology_links(n.topology), 6);
    assert_memory_equal(params_of(&n, "bob", "david"),
        &link_paper_find("paper-4", "bob", "david")->params, sizeof(struct link_params));
    assert_true(c.block_s == 10 && c.clock_hz == 1e8 && c.speedup == 1 && c.prefill_bits == 0);
    assert_int_equal(qkdsim_simulator_config(&c).level, SIM_EVENT);
    qkdsim_network_deinit(&n);
    config_free(qkdsim_fields, &c);
}

static void more_users_take_the_default_link_and_links_of_their_own(void **unused)
{
    struct qkdsim_config c;
    struct qkdsim_network n =
        network_of("network: paper-4\nusers: [alice, bob, erin, frank]\n"
                   "default_link: {like: paper-4-CD, eta: 0.2}\n"
                   "links:\n  - {a: frank, b: alice, mu: 0.01, eta: 0.15, e_x: 0.01, e_y: 0}\n"
                   "  - {a: bob, b: alice, like: paper-3-AB}\n",
            &c);
    const struct link_params *cd = &link_paper_find("paper-4", "charlie", "david")->params;
    const struct link_params *p = params_of(&n, "erin", "bob");
    assert_true(p->eta == 0.2 && p->mu == cd->mu && p->share_yy == cd->share_yy);
    p = params_of(&n, "alice", "frank");
    assert_true(p->mu == 0.01 && p->e_y == 0 && p->dark == 1e-7 && p->share_xx == 0.81);
    assert_memory_equal(params_of(&n, "alice", "bob"),
        &link_paper_find("paper-3", "alice", "bob")->params, sizeof(*p));
    qkdsim_network_deinit(&n);
    config_free(qkdsim_fields, &c);
}

static void a_loss_makes_a_transmittance_and_a_probability_shares(void **unused)
{
    struct qkdsim_config c;
    struct qkdsim_network n =
        network_of("network: paper-4\nusers: [alice, bob, erin, frank, grace]\n"
                   "eve: {optics: 0.5, detector: 0.8}\n"
                   "losses: {alice: 1, erin: 3, frank: 5}\n"
                   "default_link: {like: paper-4-CD, p_x: 0.8}\n"
                   "links:\n  - {a: frank, b: bob, like: paper-4-AB, loss_db: 3.0103}\n"
                   "  - {a: alice, b: frank, like: paper-4-AB}\n",
            &c);
    const double tolerance = 1e-6;
    const struct link_params *p = params_of(&n, "erin", "frank");
    assert_true(fabs(p->eta - 0.4 * pow(10, -0.4)) < tolerance); /* the mean: 4 dB */
    assert_true(fabs(p->share_xx - 0.64) < tolerance && fabs(p->share_yy - 0.04) < tolerance);
    p = params_of(&n, "erin", "grace"); /* nothing is known of grace */
    assert_true(p->eta == link_paper_find("paper-4", "charlie", "david")->params.eta);
    assert_true(fabs(params_of(&n, "frank", "bob")->eta - 0.2) < tolerance);
    p = params_of(&n, "alice", "frank");
    assert_true(fabs(p->eta - 0.4 * pow(10, -0.3)) < tolerance && p->mu == 0.017);
    p = params_of(&n, "alice", "bob"); /* measured is measured */
    assert_true(p->eta == link_paper_find("paper-4", "alice", "bob")->params.eta);
    qkdsim_network_deinit(&n);
    config_free(qkdsim_fields, &c);
}

static void raw_clicks_are_for_so_many_users(void **unused)
{
    struct qkdsim_config c;
    struct err e = {{0}};
    for (int n = 64; n <= 65; n++) {
        char text[1024] = "default_link: {like: paper-4-AB}\nusers: [u0";
        for (int i = 1; i < n; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), ", u%d", i);
        strcat(text, "]\n");
        assert_int_equal(load_sim(text, &c, &e), n == 64 ? 0 : -EINVAL);
        if (n == 64)
            config_free(qkdsim_fields, &c);
    }
    assert_non_null(strstr(e.text, "at most 64 users are told raw clicks; take level rate"));
}

static void mistakes_in_the_simulators_file_are_named(void **unused)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"network: paper-4\n", "sim.yaml:1:1: users is missing"},
        {"users: [alice]\nnetwork: paper-4\n", "sim.yaml:5:8: users has 1 entries"},
        {"users: [alice, bob]\nnetwork: paper-4\nblock_s: 0.1\n",
            "sim.yaml: link alice-bob: a block of 0.1 s yields no key; the shortest that does "
            "takes "
            "0.22 s"},
        {"users: [alice, erin]\nnetwork: paper-4\n",
            "sim.yaml: user alice has no link: give links or default_link"},
        {"users: [alice, erin]\ndefault_link: {mu: 0.01}\n",
            "sim.yaml: default_link: give like, or all of mu, eta (or loss_db), e_x and e_y"},
        {"users: [alice, erin]\nlinks: [{a: alice, b: erin}]\n",
            "sim.yaml: link alice-erin: give like, or all of mu, eta (or loss_db), e_x and e_y"},
        {"users: [alice, erin]\nlinks: [{a: alice, b: erin, like: paper-5-AB}]\n",
            "sim.yaml:6:35: "},
        {"users: [alice, erin]\nlinks: [{a: alice, b: erin, like: paper-4-AB, eta: 1.5}]\n",
            "sim.yaml: link alice-erin: eta is 1.5; it must be from 1e-12 to 1"},
        {"users: [alice, erin]\nlinks: [{a: alice, b: erin, like: paper-4-AB, e_x: 0.2}]\n",
            "sim.yaml: link alice-erin: no block, however long, yields a key"},
        {"users: [Alice, bob]\nnetwork: paper-4\n",
            "sim.yaml: users: \"Alice\" is no name of a site"},
        {"users: [alice, bob]\nnetwork: paper-4\nlevel: photon\n", "sim.yaml:7:8: level must be"},
        {"users: [alice, bob]\nnetwork: paper-4\nprefill_bits: 1k\n",
            "sim.yaml: prefill_bits: level event makes no key of its own"},
        {"users: [alice, bob]\nnetwork: paper-4\nlevel: pulse\nblock_s: 0.2\n",
            "sim.yaml: link alice-bob: a block of 0.2 s yields no key"},
        {"users: [alice, bob]\nnetwork: paper-4\nclock_hz: 1e12\nblock_s: 300\n",
            "sim.yaml: a block of 300 s has more than 2.81475e+14 pulses"},
        {"users: [alice, bob]\ndefault_link: {like: paper-4-CD, eta: .1, loss_db: 3}\n",
            "sim.yaml: default_link: give eta or loss_db, not both"},
        {"users: [alice, bob]\ndefault_link: {like: paper-4-CD, p_x: .9, share_yy: .01}\n",
            "sim.yaml: default_link: give p_x or the shares, not both"},
        {"users: [alice, bob]\nnetwork: paper-4\nlosses: {Bob: 3}\n",
            "sim.yaml: losses: \"Bob\" is no name of a site"},
        {"users: [alice, bob]\nnetwork: paper-4\neve: {detector: 1.2}\n", "sim.yaml:7:17: "},
        {"users: [alice, bob, charlie, david]\nnetwork: paper-4\nlevel: rate\n"
         "prefill_bits: 200M\n",
            "sim.yaml: prefill_bits: 4 users with 200000000 bits per link are too much at once"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct qkdsim_config c;
        struct err e = {{0}};
        assert_int_equal(load_sim(cases[i].text, &c, &e), -EINVAL);
        if (strncmp(e.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", e.text, cases[i].says);
    }
}

/* ---- the KME -------------------------------------------------------------------------------- */

static int load_kme(const char *text, struct kme_daemon_config *c, struct err *e)
{
    char all[2048];
    snprintf(all, sizeof(all), KME_HEAD "links:\n%s", text);
    int r = config_load_text("kme.yaml", all, strlen(all), kme_fields, c, e);
    if (r < 0)
        return r;
    r = kme_config_check(c, "kme.yaml", e);
    if (r < 0)
        config_free(kme_fields, c);
    return r;
}

static int no_random(void *arg, void *out, size_t len)
{
    return -EIO;
}

static void links_of_one_simulator_share_a_source(void **unused)
{
    struct kme_daemon_config c;
    struct kme_network n;
    struct err e = {{0}};
    assert_int_equal(
        load_kme(
            "  - {peer: alice, address: 'a:1', source: {type: sim, address: 's:1', site: x}}\n"
            "  - {peer: carol, address: 'c:1', source: {type: sim, address: 's:2', site: y}}\n"
            "  - {peer: david, address: 'd:1', source: {type: sim, address: 's:1', site: x}}\n",
            &c, &e),
        0);
    assert_false(kme_config_needs_disk(&c));
    assert_true(kme_config_is_first_of_sim(&c, 0));
    assert_true(kme_config_is_first_of_sim(&c, 1));
    assert_false(kme_config_is_first_of_sim(&c, 2));
    assert_int_equal(kme_network_init(&n, &c, NULL, no_random, &e), 0);
    assert_int_equal(n.n_sources, 2);
    assert_ptr_equal(n.links[0].source, n.links[2].source);
    assert_ptr_not_equal(n.links[0].source, n.links[1].source);
    const uint8_t nonce[KME_NONCE_BYTES] = {1};
    struct kme *k;
    assert_int_equal(kme_network_take(&n, c.site, nonce, &k), 0);
    assert_false(kme_link_is_up(k, "david", &e));
    kme_free(k);
    kme_network_deinit(&n);
    config_free(kme_fields, &c);
}

static void raw_events_take_the_options_of_post_processing(void **unused)
{
    struct kme_daemon_config c;
    struct kme_network n;
    struct err e = {{0}};
    assert_int_equal(
        load_kme("  - {peer: alice, address: 'a:1', source: {type: mdi-qkd, address: 's:1'}}\n"
                 "  - {peer: carol, address: 'c:1', source: {type: mdi-qkd, address: 's:1'}}\n"
                 "post_processing: {eps: 1e-9, kato: optimised, window: 2}\n",
            &c, &e),
        0);
    assert_true(c.post.eps == 1e-9 && c.post.kato == KEYRATE_KATO_OPTIMISED && c.post.window == 2);
    assert_true(c.post.frame_bits == 1000000 && c.post.gain_spread == 0.05);
    assert_true(kme_config_is_first_of_sim(&c, 0));
    assert_false(kme_config_is_first_of_sim(&c, 1));
    assert_int_equal(kme_network_init(&n, &c, NULL, no_random, &e), 0);
    assert_int_equal(n.n_sources, 1);
    assert_ptr_equal(n.links[0].source, n.links[1].source);
    assert_string_equal(n.links[0].source->name, "mdi-qkd");
    assert_true(n.links[0].source->simulated);
    kme_network_deinit(&n);
    config_free(kme_fields, &c);
}

static void a_link_with_recorded_keys_needs_its_file(void **unused)
{
    struct kme_daemon_config c;
    struct kme_network n;
    struct err e = {{0}};
    struct disk_sim *disk = disk_sim_new(1);
    assert_int_equal(
        load_kme(
            "  - {peer: alice, address: 'a:1', source: {type: file, path: alice.keys}}\n", &c, &e),
        0);
    assert_true(kme_config_needs_disk(&c));
    assert_int_equal(kme_network_init(&n, &c, disk_sim_disk(disk), no_random, &e), -ENOENT);
    assert_string_equal(e.text, "link with alice: alice.keys: No such file or directory");
    const struct key_file f = {
        .site = {"alice", "bob"}, .block_bytes = 8, .blocks = 1, .simulated = true};
    assert_int_equal(
        key_file_put(disk_sim_disk(disk), "alice.keys", &f, 0, (const uint8_t *)"12345678"), 0);
    assert_int_equal(key_file_seal(disk_sim_disk(disk), "alice.keys", &f, &e), 0);
    assert_int_equal(kme_network_init(&n, &c, disk_sim_disk(disk), no_random, &e), 0);
    assert_true(n.links[0].source->simulated);
    kme_network_deinit(&n);
    config_free(kme_fields, &c);
    disk_sim_free(disk);
}

static void mistakes_in_the_kmes_file_are_named(void **unused)
{
#define SIM "address: 'x:1', source: {type: sim, address: 's:1'}}\n"
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"  - {peer: bob, " SIM, "kme.yaml: link with bob: that is this site itself"},
        {"  - {peer: a_b, " SIM, "kme.yaml: link with a_b: that is no name of a site"},
        {"  - {peer: alice, " SIM "  - {peer: alice, " SIM,
            "kme.yaml: link with alice: given twice"},
        {"  - {peer: alice, address: 'x:1', source: {type: sim}}\n",
            "kme.yaml: link with alice: a source of type sim needs the simulator's address"},
        {"  - {peer: alice, address: 'x:1', source: {type: file}}\n",
            "kme.yaml: link with alice: a source of type file needs a path"},
        {"  - {peer: alice, address: 'x:1', source: {type: file, path: /tmp/keys}}\n",
            "kme.yaml: link with alice: path is the name of a file in the state folder"},
        {"  - {peer: alice, address: 'x:1', source: {type: file, path: k, address: 's:1'}}\n",
            "kme.yaml: link with alice: a source of type file has no address and no site"},
        {"  - {peer: alice, address: 'x:1', source: {type: qkd}}\n", "kme.yaml:6:"},
        {"  - {peer: alice, " SIM
         "  - {peer: carol, address: 'x:1', source: {type: sim, address: 's:2'}}\n",
            "kme.yaml: link with carol: links use two simulators: give each its own site"},
        {"  - {peer: alice, " SIM
         "  - {peer: carol, address: 'x:1', source: {type: sim, address: 's:1', site: y}}\n",
            "kme.yaml: link with carol: the simulator at s:1 has two names"},
        {"  - {peer: alice, address: 'x:1', source: {type: mdi-qkd}}\n",
            "kme.yaml: link with alice: a source of type mdi-qkd needs the simulator's address"},
        {"  - {peer: alice, " SIM
         "  - {peer: carol, address: 'x:1', source: {type: mdi-qkd, address: 's:1'}}\n",
            "kme.yaml: link with carol: the simulator at s:1 is a source of type sim and of type "
            "mdi-qkd: it has one level"},
        {"  - {peer: alice, " SIM "post_processing: {eps: 1}\n", "kme.yaml:7:24: "},
        {"  - {peer: alice, " SIM "post_processing: {window: 65}\n", "kme.yaml:7:27: "},
        {"  []\n", "kme.yaml:6:3: links has 0 entries"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kme_daemon_config c;
        struct err e = {{0}};
        assert_int_equal(load_kme(cases[i].text, &c, &e), -EINVAL);
        if (strncmp(e.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", e.text, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_papers_network_needs_three_lines),
        cmocka_unit_test(more_users_take_the_default_link_and_links_of_their_own),
        cmocka_unit_test(a_loss_makes_a_transmittance_and_a_probability_shares),
        cmocka_unit_test(raw_clicks_are_for_so_many_users),
        cmocka_unit_test(mistakes_in_the_simulators_file_are_named),
        cmocka_unit_test(links_of_one_simulator_share_a_source),
        cmocka_unit_test(raw_events_take_the_options_of_post_processing),
        cmocka_unit_test(a_link_with_recorded_keys_needs_its_file),
        cmocka_unit_test(mistakes_in_the_kmes_file_are_named),
    };
    return cmocka_run_group_tests_name("daemon_config", tests, NULL, NULL);
}
