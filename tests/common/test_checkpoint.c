/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint file is as docs/checkpoint.md says, and nothing else is read. */
#include "common/checkpoint.h"
#include "common/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct blob *sample(void)
{
    double model[] = {1.0, -0.25, 0x1p-1074};
    struct checkpoint c = {.federation = "metro",
        .task = "entanglement",
        .round = 80,
        .attempt = 0x0102030405060708,
        .parameters = 3,
        .model = model};
    memset(c.run, 0xaa, sizeof(c.run));
    memset(c.digest, 0xbb, sizeof(c.digest));
    struct blob *b = checkpoint_encode(&c);
    assert_non_null(b);
    return b;
}

/* Gives the changed bytes the hash that fits them. */
static void rehash(uint8_t *bytes, size_t len)
{
    sha256(bytes + len - SHA256_BYTES, bytes, len - SHA256_BYTES);
}

static void a_model_comes_back_as_it_was_written(void **state)
{
    struct blob *b = sample();
    struct checkpoint c;
    struct err e;
    assert_int_equal(checkpoint_decode(b->data, b->len, &c, &e), 0);
    assert_string_equal(c.federation, "metro");
    assert_string_equal(c.task, "entanglement");
    assert_int_equal(c.round, 80);
    assert_true(c.attempt == 0x0102030405060708);
    assert_int_equal(c.run[15], 0xaa);
    assert_int_equal(c.digest[31], 0xbb);
    assert_int_equal(c.parameters, 3);
    assert_true(c.model[1] == -0.25 && c.model[2] == 0x1p-1074);
    struct blob *again = checkpoint_encode(&c);
    assert_int_equal(again->len, b->len);
    assert_memory_equal(again->data, b->data, b->len);
    blob_unref(again);
    checkpoint_deinit(&c);
    blob_unref(b);
}

static void every_byte_stands_where_the_document_says(void **state)
{
    struct blob *b = sample();
    const uint8_t *p = b->data;
    assert_int_equal(b->len, 288 + 8 * 3);
    assert_memory_equal(p, "QFLM\x01\0\0\0\xaa\xaa", 10);
    assert_memory_equal(p + 24, "\x50\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01\xbb", 17);
    assert_memory_equal(p + 71, "\xbb\x03\0\0\0\0\0\0\0metro\0", 15);
    assert_memory_equal(p + 144, "entanglement\0", 13);
    assert_memory_equal(p + 256, "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\xd0\xbf\x01\0\0\0\0\0\0\0", 24);
    blob_unref(b);
}

static void a_model_is_named_by_its_doubles(void **state)
{
    struct blob *b = sample();
    double model[] = {1.0, -0.25, 0x1p-1074};
    uint8_t hash[32], expected[32];
    checkpoint_model_hash(hash, model, 3);
    sha256(expected, b->data + 256, 24);
    assert_memory_equal(hash, expected, 32);
    blob_unref(b);
}

static void any_damaged_byte_is_noticed(void **state)
{
    struct blob *b = sample();
    struct checkpoint c;
    struct err e;
    for (size_t i = 0; i < b->len; i++) {
        b->data[i] ^= 0x10;
        assert_int_equal(checkpoint_decode(b->data, b->len, &c, &e), CHECKPOINT_E_REFUSED);
        assert_null(c.model);
        b->data[i] ^= 0x10;
    }
    for (size_t len = 0; len < b->len; len++)
        assert_int_equal(checkpoint_decode(b->data, len, &c, &e), CHECKPOINT_E_REFUSED);
    blob_unref(b);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t len;
        const char *sentence;
    } cases[] = {
        {0, "QFLX", 4, "not a QuNetQFL checkpoint"},
        {4, "\x02", 1, "checkpoint of version 2, this program reads 1"},
        {72, "\0\0\0", 4, "checkpoint of 0 parameters"},
        {72, "\0\0\0\x7f", 4, "checkpoint of 2130706432 parameters"},
        {72, "\x04", 1, "checkpoint of 4 parameters is 312 bytes long, must be 320"},
        {78, "\x01", 1, "checkpoint with unknown fields"},
        {255, "\x01", 1, "checkpoint with unknown fields"},
        {82, "\n", 1, "checkpoint with a name that is none"},
        {90, "x", 1, "checkpoint with a name that is none"},
        {207, "x", 1, "checkpoint with a name that is none"},
        {264, "\0\0\0\0\0\0\xf8\x7f", 8, "checkpoint: parameter 1 is not a number"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct blob *b = sample();
        struct checkpoint c;
        struct err e;
        memcpy(b->data + cases[i].at, cases[i].bytes, cases[i].len);
        rehash(b->data, b->len);
        assert_int_equal(checkpoint_decode(b->data, b->len, &c, &e), CHECKPOINT_E_REFUSED);
        assert_string_equal(e.text, cases[i].sentence);
        blob_unref(b);
    }
    struct blob *b = sample();
    struct checkpoint c;
    struct err e;
    b->data[300] ^= 1;
    assert_int_equal(checkpoint_decode(b->data, b->len, &c, &e), CHECKPOINT_E_REFUSED);
    assert_string_equal(e.text, "checkpoint is damaged: its SHA-256 does not fit");
    blob_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_comes_back_as_it_was_written),
        cmocka_unit_test(every_byte_stands_where_the_document_says),
        cmocka_unit_test(a_model_is_named_by_its_doubles),
        cmocka_unit_test(any_damaged_byte_is_noticed),
        cmocka_unit_test(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
