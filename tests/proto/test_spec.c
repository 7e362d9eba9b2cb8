/* SPDX-License-Identifier: Apache-2.0 */
/* The test vectors of proto/SPEC.md: what the code makes stands in the text. QFL_SPEC names the file. */
#include "common/checkpoint.h"
#include "common/util.h"
#include "common/words.h"
#include "proto/codec.h"
#include "proto/fed.pb-c.h"
#include "proto/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The text without white space, so that a vector may stand on several lines. */
static int load(void **state)
{
    const char *path = getenv("QFL_SPEC");
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f)
        return -1;
    char *text = calloc(1, 1 << 20), *end = text;
    for (int c; (c = getc(f)) != EOF && end < text + (1 << 20) - 1;)
        if (c != ' ' && c != '\n')
            *end++ = (char)c;
    fclose(f);
    *state = text;
    return 0;
}

static int unload(void **state)
{
    free(*state);
    return 0;
}

static void stands_in(const char *text, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char hex[1024];
    assert_true(2 * len < sizeof(hex));
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[((const uint8_t *)bytes)[i] >> 4];
        hex[2 * i + 1] = digits[((const uint8_t *)bytes)[i] & 15];
    }
    hex[2 * len] = '\0';
    if (!strstr(text, hex))
        fail_msg("SPEC.md lacks %s", hex);
}

static void the_frames(void **state)
{
    Fed__Locked locked = FED__LOCKED__INIT;
    locked.attempt = 17;
    struct blob *body = codec_pack(&locked.base);
    uint8_t frame[64] = {0, 0, 0, (uint8_t)(2 + body->len), 0, FED_LOCKED};
    memcpy(frame + 6, body->data, body->len);
    stands_in(*state, frame, 6 + body->len);
    blob_unref(body);
}

static struct quantiser quantiser(void)
{
    return (struct quantiser){.q = 5,
        .participants = 3,
        .parameters = 7,
        .chunk_words = 8,
        .clip = 1.0,
        .rounding = ROUNDING_NEAREST};
}

/* The view of three sites as the text describes it. */
static struct blob *make_view(void)
{
    static uint8_t run[16], zeros[32], hash[32], streams[3][16];
    static const char *const names[] = {"alice", "bob", "charlie"};
    View__Component component = VIEW__COMPONENT__INIT, *components[] = {&component};
    View__Member member[3], *members[3];
    View__Edge edge[3], *edges[3];
    memset(run, 0xaa, 16);
    memset(hash, 0xbb, 32);
    component.tolerance = 1;
    for (uint32_t i = 0; i < 3; i++) {
        view__member__init(&member[i]);
        member[i].site = (char *)names[i];
        member[i].samples = i < 2 ? 240 : 120;
        members[i] = &member[i];
        memset(streams[i], (int)i + 1, 16);
        view__edge__init(&edge[i]);
        edge[i].low = i / 2;
        edge[i].high = i ? 2 : 1;
        edge[i].stream = (ProtobufCBinaryData){16, streams[i]};
        edge[i].start = 1000 * i;
        edge[i].length = 55;
        edges[i] = &edge[i];
    }
    struct quantiser z = quantiser();
    View__View v = VIEW__VIEW__INIT;
    v.run = (ProtobufCBinaryData){16, run};
    v.previous = (ProtobufCBinaryData){32, zeros};
    v.model_hash = (ProtobufCBinaryData){32, hash};
    v.round = 1;
    v.attempt = 17;
    v.n_components = 1;
    v.components = components;
    v.n_members = v.n_edges = 3;
    v.members = members;
    v.edges = edges;
    v.q = z.q;
    v.words = quantiser_words(&z);
    v.parameters = z.parameters;
    v.clip = z.clip;
    v.rounding = z.rounding;
    v.canaries = QUANTISER_CANARIES_ENDS;
    v.chunk_words = z.chunk_words;
    v.weights = VIEW_WEIGHTS_SAMPLES;
    struct err e = {0};
    if (view_check(&v, &e) != 0)
        fail_msg("%s", e.text);
    return view_encode(&v);
}

static void the_view_and_its_tags(void **state)
{
    struct blob *view = make_view();
    stands_in(*state, view->data, view->len);
    uint8_t range[48], tag[16];
    for (size_t i = 0; i < sizeof(range); i++)
        range[i] = (uint8_t)(0x10 + i);
    stands_in(*state, range, 16);
    view_tag(view->data, view->len, 0, 2, range, range + 16, tag);
    stands_in(*state, tag, 16);
    view_tag(view->data, view->len, 2, 0, range, range + 32, tag);
    stands_in(*state, tag, 16);
    blob_unref(view);
}

static void the_quantiser_the_masks_and_the_sum(void **state)
{
    static const double x[] = {0.4, -0.4, 1.0, -2.0, 0.1, -0.1, 0.0};
    static const uint8_t first[] = {0xde, 0xad, 0xbe, 0xef, 0x01, 0x23, 0x45};
    static const uint8_t second[] = {0x67, 0x89, 0xab, 0xcd, 0xef, 0x0f, 0x7e};
    static const int64_t integers[] = {2, -2, 5, -5, 1, -1, 0};
    struct quantiser z = quantiser();
    uint8_t v[7], sum[7];
    int64_t got[7];
    assert_int_equal(quantiser_encode(&z, x, NULL, v, NULL), 0);
    stands_in(*state, v, sizeof(v));
    quantiser_integers(&z, v, got);
    assert_memory_equal(got, integers, sizeof(got));
    assert_int_equal(quantiser_chunk_offset(&z, 1), 5);

    const uint8_t *three[] = {v, v, v};
    words_sum(sum, three, 3, quantiser_words(&z), z.q);
    assert_int_equal(quantiser_canaries_wrong(&z, sum), 0);
    stands_in(*state, sum, sizeof(sum));

    stands_in(*state, first, sizeof(first));
    stands_in(*state, second, sizeof(second));
    words_add(v, first, quantiser_words(&z), z.q, false);
    words_add(v, second, quantiser_words(&z), z.q, true);
    stands_in(*state, v, sizeof(v));
}

static void the_hashes(void **state)
{
    static const double model[] = {1.0, -0.25, 0.0};
    uint8_t hash[32], run[16], previous[32] = {0}, base[32], next[32], round[8], attempt[8];
    checkpoint_model_hash(hash, model, 3);
    stands_in(*state, hash, 32);
    memset(run, 0xaa, 16);
    memset(base, 0xbb, 32);
    memset(next, 0xcc, 32);
    put_u64le(round, 1);
    put_u64le(attempt, 17);
    const struct sha256_part parts[] = {
        {previous, 32}, {run, 16}, {round, 8}, {attempt, 8}, {base, 32}, {next, 32}};
    sha256_parts(hash, parts, ARRAY_SIZE(parts));
    stands_in(*state, hash, 32);
}

/* A row of the text's table is "|22|READY|client|128KiB|...": each type stands there with its number. */
static void every_type_of_fed_stands_in_the_table(void **state)
{
    for (size_t i = 0; i < fed_exchange.n; i++) {
        const struct exchange_rule *rule = &fed_exchange.rules[i];
        char row[64], *p = row;
        p += sprintf(p, "|%u|", rule->type);
        for (const char *s = rule->descriptor->short_name; *s; s++) {
            bool is_new_word = s != rule->descriptor->short_name && *s >= 'A' && *s <= 'Z';
            p += sprintf(p, "%s%c", is_new_word ? "_" : "", *s & ~0x20);
        }
        sprintf(p, "|%s|", rule->from == 1 << LINK_INITIATOR ? "client" : "server");
        if (!strstr(*state, row))
            fail_msg("SPEC.md lacks the row %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames),
        cmocka_unit_test(the_view_and_its_tags),
        cmocka_unit_test(the_quantiser_the_masks_and_the_sum),
        cmocka_unit_test(the_hashes),
        cmocka_unit_test(every_type_of_fed_stands_in_the_table),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
