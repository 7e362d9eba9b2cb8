/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: what is read, and the exact sentence for everything that is wrong. */
#include "common/config.h"
#include "common/util.h"
#include "tests/common/faults.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct run {
    uint64_t rounds;
    double clip;
    int start;
};

struct site {
    char *name;
    uint64_t weight;
    char *comment;
};

struct example {
    char *site;
    char *key;
    char *state;
    bool simulated;
    uint64_t limit;
    struct run run;
    struct {
        char *certificate;
        char *ca;
    } tls;
    struct config_list peers;
    struct config_list sites;
    struct config_list parameters;
};

static const char *const starts[] = {"auto", "manual", NULL};

static const struct config_field run_fields[] = {
    {.key = "rounds",
        .type = CONFIG_U64,
        .offset = offsetof(struct run, rounds),
        .help = "rounds to sum",
        .fallback = "30",
        .min = 1,
        .max = 1000000},
    {.key = "clip",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct run, clip),
        .fallback = "0.1",
        .min_double = -1,
        .max_double = 1},
    {.key = "start",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct run, start),
        .fallback = "manual",
        .choices = starts},
    {0},
};

static const struct config_field site_fields[] = {
    {.key = "comment", .type = CONFIG_STRING, .offset = offsetof(struct site, comment)},
    {.key = "name",
        .type = CONFIG_STRING,
        .offset = offsetof(struct site, name),
        .help = "name of the site",
        .required = true},
    {.key = "weight", .type = CONFIG_U64, .offset = offsetof(struct site, weight), .fallback = "1"},
    {0},
};

static const struct config_field tls_fields[] = {
    {.key = "certificate",
        .type = CONFIG_PATH,
        .offset = offsetof(struct example, tls.certificate) - offsetof(struct example, tls),
        .help = "PEM file",
        .required = true},
    {.key = "ca",
        .type = CONFIG_PATH,
        .offset = offsetof(struct example, tls.ca) - offsetof(struct example, tls),
        .fallback = "ca.crt"},
    {0},
};

static const struct config_field fields[] = {
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = offsetof(struct example, site),
        .help = "name of this site",
        .required = true},
    {.key = "key", .type = CONFIG_PATH, .offset = offsetof(struct example, key)},
    {.key = "state",
        .type = CONFIG_PATH,
        .offset = offsetof(struct example, state),
        .fallback = "/var/lib/qfl"},
    {.key = "simulated", .type = CONFIG_BOOL, .offset = offsetof(struct example, simulated)},
    {.key = "limit", .type = CONFIG_U64, .offset = offsetof(struct example, limit)},
    {.key = "run",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct example, run),
        .help = "the training run",
        .fields = run_fields},
    {.key = "tls",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct example, tls),
        .fields = tls_fields},
    {.key = "peers", .type = CONFIG_LIST, .offset = offsetof(struct example, peers), .max = 3},
    {.key = "sites",
        .type = CONFIG_LIST,
        .offset = offsetof(struct example, sites),
        .fields = site_fields,
        .element_size = sizeof(struct site)},
    {.key = "parameters",
        .type = CONFIG_MAP,
        .offset = offsetof(struct example, parameters),
        .min_double = 0,
        .max_double = 100},
    {0},
};

static int load(const char *text, struct example *out, struct err *e)
{
    return config_load_text("f.yaml", text, strlen(text), fields, out, e);
}

static void load_ok(const char *text, struct example *out)
{
    struct err e = {""};
    int r = load(text, out, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
}

/* ---- what is read ---- */

static void test_defaults(void **state)
{
    struct example c;
    load_ok("site: alice", &c);
    assert_string_equal(c.site, "alice");
    assert_null(c.key);
    assert_string_equal(c.state, "/var/lib/qfl");
    assert_false(c.simulated);
    assert_int_equal(c.limit, 0);
    assert_int_equal(c.run.rounds, 30);
    assert_true(c.run.clip == 0.1);
    assert_int_equal(c.run.start, 1);
    assert_null(c.tls.certificate); /* asked for only when tls is present */
    assert_string_equal(c.tls.ca, "ca.crt");
    assert_int_equal(c.peers.n, 0);
    config_free(fields, &c);
    assert_null(c.site);
}

static const char full[] = "# a comment\n"
                           "site: 'ali\"ce: # \\'\n"
                           "key: keys/alice.key\n"
                           "state: /srv/qfl\n"
                           "simulated: true\n"
                           "limit: 12k\n"
                           "run: {rounds: 5, clip: -2.5e-1, start: auto}\n"
                           "tls:\n"
                           "  certificate: alice.crt\n"
                           "peers: [bob, \"null\", '']\n"
                           "sites:\n"
                           "  - name: bob\n"
                           "    weight: 3M\n"
                           "  - comment: two words\n"
                           "    name: 17\n"
                           "parameters:\n"
                           "  qubits: 6\n"
                           "  rate: 0.30000000000000004\n";

static void check_full(const struct example *c, const char *folder)
{
    char path[300];
    assert_string_equal(c->site, "ali\"ce: # \\");
    snprintf(path, sizeof(path), "%skeys/alice.key", folder);
    assert_string_equal(c->key, path);
    assert_string_equal(c->state, "/srv/qfl");
    assert_true(c->simulated);
    assert_int_equal(c->limit, 12000);
    assert_int_equal(c->run.rounds, 5);
    assert_true(c->run.clip == -0.25);
    assert_int_equal(c->run.start, 0);
    snprintf(path, sizeof(path), "%sca.crt", folder);
    assert_string_equal(c->tls.ca, path);
    assert_int_equal(c->peers.n, 3);
    char **peers = c->peers.items;
    assert_string_equal(peers[0], "bob");
    assert_string_equal(peers[1], "null");
    assert_string_equal(peers[2], "");
    assert_int_equal(c->sites.n, 2);
    const struct site *sites = c->sites.items;
    assert_string_equal(sites[0].name, "bob");
    assert_int_equal(sites[0].weight, 3000000);
    assert_null(sites[0].comment);
    assert_string_equal(sites[1].name, "17");
    assert_int_equal(sites[1].weight, 1);
    assert_string_equal(sites[1].comment, "two words");
    assert_int_equal(c->parameters.n, 2);
    const struct config_number *numbers = c->parameters.items;
    assert_string_equal(numbers[1].key, "rate");
    assert_true(numbers[1].value == 0.1 + 0.2);
}

static void test_every_type(void **state)
{
    struct example c;
    load_ok(full, &c);
    check_full(&c, "");
    config_free(fields, &c);
}

static void test_paths_are_relative_to_the_file(void **state)
{
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write(&scratch, "full.yaml", full, 0600);
    struct example c;
    struct err e = {""};
    assert_int_equal(config_load(scratch_path(&scratch, "full.yaml"), fields, &c, &e), 0);
    char folder[100];
    snprintf(folder, sizeof(folder), "%s/", scratch.path);
    check_full(&c, folder);
    config_free(fields, &c);
    scratch_deinit(&scratch);
}

static char *print(const struct example *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    assert_int_equal(config_print(fields, c, f), 0);
    fclose(f);
    return text;
}

static void test_printed_configuration_loads_to_the_same(void **state)
{
    static const char *const texts[] = {full, "site: alice", "site: ~x\nsites: []\nrun: {}",
        "site: a\ntls: {certificate: /etc/c, ca: 'with space'}\nparameters: {x: 1e-300, 'y z': 5}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct example c;
        struct example again;
        load_ok(texts[i], &c);
        auto_free char *once = print(&c);
        load_ok(once, &again);
        auto_free char *twice = print(&again);
        assert_string_equal(once, twice);
        if (texts[i] == full)
            check_full(&again, "");
        config_free(fields, &c);
        config_free(fields, &again);
    }
}

static void test_print_names_defaults_and_what_is_unset(void **state)
{
    struct example c;
    load_ok("site: alice\nsites: [{name: bob}]", &c);
    auto_free char *text = print(&c);
    assert_string_equal(text, "site: alice  # name of this site\n"
                              "# key:\n"
                              "state: /var/lib/qfl\n"
                              "simulated: false\n"
                              "limit: 0\n"
                              "run:  # the training run\n"
                              "  rounds: 30  # rounds to sum\n"
                              "  clip: 0.1\n"
                              "  start: manual\n"
                              "# tls:\n"
                              "peers: []\n"
                              "sites:\n"
                              "  - name: bob  # name of the site\n"
                              "    weight: 1\n"
                              "parameters: {}\n");
    config_free(fields, &c);
}

/* ---- what is wrong ---- */

struct bad {
    const char *text;
    const char *sentence;
};

static const struct bad bads[] = {
    {"", "f.yaml:1:1: site is missing: name of this site"},
    {"# nothing\n", "f.yaml:1:1: site is missing: name of this site"},
    {"\nkey: a", "f.yaml:2:1: site is missing: name of this site"},
    {"- site", "f.yaml:1:1: the configuration must be \"key: value\" lines, not a list"},
    {"alice", "f.yaml:1:1: the configuration must be \"key: value\" lines, not a single value"},
    {"site: a\nsimulatde: true",
        "f.yaml:2:1: unknown key \"simulatde\"; did you mean \"simulated\"?"},
    {"site: a\nrun:\n  round: 5",
        "f.yaml:3:3: unknown key \"round\" in run; did you mean \"rounds\"?"},
    {"site: a\nrun: {banana: 5}",
        "f.yaml:2:7: unknown key \"banana\" in run; known keys are rounds, clip, start"},
    {"site: a\n<<: {key: b}", "f.yaml:2:1: unknown key \"<<\"; known keys are site, key, state, "
                              "simulated, limit, run, tls, "
                              "peers, sites, parameters"},
    {"site: a\nsites:\n  - name: b\n  - nme: c",
        "f.yaml:4:5: unknown key \"nme\" in sites[2]; did you mean \"name\"?"},
    {"site: a\nkey: b\nsite: c",
        "f.yaml:3:1: site is given twice, first on line 1; remove one of them"},
    {"site: a\nparameters: {x: 1, y: 2, x: 3}",
        "f.yaml:2:26: parameters.x is given twice, first on line 2; remove one of them"},
    {"site: [a]", "f.yaml:1:7: site must be a single value, not a list"},
    {"site: {a: b}", "f.yaml:1:7: site must be a single value, not a section"},
    {"site:", "f.yaml:1:6: site has no value; give one or remove the line"},
    {"site: ~", "f.yaml:1:7: site has no value; give one or remove the line"},
    {"site: \"a\\0b\"", "f.yaml:1:7: site holds a zero byte"},
    {"site: \"a\\nb\"", "f.yaml:1:7: site must be one line without control characters"},
    {"site: a\nkey: ''", "f.yaml:2:6: key must be a path, not an empty text"},
    {"site: a\nrun: 5",
        "f.yaml:2:6: run must be a section of \"key: value\" lines, not a single value"},
    {"site: a\nrun:", "f.yaml:2:5: run must be a section of \"key: value\" lines, not empty"},
    {"site: a\nsimulated: yes", "f.yaml:2:12: simulated must be true or false, not \"yes\""},
    {"site: a\nsimulated: 'true'", "f.yaml:2:12: simulated must not be in quotes; remove them"},
    {"site: a\nrun: {rounds: many}",
        "f.yaml:2:15: run.rounds must be a whole number, such as 500, 20k or 3M, not \"many\""},
    {"site: a\nrun: {rounds: 1.5}",
        "f.yaml:2:15: run.rounds must be a whole number, such as 500, 20k or 3M, not \"1.5\""},
    {"site: a\nrun: {rounds: 5kk}",
        "f.yaml:2:15: run.rounds must be a whole number, such as 500, 20k or 3M, not \"5kk\""},
    {"site: a\nrun: {rounds: -1}",
        "f.yaml:2:15: run.rounds must be a whole number, such as 500, 20k or 3M, not \"-1\""},
    {"site: a\nrun: {rounds: 0}", "f.yaml:2:15: run.rounds is 0, but must be 1 to 1000000"},
    {"site: a\nrun: {rounds: 2M}", "f.yaml:2:15: run.rounds is 2M, but must be 1 to 1000000"},
    {"site: a\nlimit: 99999999999999999999",
        "f.yaml:2:8: limit is 99999999999999999999, but must be 0 to 18446744073709551615"},
    {"site: a\nlimit: 18446744073709551615k",
        "f.yaml:2:8: limit is 18446744073709551615k, but must be 0 to 18446744073709551615"},
    {"site: a\nrun: {clip: 1.01}", "f.yaml:2:13: run.clip is 1.01, but must be -1 to 1"},
    {"site: a\nrun: {clip: nan}",
        "f.yaml:2:13: run.clip must be a number, such as 0.05 or 1e-3, not \"nan\""},
    {"site: a\nrun: {clip: 1e999}",
        "f.yaml:2:13: run.clip must be a number, such as 0.05 or 1e-3, not \"1e999\""},
    {"site: a\nrun: {clip: 0x1p-3}",
        "f.yaml:2:13: run.clip must be a number, such as 0.05 or 1e-3, not \"0x1p-3\""},
    {"site: a\nrun: {start: atuo}",
        "f.yaml:2:14: run.start must be one of auto, manual, not \"atuo\"; did you mean \"auto\"?"},
    {"site: a\nrun: {start: never}",
        "f.yaml:2:14: run.start must be one of auto, manual, not \"never\""},
    {"site: a\ntls: {ca: b}", "f.yaml:2:6: tls.certificate is missing: PEM file"},
    {"site: a\nsites: [{weight: 2}]", "f.yaml:2:9: sites[1].name is missing: name of the site"},
    {"site: a\nsites: [bob]",
        "f.yaml:2:9: sites[1] must be a section of \"key: value\" lines, not a single value"},
    {"site: a\nsites: {name: bob}", "f.yaml:2:8: sites must be a list, not a section"},
    {"site: a\npeers: [a, [b]]", "f.yaml:2:12: peers[2] must be a single value, not a list"},
    {"site: a\npeers: [a, b, c, d]", "f.yaml:2:8: peers has 4 entries, but must have 0 to 3"},
    {"site: a\nparameters: [1]",
        "f.yaml:2:13: parameters must be a section of \"name: number\" lines, not a list"},
    {"site: a\nparameters: {x: [1]}",
        "f.yaml:2:17: parameters.x must be a single value, not a list"},
    {"site: a\nparameters: {x: 101}", "f.yaml:2:17: parameters.x is 101, but must be 0 to 100"},
    {"site: a\nparameters: {[x]: 1}", "f.yaml:2:14: a key of parameters must be a word"},
    {"? [a]\n: b", "f.yaml:1:3: a key of the configuration must be a word"},
    {"site: &x a",
        "f.yaml:1:7: anchors (&x) are not supported; write the value where it is needed"},
    {"site: a\nkey: *x", "f.yaml:2:6: aliases (*x) are not supported; write the value out"},
    {"site: !!str a", "f.yaml:1:7: tags (tag:yaml.org,2002:str) are not supported; remove it"},
    {"site: a\n---\nsite: b",
        "f.yaml:2:1: a second document starts here; a configuration is one document"},
    {"site: [[[[[[[[[[[[[[[[[[[[",
        "f.yaml:1:22: nested deeper than 16 levels; no configuration needs that"},
    {"site: a\n\tkey: b",
        "f.yaml:2:1: not valid YAML: found a tab character that violates indentation; indent with "
        "spaces, this line holds a tab"},
    {"site: 'a", "f.yaml:1:9: not valid YAML: found unexpected end of stream"},
    {"site: a\n key: b",
        "f.yaml:2:5: not valid YAML: mapping values are not allowed in this context"},
    {"site: a\nkey: \xff", "f.yaml:2:6: not valid YAML: invalid leading UTF-8 octet"},
    {"site: a\x01", "f.yaml:1:8: not valid YAML: control characters are not allowed"},
};

static void test_every_mistake_has_its_sentence(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
        struct example c;
        struct err e = {""};
        assert_int_equal(load(bads[i].text, &c, &e), -EINVAL);
        assert_string_equal(e.text, bads[i].sentence);
        assert_null(c.site); /* nothing left to free */
    }
}

static void test_files_that_cannot_be_read(void **state)
{
    struct scratch scratch;
    scratch_init(&scratch);
    struct example c;
    struct err e = {""};
    char expected[200];
    assert_int_equal(config_load(scratch_path(&scratch, "no.yaml"), fields, &c, &e), -ENOENT);
    snprintf(expected, sizeof(expected),
        "%s/no.yaml: there is no such file; name one with --config", scratch.path);
    assert_string_equal(e.text, expected);
    assert_int_equal(config_load(scratch.path, fields, &c, &e), -EISDIR);
    snprintf(expected, sizeof(expected), "%s: cannot be read: Is a directory", scratch.path);
    assert_string_equal(e.text, expected);
    scratch_deinit(&scratch);
}

static void test_huge_file_is_refused(void **state)
{
    auto_free char *text = malloc(CONFIG_FILE_MAX + 2);
    memset(text, '#', CONFIG_FILE_MAX + 1);
    text[CONFIG_FILE_MAX + 1] = '\0';
    struct example c;
    struct err e = {""};
    assert_int_equal(load(text, &c, &e), -EINVAL);
    assert_string_equal(
        e.text, "f.yaml: larger than 1048576 bytes; this cannot be a configuration");
}

static void test_long_string_is_refused(void **state)
{
    char text[CONFIG_TEXT_MAX + 20] = "site: ";
    memset(text + 6, 'x', CONFIG_TEXT_MAX + 1);
    struct example c;
    struct err e = {""};
    assert_int_equal(load(text, &c, &e), -EINVAL);
    assert_string_equal(e.text, "f.yaml:1:7: site is longer than 4096 bytes");
}

static void test_every_failed_allocation_is_reported(void **state)
{
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        struct example c;
        struct err e = {""};
        faults_fail_at(n);
        int r = load(full, &c, &e);
        bool fired = faults_fired();
        faults_fail_at(0);
        if (!fired) {
            assert_int_equal(r, 0);
            config_free(fields, &c);
            break;
        }
        failures++;
        assert_int_equal(r, -ENOMEM);
        assert_string_equal(e.text, "f.yaml: out of memory");
        assert_null(c.site);
    }
    assert_true(failures >= 15); /* at least one per text and list */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_paths_are_relative_to_the_file),
        cmocka_unit_test(test_printed_configuration_loads_to_the_same),
        cmocka_unit_test(test_print_names_defaults_and_what_is_unset),
        cmocka_unit_test(test_every_mistake_has_its_sentence),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_huge_file_is_refused),
        cmocka_unit_test(test_long_string_is_refused),
        cmocka_unit_test(test_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
