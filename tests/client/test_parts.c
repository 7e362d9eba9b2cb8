/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of a client: state, outbox, pads, model, edges. */
#include "client/edges.h"
#include "client/model.h"
#include "client/outbox.h"
#include "client/pads.h"
#include "client/state.h"
#include "common/util.h"
#include "common/words.h"
#include "proto/vault.h"
#include "tests/client/fake_vault.h"
#include "tests/client/plan.h"
#include "tests/sim/disk_sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- state -------------------------------------------------------------------------------------- */

static struct state some_state(void)
{
    struct state s = {.attempt = 17, .training = 9, .has_skipped = true};
    client_state_enter(&s, (const uint8_t *)"0123456789abcdef", 5);
    s.closed = 3;
    memset(s.skipped, 's', sizeof(s.skipped));
    client_state_approve(&s, (const uint8_t *)"fedcba9876543210");
    return s;
}

static void state_comes_back_as_it_was(void **unused)
{
    (void)unused;
    struct disk_sim *disk = disk_sim_new(1);
    struct state s = some_state(), back;
    assert_int_equal(client_state_load(&back, disk_sim_disk(disk), NULL), 0);
    assert_false(back.has_run);
    assert_int_equal(client_state_save(&s, disk_sim_disk(disk)), 0);
    disk_sim_crash(disk);
    assert_int_equal(client_state_load(&back, disk_sim_disk(disk), NULL), 0);
    assert_memory_equal(back.run, s.run, sizeof(s.run));
    assert_int_equal(back.round, 5);
    assert_int_equal(back.attempt, 17);
    assert_int_equal(back.training, 9);
    assert_true(back.has_skipped);
    assert_true(client_state_is_approved(&back, (const uint8_t *)"fedcba9876543210"));
    disk_sim_free(disk);
}

static void every_flipped_bit_of_the_state_is_refused(void **unused)
{
    (void)unused;
    struct disk_sim *disk = disk_sim_new(1);
    struct state s = some_state(), back;
    assert_int_equal(client_state_save(&s, disk_sim_disk(disk)), 0);
    int64_t size = disk_size(disk_sim_disk(disk), STATE_FILE);
    for (int64_t bit = 0; bit < size * 8; bit++) {
        struct err e = {0};
        assert_int_equal(disk_sim_flip(disk, STATE_FILE, (uint64_t)bit), 0);
        assert_int_equal(client_state_load(&back, disk_sim_disk(disk), &e), -EBADMSG);
        assert_int_equal(disk_sim_flip(disk, STATE_FILE, (uint64_t)bit), 0);
    }
    assert_int_equal(disk_write(disk_sim_disk(disk), STATE_FILE, (uint64_t)size, "x", 1), 0);
    assert_int_equal(client_state_load(&back, disk_sim_disk(disk), NULL), -EBADMSG);
    disk_sim_free(disk);
}

static void the_oldest_approval_makes_room(void **unused)
{
    (void)unused;
    struct state s = {0};
    uint8_t run[FED_RUN_BYTES] = {0};
    for (uint8_t i = 0; i <= STATE_RUNS_MAX; i++) {
        run[0] = i;
        client_state_approve(&s, run);
        client_state_approve(&s, run);
    }
    assert_int_equal(s.n_approved, STATE_RUNS_MAX);
    assert_true(client_state_is_approved(&s, run));
    run[0] = 1;
    assert_true(client_state_is_approved(&s, run));
    run[0] = 0;
    assert_false(client_state_is_approved(&s, run));
}

static void a_new_run_counts_rounds_anew(void **unused)
{
    (void)unused;
    struct state s = some_state();
    assert_true(client_state_is_closed(&s, (const uint8_t *)"0123456789abcdef", 3));
    assert_false(client_state_is_closed(&s, (const uint8_t *)"0123456789abcdef", 4));
    client_state_enter(&s, (const uint8_t *)"another run.....", 1);
    assert_false(client_state_is_closed(&s, (const uint8_t *)"another run.....", 1));
    assert_int_equal(s.attempt, 17);
    assert_int_equal(s.training, 9);
}

/* ---- outbox ------------------------------------------------------------------------------------- */

static const struct quantiser shape = {
    .q = 6, .participants = 4, .parameters = 20, .chunk_words = 8, .clip = 1};

static void fill_outbox(struct outbox *o)
{
    const struct outbox_label label = {.run = "run", .round = 2, .attempt = 3, .training = 4};
    assert_int_equal(client_outbox_init(o, &label, &shape), 0);
    for (uint64_t k = 0; k < quantiser_words(&shape); k++)
        words_put(client_outbox_vector(o), k, shape.q, (uint32_t)k);
}

static void an_outbox_comes_back_byte_for_byte(void **unused)
{
    (void)unused;
    struct disk_sim *disk = disk_sim_new(1);
    struct outbox o = {0}, back = {0};
    assert_int_equal(client_outbox_load(&back, disk_sim_disk(disk)), OUTBOX_E_NONE);
    fill_outbox(&o);
    assert_int_equal(client_outbox_seal(&o, disk_sim_disk(disk)), 0);
    disk_sim_crash(disk);
    assert_int_equal(client_outbox_load(&back, disk_sim_disk(disk)), 0);
    assert_int_equal(back.label.attempt, 3);
    assert_int_equal(back.label.training, 4);
    for (uint32_t c = 0; c < quantiser_chunks(&shape); c++) {
        size_t a, b;
        const uint8_t *was = client_outbox_chunk(&o, c, &a),
                      *is = client_outbox_chunk(&back, c, &b);
        assert_int_equal(a, b);
        assert_memory_equal(was, is, a);
    }
    assert_int_equal(client_outbox_erase(&back, disk_sim_disk(disk)), 0);
    client_outbox_deinit(&o);
    assert_int_equal(client_outbox_load(&back, disk_sim_disk(disk)), OUTBOX_E_NONE);
    disk_sim_free(disk);
}

static void every_flipped_bit_of_the_outbox_is_found(void **unused)
{
    (void)unused;
    struct disk_sim *disk = disk_sim_new(1);
    struct outbox o = {0}, back = {0};
    fill_outbox(&o);
    assert_int_equal(client_outbox_seal(&o, disk_sim_disk(disk)), 0);
    int64_t size = disk_size(disk_sim_disk(disk), OUTBOX_FILE);
    for (int64_t bit = 0; bit < size * 8; bit++) {
        assert_int_equal(disk_sim_flip(disk, OUTBOX_FILE, (uint64_t)bit), 0);
        assert_int_equal(client_outbox_load(&back, disk_sim_disk(disk)), OUTBOX_E_DAMAGED);
        assert_int_equal(disk_sim_flip(disk, OUTBOX_FILE, (uint64_t)bit), 0);
    }
    client_outbox_deinit(&o);
    disk_sim_free(disk);
}

/* ---- pads --------------------------------------------------------------------------------------- */

#define PAD_SITES 4

/* Words such that there is a block that is not full, whatever q is. */
static uint64_t words_of_three_blocks(unsigned q)
{
    return 2 * (uint64_t)(VAULT_TAKE_MAX / q) * 8 + 13;
}

static void take_pads(struct pads *s, const struct edges *edges, uint8_t *y)
{
    static const char *const peers[] = {"alice", "charlie", "david"};
    struct pads_request queue[PADS_WINDOW];
    size_t first = 0, n = 0;
    uint8_t *bytes = malloc(VAULT_TAKE_MAX);
    while (!pads_is_complete(s)) {
        while (n < PADS_WINDOW && pads_ask(s, &queue[(first + n) % PADS_WINDOW]))
            n++;
        assert_true(n > 0);
        struct pads_request request = queue[first++ % PADS_WINDOW];
        n--;
        assert_true(request.length <= VAULT_TAKE_MAX);
        fake_vault_bytes("bob", peers[request.range], request.offset, bytes, request.length);
        Vault__Pad pad = VAULT__PAD__INIT;
        pad.range = request.range;
        pad.offset = request.offset;
        pad.data = (ProtobufCBinaryData){request.length, bytes};
        assert_true(pads_add(s, edges, &pad, y));
        for (uint32_t i = 0; i < request.length; i++)
            assert_int_equal(bytes[i], 0);
    }
    free(bytes);
}

static void make_edges(struct edges *edges, struct plan *plan)
{
    static const char *const sites[] = {"alice", "bob", "charlie", "david"};
    static const uint64_t samples[] = {1, 1, 1, 1};
    const struct plan_terms terms = {
        .round = 1, .attempt = 1, .q = 8, .parameters = 20, .chunk_words = 8, .clip = 1};
    plan_init(plan, &terms, sites, samples, PAD_SITES, NULL);
    assert_int_equal(edges_init(edges, &plan->view, 1), 0);
}

static void blocks_over_all_edges_make_the_same_as_whole_pads(void **unused)
{
    static const unsigned widths[] = {8, 16, 32, 6, 31};
    static const char *const peers[] = {"alice", "charlie", "david"};
    (void)unused;
    struct plan plan;
    struct edges edges;
    make_edges(&edges, &plan);
    for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
        unsigned q = widths[w];
        uint64_t words = words_of_three_blocks(q), bytes = words_bytes(words, q);
        uint8_t *y = calloc(1, bytes), *expected = calloc(1, bytes), *pad = malloc(bytes);
        struct pads s;
        pads_init(&s, words, q, edges.n);
        take_pads(&s, &edges, y);
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
            fake_vault_bytes("bob", peers[i], VIEW_HEAD_BYTES, pad, bytes);
            words_add(expected, pad, words, q, strcmp(peers[i], "bob") < 0);
        }
        assert_memory_equal(y, expected, bytes);
        free(y);
        free(expected);
        free(pad);
    }
    edges_deinit(&edges);
}

static void a_pad_that_was_not_asked_for_is_wiped_and_refused(void **unused)
{
    (void)unused;
    struct plan plan;
    struct edges edges;
    struct pads s;
    struct pads_request request;
    uint8_t bytes[28], y[28] = {0}, zeros[28] = {0};
    make_edges(&edges, &plan);
    pads_init(&s, 28, 8, edges.n);
    Vault__Pad pad = VAULT__PAD__INIT;
    pad.range = UINT32_MAX;
    pad.data = (ProtobufCBinaryData){0, bytes};
    assert_false(pads_add(&s, &edges, &pad, y)); /* nothing has been asked for */
    assert_true(pads_ask(&s, &request));
    memset(bytes, 1, sizeof(bytes));
    pad.range = 1;
    pad.offset = VIEW_HEAD_BYTES;
    pad.data.len = sizeof(bytes);
    assert_false(pads_add(&s, &edges, &pad, y));
    assert_memory_equal(bytes, zeros, sizeof(bytes));
    assert_memory_equal(y, zeros, sizeof(y));
    edges_deinit(&edges);
}

/* ---- model -------------------------------------------------------------------------------------- */

struct fetch {
    struct model model;
    double values[6]; /* one more than the model has */
    uint8_t hash[SHA256_BYTES];
    struct err err;
};

static void fetch_init(struct fetch *f)
{
    *f = (struct fetch){.values = {1, 2, 3, 4, 5, 6}};
    sha256(f->hash, f->values, 5 * sizeof(double));
    assert_int_equal(client_model_init(&f->model, 5), 0);
    assert_int_equal(client_model_begin_fetch(&f->model, f->hash), 0);
}

static int add(struct fetch *f, uint32_t index, uint32_t count, size_t from, size_t len)
{
    Fed__ModelChunk m = FED__MODEL_CHUNK__INIT;
    uint8_t bytes[64] = {0};
    memcpy(bytes, (uint8_t *)f->values + from, len);
    m.model_hash = (ProtobufCBinaryData){SHA256_BYTES, f->hash};
    m.index = index;
    m.count = count;
    m.data = (ProtobufCBinaryData){len, bytes};
    return client_model_add_chunk(&f->model, &m, &f->err);
}

static void a_model_in_uneven_chunks(void **unused)
{
    struct fetch f;
    (void)unused;
    fetch_init(&f);
    assert_int_equal(add(&f, 0, 3, 0, 3), MODEL_E_MORE);
    assert_int_equal(add(&f, 1, 3, 3, 36), MODEL_E_MORE);
    assert_false(f.model.held);
    assert_int_equal(add(&f, 2, 3, 39, 1), 0);
    assert_true(client_model_is(&f.model, f.hash));
    assert_memory_equal(f.model.values, f.values, 5 * sizeof(double));
    client_model_deinit(&f.model);
}

static void model_chunks_that_do_not_fit(void **unused)
{
    static const struct {
        uint32_t index, count;
        size_t len;
        int expected;
    } rows[] = {
        {1, 2, 8, MODEL_E_SHAPE},  /* not the first */
        {0, 0, 8, MODEL_E_SHAPE},  /* of none */
        {0, 1, 0, MODEL_E_SHAPE},  /* empty */
        {0, 1, 41, MODEL_E_SHAPE}, /* too long */
        {0, 1, 39, MODEL_E_HASH},  /* too short */
    };
    (void)unused;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fetch f;
        fetch_init(&f);
        assert_int_equal(add(&f, rows[i].index, rows[i].count, 0, rows[i].len), rows[i].expected);
        assert_false(f.model.held);
        client_model_deinit(&f.model);
    }
}

/* ---- edges -------------------------------------------------------------------------------------- */

static void each_direction_has_its_own_pad(void **unused)
{
    (void)unused;
    static const char *const sites[] = {"alice", "bob", "charlie", "david"};
    struct plan plan;
    struct edges all[PAD_SITES];
    const uint8_t view[] = "any bytes";
    const char *peer;
    make_edges(&all[1], &plan);
    edges_deinit(&all[1]);
    for (uint32_t i = 0; i < PAD_SITES; i++) {
        assert_int_equal(edges_init(&all[i], &plan.view, i), 0);
        for (uint32_t k = 0; k < all[i].n; k++) {
            uint8_t head[VIEW_HEAD_BYTES];
            fake_vault_bytes(sites[i], all[i].list[k].peer, 0, head, sizeof(head));
            edges_add_head(&all[i], head);
            assert_int_equal(head[0] | head[47], 0);
        }
        edges_sign(&all[i], view, sizeof(view));
    }
    for (uint32_t to = 0; to < PAD_SITES; to++)
        for (uint32_t from = 0; from < PAD_SITES; from++)
            for (uint32_t k = 0; k < all[from].n; k++)
                if (all[from].list[k].member == to) {
                    assert_int_equal(edges_hear(&all[to], sites[from], all[from].list[k].mine), 0);
                    assert_int_equal(edges_verify(&all[to], view, sizeof(view), &peer), 0);
                }
    for (uint32_t i = 0; i < PAD_SITES; i++) {
        assert_true(edges_is_confirmed(&all[i]));
        edges_deinit(&all[i]);
    }
}

/* A tag thrown back at its maker is not the neighbour's. */
static void a_reflected_tag_is_wrong(void **unused)
{
    (void)unused;
    struct plan plan;
    struct edges edges;
    const uint8_t view[] = "any bytes";
    const char *peer = NULL;
    make_edges(&edges, &plan);
    for (uint32_t k = 0; k < edges.n; k++) {
        uint8_t head[VIEW_HEAD_BYTES];
        fake_vault_bytes("bob", edges.list[k].peer, 0, head, sizeof(head));
        edges_add_head(&edges, head);
    }
    edges_sign(&edges, view, sizeof(view));
    assert_int_equal(edges_hear(&edges, "david", edges.list[2].mine), 0);
    assert_int_equal(edges_verify(&edges, view, sizeof(view), &peer), EDGES_E_WRONG);
    assert_string_equal(peer, "david");
    assert_int_equal(edges_hear(&edges, "erin", edges.list[2].mine), EDGES_E_STRANGER);
    edges_deinit(&edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_comes_back_as_it_was),
        cmocka_unit_test(every_flipped_bit_of_the_state_is_refused),
        cmocka_unit_test(the_oldest_approval_makes_room),
        cmocka_unit_test(a_new_run_counts_rounds_anew),
        cmocka_unit_test(an_outbox_comes_back_byte_for_byte),
        cmocka_unit_test(every_flipped_bit_of_the_outbox_is_found),
        cmocka_unit_test(blocks_over_all_edges_make_the_same_as_whole_pads),
        cmocka_unit_test(a_pad_that_was_not_asked_for_is_wiped_and_refused),
        cmocka_unit_test(a_model_in_uneven_chunks),
        cmocka_unit_test(model_chunks_that_do_not_fit),
        cmocka_unit_test(each_direction_has_its_own_pad),
        cmocka_unit_test(a_reflected_tag_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
