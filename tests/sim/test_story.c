/* SPDX-License-Identifier: Apache-2.0 */
/* Whole stories: that calm ones are perfect, that a seed tells the same story twice, and that the
 * things that the oracle asks about really happen. */
#include "tests/sim/story.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct story_result tell(uint64_t seed, uint64_t rounds, const struct weather *weather)
{
    struct story_result r =
        story_tell(&(struct story_setting){.seed = seed, .rounds = rounds, .weather = weather});
    if (r.violation)
        print_message("# seed %d: %s\n", (int)seed, r.violation);
    assert_null(r.violation);
    return r;
}

static void in_calm_weather_every_round_is_summed_at_once(void **state)
{
    const struct weather calm = weather_calm();
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct story_result r = tell(seed, 20, &calm);
        assert_true(r.completed >= 20);
        assert_int_equal(r.skipped, 0);
        assert_int_equal(r.aborted, 0);
    }
}

static void the_same_seed_tells_the_same_story(void **state)
{
    for (uint64_t seed = 0; seed < 15; seed++) {
        struct story_result a = tell(seed, 15, NULL), b = tell(seed, 15, NULL);
        assert_true(a.trace == b.trace);
        assert_int_equal(a.steps, b.steps);
        struct story_result other = tell(seed + 1000, 15, NULL);
        assert_true(a.trace != other.trace);
    }
}

/* Telling must not change what is told. */
static void a_story_told_aloud_is_the_same(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct story_result loud =
        story_tell(&(struct story_setting){.seed = 3, .rounds = 10, .narrate = out});
    fclose(out);
    struct story_result silent = tell(3, 10, NULL);
    assert_true(loud.trace == silent.trace);
    assert_non_null(strstr(text, "server -> alice/client Open { run="));
    assert_non_null(strstr(text, "alice/client -> server Chunk { attempt="));
    free(text);
}

static void every_fault_of_the_swarm_strikes(void **state)
{
    uint64_t struck[FAULTS] = {0};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct story_result r = tell(seed, 20, NULL);
        for (int i = 0; i < FAULTS; i++)
            struck[i] += r.struck[i];
    }
    for (int i = 0; i < FAULTS; i++) {
        if (i == FAULT_LIE || i == FAULT_ROLLBACK ||
            i == FAULT_SERVER_ROLLBACK) /* asked for, or rare */
            continue;
        if (struck[i] == 0)
            print_message("# %s never struck\n", fault_name((enum fault)i));
        assert_true(struck[i] > 0);
    }
}

/* A vault restored from a backup again and again: no pad is handed out twice, the others go on. */
static void a_vault_that_is_rolled_back_reuses_nothing(void **state)
{
    struct weather weather = weather_calm();
    weather.chance[FAULT_ROLLBACK] = 1;
    weather.chance[FAULT_KILL] = 0.01;
    weather.chance[FAULT_RELAY_LATE] = 0.01;
    uint64_t struck = 0;
    for (uint64_t seed = 0; seed < 20; seed++)
        struck += tell(seed, 20, &weather).struck[FAULT_ROLLBACK];
    assert_true(struck >= 10);
}

/* The server's database restored from a backup: it comes back with rounds and attempts of the past,
 * and no client follows it there. */
static void a_server_that_is_rolled_back_gets_no_second_release(void **state)
{
    struct weather weather = weather_calm();
    weather.chance[FAULT_SERVER_ROLLBACK] = 1;
    weather.chance[FAULT_KILL] = 0.005;
    uint64_t struck = 0;
    for (uint64_t seed = 0; seed < 20; seed++)
        struck += tell(seed, 20, &weather).struck[FAULT_SERVER_ROLLBACK];
    assert_true(struck >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_calm_weather_every_round_is_summed_at_once),
        cmocka_unit_test(the_same_seed_tells_the_same_story),
        cmocka_unit_test(a_story_told_aloud_is_the_same),
        cmocka_unit_test(every_fault_of_the_swarm_strikes),
        cmocka_unit_test(a_vault_that_is_rolled_back_reuses_nothing),
        cmocka_unit_test(a_server_that_is_rolled_back_gets_no_second_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
