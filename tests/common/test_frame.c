/* SPDX-License-Identifier: Apache-2.0 */
/* The frame codec: every way of cutting a stream gives the same frames. */
#include "common/buf.h"
#include "common/frame.h"
#include "common/util.h"
#include "tests/common/faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void put_frame(struct buf *b, uint16_t type, const char *body, size_t len)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header_write(header, type, len);
    assert_int_equal(buf_append(b, header, sizeof(header)), 0);
    assert_int_equal(buf_append(b, body, len), 0);
}

static void put_story(struct buf *b)
{
    put_frame(b, 16, "hello", 5);
    put_frame(b, 1, "", 0);
    put_frame(b, 0xffee, "a longer body that is cut in many places", 40);
    put_frame(b, 2, "", 0);
    put_frame(b, 17, "x", 1);
}

static const char story[] = "16:hello|1:|65518:a longer body that is cut in many places|2:|17:x|";

/* Adds "type:body|" for every frame in the piece; returns the condition that ended it. */
static int tell(struct frame_decoder *d, uint8_t *data, size_t len, char *told)
{
    for (;;) {
        struct frame f;
        size_t used = SIZE_MAX;
        int r = frame_decode(d, data, len, &used, &f);
        if (r != 0) {
            assert_true(r != FRAME_MORE || used == len);
            return r;
        }
        sprintf(told + strlen(told), "%u:%.*s|", f.type, (int)f.len, (const char *)f.body);
        frame_done(d);
        data += used;
        len -= used;
    }
}

static void test_layout_is_the_documented_one(void **state)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header_write(header, 0x1234, 0x01020304);
    assert_memory_equal(header, "\x01\x02\x03\x06\x12\x34", 6);
    uint16_t type;
    assert_int_equal(frame_header_read(header, &type), 0x01020304);
    assert_int_equal(type, 0x1234);
    assert_true(frame_header_read((const uint8_t *)"\0\0\0\1\0\1", &type) == SIZE_MAX);
    assert_int_equal(frame_header_read((const uint8_t *)"\0\0\0\2\0\1", &type), 0);
}

static void test_any_cut_gives_the_same_frames(void **state)
{
    struct buf whole = {0};
    put_story(&whole);
    for (size_t step = 1; step <= whole.len; step++) {
        struct frame_decoder d;
        frame_decoder_init(&d, 100, false);
        char told[200] = "";
        for (size_t at = 0; at < whole.len; at += step) {
            uint8_t piece[200];
            size_t n = MIN(step, whole.len - at);
            memcpy(piece, whole.data + at, n);
            assert_int_equal(tell(&d, piece, n, told), FRAME_MORE);
        }
        assert_string_equal(told, story);
        frame_decoder_deinit(&d);
    }
    buf_deinit(&whole);
}

static void test_whole_frames_are_not_copied(void **state)
{
    struct buf b = {0};
    put_frame(&b, 16, "hello", 5);
    struct frame_decoder d;
    frame_decoder_init(&d, 100, false);
    struct frame f;
    size_t used;
    faults_fail_at(1); /* any allocation would fail */
    assert_int_equal(frame_decode(&d, b.data, b.len, &used, &f), 0);
    faults_fail_at(0);
    assert_ptr_equal(f.body, b.data + FRAME_HEADER_BYTES);
    frame_done(&d);
    frame_decoder_deinit(&d);
    buf_deinit(&b);
}

static void test_bytes_read_to_their_place_are_not_copied(void **state)
{
    struct buf b = {0};
    put_frame(&b, 16, "0123456789", 10);
    struct frame_decoder d;
    frame_decoder_init(&d, 100, false);
    char told[50] = "";
    uint8_t *space;
    assert_int_equal(frame_space(&d, &space), 0);
    assert_int_equal(tell(&d, b.data, FRAME_HEADER_BYTES + 3, told), FRAME_MORE);
    assert_int_equal(frame_space(&d, &space), 7);
    memcpy(space, "3456", 4);
    assert_int_equal(tell(&d, space, 4, told), FRAME_MORE);
    assert_int_equal(frame_space(&d, &space), 3);
    memcpy(space, "789", 3);
    assert_int_equal(tell(&d, space, 3, told), FRAME_MORE);
    assert_string_equal(told, "16:0123456789|");
    assert_int_equal(frame_space(&d, &space), 0);
    frame_decoder_deinit(&d);
    buf_deinit(&b);
}

static void test_length_is_checked_before_memory_is_taken(void **state)
{
    struct frame_decoder d;
    struct frame f;
    size_t used;
    uint8_t longer[] = {0, 0, 0, 2 + 101, 0, 16};
    frame_decoder_init(&d, 100, false);
    faults_fail_at(1);
    assert_int_equal(frame_decode(&d, longer, sizeof(longer), &used, &f), FRAME_E_LONG);
    uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 16};
    frame_decoder_init(&d, 100, false);
    assert_int_equal(frame_decode(&d, huge, sizeof(huge), &used, &f), FRAME_E_LONG);
    uint8_t shorter[] = {0, 0, 0, 1, 0, 16};
    frame_decoder_init(&d, 100, false);
    assert_int_equal(frame_decode(&d, shorter, sizeof(shorter), &used, &f), FRAME_E_SHORT);
    assert_false(faults_fired());
    uint8_t exact[] = {0, 0, 0, 2 + 100, 0, 16};
    frame_decoder_init(&d, 100, false);
    assert_int_equal(frame_decode(&d, exact, sizeof(exact), &used, &f), -ENOMEM);
    assert_true(faults_fired());
    frame_decoder_deinit(&d);
}

static void test_limit_counts_for_the_next_frame(void **state)
{
    struct buf b = {0};
    put_frame(&b, 16, "0123456789", 10);
    struct frame_decoder d;
    frame_decoder_init(&d, 5, false);
    char told[50] = "";
    frame_decoder_limit(&d, 10);
    assert_int_equal(tell(&d, b.data, 8, told), FRAME_MORE);
    frame_decoder_limit(&d, 5); /* too late for this one */
    assert_int_equal(tell(&d, b.data + 8, b.len - 8, told), FRAME_MORE);
    assert_string_equal(told, "16:0123456789|");
    assert_int_equal(tell(&d, b.data, b.len, told), FRAME_E_LONG);
    frame_decoder_deinit(&d);
    buf_deinit(&b);
}

/* Whatever the cuts, every byte of every body is overwritten at its source, and in the decoder. */
static void test_bodies_are_wiped(void **state)
{
    struct buf whole = {0};
    put_story(&whole);
    const size_t bodies = 5 + 40 + 1;
    for (size_t step = 1; step <= whole.len; step++) {
        struct frame_decoder d;
        frame_decoder_init(&d, 100, true);
        char told[200] = "";
        (void)faults_wiped(true);
        for (size_t at = 0; at < whole.len; at += step) {
            uint8_t piece[200];
            size_t n = MIN(step, whole.len - at);
            memcpy(piece, whole.data + at, n);
            assert_int_equal(tell(&d, piece, n, told), FRAME_MORE);
            for (size_t i = 0; i < n; i++) /* only headers are left */
                assert_false(strchr("abcdeghilmnoprtuy", piece[i]) && piece[i]);
        }
        assert_string_equal(told, story);
        assert_true(faults_wiped(true) >= bodies);
        frame_decoder_deinit(&d);
    }
    struct frame_decoder d;
    frame_decoder_init(&d, 100, true);
    char told[50] = "";
    assert_int_equal(tell(&d, whole.data, 10, told), FRAME_MORE);
    (void)faults_wiped(true);
    frame_decoder_deinit(&d); /* in the middle of a body */
    assert_int_equal(faults_wiped(true), 4);
    buf_deinit(&whole);
}

/* Key that comes in pieces is collected in one place, which is not swapped. */
static void test_key_is_collected_in_one_piece_of_memory(void **state)
{
    struct frame_decoder d;
    frame_decoder_init(&d, 100, true);
    const uint8_t *first = NULL;
    for (uint8_t len = 40; len > 0; len -= 10) {
        uint8_t bytes[FRAME_HEADER_BYTES + 40];
        struct frame frame;
        size_t used;
        size_t n = FRAME_HEADER_BYTES + len;
        memset(bytes, 'k', sizeof(bytes));
        frame_header_write(bytes, 1, len);
        assert_int_equal(frame_decode(&d, bytes, n - 1, &used, &frame), FRAME_MORE);
        assert_int_equal(frame_decode(&d, bytes + n - 1, 1, &used, &frame), 0);
        first = first ? first : frame.body;
        assert_ptr_equal(frame.body, first);
        frame_done(&d);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(first[i], 0);
    }
    assert_ptr_equal(d.kept.data, first);
    frame_decoder_deinit(&d);
}

static void test_every_failed_allocation_is_reported(void **state)
{
    struct buf whole = {0};
    put_story(&whole);
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        struct frame_decoder d;
        frame_decoder_init(&d, 100, false);
        char told[200] = "";
        int r = FRAME_MORE;
        faults_fail_at(n);
        for (size_t at = 0; at < whole.len && r == FRAME_MORE; at++) {
            uint8_t byte = whole.data[at];
            r = tell(&d, &byte, 1, told);
        }
        bool fired = faults_fired();
        faults_fail_at(0);
        frame_decoder_deinit(&d);
        assert_int_equal(r, fired ? -ENOMEM : FRAME_MORE);
        if (!fired)
            break;
        failures++;
    }
    assert_int_equal(failures, 5); /* one per frame */
    buf_deinit(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_is_the_documented_one),
        cmocka_unit_test(test_any_cut_gives_the_same_frames),
        cmocka_unit_test(test_whole_frames_are_not_copied),
        cmocka_unit_test(test_bytes_read_to_their_place_are_not_copied),
        cmocka_unit_test(test_length_is_checked_before_memory_is_taken),
        cmocka_unit_test(test_limit_counts_for_the_next_frame),
        cmocka_unit_test(test_bodies_are_wiped),
        cmocka_unit_test(test_key_is_collected_in_one_piece_of_memory),
        cmocka_unit_test(test_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
