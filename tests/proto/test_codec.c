/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may put into a frame, and what it may not. */
#include "common/util.h"
#include "proto/codec.h"
#include "proto/ctl.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/kme.h"
#include "proto/post.h"
#include "proto/qkd.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "proto/view.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = arena_new(4096);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static int unpack(struct arena *a, const ProtobufCMessageDescriptor *d, const char *body,
    size_t len, void *message)
{
    arena_reset(a, false);
    return codec_unpack(d, (const uint8_t *)body, len, a, message);
}
#define unpack_text(a, d, text, m) unpack(a, d, text, sizeof(text) - 1, m)

static void a_message_comes_back_as_it_was_packed(void **state)
{
    Fed__Setting lr = FED__SETTING__INIT, layers = FED__SETTING__INIT;
    lr.name = (char *)"lr";
    lr.value = 0.05;
    layers.name = (char *)"layers";
    layers.value = 4;
    Fed__Setting *settings[] = {&lr, &layers};
    Fed__Params params = FED__PARAMS__INIT;
    params.task = (char *)"entanglement";
    params.q = 16;
    params.clip = 0.25;
    params.n_settings = 2;
    params.settings = settings;
    Fed__Open open = FED__OPEN__INIT;
    uint8_t run[16] = {1, 2, 3};
    open.run = (ProtobufCBinaryData){sizeof(run), run};
    open.round = UINT64_MAX;
    open.params = &params;
    struct blob *body = codec_pack(&open.base);
    assert_non_null(body);

    Fed__Open *got;
    assert_int_equal(codec_unpack(&fed__open__descriptor, body->data, body->len, *state,
                         (ProtobufCMessage **)&got),
        0);
    blob_unref(body); /* the message has its own copy */
    assert_int_equal(got->run.len, 16);
    assert_memory_equal(got->run.data, run, 16);
    assert_true(got->round == UINT64_MAX);
    assert_string_equal(got->params->task, "entanglement");
    assert_string_equal(got->params->trainer, "");
    assert_true(got->params->clip == 0.25);
    assert_int_equal(got->params->n_settings, 2);
    assert_string_equal(got->params->settings[1]->name, "layers");
    assert_true(got->params->settings[0]->value == 0.05);
}

static void a_vector_decoded_in_place_lies_in_the_frame(void **state)
{
    uint8_t body[] = {0x08, 7, 0x1a, 4, 'd', 'a', 't', 'a'};
    Fed__Chunk *chunk;
    assert_int_equal(codec_unpack_in_place(&fed__chunk__descriptor, body, sizeof(body), *state,
                         (ProtobufCMessage **)&chunk),
        0);
    assert_ptr_equal(chunk->data.data, body + 4);
    assert_int_equal(chunk->data.len, 4);
}

static const struct exchange_rule *rule_of(const struct exchange *x, uint16_t type)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->rules[i].type == type)
            return &x->rules[i];
    fail();
    return NULL;
}

static void the_longest_announcement_of_eve_fits_into_its_frame(void **state)
{
    static uint8_t gaps[QKD_GAPS_MAX], set[QKD_EVENTS_MAX / 8];
    const struct exchange_rule *rule = rule_of(&qkd_exchange, QKD_EVENTS);
    char name[SITE_NAME_MAX + 1] = {0};
    Qkd__Events m = QKD__EVENTS__INIT, *got;
    memset(name, 'x', SITE_NAME_MAX);
    m.peer = name;
    m.block = (ProtobufCBinaryData){16, set};
    m.from = UINT64_MAX;
    m.count = QKD_EVENTS_MAX;
    m.gaps = (ProtobufCBinaryData){sizeof(gaps), gaps};
    m.detectors = m.bases = m.bits = (ProtobufCBinaryData){sizeof(set), set};
    struct blob *body = codec_pack(&m.base);
    assert_non_null(body);
    assert_true(body->len <= rule->max_bytes);
    assert_true(rule->max_bytes <= 256 * 1024);
    assert_int_equal(codec_unpack_in_place(rule->descriptor, body->data, body->len, *state,
                         (ProtobufCMessage **)&got),
        0);
    assert_int_equal(got->count, QKD_EVENTS_MAX);
    assert_int_equal(got->gaps.len, QKD_GAPS_MAX);
    assert_int_equal(got->bits.len, QKD_EVENTS_MAX / 8);
    blob_unref(body);
}

/* The welcome of a key pool that is paired with as many sites as a roster may have. */
static void the_longest_welcome_fits_into_its_frame(void **state)
{
    (void)state;
    static char *peers[FED_SITES_MAX];
    char name[SITE_NAME_MAX + 1] = {0};
    memset(name, 'x', SITE_NAME_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        peers[i] = name;
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = UINT32_MAX;
    m.site = name;
    m.n_peers = ARRAY_SIZE(peers);
    m.peers = peers;
    struct blob *body = codec_pack(&m.base);
    assert_non_null(body);
    assert_true(body->len <= rule_of(&vault_exchange, VAULT_WELCOME)->max_bytes);
    assert_true(body->len > EXCHANGE_HELLO_MAX);
    blob_unref(body);
}

static void an_empty_frame_is_a_message_of_defaults(void **state)
{
    Vault__LevelsGet *get;
    assert_int_equal(unpack(*state, &vault__levels_get__descriptor, NULL, 0, &get), 0);
    Fed__Hello *hello;
    assert_int_equal(unpack(*state, &fed__hello__descriptor, NULL, 0, &hello), 0);
    assert_int_equal(hello->version, 0);
    assert_int_equal(hello->n_levels, 0);
}

static void unknown_fields_are_refused_at_every_depth(void **state)
{
    void *m;
    assert_int_equal(
        unpack_text(*state, &fed__locked__descriptor, "\x08\x01\x78\x01", &m), CODEC_E_UNKNOWN);
    /* Relay{tag{field 9}} */
    assert_int_equal(
        unpack_text(*state, &fed__relay__descriptor, "\x12\x02\x48\x01", &m), CODEC_E_UNKNOWN);
}

static void each_of_these_frames_is_malformed(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *body;
        size_t len;
        const char *why;
    } cases[] = {
#define CASE(d, text, reason) {&d##__descriptor, text, sizeof(text) - 1, reason}
        CASE(fed__locked, "\x08", "a tag without value"),
        CASE(fed__locked, "\x08\x80", "a varint cut short"),
        CASE(fed__locked, "\x08\x81\x00", "a varint longer than need be"),
        CASE(fed__locked, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "65 bits"),
        CASE(fed__locked, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "eleven bytes"),
        CASE(fed__locked, "\x08\x01\x08\x01", "a field twice"),
        CASE(fed__locked, "\x00\x01", "field number 0"),
        CASE(fed__locked, "\x09\x01\x00\x00\x00\x00\x00\x00\x00", "another wire type"),
        CASE(fed__locked, "\x0b\x0c", "a group"),
        CASE(fed__chunk, "\x10\x80\x80\x80\x80\x10", "a u32 of 33 bits"),
        CASE(fed__chunk, "\x1a\x05xxxx", "a length beyond the frame"),
        CASE(fed__chunk, "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xxxx", "length 2^64-1"),
        CASE(fed__relay, "\x08\x01", "no tag in a relay"),
        CASE(fed__setting, "\x11xxxxxxx", "a double of 7 bytes"),
        CASE(fed__level, "\x28\x02", "a boolean of 2"),
        CASE(fed__tag,
            "\x0a\x05"
            "al\0ce",
            "NUL in a name"),
        CASE(fed__tag, "\x0a\x02\xc0\xaf", "overlong UTF-8"),
        CASE(fed__tag, "\x0a\x03\xed\xa0\x80", "a surrogate"),
        CASE(fed__tag, "\x0a\x04\xf4\x90\x80\x80", "beyond U+10FFFF"),
        CASE(fed__tag, "\x0a\x02\xe2\x82", "UTF-8 cut short"),
        CASE(fed__tag, "\x0a\x01\x80", "a lone continuation byte"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ProtobufCMessage *m;
        int r = unpack(*state, cases[i].descriptor, cases[i].body, cases[i].len, &m);
        if (r != CODEC_E_MALFORMED)
            fail_msg("%s: condition %d", cases[i].why, r);
        assert_null(m);
    }
}

static void names_of_every_script_pass(void **state)
{
    Fed__Tag *tag;
    assert_int_equal(unpack_text(*state, &fed__tag__descriptor,
                         "\x0a\x0a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80z", &tag),
        0);
    assert_string_equal(tag->peer, "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80z");
}

/* protobuf-c makes 60 MiB of this. */
static void a_mebibyte_of_empty_submessages_stays_within_budget(void **state)
{
    size_t len = (size_t)1024 * 1024;
    char *body = malloc(len);
    assert_non_null(body);
    for (size_t i = 0; i < len; i += 2) {
        body[i] = 0x0a;
        body[i + 1] = 0;
    }
    void *m;
    assert_int_equal(unpack(*state, &fed__levels__descriptor, body, len, &m), CODEC_E_BUDGET);
    free(body);
}

static void the_smallest_legal_entries_fit_the_budget(void **state)
{
    static uint8_t id[16];
    Fed__Tag tag = FED__TAG__INIT;
    tag.peer = (char *)"a";
    tag.tag = (ProtobufCBinaryData){sizeof(id), id};
    static Fed__Tag *tags[FED_SITES_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        tags[i] = &tag;
    Fed__Confirm confirm = FED__CONFIRM__INIT;
    confirm.n_tags = ARRAY_SIZE(tags);
    confirm.tags = tags;
    struct blob *body = codec_pack(&confirm.base);
    Fed__Confirm *got;
    assert_int_equal(codec_unpack_in_place(&fed__confirm__descriptor, body->data, body->len, *state,
                         (ProtobufCMessage **)&got),
        0);
    assert_int_equal(got->n_tags, FED_SITES_MAX);
    assert_string_equal(got->tags[FED_SITES_MAX - 1]->peer, "a");
    blob_unref(body);

    static char *peers[FED_SITES_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        peers[i] = (char *)"b";
    Vault__Welcome welcome = VAULT__WELCOME__INIT;
    welcome.n_peers = ARRAY_SIZE(peers);
    welcome.peers = peers;
    body = codec_pack(&welcome.base);
    Vault__Welcome *heard;
    assert_int_equal(codec_unpack(&vault__welcome__descriptor, body->data, body->len, *state,
                         (ProtobufCMessage **)&heard),
        0);
    assert_string_equal(heard->peers[77], "b");
    blob_unref(body);
}

static void the_arena_keeps_several_messages_until_reset(void **state)
{
    struct arena *a = *state;
    Fed__Locked *first, *second;
    for (int round = 0; round < 3; round++) {
        uint8_t one[] = {0x08, 1}, two[] = {0x08, 2};
        assert_int_equal(
            codec_unpack(&fed__locked__descriptor, one, 2, a, (ProtobufCMessage **)&first), 0);
        void *large;
        arena_budget(a, 100000);
        assert_int_equal(arena_alloc(a, 100000, 8, &large), 0);
        memset(large, 0x55, 100000);
        assert_int_equal(arena_alloc(a, 1, 1, &large), ARENA_E_BUDGET);
        assert_int_equal(
            codec_unpack(&fed__locked__descriptor, two, 2, a, (ProtobufCMessage **)&second), 0);
        assert_int_equal(first->attempt, 1);
        assert_int_equal(second->attempt, 2);
        arena_reset(a, round & 1);
    }
}

static void every_message_of_every_exchange_can_be_decoded(void **state)
{
    const struct exchange *all[] = {&fed_exchange, &vault_exchange, &pool_exchange, &kme_exchange,
        &qkd_exchange, &post_exchange, &ctl_exchange};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        for (size_t k = 0; k < all[i]->n; k++) {
            const struct exchange_rule *rule = &all[i]->rules[k];
            if (!codec_supports(rule->descriptor) || rule->type < 16 || rule->from == 0)
                fail_msg("%s: %s", all[i]->name, rule->descriptor->name);
            for (size_t j = 0; j < k; j++)
                assert_int_not_equal(all[i]->rules[j].type, rule->type);
        }
        assert_true(exchange_body_max(all[i], LINK_INITIATOR) > 0);
        assert_true(exchange_body_max(all[i], LINK_RESPONDER) > 0);
    }
    assert_true(codec_supports(&view__view__descriptor));
}

/* ---- against protobuf-c ----------------------------------------------------------------------- */

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* What we accept, protobuf-c accepts, and both have read the same. */
static bool compare_with_protobuf_c(
    struct arena *a, const ProtobufCMessageDescriptor *d, const uint8_t *body, size_t len)
{
    ProtobufCMessage *ours;
    arena_reset(a, false);
    if (codec_unpack(d, body, len, a, &ours) != 0)
        return false;
    ProtobufCMessage *theirs = protobuf_c_message_unpack(d, NULL, len, body);
    assert_non_null(theirs);
    struct blob *x = codec_pack(ours), *y = codec_pack(theirs);
    assert_int_equal(x->len, y->len);
    assert_memory_equal(x->data, y->data, x->len);
    blob_unref(x);
    blob_unref(y);
    protobuf_c_message_free_unpacked(theirs, NULL);
    return true;
}

static void mutated_frames_are_read_as_protobuf_c_reads_them_or_refused(void **state)
{
    static const uint8_t seed[] =
        "\x0a\x03run\x10\x09\x1a\x02hh\x2a\x1e\x0a\x04task\x12\x03qnn\x18\x2a"
        "\x20\x10\x42\x0d\x0a\x02lr\x11\x00\x00\x00\x00\x00\x00\xa9\x3f"
        "\x30\x07\x38\x50";
    uint64_t x = 88172645463325252u;
    uint8_t body[sizeof(seed)];
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(body, seed, sizeof(seed));
        size_t len = sizeof(seed) - 1 - next(&x) % 3 * (next(&x) % 8);
        for (uint64_t k = next(&x) % 4; k > 0; k--)
            body[next(&x) % len] = (uint8_t)next(&x);
        accepted += compare_with_protobuf_c(*state, &fed__open__descriptor, body, len);
    }
    assert_in_range(accepted, 2000, 18000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_comes_back_as_it_was_packed),
        TEST(a_vector_decoded_in_place_lies_in_the_frame),
        TEST(the_longest_announcement_of_eve_fits_into_its_frame),
        TEST(the_longest_welcome_fits_into_its_frame),
        TEST(an_empty_frame_is_a_message_of_defaults),
        TEST(unknown_fields_are_refused_at_every_depth),
        TEST(each_of_these_frames_is_malformed),
        TEST(names_of_every_script_pass),
        TEST(a_mebibyte_of_empty_submessages_stays_within_budget),
        TEST(the_smallest_legal_entries_fit_the_budget),
        TEST(the_arena_keeps_several_messages_until_reset),
        TEST(every_message_of_every_exchange_can_be_decoded),
        TEST(mutated_frames_are_read_as_protobuf_c_reads_them_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
