/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing the effective events of one 10 s block on one core, per link of the paper, by processor
 * time. Goal: 20 million events/s. Beside it pulses/s of the pulse level. */
#include "common/util.h"
#include "keypool/qkd/event_draw.h"
#include "keypool/qkd/pulse_draw.h"
#include "tests/bench/stand.h"

#include <stdio.h>

#define CHUNK 4096

static void bench_events(const struct link_paper *link)
{
    static struct optics_event events[CHUNK];
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    struct optics o;
    optics_init(&o, &link->params, 0);
    cleanup(event_draw_freep) struct event_draw *d = event_draw_new(&o, 1000000000, seed);
    if (!d)
        abort();
    double start = stand_cpu_s();
    size_t total = 0, n;
    do {
        n = event_draw_next(d, events, CHUNK);
        total += n;
    } while (n == CHUNK);
    double seconds = stand_cpu_s() - start;
    printf("%s %s  %9zu events in %6.3f s  %6.1f million events/s, %5.0f times real time\n",
        link->network, link->pair, total, seconds, (double)total / seconds / 1e6, 10 / seconds);
}

static void bench_pulses(const struct link_paper *link)
{
    static struct optics_event events[CHUNK];
    const uint8_t seed[RNG_SEED_BYTES] = {1};
    const uint64_t pulses = 5000000;
    cleanup(pulse_draw_freep) struct pulse_draw *d =
        pulse_draw_new(&link->params, &(struct eve){0}, pulses, seed);
    if (!d)
        abort();
    double start = stand_cpu_s();
    while (pulse_draw_next(d, events, CHUNK) == CHUNK)
        continue;
    printf("%s %s  pulse by pulse: %.1f million pulses/s\n", link->network, link->pair,
        (double)pulses / (stand_cpu_s() - start) / 1e6);
}

int main(void)
{
    for (size_t i = 0; i < link_paper_count(); i++)
        bench_events(link_paper_at(i));
    bench_pulses(link_paper_at(0));
    return 0;
}
