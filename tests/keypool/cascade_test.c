/* SPDX-License-Identifier: Apache-2.0 */
/* Cascade between two ends: every error found, both ends count the same leak, nothing that a peer
 * says can make either end read out of bounds, disclose too much or go on for ever. */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/cascade.h"
#include "keypool/post/cascade_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

struct pair {
    struct cascade_plan plan;
    struct cascade_shuffle *shuffle;
    uint8_t *right; /* the reference's bits */
    uint8_t *wrong;
    uint64_t errors;
    struct cascade_reference *a;
    struct cascade_corrector *b;
};

static void pair_open(struct pair *p)
{
    p->shuffle = cascade_shuffle_new(&p->plan);
    p->a = cascade_reference_new(&p->plan, p->shuffle, p->right);
    p->b = cascade_corrector_new(&p->plan, p->shuffle, p->wrong);
    assert_non_null(p->a);
    assert_non_null(p->b);
}

static void pair_close(struct pair *p)
{
    cascade_reference_free(p->a);
    cascade_corrector_free(p->b);
    cascade_shuffle_free(p->shuffle);
}

static void pair_init(struct pair *p, uint32_t n, double rate, double planned, uint8_t salt)
{
    uint8_t seed[RNG_SEED_BYTES] = {salt};
    put_u32le(seed + 4, n);
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    *p = (struct pair){0};
    cascade_plan_init(&p->plan, n, planned, seed);
    p->right = calloc(n / 8 + 1, 1);
    p->wrong = calloc(n / 8 + 1, 1);
    rng_bytes(rng, p->right, (n + 7) / 8);
    if (n % 8)
        p->right[n / 8] &= (uint8_t)((1 << n % 8) - 1);
    memcpy(p->wrong, p->right, (n + 7) / 8);
    for (uint32_t i = 0; i < n; i++)
        if (rng_uniform(rng) < rate) {
            p->wrong[i / 8] ^= (uint8_t)(1 << i % 8);
            p->errors++;
        }
    pair_open(p);
}

static void pair_deinit(struct pair *p)
{
    pair_close(p);
    free(p->right);
    free(p->wrong);
}

/* Runs until one end has said its last word, which is returned; counts round trips. */
static int converse(struct pair *p, unsigned *trips)
{
    struct buf question = {0};
    struct buf answer = {0};
    int r = 0;
    for (*trips = 0; r == 0; ++*trips) {
        assert_true(*trips < 5000);
        question.len = 0;
        r = cascade_corrector_step(p->b, answer.data, answer.len, &question);
        answer.len = 0;
        if (r == 0)
            r = cascade_reference_answer(p->a, question.data, question.len, &answer);
    }
    buf_deinit(&question);
    buf_deinit(&answer);
    return r;
}

static void both_ends_end_with_the_same_bits(void **state)
{
    static const uint32_t lengths[] = {64, 65, 100, 1000, 4095, 4096, 4097, 20011};
    static const double rates[] = {0, 0.002, 0.01, 0.03, 0.08};
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
        for (size_t k = 0; k < ARRAY_SIZE(rates); k++) {
            struct pair p;
            unsigned trips;
            pair_init(&p, lengths[i], rates[k], fmax(rates[k], 0.005), (uint8_t)(k + 1));
            int r = converse(&p, &trips);
            /* Very short frames may not be worth their parities. */
            if (r != CASCADE_DONE && (lengths[i] >= 1000 || r != CASCADE_E_GIVE_UP))
                fail_msg("n %u, E %g: %d", lengths[i], rates[k], r);
            if (r == CASCADE_DONE) {
                assert_memory_equal(p.right, cascade_corrector_bits(p.b), (lengths[i] + 7) / 8);
                assert_int_equal(p.errors, cascade_corrector_flips(p.b));
            }
            pair_deinit(&p);
        }
}

/* In the middle of a conversation, and after one. */
static void restarted_ends_are_as_new(void **state)
{
    struct pair p;
    unsigned trips[2];
    uint64_t leak[2];
    uint8_t *other = malloc(20011 / 8 + 1);
    pair_init(&p, 20011, 0.02, 0.02, 4);
    assert_int_equal(CASCADE_DONE, converse(&p, &trips[0]));
    leak[0] = cascade_corrector_leak_bits(p.b);
    memset(other, 0x5a, 20011 / 8 + 1);
    for (unsigned i = 0; i < 2; i++) {
        struct buf question = {0};
        struct buf answer = {0};
        cascade_reference_restart(p.a, other);
        cascade_corrector_restart(p.b, p.right);
        for (unsigned trip = 0; trip < 100 * i; trip++) {
            question.len = 0;
            assert_int_equal(0, cascade_corrector_step(p.b, answer.data, answer.len, &question));
            answer.len = 0;
            if (cascade_reference_answer(p.a, question.data, question.len, &answer) != 0)
                break;
        }
        buf_deinit(&question);
        buf_deinit(&answer);
        cascade_reference_restart(p.a, p.right);
        cascade_corrector_restart(p.b, p.wrong);
        assert_int_equal(CASCADE_DONE, converse(&p, &trips[1]));
        leak[1] = cascade_corrector_leak_bits(p.b);
        assert_int_equal(trips[0], trips[1]);
        assert_int_equal(leak[0], leak[1]);
        assert_int_equal(leak[0], cascade_reference_leak_bits(p.a));
        assert_int_equal(p.errors, cascade_corrector_flips(p.b));
        assert_memory_equal(p.right, cascade_corrector_bits(p.b), 20011 / 8);
    }
    free(other);
    pair_deinit(&p);
}

/* A last block of one bit is an error as soon as it is odd. */
static void blocks_of_one_unit_need_no_search(void **state)
{
    struct pair p;
    unsigned trips;
    pair_init(&p, 1000, 0.01, 0.04, 13);
    pair_close(&p);
    p.plan.k[0] = 27; /* 37 blocks and a bit */
    p.plan.k[1] = 63; /* 63 words and one */
    memcpy(p.wrong, p.right, 125);
    p.wrong[124] ^= 0x80;
    p.wrong[0] ^= 0x01;
    pair_open(&p);
    assert_int_equal(CASCADE_DONE, converse(&p, &trips));
    assert_memory_equal(p.right, cascade_corrector_bits(p.b), 125);
    assert_int_equal(2, cascade_corrector_flips(p.b));
    pair_deinit(&p);
}

/* Blocks too long for the table of their nodes, and a plan that is not the shuffle's. */
static void long_blocks_and_foreign_shuffles_are_searched_too(void **state)
{
    struct pair p;
    unsigned trips;
    pair_init(&p, 40000, 0.0005, 0.0001, 17);
    assert_int_equal(CASCADE_DONE, converse(&p, &trips));
    assert_memory_equal(p.right, cascade_corrector_bits(p.b), 40000 / 8);
    cascade_reference_free(p.a);
    cascade_corrector_free(p.b);
    p.plan.k[0] = 33;
    p.plan.k[1] = 77;
    p.a = cascade_reference_new(&p.plan, p.shuffle, p.right);
    p.b = cascade_corrector_new(&p.plan, p.shuffle, p.wrong);
    assert_int_equal(CASCADE_DONE, converse(&p, &trips));
    assert_memory_equal(p.right, cascade_corrector_bits(p.b), 40000 / 8);
    pair_deinit(&p);
}

static void the_hash_of_subsets_is_a_product_in_the_field(void **state)
{
    uint8_t seed[RNG_SEED_BYTES] = {21};
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    assert_int_equal(0x1b, cascade_hash_word_portable((uint64_t)1 << 63, 2));
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = rng_u64(rng);
        uint64_t y = rng_u64(rng);
        assert_int_equal(cascade_hash_word_portable(x, y), cascade_hash_word(x, y));
        assert_int_equal(cascade_hash_word(y, x), cascade_hash_word(x, y));
    }
}

static void both_ends_count_the_same_leak_and_it_is_near_the_bound(void **state)
{
    struct pair p;
    unsigned trips;
    pair_init(&p, 100000, 0.01, 0.01, 7);
    assert_int_equal(CASCADE_DONE, converse(&p, &trips));
    assert_int_equal(cascade_reference_leak_bits(p.a), cascade_corrector_leak_bits(p.b));
    double e = (double)p.errors / 100000;
    double bound = 100000 * (-e * log2(e) - (1 - e) * log2(1 - e));
    assert_true((double)cascade_corrector_leak_bits(p.b) > bound);
    assert_true((double)cascade_corrector_leak_bits(p.b) < 1.08 * bound);
    assert_true(trips <= 400);
    pair_deinit(&p);
}

static void a_wrong_guess_of_the_error_rate_costs_parities_not_errors(void **state)
{
    static const double planned[] = {0.002, 0.05};
    for (size_t i = 0; i < ARRAY_SIZE(planned); i++) {
        struct pair p;
        unsigned trips;
        pair_init(&p, 50000, 0.015, planned[i], 11);
        assert_int_equal(CASCADE_DONE, converse(&p, &trips));
        assert_memory_equal(p.right, cascade_corrector_bits(p.b), 50000 / 8);
        pair_deinit(&p);
    }
}

static void hopeless_frames_are_given_up(void **state)
{
    struct pair p;
    unsigned trips;
    pair_init(&p, 5000, 0.45, 0.02, 3);
    assert_int_equal(CASCADE_E_GIVE_UP, converse(&p, &trips));
    assert_true(cascade_reference_leak_bits(p.a) <= 2 * 5000);
    pair_deinit(&p);
}

static void malformed_questions_disclose_nothing(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x00", 1},                             /* roots of no pass */
        {"\x00\x02", 2},                         /* of a pass that is none */
        {"\x01\x00", 2},                         /* nodes without a count */
        {"\x01\x00\x02\x01\x00", 5},             /* the same node twice */
        {"\x01\x00\x01\xff\xff\xff\xff\x0f", 8}, /* a node beyond the last block */
        {"\x01\x00\x01\xff\xff\xff\xff\xff", 8}, /* a number without end */
        {"\x03\x01\x7f\x00\x01", 5},             /* a subset that is none */
        {"\x03\x01\x00\xff\x7f\x01", 6},         /* bits beyond the frame */
        {"\x04", 1},                             /* a kind that is none */
    };
    struct pair p;
    pair_init(&p, 1000, 0.01, 0.01, 5);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buf answer = {0};
        assert_int_equal(CASCADE_E_PROTOCOL,
            cascade_reference_answer(p.a, (const uint8_t *)bad[i].bytes, bad[i].len, &answer));
        buf_deinit(&answer);
    }
    pair_deinit(&p);
}

static void an_insatiable_peer_learns_at_most_the_frame_in_parities(void **state)
{
    struct pair p;
    static const uint8_t roots[] = {0, 0};
    struct buf answer = {0};
    int r = 0;
    pair_init(&p, 1000, 0.01, 0.01, 5);
    for (unsigned i = 0; i < 10000 && r == 0; i++) {
        answer.len = 0;
        r = cascade_reference_answer(p.a, roots, sizeof(roots), &answer);
    }
    assert_int_equal(CASCADE_E_GIVE_UP, r);
    assert_true(cascade_reference_leak_bits(p.a) <= 1001);
    buf_deinit(&answer);
    pair_deinit(&p);
}

static void answers_of_the_wrong_length_are_refused(void **state)
{
    struct pair p;
    struct buf question = {0};
    struct buf answer = {0};
    pair_init(&p, 1000, 0.01, 0.01, 5);
    assert_int_equal(0, cascade_corrector_step(p.b, NULL, 0, &question));
    assert_int_equal(0, cascade_reference_answer(p.a, question.data, question.len, &answer));
    assert_int_equal(
        CASCADE_E_PROTOCOL, cascade_corrector_step(p.b, answer.data, answer.len - 1, &question));
    buf_deinit(&question);
    buf_deinit(&answer);
    pair_deinit(&p);
}

/* A reference that answers at random: the corrector ends, whatever it says. */
static void lying_answers_end(void **state)
{
    for (uint8_t salt = 1; salt <= 20; salt++) {
        struct pair p;
        struct buf question = {0};
        struct buf answer = {0};
        uint8_t seed[RNG_SEED_BYTES] = {salt, 99};
        cleanup(rng_freep) struct rng *rng = rng_new(seed);
        pair_init(&p, 3000, 0.01, 0.01, salt);
        int r = 0;
        unsigned trips = 0;
        while (r == 0) {
            question.len = 0;
            r = cascade_corrector_step(p.b, answer.data, answer.len, &question);
            answer.len = 0;
            if (r == 0 && cascade_reference_answer(p.a, question.data, question.len, &answer) != 0)
                break;
            rng_bytes(rng, answer.data, trips % 3 == 0 ? answer.len : 0);
            assert_true(++trips < 100000);
        }
        buf_deinit(&question);
        buf_deinit(&answer);
        pair_deinit(&p);
    }
}

/* One wrong bit in one answer: the two passes may contradict each other from then on. */
static void one_wrong_answer_ends_too(void **state)
{
    for (unsigned wrong = 0; wrong < 64; wrong++) {
        struct pair p;
        struct buf question = {0};
        struct buf answer = {0};
        pair_init(&p, 512, 0.01, 0.01, (uint8_t)wrong);
        int r = 0;
        for (unsigned trip = 0; r == 0; trip++) {
            assert_true(trip < 2000);
            question.len = 0;
            r = cascade_corrector_step(p.b, answer.data, answer.len, &question);
            answer.len = 0;
            if (r == 0)
                r = cascade_reference_answer(p.a, question.data, question.len, &answer);
            if (r == 0 && trip == wrong % 8)
                answer.data[0] ^= (uint8_t)(1 << wrong / 8);
        }
        buf_deinit(&question);
        buf_deinit(&answer);
        pair_deinit(&p);
    }
}

static void plans_out_of_bounds_are_refused(void **state)
{
    uint8_t bits[16] = {0};
    uint8_t seed[CASCADE_SEED] = {1};
    struct cascade_plan plan;
    cascade_plan_init(&plan, 128, 0.05, seed);
    struct cascade_shuffle *shuffle = cascade_shuffle_new(&plan);
    struct cascade_plan bad = plan;
    bad.k[0] = 1;
    assert_null(cascade_reference_new(&bad, shuffle, bits));
    bad = plan;
    bad.k[1] = 1 << 30;
    assert_null(cascade_corrector_new(&bad, shuffle, bits));
    bad = plan;
    bad.n = 60;
    assert_null(cascade_reference_new(&bad, shuffle, bits));
    bad.n = 1 << 20;
    assert_null(cascade_reference_new(&bad, shuffle, bits));
    cascade_shuffle_free(shuffle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_end_with_the_same_bits),
        cmocka_unit_test(restarted_ends_are_as_new),
        cmocka_unit_test(blocks_of_one_unit_need_no_search),
        cmocka_unit_test(long_blocks_and_foreign_shuffles_are_searched_too),
        cmocka_unit_test(the_hash_of_subsets_is_a_product_in_the_field),
        cmocka_unit_test(both_ends_count_the_same_leak_and_it_is_near_the_bound),
        cmocka_unit_test(a_wrong_guess_of_the_error_rate_costs_parities_not_errors),
        cmocka_unit_test(hopeless_frames_are_given_up),
        cmocka_unit_test(malformed_questions_disclose_nothing),
        cmocka_unit_test(an_insatiable_peer_learns_at_most_the_frame_in_parities),
        cmocka_unit_test(answers_of_the_wrong_length_are_refused),
        cmocka_unit_test(lying_answers_end),
        cmocka_unit_test(one_wrong_answer_ends_too),
        cmocka_unit_test(plans_out_of_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
