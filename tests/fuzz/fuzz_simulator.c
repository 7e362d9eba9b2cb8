/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator among KMEs and operators that may say anything, at level FUZZ_LEVEL. */
#include "keypool/qkd/simulator.h"

#include "tests/fuzz/fuzz_machine.h"

static int step(void *core, const struct event *event, struct update *u)
{
    return simulator_step(core, event, u);
}

static uint64_t deadline_ms(const void *core)
{
    return simulator_deadline_ms(core);
}

/* Blocks of a quarter of a second: finished key comes in some, some 2600 raw clicks in all. */
static struct simulator *make(void)
{
    static const char *const users[] = {"alice", "bob", "charlie"};
    static const uint8_t seed[RNG_SEED_BYTES];
    const struct sim_topology_config network = {
        .users = users, .n_users = 3, .fallback = &link_paper_at(3)->params};
    const struct simulator_config config = {.level = FUZZ_LEVEL,
        .schedule = SIM_ROUND_ROBIN,
        .block_s = 0.25,
        .clock_hz = FUZZ_LEVEL == SIM_RATE ? 1e8 : 1e6,
        .speedup = 1,
        .options = keyrate_paper_options()};
    struct sim_topology *t;
    struct err e;
    fuzz_assert(sim_topology_new(&t, &network, 100, &e) == 0);
    struct sim_level *level = simulator_level_new(&config, seed);
    fuzz_assert(level);
    struct simulator *s = simulator_new(&config, t, level);
    fuzz_assert(s);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sites[] = {"alice", "bob", "charlie", "mallory"};
    struct fuzz_machine m = {
        .core = make(), .step = step, .deadline_ms = deadline_ms, .sites = sites, .n_sites = 4};
    fuzz_play(&m, data, size);
    simulator_free(m.core);
    return 0;
}
