/* SPDX-License-Identifier: Apache-2.0 */
/* A view is accepted in one form only, and each thing wrong with it has a sentence. */
#include "common/util.h"
#include "common/words.h"
#include "proto/codec.h"
#include "proto/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Four sites, every pair joined, a model of 100 parameters in 8-bit words. */
struct sample {
    View__View view;
    View__Component component, *components[2];
    View__Member member[4], *members[4];
    View__Edge edge[6], *edges[7];
    uint8_t run[16], previous[32], model_hash[32], stream[6][16];
};

static const char *const names[] = {"alice", "bob", "charlie", "david"};

static void sample_edges(struct sample *s)
{
    size_t n = 0;
    for (uint32_t low = 0; low < 4; low++) {
        for (uint32_t high = low + 1; high < 4; high++, n++) {
            view__edge__init(&s->edge[n]);
            memset(s->stream[n], (int)n + 1, 16);
            s->edge[n].low = low;
            s->edge[n].high = high;
            s->edge[n].stream = (ProtobufCBinaryData){16, s->stream[n]};
            s->edge[n].start = 1000 * n;
            s->edge[n].length = 48 + 108;
            s->edges[n] = &s->edge[n];
        }
    }
    s->view.n_edges = n;
    s->view.edges = s->edges;
}

static int setup(void **state)
{
    struct sample *s = calloc(1, sizeof(*s));
    view__view__init(&s->view);
    view__component__init(&s->component);
    s->component.tolerance = 2;
    s->components[0] = s->components[1] = &s->component;
    s->view.n_components = 1;
    s->view.components = s->components;
    for (size_t i = 0; i < 4; i++) {
        view__member__init(&s->member[i]);
        s->member[i].site = (char *)names[i];
        s->member[i].samples = 100 + 100 * i;
        s->members[i] = &s->member[i];
    }
    s->view.n_members = 4;
    s->view.members = s->members;
    memset(s->run, 0xaa, 16);
    memset(s->model_hash, 0xbb, 32);
    s->view.run = (ProtobufCBinaryData){16, s->run};
    s->view.previous = (ProtobufCBinaryData){32, s->previous};
    s->view.model_hash = (ProtobufCBinaryData){32, s->model_hash};
    s->view.round = 3;
    s->view.attempt = 17;
    s->view.q = 8;
    s->view.parameters = 100;
    s->view.words = 108;
    s->view.chunk_words = 32;
    s->view.clip = 0.25;
    s->view.canaries = QUANTISER_CANARIES_ENDS;
    s->view.weights = VIEW_WEIGHTS_SAMPLES;
    sample_edges(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void a_view_comes_back_as_it_was_made(void **state)
{
    struct sample *s = *state;
    struct arena *a = arena_new(1024);
    struct blob *bytes = view_encode(&s->view);
    View__View *got;
    struct err e = {0};
    assert_int_equal(view_decode(bytes->data, bytes->len, a, &got, &e), 0);
    blob_unref(bytes); /* the view does not need it any more */
    assert_int_equal(got->attempt, 17);
    assert_string_equal(got->members[2]->site, "charlie");
    assert_int_equal(got->edges[5]->low, 2);
    assert_int_equal(got->edges[5]->high, 3);
    assert_memory_equal(got->edges[5]->stream.data, s->stream[5], 16);

    assert_int_equal(view_find(got, "david"), 3);
    assert_int_equal(view_find(got, "eve"), -1);
    assert_true(fabs(view_weight(got, 1) - 0.2) < 1e-15);
    struct quantiser z = view_quantiser(got);
    assert_int_equal(z.participants, 4);
    assert_int_equal(quantiser_words(&z), 108);
    struct graph g;
    assert_int_equal(view_graph(got, &g), 0);
    assert_true(graph_is_connected(&g, 3) > 0);
    graph_deinit(&g);
    arena_free(a);
}

static int decode(const uint8_t *bytes, size_t len, struct err *e)
{
    struct arena *a = arena_new(1024);
    View__View *view;
    int r = view_decode(bytes, len, a, &view, e);
    assert_int_equal(view != NULL, r == 0);
    arena_free(a);
    return r;
}

static void refused(struct sample *s, const char *sentence)
{
    struct blob *bytes = view_encode(&s->view);
    struct err e = {0};
    assert_int_equal(decode(bytes->data, bytes->len, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, sentence);
    assert_int_equal(view_check(&s->view, &e), VIEW_E_REFUSED);
    blob_unref(bytes);
}

/* Each line breaks one thing, and mends it again. */
static void each_wrong_number_has_its_sentence(void **state)
{
    struct sample *s = *state;
    View__View *v = &s->view;
#define WRONG(field, value, sentence)                                                              \
    do {                                                                                           \
        typeof(field) kept = field;                                                                \
        field = value;                                                                             \
        refused(s, sentence);                                                                      \
        field = kept;                                                                              \
    } while (0)
    WRONG(v->run.len, 15, "view: run id of 15 bytes");
    WRONG(v->round, 0, "view: round 0, attempt 17");
    WRONG(v->attempt, 0, "view: round 3, attempt 0");
    WRONG(v->previous.len, 0, "view: a hash of 0 or 32 bytes");
    WRONG(v->model_hash.len, 31, "view: a hash of 32 or 31 bytes");
    WRONG(v->n_components, 0, "view: 0 components: this version sums 1");
    WRONG(v->n_components, 2, "view: 2 components: this version sums 1");
    WRONG(v->n_members, 1, "view: 1 members");
    WRONG(s->component.tolerance, 3, "view: tolerance 3 with 4 members");
    WRONG(s->member[1].component, 1, "view: member bob is in component 1 of 1");
    WRONG(s->member[1].site, (char *)"Bob", "view: member 1 has no site name");
    WRONG(s->member[1].site, (char *)"", "view: member 1 has no site name");
    WRONG(s->member[1].site, (char *)"alice", "view: member alice is not in order");
    WRONG(s->member[3].site, (char *)"anna", "view: member anna is not in order");
    WRONG(s->member[0].samples, 0, "view: member alice has 0 samples");
    WRONG(
        s->member[0].samples, VIEW_SAMPLES_MAX + 1, "view: member alice has 8796093022209 samples");
    WRONG(v->canaries, 2, "view: canary layout 2 is unknown");
    WRONG(v->weights, 0, "view: weight rule 0 is unknown");
    WRONG(v->rounding, 2, "view: rounding 2 is unknown");
    WRONG(v->q, 3, "view: q = 3 is too small for 4 participants: the least is q = 4");
    WRONG(v->clip, NAN, "view: clip nan: must be a positive number");
    WRONG(v->clip, -1, "view: clip -1: must be a positive number");
    WRONG(v->parameters, FED_PARAMETERS_MAX + 1, "view: 67108865 parameters are too many");
    WRONG(v->parameters, 0, "view: a model without parameters");
    WRONG(v->words, 100, "view: 100 words, but 100 parameters make 108");
    WRONG(v->chunk_words, 33, "view: chunks of 33 words: must be a multiple of 8, at least 8");
    WRONG(v->chunk_words, 2 * 1024 * 1024, "view: chunks of 2097152 words are larger than a frame");
    WRONG(s->edge[0].high, 0, "view: edge 0 joins 0 and 0 of 4 members");
    WRONG(s->edge[5].high, 4, "view: edge 5 joins 2 and 4 of 4 members");
    WRONG(s->edge[1].high, 1, "view: edge 1 is not in order");
    WRONG(s->edge[3].low, 0, "view: edge 3 is not in order");
    WRONG(s->edge[2].stream.len, 8, "view: edge 2 has a stream id of 8 bytes");
    WRONG(s->edge[2].length, 155, "view: edge 2 has 155 bytes of key, 156 are needed");
    WRONG(s->edge[2].start, UINT64_MAX - 10, "view: edge 2 starts beyond every stream");
    WRONG(s->edge[2].start, (uint64_t)INT64_MAX - 155, "view: edge 2 starts beyond every stream");
#undef WRONG
    struct err e;
    assert_int_equal(view_check(v, &e), 0);
}

static void bytes_have_one_form_only(void **state)
{
    struct sample *s = *state;
    struct blob *bytes = view_encode(&s->view);
    size_t len = bytes->len;
    uint8_t *copy = malloc(len + 8);
    struct err e;
    memcpy(copy, bytes->data, len);

    /* rounding written though it is 0: legal protobuf, not canonical */
    memcpy(copy + len, "\x68\x00", 2);
    assert_int_equal(decode(copy, len + 2, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, "view: not in canonical form");
    /* a field this version does not know */
    memcpy(copy + len, "\x88\x01\x01", 3);
    assert_int_equal(decode(copy, len + 3, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, "view: has fields that this version does not know");
    /* the run again */
    memcpy(copy + len, "\x0a\x00", 2);
    assert_int_equal(decode(copy, len + 2, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, "view: malformed");
    /* the first field moved to the end */
    memmove(copy, bytes->data + 18, len - 18);
    memcpy(copy + len - 18, bytes->data, 18);
    assert_int_equal(decode(copy, len, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, "view: not in canonical form");
    for (size_t n = 0; n < len; n++)
        assert_int_equal(decode(bytes->data, n, &e), VIEW_E_REFUSED);
    free(copy);
    blob_unref(bytes);
}

/* Whatever bit flips: refused, or read as what it now says, byte for byte. */
static void a_flipped_bit_is_seen_or_refused(void **state)
{
    struct sample *s = *state;
    struct blob *bytes = view_encode(&s->view);
    struct arena *a = arena_new(4096);
    int accepted = 0;
    for (size_t bit = 0; bit < 8 * bytes->len; bit++) {
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        View__View *view;
        struct err e;
        if (view_decode(bytes->data, bytes->len, a, &view, &e) == 0) {
            struct blob *again = view_encode(view);
            assert_int_equal(again->len, bytes->len);
            assert_memory_equal(again->data, bytes->data, bytes->len);
            blob_unref(again);
            accepted++;
        }
        arena_reset(a, false);
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_in_range(accepted, 100, 8 * bytes->len - 500); /* ids and hashes may hold anything */
    arena_free(a);
    blob_unref(bytes);
}

/* K = 200 under the complete graph: 19,900 edges fit the limits and the memory budget. */
static void the_complete_view_of_two_hundred_sites_is_read(void **state)
{
    enum { K = 200, EDGES = K * (K - 1) / 2 };
    struct sample *s = *state;
    View__Member *member = calloc(K, sizeof(*member)), **members = calloc(K, sizeof(*members));
    View__Edge *edge = calloc(EDGES, sizeof(*edge)), **edges = calloc(EDGES, sizeof(*edges));
    char(*sites)[8] = calloc(K, sizeof(*sites));
    size_t n = 0;
    for (uint32_t i = 0; i < K; i++) {
        view__member__init(&member[i]);
        sites[i][0] = 'a' + (char)(i / 100);
        sites[i][1] = '0' + (char)(i / 10 % 10);
        sites[i][2] = '0' + (char)(i % 10);
        member[i].site = sites[i];
        member[i].samples = 1;
        members[i] = &member[i];
        for (uint32_t k = i + 1; k < K; k++, n++) {
            view__edge__init(&edge[n]);
            edge[n] = s->edge[0];
            edge[n].low = i;
            edge[n].high = k;
            edge[n].length = view_edge_bytes(108, 16);
            edges[n] = &edge[n];
        }
    }
    s->view.q = 16;
    s->component.tolerance = K - 2;
    s->view.n_members = K;
    s->view.members = members;
    s->view.n_edges = EDGES;
    s->view.edges = edges;
    struct blob *bytes = view_encode(&s->view);
    struct err e = {0};
    if (decode(bytes->data, bytes->len, &e) != 0)
        fail_msg("%s", e.text);
    blob_unref(bytes);
    free(member);
    free(members);
    free(edge);
    free(edges);
    free(sites);
}

static void too_many_bytes_are_not_even_read(void **state)
{
    struct err e;
    assert_int_equal(decode(NULL, FED_VIEW_BYTES_MAX + 1, &e), VIEW_E_REFUSED);
    assert_string_equal(e.text, "view: 4194305 bytes are too many");
}

static void a_tag_binds_view_direction_key_and_pad(void **state)
{
    const uint8_t *key = (const uint8_t *)"0123456789abcdef", *pad = key + 0;
    uint8_t tag[16], other[16];
    view_tag((const uint8_t *)"view", 4, 1, 2, key, pad, tag);
    view_tag((const uint8_t *)"view", 4, 1, 2, key, pad, other);
    assert_memory_equal(tag, other, 16);
    view_tag((const uint8_t *)"view", 4, 2, 1, key, pad, other);
    assert_memory_not_equal(tag, other, 16);
    view_tag((const uint8_t *)"viev", 4, 1, 2, key, pad, other);
    assert_memory_not_equal(tag, other, 16);
    view_tag((const uint8_t *)"view", 3, 1, 2, key, pad, other);
    assert_memory_not_equal(tag, other, 16);
    view_tag((const uint8_t *)"view", 4, 1, 2, (const uint8_t *)"0123456789abcdeF", pad, other);
    assert_memory_not_equal(tag, other, 16);
    uint8_t flipped[16];
    memcpy(flipped, pad, 16);
    flipped[9] ^= 0x40;
    view_tag((const uint8_t *)"view", 4, 1, 2, key, flipped, other);
    other[9] ^= 0x40;
    assert_memory_equal(tag, other, 16);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_view_comes_back_as_it_was_made),
        TEST(each_wrong_number_has_its_sentence),
        TEST(bytes_have_one_form_only),
        TEST(a_flipped_bit_is_seen_or_refused),
        TEST(the_complete_view_of_two_hundred_sites_is_read),
        TEST(too_many_bytes_are_not_even_read),
        TEST(a_tag_binds_view_direction_key_and_pad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
