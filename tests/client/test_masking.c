/* SPDX-License-Identifier: Apache-2.0 */
/* Four participants, four vaults, one sum: what is published is exactly the sum of what was masked. */
#include "common/util.h"
#include "common/words.h"
#include "tests/client/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct federation {
    struct rig sites[RIG_SITES];
};

static void begin(struct federation *f, unsigned q, enum rounding rounding)
{
    for (size_t i = 0; i < RIG_SITES; i++) {
        struct rig *r = &f->sites[i];
        rig_init_site(r, i, rig_sites[i]);
        rig_connect_vault(r);
        rig_connect_server(r);
        r->params.q = q;
        r->params.rounding = rounding;
        rig_ready(r, 1);
        rig_plan(r, 7);
        rig_commit(r);
    }
}

/* Relays every tag to the neighbour it is for: the participants' own tags. */
static void relay(struct federation *f)
{
    for (size_t to = 0; to < RIG_SITES; to++)
        for (size_t from = 0; from < RIG_SITES; from++)
            if (from != to)
                rig_relay_tag(&f->sites[to], rig_sites[from], f->sites[from].tags[to]);
}

static void end(struct federation *f)
{
    for (size_t i = 0; i < RIG_SITES; i++)
        rig_deinit(&f->sites[i]);
}

static void sum_uploads(const struct federation *f, uint8_t *sum)
{
    struct quantiser z = rig_quantiser(&f->sites[0]);
    for (size_t i = 0; i < RIG_SITES; i++)
        for (uint32_t c = 0; c < RIG_CHUNKS; c++) {
            assert_int_equal(f->sites[i].chunk_len[c], quantiser_chunk_bytes(&z, c));
            words_add(sum + quantiser_chunk_offset(&z, c), f->sites[i].chunks[c],
                quantiser_chunk_words(&z, c), z.q, false);
        }
}

/* True if the sum is that of the clear integers. */
static bool is_sum_exact(const struct federation *f, const uint8_t *sum)
{
    struct quantiser z = rig_quantiser(&f->sites[0]);
    int64_t published[RIG_PARAMETERS];
    quantiser_integers(&z, sum, published);
    bool exact = true;
    for (size_t k = 0; k < RIG_PARAMETERS; k++) {
        int64_t expected = 0;
        for (size_t i = 0; i < RIG_SITES; i++)
            expected += f->sites[i].quantised[k];
        exact = exact && published[k] == expected;
    }
    return exact;
}

static void release(struct federation *f)
{
    for (size_t i = 0; i < RIG_SITES; i++) {
        assert_true(rig_phase(&f->sites[i], "locked"));
        rig_go(&f->sites[i], 7, 0);
    }
}

static void the_sum_is_exact_for_every_width(void **state)
{
    static const unsigned widths[] = {8, 16, 32, 6};
    (void)state;
    for (size_t w = 0; w < ARRAY_SIZE(widths); w++)
        for (int rounding = ROUNDING_STOCHASTIC; rounding <= ROUNDING_NEAREST; rounding++) {
            struct federation f;
            uint8_t sum[256] = {0};
            begin(&f, widths[w], (enum rounding)rounding);
            relay(&f);
            release(&f);
            sum_uploads(&f, sum);
            struct quantiser z = rig_quantiser(&f.sites[0]);
            assert_true(is_sum_exact(&f, sum));
            assert_int_equal(quantiser_canaries_wrong(&z, sum), 0);
            end(&f);
        }
}

/* The comparison above can fail: one vault is a byte behind the others. */
static void a_pad_out_of_step_shows_in_sum_and_canaries(void **state)
{
    struct federation f;
    uint8_t sum[256] = {0};
    (void)state;
    begin(&f, 8, ROUNDING_STOCHASTIC);
    for (uint32_t i = 0; i < f.sites[2].vault.n_ranges; i++)
        f.sites[2].vault.ranges[i].start += i == 0;
    relay(&f);
    release(&f);
    sum_uploads(&f, sum);
    struct quantiser z = rig_quantiser(&f.sites[0]);
    assert_false(is_sum_exact(&f, sum));
    assert_true(quantiser_canaries_wrong(&z, sum) > 0);
    end(&f);
}

/* Without a neighbour's pad the upload would show the integers: it must not be any partial sum. */
static void an_upload_alone_shows_none_of_its_integers(void **state)
{
    struct federation f;
    (void)state;
    begin(&f, 8, ROUNDING_STOCHASTIC);
    relay(&f);
    release(&f);
    const struct rig *r = &f.sites[1];
    struct quantiser z = rig_quantiser(r);
    uint8_t clear[256] = {0}, masked[256] = {0};
    for (uint32_t c = 0; c < RIG_CHUNKS; c++)
        memcpy(masked + quantiser_chunk_offset(&z, c), r->chunks[c], r->chunk_len[c]);
    memcpy(clear, masked, sizeof(masked));
    for (size_t i = 0; i < RIG_SITES - 1; i++) { /* takes the pads off again */
        uint8_t pad[256];
        fake_vault_bytes("bob", r->peers[i], 48, pad, sizeof(pad));
        words_add(clear, pad, quantiser_words(&z), z.q, strcmp(r->peers[i], "bob") > 0);
        assert_memory_not_equal(clear, masked, quantiser_words(&z));
    }
    int64_t found[RIG_PARAMETERS];
    quantiser_integers(&z, clear, found);
    assert_memory_equal(found, r->quantised, sizeof(found));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_exact_for_every_width),
        cmocka_unit_test(a_pad_out_of_step_shows_in_sum_and_canaries),
        cmocka_unit_test(an_upload_alone_shows_none_of_its_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
