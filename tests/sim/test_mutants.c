/* SPDX-License-Identifier: Apache-2.0 */
/* A simulation that finds nothing may be blind: here each mutant must be caught within a bounded number
 * of seeds, and the same stories without the mutation must be good. */
#include "tests/sim/liar.h"
#include "tests/sim/mutants.h"
#include "tests/sim/nodes.h"
#include "tests/sim/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS_MAX 150
#define ROUNDS    20

/* The first seed whose story violates the invariant; SEEDS_MAX if none does. */
static uint64_t hunt(const struct story_setting *like, const char *invariant)
{
    for (uint64_t seed = 0; seed < SEEDS_MAX; seed++) {
        struct story_setting setting = *like;
        setting.seed = seed;
        struct story_result r = story_tell(&setting);
        bool caught = r.violation && strncmp(r.violation, invariant, strlen(invariant)) == 0;
        if (r.violation)
            print_message("# seed %d: %s\n", (int)seed, r.violation);
        free(r.violation);
        if (caught)
            return seed;
    }
    return SEEDS_MAX;
}

static void is_good(const struct story_setting *like, uint64_t seeds)
{
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct story_setting setting = *like;
        setting.seed = seed;
        struct story_result r = story_tell(&setting);
        if (r.violation)
            print_message("# seed %d: %s\n", (int)seed, r.violation);
        assert_null(r.violation);
    }
}

/* Many attempts abort after key was burnt. */
static struct weather breaking(void)
{
    struct weather w = weather_calm();
    w.chance[FAULT_BREAK] = 0.01;
    w.chance[FAULT_KILL] = 0.005;
    return w;
}

static void key_of_an_aborted_attempt_reused(void **state)
{
    const struct weather weather = breaking();
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather};
    is_good(&setting, 10);
    mutants.late_burn = true;
    uint64_t seed = hunt(&setting, "invariant 1");
    mutants_reset();
    assert_true(seed < SEEDS_MAX);
}

/* ---- a release that nobody remembers ---- */

static struct node *forgetful_client(struct world *w, const struct client_setting *setting)
{
    struct node *n = client_node_new(w, setting);
    disk_sim_forget(client_node_disk(n), "outbox");
    disk_sim_forget(client_node_disk(n), "state");
    return n;
}

static struct node *forgetful_server(struct world *w, const struct aggregator_config *config)
{
    struct node *n = server_node_new(w, config);
    store_sim_forget_go(server_node_store(n));
    return n;
}

/* The server forgets GO and asks for a second attempt: clients that remember refuse it. */
static void release_flag_not_durable(void **state)
{
    struct weather weather = weather_calm();
    weather.chance[FAULT_KILL_MIDWAY] = 0.02;
    weather.chance[FAULT_POWER_CUT] = 0.005;
    struct federation_parts parts = {.server = forgetful_server};
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather, .parts = &parts};
    is_good(&setting, 10);
    parts.client = forgetful_client;
    assert_true(hunt(&setting, "invariant 2") < SEEDS_MAX);
}

static void single_release_rule_missing(void **state)
{
    struct weather weather = weather_calm();
    weather.chance[FAULT_KILL_MIDWAY] = 0.02;
    const struct federation_parts parts = {.server = forgetful_server};
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather, .parts = &parts};
    mutants.second_release = true;
    uint64_t seed = hunt(&setting, "invariant 2");
    mutants_reset();
    assert_true(seed < SEEDS_MAX);
}

/* ---- a server that lies about weights ---- */

static struct weather lying(void)
{
    struct weather w = weather_calm();
    w.chance[FAULT_LIE] = 0.1;
    return w;
}

static void weights_left_out_of_the_view(void **state)
{
    const struct weather weather = lying();
    const struct federation_parts parts = {.server = liar_new};
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather, .parts = &parts};
    is_good(&setting, 10);
    mutants.weights_not_in_tag = true;
    uint64_t seed = hunt(&setting, "invariant 3");
    mutants_reset();
    assert_true(seed < SEEDS_MAX);
}

static void confirm_skipped(void **state)
{
    const struct weather weather = lying();
    const struct federation_parts parts = {.server = liar_new};
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather, .parts = &parts};
    mutants.empty_confirm = true;
    uint64_t seed = hunt(&setting, "invariant 3");
    mutants_reset();
    assert_true(seed < SEEDS_MAX);
}

/* ---- the barrier ---- */

static uint64_t skipped_of(const struct story_setting *like, uint64_t seeds)
{
    uint64_t skipped = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct story_setting setting = *like;
        setting.seed = seed;
        struct story_result r = story_tell(&setting);
        skipped += r.skipped;
        free(r.violation);
    }
    return skipped;
}

/* Not a violation, but rounds are lost that the barrier would have saved. */
static void barrier_removed(void **state)
{
    const struct weather weather = breaking();
    const struct story_setting setting = {.rounds = ROUNDS, .weather = &weather};
    uint64_t with = skipped_of(&setting, 10);
    mutants.no_barrier = true;
    uint64_t without = skipped_of(&setting, 10);
    mutants_reset();
    print_message(
        "# ten stories: %d rounds skipped with the barrier, %d without\n", (int)with, (int)without);
    assert_true(without > 2 * with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_of_an_aborted_attempt_reused),
        cmocka_unit_test(release_flag_not_durable),
        cmocka_unit_test(single_release_rule_missing),
        cmocka_unit_test(weights_left_out_of_the_view),
        cmocka_unit_test(confirm_skipped),
        cmocka_unit_test(barrier_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
