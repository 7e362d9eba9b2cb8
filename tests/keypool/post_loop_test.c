/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends in one process: a block of the paper from events to equal keys, and the virtual time of the
 * channel between them. */
#include "common/util.h"
#include "keypool/post/post_paper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>

static double stopped(void)
{
    return 0;
}

static double ticking(void)
{
    static double now_s;
    return now_s += 0.001;
}

static void run_paper(struct post_paper *out, const char *a, const char *b, double seconds)
{
    struct err e = {0};
    const struct post_paper_config c = {.link = link_paper_find("paper-4", a, b),
        .seconds = seconds,
        .seed = {5},
        .cpu_s = ticking};
    assert_non_null(c.link);
    assert_int_equal(0, post_paper_run(&c, out, &e));
}

static void a_block_of_the_paper_ends_with_equal_keys(void **state)
{
    struct post_paper p;
    run_paper(&p, "alice", "bob", 1);
    assert_int_equal(POST_KEY, p.outcome);
    assert_true(p.keys_agree);
    assert_true(p.has_counts);
    assert_int_equal(0, p.residual);
    assert_int_equal(p.simulated[POST_PAPER_M_X], p.errors);
    for (unsigned i = 0; i < POST_PAPER_COUNTS; i++) {
        assert_true(fabs(p.deviations[i]) < 5);
        assert_true(fabs(p.from_table[i]) < 0.001);
    }
    assert_true(p.f_ec > 1 && p.f_ec < 1.1);
    assert_true(p.measured.key_bits > p.predicted.key_bits);
    assert_true(p.draw_s > 0);
    for (unsigned side = 0; side < 2; side++)
        for (unsigned stage = 0; stage < POST_LOOP_STAGES; stage++)
            assert_true(p.times.cpu_s[side][stage] > 0);
}

static void a_block_too_short_for_key_says_so(void **state)
{
    struct post_paper p;
    run_paper(&p, "charlie", "david", 0.5);
    assert_int_equal(POST_VOIDED, p.outcome);
    assert_true(p.reason.text[0] != '\0');
    assert_false(p.keys_agree);
}

static struct post_record *record_of(enum post_side side, uint64_t clicks)
{
    static const uint8_t keys[2][POST_TAG_BYTES] = {{1}, {2}};
    struct post_record *r;
    struct err e = {0};
    uint8_t seed[RNG_SEED_BYTES] = {7};
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    const struct post_record_config c = {
        .side = side, .pulses = clicks, .clicks_max = clicks, .keys = {keys[0], keys[1]}};
    assert_int_equal(0, post_record_new(&r, &c));
    for (uint64_t i = 0; i < clicks; i++) {
        uint64_t coins = rng_u64(rng);
        bool differ = (coins >> 2 & 1) && !(coins >> 3 & 3);
        bool is_wrong = side == POST_HIGH && rng_uniform(rng) < 0.01;
        const struct post_click click = {.position = i,
            .y = (coins >> 1 & 1) ^ (differ && side == POST_HIGH),
            .bit = (coins & 1) ^ is_wrong};
        if (side == POST_LOW)
            (void)rng_uniform(rng);
        assert_int_equal(0, post_record_add(r, &click, 1, &e));
    }
    return r;
}

/* Work takes no time, so that what is left is the channel: each round trip of error correction one second,
 * and a few for the rest. */
static void waiting_is_counted_in_round_trips(void **state)
{
    enum { CLICKS = 100000 };
    struct post_loop *l;
    struct err e = {0};
    struct post_loop_config c = {
        .post = post_config_default(), .round_trip_s = 1, .cpu_s = stopped, .seed = {1}};
    c.post.keyrate.pulses = CLICKS;
    c.post.keyrate.eps = 1e-2;
    c.post.mu = 0.001;
    c.post.share_xx = c.post.share_yy = 7.0 / 16;
    c.post.frame_bits = 10000;
    c.post.window = 8;
    struct post_record *records[2] = {record_of(POST_LOW, CLICKS), record_of(POST_HIGH, CLICKS)};
    assert_int_equal(0, post_loop_new(&l, &c, records, &e));
    assert_int_equal(0, post_loop_run(l));
    const struct post_result *r = post_loop_result(l, POST_HIGH);
    if (r->outcome != POST_KEY)
        fail_msg("%s", r->reason.text);
    assert_true(post_loop_keys_agree(l));
    const struct post_loop_times *t = post_loop_times(l);
    assert_float_equal((double)r->trips, t->correct_s, 0.6);
    assert_true(t->block_s > t->correct_s + 2 && t->block_s < t->correct_s + 20);
    assert_true(t->messages > 2 * r->trips && t->bytes > r->n_x / 8);
    post_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_the_paper_ends_with_equal_keys),
        cmocka_unit_test(a_block_too_short_for_key_says_so),
        cmocka_unit_test(waiting_is_counted_in_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
