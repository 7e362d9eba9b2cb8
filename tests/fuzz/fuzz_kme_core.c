/* SPDX-License-Identifier: Apache-2.0 */
/* A KME among peers, a vault and a simulator that may say anything. */
#include "keypool/kme/kme.h"
#include "keypool/qkd/source_sim.h"

#include "tests/fuzz/fuzz_machine.h"

static int step(void *core, const struct event *event, struct update *u)
{
    return kme_step(core, event, u);
}

static uint64_t deadline_ms(const void *core)
{
    return kme_deadline_ms(core);
}

static struct kme *make(void)
{
    static const char *const peers[] = {"bob", "carol"};
    const struct source_sim_config sim = {.site = "alice", .peers = peers, .n_peers = 2};
    struct source *source;
    fuzz_assert(source_sim_new(&source, &sim) == 0);
    const struct kme_link_config links[] = {{"bob", source}, {"carol", source}};
    const struct kme_config config = {
        .site = "alice", .links = links, .n_links = 2, .sources = &source, .n_sources = 1};
    struct kme *k;
    fuzz_assert(kme_new(&k, &config) == 0);
    return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sites[] = {"alice", "bob", "carol", "eve"};
    struct fuzz_machine m = {
        .core = make(), .step = step, .deadline_ms = deadline_ms, .sites = sites, .n_sites = 4};
    fuzz_play(&m, data, size);
    kme_free(m.core);
    return 0;
}
