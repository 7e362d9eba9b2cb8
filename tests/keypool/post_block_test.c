/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of a block: one key, as long as the formula says from what was really leaked; or none, with
 * a sentence, whatever happens to what they say. */
#include "tests/keypool/post_pair.h"

#include "common/util.h"
#include "keypool/post/post_internal.h"
#include "proto/post.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_same_key(struct post_pair *p)
{
    struct post_result *a = pair_result(p, POST_LOW);
    struct post_result *b = pair_result(p, POST_HIGH);
    assert_true(a->key.len > 0 && a->key.len == ((uint64_t)a->rate.key_bits + 7) / 8);
    assert_int_equal(a->key.len, b->key.len);
    assert_memory_equal(a->key.data, b->key.data, a->key.len);
    assert_true(a->rate.key_bits == b->rate.key_bits);
}

static void assert_key(struct post_pair *p)
{
    for (unsigned side = 0; side < 2; side++)
        if (pair_result(p, side)->outcome != POST_KEY)
            fail_msg("end %u: %s", side, pair_result(p, side)->reason.text);
    assert_same_key(p);
}

static void assert_void(struct post_pair *p, enum post_outcome outcome, const char *sentence)
{
    bool said = false;
    for (unsigned side = 0; side < 2; side++) {
        struct post_result *r = pair_result(p, side);
        assert_int_equal(r->outcome, outcome);
        assert_null(r->key.data);
        said |= strstr(r->reason.text, sentence) != NULL;
    }
    if (!said)
        fail_msg("'%s' and '%s' instead of '%s'", pair_result(p, 0)->reason.text,
            pair_result(p, 1)->reason.text, sentence);
}

static void expect_void(
    const struct pair_config *c, enum post_outcome outcome, const char *sentence)
{
    struct post_pair p;
    pair_init(&p, c);
    pair_run(&p);
    assert_void(&p, outcome, sentence);
    pair_deinit(&p);
}

/* ---- key ---------------------------------------------------------------------------------------- */

static void assert_formula(struct post_pair *p, const struct post_result *r)
{
    struct keyrate_options o = p->config.post.keyrate;
    const struct keyrate_counts counts = {.mu = p->config.post.mu,
        .n = (double)r->n,
        .n_x = (double)r->n_x,
        .m_x = (double)r->errors,
        .n_y = (double)r->n_y,
        .m_y = (double)r->m_y,
        .has_leak = true,
        .leak_bits = (double)r->leak_bits};
    o.pulses = (double)p->config.clicks * 10;
    assert_true(keyrate_compute(&counts, &o).key_bits == r->rate.key_bits);
    assert_true(r->rate.key_bits >= 1);
    assert_int_equal(r->n_x + r->n_y + r->n_mismatched, r->n);
}

static void both_ends_hold_the_key_that_the_formula_allows(void **state)
{
    static const double rates[] = {0.005, 0.01, 0.02, 0.03};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        struct pair_config c = pair_large();
        struct post_pair p;
        c.e_x = c.post.e_x_expected = rates[i];
        c.salt = (uint8_t)i;
        pair_init(&p, &c);
        pair_run(&p);
        assert_key(&p);
        for (unsigned side = 0; side < 2; side++) {
            struct post_result *r = pair_result(&p, side);
            assert_formula(&p, r);
            assert_true(r->f_ec > 1 && r->f_ec < 1.08);
            assert_true(fabs(r->rate.e_x - rates[i]) < 0.1 * rates[i]);
        }
        assert_int_equal(pair_result(&p, 0)->leak_bits, pair_result(&p, 1)->leak_bits);
        assert_int_equal(pair_result(&p, 0)->trips, pair_result(&p, 1)->trips);
        pair_deinit(&p);
    }
}

static void blocks_of_many_sizes_end_with_one_key(void **state)
{
    static const uint64_t clicks[] = {3900, 4000, 4095, 4097, 8192, 12345};
    static const uint32_t frames[] = {64, 100, 512, 100000};
    for (size_t i = 0; i < ARRAY_SIZE(clicks); i++)
        for (size_t k = 0; k < ARRAY_SIZE(frames); k++) {
            struct pair_config c = pair_small();
            struct post_pair p;
            c.clicks = clicks[i];
            c.post.frame_bits = frames[k];
            c.post.window = 1 + (uint32_t)k;
            c.e_x = c.e_y = frames[k] < 512 ? 0 : 0.01;
            c.salt = (uint8_t)(i + 8 * k);
            pair_init(&p, &c);
            pair_run(&p);
            if (frames[k] >= 512)
                assert_key(&p);
            else /* such frames cost more parities than they have bits */
                assert_int_not_equal(pair_result(&p, 0)->outcome, POST_OPEN);
            pair_deinit(&p);
        }
}

static void a_block_costs_one_pad_of_low_and_two_of_high(void **state)
{
    const struct pair_config c = pair_small();
    struct post_pair p;
    pair_init(&p, &c);
    pair_run(&p);
    assert_key(&p);
    assert_int_equal(p.tags[POST_LOW], 1);
    assert_int_equal(p.tags[POST_HIGH], 2);
    pair_deinit(&p);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static void move_one(struct post_click *click, uint64_t i)
{
    if (i == 1234)
        click->position++;
}

static void other_detector(struct post_click *click, uint64_t i)
{
    click->d2 ^= i == 3999;
}

static void leave_one_out(struct post_click *click, uint64_t i)
{
    if (i == 77)
        click->position = UINT64_MAX;
}

static void different_announcements_are_seen_before_anything_is_said(void **state)
{
    struct pair_config c = pair_small();
    c.announce = move_one;
    expect_void(&c, POST_VOIDED, "the announcements differ: other positions");
    c.announce = other_detector;
    expect_void(&c, POST_VOIDED, "the announcements differ: other positions");
    c.announce = leave_one_out;
    expect_void(&c, POST_VOIDED, "the announcements differ: 4000 events here, 3999");
}

static void records_refuse_impossible_announcements(void **state)
{
    static const uint8_t key[POST_TAG_BYTES];
    const struct post_record_config config = {
        .side = POST_LOW, .pulses = 1000, .clicks_max = 3, .keys = {key, key}};
    static const struct {
        uint64_t positions[4];
        const char *sentence;
    } rows[] = {
        {{5, 5}, "event 1 was announced at pulse 5, which is not behind the one before"},
        {{5, 4}, "event 1 was announced at pulse 4, which is not behind the one before"},
        {{0, 1000}, "event 1 was announced at pulse 1000, which is not in the block"},
        {{0, UINT64_MAX}, "which is not in the block"},
        {{0, 1, 2, 3}, "more than 3 events were announced in one block"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct post_record *r;
        struct err e = {0};
        int result = 0;
        assert_int_equal(post_record_new(&r, &config), 0);
        for (size_t k = 0; k < 4 && result == 0; k++)
            result =
                post_record_add(r, &(struct post_click){.position = rows[i].positions[k]}, 1, &e);
        assert_int_equal(result, POST_E_ANNOUNCEMENT);
        assert_non_null(strstr(e.text, rows[i].sentence));
        post_record_free(r);
    }
}

static void guards_refuse_before_error_correction(void **state)
{
    struct pair_config c = pair_small();
    c.e_y = 0.46;
    expect_void(&c, POST_VOIDED, "bound on the phase error rate");
    c.e_y = 0.5;
    expect_void(&c, POST_VOIDED, "the error rate is not below one half");
    c = pair_small();
    c.e_y = 0.05;
    c.post.e_y_max = 0.03;
    expect_void(&c, POST_VOIDED, "above the limit of 3.00 %");
    c = pair_small();
    c.clicks = 100;
    expect_void(&c, POST_VOIDED, "too few events");
    c = pair_small();
    c.clicks = 400;
    expect_void(&c, POST_VOIDED, "no key whatever the errors in X");
    c = pair_small();
    c.p_y = 0.0001;
    expect_void(&c, POST_VOIDED, "too few events: none with Y-Y");
    c = pair_small();
    c.odd_y = 0.3;
    expect_void(&c, POST_VOIDED, "whoever detects prefers one");
}

static void a_noisy_raw_key_costs_no_pads(void **state)
{
    struct pair_config c = pair_small();
    struct post_pair p;
    c.e_x = 0.12;
    pair_init(&p, &c);
    pair_run(&p);
    assert_void(&p, POST_VOIDED, "");
    assert_int_equal(p.tags[POST_LOW] + p.tags[POST_HIGH], 0);
    pair_deinit(&p);
}

static void ends_that_do_not_agree_on_the_block_say_so(void **state)
{
    struct post_pair p, q;
    struct pair_config c = pair_small();
    for (unsigned i = 0; i < 3; i++) {
        struct pair_config d = pair_small();
        if (i == 0)
            d.post.block[3] = 1;
        else if (i == 1)
            d.post.keyrate.eps = 1e-3;
        pair_init(&p, &c);
        pair_init(&q, &d);
        struct post_block *other = p.end[POST_HIGH];
        unsigned taken = i == 2 ? POST_LOW : POST_HIGH;
        p.end[POST_HIGH] = q.end[taken];
        q.end[taken] = other;
        pair_run(&p);
        assert_void(&p, POST_VOIDED,
            i == 0   ? "another block"
            : i == 1 ? "the same block parameters"
                     : "same end");
        pair_deinit(&p);
        pair_deinit(&q);
    }
}

static void configurations_out_of_range_are_refused(void **state)
{
    static const uint8_t key[POST_TAG_BYTES];
    const struct post_record_config rc = {
        .side = POST_LOW, .pulses = 1000, .clicks_max = 3, .keys = {key, key}};
    for (unsigned i = 0; i < 8; i++) {
        struct post_config c = post_config_default();
        struct post_record *record;
        struct post_block *b;
        struct err e = {0};
        c.mu = i == 0 ? NAN : 0.01;
        c.keyrate.pulses = i == 1 ? 999 : 1000;
        c.share_xx = i == 2 ? 0.995 : 0.81;
        c.window = i == 3 ? 0 : 1;
        c.chunk_bytes = i == 4 ? 100 : 64;
        c.frame_bits = i == 5 ? 1 : 64;
        c.e_y_max = i == 6 ? NAN : 0.5;
        c.side = i == 7 ? POST_HIGH : POST_LOW;
        assert_int_equal(post_record_new(&record, &rc), 0);
        assert_int_equal(post_block_new(&b, &c, record, &e), -EINVAL);
        assert_non_null(strstr(e.text, "post-processing: "));
    }
}

/* ---- what the channel may do -------------------------------------------------------------------- */

static void flip_disclosed(struct post_pair *p, struct pair_message *m)
{
    bool *done = p->config.ctx;
    if (m->data[0] == POST_DISCLOSE && m->from == POST_HIGH && !*done) {
        m->data[m->len - 1] ^= 1;
        *done = true;
    }
}

static void one_flipped_disclosed_bit_is_a_wrong_tag_and_an_alarm(void **state)
{
    bool done = false;
    struct pair_config c = pair_small();
    c.channel = flip_disclosed;
    c.ctx = &done;
    expect_void(&c, POST_ALARM, "wrong transcript tag");
    assert_true(done);
}

static void damage_corrected(struct post_pair *p, enum post_side side, struct job *job)
{
    struct post_job *j = (struct post_job *)job;
    if (j->todo == post_verify && side == POST_HIGH)
        j->work->x.data[5] ^= 4;
}

static void a_residual_error_is_caught_by_verification(void **state)
{
    struct pair_config c = pair_small();
    c.job = damage_corrected;
    expect_void(&c, POST_VOIDED, "verification failed");
}

/* The announcement as one end heard it is in its tags, whatever SHA-256 is worth. */
static void damage_transcript(struct post_pair *p, struct pair_message *m)
{
    bool *done = p->config.ctx;
    if (m->data[0] == POST_NEXT && !*done) {
        /* a longer encoding of nothing: the same message, other bytes */
        *done = true;
        m->data = realloc(m->data, m->len + 2);
        assert_non_null(m->data);
        m->data[m->len++] = 0x10;
        m->data[m->len++] = 0;
    }
}

enum deed { DROP, REPLAY, SWAP, TRUNCATE, LENGTHEN, OVERSIZE, FLIP_FIRST, FLIP_SOME, EMPTY, DEEDS };

struct mischief {
    size_t at; /* message number */
    enum deed deed;
    bool done;
    bool was_last;
    struct pair_message held;
    struct rng *rng;
};

static void enlarge(struct pair_message *m, size_t len)
{
    m->data = realloc(m->data, len);
    assert_non_null(m->data);
    memset(m->data + m->len, 0, len - m->len);
    m->len = len;
}

static void misbehave(struct post_pair *p, struct pair_message *m)
{
    struct mischief *x = p->config.ctx;
    if (m->number != x->at)
        return;
    x->done = true;
    x->was_last = m->data[0] == POST_DONE || (m->data[0] == POST_TAG && m->from == POST_HIGH);
    switch (x->deed) {
    case DROP:
        free(m->data);
        m->data = NULL;
        break;
    case REPLAY:
        pair_push(p, m->from, m->data, m->len);
        break;
    case SWAP: /* comes later, if anything does */
        pair_push(p, m->from, m->data, m->len);
        free(m->data);
        m->data = NULL;
        break;
    case TRUNCATE:
        m->len = rng_below(x->rng, m->len);
        break;
    case LENGTHEN:
        enlarge(m, m->len + 1 + rng_below(x->rng, 8));
        break;
    case OVERSIZE:
        enlarge(m, POST_MESSAGE_MAX + 1);
        break;
    case FLIP_FIRST:
        m->data[0] ^= (uint8_t)(1 << rng_below(x->rng, 8));
        break;
    case FLIP_SOME:
        m->data[rng_below(x->rng, m->len)] ^= (uint8_t)(1 << rng_below(x->rng, 8));
        break;
    default:
        m->len = 0;
    }
}

/* Whatever is done to one message: never two keys that differ, never a key at both ends unless the
 * message did arrive as it was, never silence. True if there was such a message. */
static bool survives(const struct pair_config *c, struct mischief *x)
{
    struct post_pair p;
    pair_init(&p, c);
    pair_run(&p);
    struct post_result *a = pair_result(&p, POST_LOW);
    struct post_result *b = pair_result(&p, POST_HIGH);
    for (unsigned side = 0; side < 2; side++) {
        struct post_result *r = pair_result(&p, side);
        assert_int_not_equal(r->outcome, POST_OPEN);
        assert_true(r->outcome == POST_KEY || r->reason.text[0]);
        assert_true((r->outcome == POST_KEY) == (r->key.data != NULL));
    }
    bool both = a->outcome == POST_KEY && b->outcome == POST_KEY;
    if (both)
        assert_same_key(&p);
    /* Sent twice, the last word of either end does no harm; nor does a message that was late
     * while nothing else was under way. */
    if (x->done && both && x->deed != SWAP && !(x->deed == REPLAY && x->was_last))
        fail_msg("message %zu, deed %d: a key at both ends", x->at, x->deed);
    /* LOW alone may have the key, if HIGH was disturbed when it had given its tag. */
    assert_true(b->outcome != POST_KEY || a->outcome == POST_KEY);
    assert_true(a->outcome != POST_KEY || both || (x->done && p.tags[POST_HIGH] == 2));
    pair_deinit(&p);
    return x->done;
}

static void whatever_happens_to_a_message_no_key_differs(void **state)
{
    uint8_t seed[RNG_SEED_BYTES] = {4};
    struct mischief x = {.rng = rng_new(seed)};
    struct pair_config c = pair_small();
    c.channel = misbehave;
    c.ctx = &x;
    c.post.chunk_bytes = 256;
    size_t met = 0;
    for (unsigned deed = 0; deed < DEEDS; deed++) {
        bool was_there = true;
        for (size_t at = 0; was_there; at++) {
            x.at = at;
            x.deed = deed;
            x.done = x.was_last = false;
            was_there = survives(&c, &x);
            met += was_there;
        }
    }
    assert_true(met > DEEDS * 40);
    rng_free(x.rng);
}

static void a_message_in_other_words_is_refused(void **state)
{
    bool done = false;
    struct pair_config c = pair_small();
    c.channel = damage_transcript;
    c.ctx = &done;
    expect_void(&c, POST_VOIDED, "malformed");
    assert_true(done);
}

static void reflect(struct post_pair *p, struct pair_message *m)
{
    m->from = m->from == POST_LOW ? POST_HIGH : POST_LOW;
}

static void an_end_does_not_talk_to_itself(void **state)
{
    struct pair_config c = pair_small();
    c.channel = reflect;
    expect_void(&c, POST_VOIDED, "both ends say that they are the same end");
}

/* The owner gives up while a job is on its way. */
static void a_job_that_comes_back_late_is_freed(void **state)
{
    const struct pair_config c = pair_small();
    struct post_pair p;
    pair_init(&p, &c);
    const struct post_event begin = {.kind = POST_EVENT_START};
    pair_event(&p, POST_LOW, &begin);
    pair_event(&p, POST_HIGH, &begin);
    struct post_update u = {0};
    for (size_t i = 0; !u.job; i++) {
        struct post_event e = {
            .kind = POST_EVENT_MESSAGE, .message = {p.queue[i].data, p.queue[i].len}};
        if (p.queue[i].from == POST_HIGH)
            assert_int_equal(post_block_step(p.end[POST_LOW], &e, &u), 0);
        else
            pair_event(&p, POST_HIGH, &e);
    }
    struct job *job = steal(&u.job);
    post_update_deinit(&u);
    const struct post_event abandon = {.kind = POST_EVENT_ABANDON, .text = "the link is gone"};
    pair_event(&p, POST_LOW, &abandon);
    assert_string_equal(pair_result(&p, POST_LOW)->reason.text, "the link is gone");
    job->run(job);
    const struct post_event back = {.kind = POST_EVENT_JOB, .job = job};
    assert_int_equal(post_block_step(p.end[POST_LOW], &back, &u), 0);
    post_update_deinit(&u);
    pair_deinit(&p);
}

static void memory_is_stated(void **state)
{
    struct post_config c = post_config_default();
    assert_true(post_block_memory(&c, 10000000) < (size_t)120 << 20);
    assert_true(post_block_memory(&c, 210000000) < (size_t)260 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_hold_the_key_that_the_formula_allows),
        cmocka_unit_test(blocks_of_many_sizes_end_with_one_key),
        cmocka_unit_test(a_block_costs_one_pad_of_low_and_two_of_high),
        cmocka_unit_test(different_announcements_are_seen_before_anything_is_said),
        cmocka_unit_test(records_refuse_impossible_announcements),
        cmocka_unit_test(guards_refuse_before_error_correction),
        cmocka_unit_test(a_noisy_raw_key_costs_no_pads),
        cmocka_unit_test(ends_that_do_not_agree_on_the_block_say_so),
        cmocka_unit_test(configurations_out_of_range_are_refused),
        cmocka_unit_test(one_flipped_disclosed_bit_is_a_wrong_tag_and_an_alarm),
        cmocka_unit_test(a_residual_error_is_caught_by_verification),
        cmocka_unit_test(whatever_happens_to_a_message_no_key_differs),
        cmocka_unit_test(a_message_in_other_words_is_refused),
        cmocka_unit_test(an_end_does_not_talk_to_itself),
        cmocka_unit_test(a_job_that_comes_back_late_is_freed),
        cmocka_unit_test(memory_is_stated),
    };
    return cmocka_run_group_tests_name("post_block", tests, NULL, NULL);
}
