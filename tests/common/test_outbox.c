/* SPDX-License-Identifier: Apache-2.0 */
/* Frames waiting to be sent: in order, shared, wiped. And how long to wait before dialling again. */
#include "common/backoff.h"
#include "common/outbox.h"
#include "common/util.h"
#include "tests/common/faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct blob *blob_of(const char *text)
{
    struct blob *b = blob_new(strlen(text));
    assert_non_null(b);
    memcpy(b->data, text, b->len);
    return b;
}

/* Takes everything in steps of `step` bytes. */
static size_t drain(struct outbox *o, size_t step, uint8_t *out)
{
    size_t len = 0;
    while (o->bytes > 0) {
        struct iovec pieces[3];
        size_t n = outbox_peek(o, pieces, ARRAY_SIZE(pieces));
        assert_true(n > 0);
        size_t taken = 0;
        for (size_t i = 0; i < n && taken < step; i++) {
            size_t part = MIN(pieces[i].iov_len, step - taken);
            memcpy(out + len + taken, pieces[i].iov_base, part);
            taken += part;
        }
        outbox_advance(o, taken);
        len += taken;
    }
    return len;
}

static void test_the_stream_is_the_same_for_any_step(void **state)
{
    static const char expected[] = "\0\0\0\7\0\20hello"
                                   "\0\0\0\2\0\1"
                                   "\0\0\0\2\0\2"
                                   "\0\0\0\5\377\356abc";
    for (size_t step = 1; step < sizeof(expected); step++) {
        struct outbox o = {0};
        assert_int_equal(outbox_push(&o, 16, blob_of("hello"), false), 0);
        assert_int_equal(outbox_push(&o, 1, NULL, false), 0);
        assert_int_equal(outbox_push(&o, 2, blob_of(""), false), 0);
        assert_int_equal(outbox_push(&o, 0xffee, blob_of("abc"), false), 0);
        assert_int_equal(o.bytes, sizeof(expected) - 1);
        uint8_t out[100];
        assert_int_equal(drain(&o, step, out), sizeof(expected) - 1);
        assert_memory_equal(out, expected, sizeof(expected) - 1);
        assert_null(o.first);
        outbox_deinit(&o);
    }
}

static void test_a_body_for_many_is_in_memory_once(void **state)
{
    struct blob *body = blob_of("model");
    struct outbox boxes[10] = {0};
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(outbox_push(&boxes[i], 16, blob_ref(body), false), 0);
    assert_int_equal(body->refs, 11);
    for (size_t i = 0; i < 10; i++) {
        struct iovec pieces[2];
        assert_int_equal(outbox_peek(&boxes[i], pieces, 2), 2);
        assert_ptr_equal(pieces[1].iov_base, body->data);
        if (i % 2)
            outbox_advance(&boxes[i], boxes[i].bytes);
        outbox_deinit(&boxes[i]);
    }
    assert_int_equal(body->refs, 1);
    blob_unref(body);
}

static void test_secrets_are_wiped_with_their_last_owner(void **state)
{
    struct outbox a = {0};
    struct outbox b = {0};
    struct blob *pad = blob_of("0123456789");
    assert_int_equal(outbox_push(&a, 16, blob_of("open"), false), 0);
    assert_int_equal(outbox_push(&a, 17, blob_ref(pad), true), 0);
    assert_int_equal(outbox_push(&b, 17, pad, true), 0);
    assert_false(outbox_is_secret(&a, 10));
    assert_true(outbox_is_secret(&a, 11));
    (void)faults_wiped(true);
    outbox_advance(&a, a.bytes - 1);
    assert_int_equal(faults_wiped(false), 0);
    outbox_advance(&a, 1);
    assert_int_equal(faults_wiped(false), 0); /* b still needs it */
    outbox_advance(&b, 8);
    outbox_deinit(&b); /* cut short */
    assert_int_equal(faults_wiped(true), 10);
    struct blob *lost = blob_of("lost");
    faults_fail_at(1);
    assert_int_equal(outbox_push(&a, 16, lost, true), -ENOMEM); /* taken, also on error */
    assert_int_equal(faults_wiped(true), 4);
    assert_int_equal(a.bytes, 0);
    outbox_deinit(&a);
}

static void test_backoff_doubles_up_to_its_limit(void **state)
{
    struct backoff b = {.min_ms = 100, .max_ms = 5000};
    static const uint64_t longest[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (size_t i = 0; i < ARRAY_SIZE(longest); i++)
        assert_int_equal(backoff_next_ms(&b, 0), longest[i]);
    backoff_reset(&b);
    for (size_t i = 0; i < ARRAY_SIZE(longest); i++) {
        uint64_t wait = backoff_next_ms(&b, 0x123456789abcdef * (i + 1));
        assert_true(wait >= longest[i] / 2 && wait <= longest[i]);
    }
    backoff_reset(&b);
    assert_int_equal(backoff_next_ms(&b, 50), 50);
    for (int i = 0; i < 1000; i++) /* for ever */
        (void)backoff_next_ms(&b, 0);
    assert_int_equal(backoff_next_ms(&b, 0), 5000);
    b = (struct backoff){.min_ms = UINT64_MAX / 2, .max_ms = UINT64_MAX, .failures = 9};
    assert_true(backoff_next_ms(&b, 0) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_stream_is_the_same_for_any_step),
        cmocka_unit_test(test_a_body_for_many_is_in_memory_once),
        cmocka_unit_test(test_secrets_are_wiped_with_their_last_owner),
        cmocka_unit_test(test_backoff_doubles_up_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
