/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded keys: both ends in step, each block offered once whatever happens, used ones gone. */
#include "keypool/qkd/key_file.h"
#include "keypool/qkd/source_file.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/need.h"

#include "common/rng.h"
#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FILE_NAME   "bob.keys"
#define BLOCK_BYTES 2000
#define BLOCKS      40
#define INBOX_MAX   8

/* One end: its source, its disk, what it was offered, what the other end has said to it. */
struct end {
    const char *site, *peer;
    struct disk_sim *disk;
    struct source *source;
    struct end *other;
    uint8_t inbox[INBOX_MAX][64];
    size_t inbox_len[INBOX_MAX];
    size_t n_inbox;
    uint32_t offers[BLOCKS]; /* how often each block was offered, over all restarts */
    int last;                /* index of the last block offered; -1: none */
    struct update u;
};

struct pair {
    struct end a, b;
};

static struct key_file recorded(void)
{
    return (struct key_file){
        .id = {1, 2, 3}, .site = {"alice", "bob"}, .block_bytes = BLOCK_BYTES, .blocks = BLOCKS};
}

static void key_of(uint64_t index, uint8_t out[BLOCK_BYTES])
{
    const uint8_t seed[RNG_SEED_BYTES] = {1, (uint8_t)index};
    struct rng *r = rng_new(seed);
    assert_non_null(r);
    rng_bytes(r, out, BLOCK_BYTES);
    rng_free(r);
}

static void record(struct disk_sim *disk, const struct key_file *f)
{
    uint8_t key[BLOCK_BYTES];
    struct err e = {{0}};
    for (uint64_t i = 0; i < f->blocks; i++) {
        key_of(i, key);
        assert_int_equal(key_file_put(disk_sim_disk(disk), FILE_NAME, f, i, key), 0);
    }
    assert_int_equal(key_file_seal(disk_sim_disk(disk), FILE_NAME, f, &e), 0);
}

static int on_block(void *owner, const struct source_block *block, struct update *u)
{
    struct end *end = owner;
    const struct key_file f = recorded();
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    uint8_t key[BLOCK_BYTES];
    for (int i = 0; i < BLOCKS; i++) {
        key_file_block_id(&f, (uint64_t)i, id);
        if (memcmp(id, block->id, sizeof(id)) != 0)
            continue;
        key_of((uint64_t)i, key);
        assert_int_equal(block->len, BLOCK_BYTES);
        assert_memory_equal(block->key, key, BLOCK_BYTES);
        assert_false(
            disk_sim_holds(end->disk, key + 600, 64)); /* overwritten before it is offered */
        assert_string_equal(block->peer, end->peer);
        end->offers[i]++;
        end->last = i;
        return 0;
    }
    fail();
    return 0;
}

static int send(void *owner, const char *peer, const void *data, size_t len, struct update *u)
{
    struct end *other = ((struct end *)owner)->other;
    assert_true(len <= sizeof(other->inbox[0]) && other->n_inbox < INBOX_MAX);
    memcpy(other->inbox[other->n_inbox], data, len);
    other->inbox_len[other->n_inbox++] = len;
    return 0;
}

static int boot(struct end *end, struct err *e)
{
    const struct source_file_config config = {
        .site = end->site, .peer = end->peer, .name = FILE_NAME, .disk = disk_sim_disk(end->disk)};
    end->last = -1;
    int r = source_file_new(&end->source, &config, e);
    if (r < 0) {
        end->source = NULL;
        return r;
    }
    end->source->on_block = on_block;
    end->source->send = send;
    end->source->owner = end;
    return 0;
}

static void must_boot(struct end *end)
{
    struct err e = {{0}};
    assert_int_equal(boot(end, &e), 0);
    end->source = need(end->source);
}

static void halt(struct end *end)
{
    if (end->source)
        end->source->ops->free(end->source);
    end->source = NULL;
    update_deinit(&end->u);
}

static void begin_seeded(struct pair *p, uint64_t seed)
{
    const struct key_file f = recorded();
    *p =
        (struct pair){.a = {.site = "alice", .peer = "bob"}, .b = {.site = "bob", .peer = "alice"}};
    p->a.other = &p->b;
    p->b.other = &p->a;
    p->a.disk = disk_sim_new(seed);
    p->b.disk = disk_sim_new(seed + 1000);
    record(p->a.disk, &f);
    record(p->b.disk, &f);
    must_boot(&p->a);
    must_boot(&p->b);
}

static void begin(struct pair *p)
{
    begin_seeded(p, 1);
}

static void finish(struct pair *p)
{
    halt(&p->a);
    halt(&p->b);
    disk_sim_free(p->a.disk);
    disk_sim_free(p->b.disk);
}

static int channel(struct end *end, bool up)
{
    end->n_inbox = 0;
    end->source = need(end->source);
    return end->source->ops->channel(end->source, end->peer, up, &end->u);
}

static void connect_both(struct pair *p)
{
    assert_int_equal(channel(&p->a, false), 0);
    assert_int_equal(channel(&p->b, false), 0);
    assert_int_equal(channel(&p->a, true), 0);
    p->b.n_inbox = 0; /* what was said before the peer's end was up is lost... */
    assert_int_equal(channel(&p->a, false), 0);
    assert_int_equal(channel(&p->b, true), 0);
    assert_int_equal(channel(&p->a, true), 0);
}

static int grant(struct end *end)
{
    return end->source->ops->grant(end->source, end->peer, 0, 0, &end->u);
}

/* Delivers what was said, oldest first, until all is quiet. */
static int deliver(struct end *end)
{
    struct err e = {{0}};
    while (end->n_inbox > 0) {
        uint8_t m[64];
        size_t len = end->inbox_len[0];
        memcpy(m, end->inbox[0], len);
        end->n_inbox--;
        memmove(end->inbox[0], end->inbox[1], end->n_inbox * sizeof(end->inbox[0]));
        memmove(&end->inbox_len[0], &end->inbox_len[1], end->n_inbox * sizeof(end->inbox_len[0]));
        int r = end->source->ops->message(end->source, end->peer, m, len, &end->u, &e);
        if (r != 0)
            return r;
    }
    return 0;
}

static void talk(struct pair *p)
{
    while (p->a.n_inbox || p->b.n_inbox) {
        assert_int_equal(deliver(&p->a), 0);
        assert_int_equal(deliver(&p->b), 0);
    }
}

static void both_grant(struct pair *p)
{
    assert_int_equal(grant(&p->a), 0);
    assert_int_equal(grant(&p->b), 0);
    talk(p);
}

/* ---- stories -------------------------------------------------------------------------------- */

static void both_ends_are_offered_the_same_blocks_in_order(void **unused)
{
    struct pair p;
    begin(&p);
    connect_both(&p);
    for (int i = 0; i < BLOCKS; i++) {
        both_grant(&p);
        assert_int_equal(p.a.last, i);
        assert_int_equal(p.b.last, i);
    }
    struct err why = {{0}};
    assert_false(p.a.source->ops->is_ready(p.a.source, "bob", &why));
    assert_string_equal(why.text, "the recorded keys are used up");
    both_grant(&p);
    for (int i = 0; i < BLOCKS; i++)
        assert_true(p.a.offers[i] == 1 && p.b.offers[i] == 1);
    finish(&p);
}

static void one_end_alone_burns_nothing(void **unused)
{
    struct pair p;
    begin(&p);
    assert_int_equal(grant(&p.a), 0);
    assert_int_equal(grant(&p.a), 0);
    connect_both(&p);
    assert_int_equal(deliver(&p.b), 0);
    assert_int_equal(p.a.last, -1);
    assert_int_equal(grant(&p.b), 0);
    talk(&p);
    assert_int_equal(p.a.last, 0);
    assert_int_equal(p.b.last, 0);
    assert_int_equal(grant(&p.b), 0);
    talk(&p);
    assert_int_equal(p.a.last, 1);
    assert_int_equal(p.b.last, 1);
    finish(&p);
}

static void grants_in_stock_are_used_one_after_the_other(void **unused)
{
    struct pair p;
    begin(&p);
    connect_both(&p);
    for (int i = 0; i < 3; i++)
        assert_int_equal(grant(&p.a), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(grant(&p.b), 0);
    talk(&p);
    assert_int_equal(p.a.last, 2);
    assert_int_equal(p.b.last, 2);
    finish(&p);
}

static void the_end_that_is_behind_jumps_and_burns_the_gap(void **unused)
{
    struct pair p;
    uint8_t key[BLOCK_BYTES];
    begin(&p);
    connect_both(&p);
    both_grant(&p);
    assert_int_equal(grant(&p.a), 0);
    assert_int_equal(grant(&p.b), 0);
    assert_int_equal(deliver(&p.a), 0); /* a has b's READY and takes block 1 */
    assert_int_equal(p.a.last, 1);
    halt(&p.b); /* b dies before it hears */
    must_boot(&p.b);
    connect_both(&p);
    both_grant(&p);
    assert_int_equal(p.a.last, 2);
    assert_int_equal(p.b.last, 2);
    assert_int_equal(p.b.offers[1], 0);
    key_of(1, key);
    assert_false(disk_sim_holds(p.b.disk, key + 600, 64));
    finish(&p);
}

/* The power goes at every single write of the first blocks, again and again. */
static void no_block_is_offered_twice_whenever_the_power_goes(void **unused)
{
    for (uint64_t cut = 1; cut <= 24; cut++) {
        struct pair p;
        begin(&p);
        for (int round = 0; round < 6; round++) {
            connect_both(&p);
            disk_sim_cut_at(p.a.disk, cut);
            int r = 0;
            for (int i = 0; r == 0 && i < 4; i++) {
                r = grant(&p.a);
                assert_int_equal(grant(&p.b), 0);
                while (r == 0 && (p.a.n_inbox || p.b.n_inbox)) {
                    assert_int_equal(deliver(&p.b), 0);
                    r = deliver(&p.a);
                }
            }
            assert_true(r == 0 || r == -EIO);
            halt(&p.a);
            disk_sim_crash(p.a.disk);
            disk_sim_cut_at(p.a.disk, 0);
            must_boot(&p.a);
        }
        for (int i = 0; i < BLOCKS; i++)
            assert_true(p.a.offers[i] <= 1 && p.b.offers[i] <= 1);
        assert_true(p.a.last == -1);
        finish(&p);
    }
}

static void what_a_crash_fell_upon_is_overwritten_at_the_next_start(void **unused)
{
    uint8_t key[BLOCK_BYTES];
    int left_over = 0;
    key_of(0, key);
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct pair p;
        begin_seeded(&p, seed);
        connect_both(&p);
        disk_sim_cut_at(p.a.disk, 2); /* the position is durable, overwriting is not */
        assert_int_equal(grant(&p.a), 0);
        assert_int_equal(grant(&p.b), 0);
        assert_int_equal(deliver(&p.a), -EIO);
        halt(&p.a);
        disk_sim_crash(p.a.disk);
        left_over += disk_sim_holds(p.a.disk, key + 600, 64);
        must_boot(&p.a);
        assert_false(disk_sim_holds(p.a.disk, key + 600, 64));
        assert_int_equal(p.a.offers[0], 0);
        finish(&p);
    }
    assert_true(left_over > 0);
}

static void an_older_copy_of_the_file_goes_on_where_it_was(void **unused)
{
    struct pair p;
    const struct key_file f = recorded();
    begin(&p);
    connect_both(&p);
    both_grant(&p);
    both_grant(&p);
    halt(&p.a);
    record(p.a.disk, &f); /* carried once more from the courier's stick */
    must_boot(&p.a);
    connect_both(&p);
    both_grant(&p);
    assert_int_equal(p.a.last, 2);
    assert_int_equal(p.a.offers[0], 1);
    finish(&p);
}

static void another_file_at_the_other_end_is_no_key(void **unused)
{
    struct pair p;
    struct key_file f = recorded();
    f.id[0] = 99;
    begin(&p);
    halt(&p.b);
    record(p.b.disk, &f);
    must_boot(&p.b);
    connect_both(&p);
    both_grant(&p);
    struct err why = {{0}};
    assert_false(p.a.source->ops->is_ready(p.a.source, "bob", &why));
    assert_string_equal(why.text, "bob has another file of recorded keys");
    assert_int_equal(p.a.last, -1);
    finish(&p);
}

static void a_peer_that_breaks_the_rules_is_named(void **unused)
{
    static const struct {
        uint8_t m[25];
        size_t len;
    } bad[] = {{{0}, 25}, {{1}, 24}, {{1}, 0}, {{1, 1, 2, 3, [17] = BLOCKS}, 25},
        {{1, 1, 2, 3, [24] = 0x80}, 25}};
    struct pair p;
    begin(&p);
    connect_both(&p);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint8_t m[25];
        struct err e = {{0}};
        memcpy(m, bad[i].m, sizeof(m));
        assert_int_equal(p.a.source->ops->message(p.a.source, "bob", m, bad[i].len, &p.a.u, &e),
            SOURCE_E_VIOLATION);
        assert_true(e.text[0]);
    }
    assert_int_equal(p.a.last, -1);
    finish(&p);
}

/* ---- the file ------------------------------------------------------------------------------- */

static void refused(struct pair *p, int code, const char *says)
{
    struct err e = {{0}};
    halt(&p->a);
    assert_int_equal(boot(&p->a, &e), code);
    assert_non_null(strstr(e.text, says));
    const struct key_file f = recorded();
    record(p->a.disk, &f);
}

static void a_file_that_is_none_is_refused_with_a_sentence(void **unused)
{
    struct pair p;
    struct key_file f = recorded();
    struct err e;
    begin(&p);
    for (uint64_t bit = 0; bit < 8 * KEY_FILE_HEADER; bit += 61) {
        assert_int_equal(disk_sim_flip(p.a.disk, FILE_NAME, bit), 0);
        refused(&p, -EBADMSG, FILE_NAME);
    }
    assert_int_equal(disk_erase(disk_sim_disk(p.a.disk), FILE_NAME), 0);
    refused(&p, -ENOENT, FILE_NAME);
    memcpy(f.site[1], "carol", 6);
    record(p.a.disk, &f);
    refused(&p, -EINVAL, "keys of alice and carol, not of alice and bob");
    assert_int_equal(disk_replace(disk_sim_disk(p.a.disk), FILE_NAME, "QFLKEYS1", 8), 0);
    refused(&p, -EBADMSG, "no file of recorded keys");
    f = recorded();
    f.blocks++;
    assert_int_equal(key_file_seal(disk_sim_disk(p.a.disk), FILE_NAME, &f, &e), 0);
    refused(&p, -EBADMSG, "not 41 blocks long");
    f = recorded();
    f.block_bytes = 0;
    assert_int_equal(key_file_seal(disk_sim_disk(p.a.disk), FILE_NAME, &f, &e), -EBADMSG);
    finish(&p);
}

static void a_damaged_position_is_never_guessed(void **unused)
{
    struct pair p;
    char name[64] = "positions/01020300000000000000000000000000";
    begin(&p);
    connect_both(&p);
    both_grant(&p);
    for (uint64_t bit = 0; bit < 8 * 64; bit += 37) {
        assert_int_equal(disk_sim_flip(p.a.disk, name, bit), 0);
        refused(&p, -EBADMSG, "carry a new file");
        assert_int_equal(disk_sim_flip(p.a.disk, name, bit), 0);
    }
    must_boot(&p.a);
    finish(&p);
}

static void a_simulated_file_says_so(void **unused)
{
    struct pair p;
    struct key_file f = recorded();
    f.simulated = true;
    begin(&p);
    assert_false(p.a.source->simulated);
    halt(&p.a);
    record(p.a.disk, &f);
    must_boot(&p.a);
    assert_true(p.a.source->simulated);
    assert_string_equal(p.a.source->name, "file");
    finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_are_offered_the_same_blocks_in_order),
        cmocka_unit_test(one_end_alone_burns_nothing),
        cmocka_unit_test(grants_in_stock_are_used_one_after_the_other),
        cmocka_unit_test(the_end_that_is_behind_jumps_and_burns_the_gap),
        cmocka_unit_test(no_block_is_offered_twice_whenever_the_power_goes),
        cmocka_unit_test(what_a_crash_fell_upon_is_overwritten_at_the_next_start),
        cmocka_unit_test(an_older_copy_of_the_file_goes_on_where_it_was),
        cmocka_unit_test(another_file_at_the_other_end_is_no_key),
        cmocka_unit_test(a_peer_that_breaks_the_rules_is_named),
        cmocka_unit_test(a_file_that_is_none_is_refused_with_a_sentence),
        cmocka_unit_test(a_damaged_position_is_never_guessed),
        cmocka_unit_test(a_simulated_file_says_so),
    };
    return cmocka_run_group_tests_name("source_file", tests, NULL, NULL);
}
