/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of data files: what they take, and one sentence for everything else. */
#include "client/tasks/file.h"
#include "client/tasks/idx.h"
#include "client/tasks/npy.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

/* ---- IDX --------------------------------------------------------------------------------------- */

struct bad_file {
    const char *bytes;
    size_t len;
    const char *sentence;
};

#define BYTES(text) text, sizeof(text) - 1

static void idx_takes_images_and_labels(void **state)
{
    struct idx idx;
    struct err e;
    const char images[] = "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03"
                          "abcdef";
    assert_int_equal(idx_parse(&idx, (const uint8_t *)images, sizeof(images) - 1, &e), 0);
    assert_int_equal(idx.dimensions, 3);
    assert_int_equal(idx.shape[0] * 100 + idx.shape[1] * 10 + idx.shape[2], 213);
    assert_memory_equal(idx.values, "abcdef", 6);
    const char labels[] = "\0\0\x08\x01\0\0\0\x02xy";
    assert_int_equal(idx_parse(&idx, (const uint8_t *)labels, sizeof(labels) - 1, &e), 0);
    assert_int_equal(idx.shape[0], 2);
}

static void idx_refuses_everything_else(void **state)
{
    const struct bad_file files[] = {
        {BYTES(""), "not an IDX file"},
        {BYTES("\0\x01\x08\x01\0\0\0\x01x"), "not an IDX file"},
        {BYTES("\0\0\x0d\x01\0\0\0\x01x"), "the IDX values are of type 0x0d, not unsigned bytes"},
        {BYTES("\0\0\x08\0"), "an IDX file of 0 dimensions cannot be read"},
        {BYTES("\0\0\x08\x04\0\0\0\x01"), "an IDX file of 4 dimensions cannot be read"},
        {BYTES("\0\0\x08\x02\0\0\0\x01"), "an IDX file of 2 dimensions cannot be read"},
        {BYTES("\0\0\x08\x01\0\0\0\0"), "the IDX sizes are zero or too large"},
        {BYTES("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02x"),
            "the IDX sizes are zero or too large"},
        {BYTES("\0\0\x08\x01\0\0\0\x03xy"), "the IDX file has 2 values instead of 3"},
        {BYTES("\0\0\x08\x01\0\0\0\x01xy"), "the IDX file has 2 values instead of 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct idx idx;
        struct err e;
        const uint8_t *bytes = (const uint8_t *)files[i].bytes;
        assert_int_equal(idx_parse(&idx, bytes, files[i].len, &e), -EBADMSG);
        assert_string_equal(e.text, files[i].sentence);
    }
}

/* ---- .npy -------------------------------------------------------------------------------------- */

/* A version 1 file with this header and these values. */
static size_t make_npy(uint8_t *out, const char *header, const void *values, size_t len)
{
    size_t n = strlen(header);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)n;
    out[9] = (uint8_t)(n >> 8);
    memcpy(out + 10, header, n);
    memcpy(out + 10 + n, values, len);
    return 10 + n + len;
}

static void npy_takes_doubles_and_floats(void **state)
{
    uint8_t file[512];
    struct npy npy;
    struct err e;
    const double doubles[6] = {1, -2, 3.5, 4, 5, 6e300};
    const float floats[2] = {0.5f, -1e10f};
    size_t len = make_npy(file, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }   \n",
        doubles, sizeof(doubles));
    assert_int_equal(npy_parse(&npy, file, len, &e), 0);
    assert_int_equal(npy.dimensions, 2);
    assert_int_equal(npy.shape[0] * 10 + npy.shape[1], 23);
    assert_memory_equal(npy.values, doubles, sizeof(doubles));
    npy_deinit(&npy);
    len = make_npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", floats,
        sizeof(floats));
    assert_int_equal(npy_parse(&npy, file, len, &e), 0);
    assert_int_equal(npy.n, 2);
    assert_true(npy.values[1] == -1e10f);
    npy_deinit(&npy);
}

static void npy_refuses_everything_else(void **state)
{
    static const struct {
        const char *header, *sentence;
    } files[] = {
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }",
            "the .npy values are neither float64 nor float32"},
        {"{'fortran_order': False, 'shape': (1,), }",
            "the .npy values are neither float64 nor float32"},
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (1,), }",
            "the .npy values are not in C order"},
        {"{'descr': '<f8', 'fortran_order': False, }", "the .npy header names no shape"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
            "the .npy shape is not one that can be read"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1), }",
            "the .npy shape is not one that can be read"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 2), }",
            "the .npy shape is not one that can be read"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
            "the .npy file has 8 bytes of values instead of 16"},
    };
    uint8_t file[512];
    double value = 1;
    struct npy npy;
    struct err e;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        size_t len = make_npy(file, files[i].header, &value, sizeof(value));
        assert_int_equal(npy_parse(&npy, file, len, &e), -EBADMSG);
        assert_string_equal(e.text, files[i].sentence);
    }
    assert_int_equal(npy_parse(&npy, (const uint8_t *)"\x93NUMPX\x01\0\0\0\0\0", 12, &e), -EBADMSG);
    assert_string_equal(e.text, "not a .npy file");
    assert_int_equal(
        npy_parse(&npy, (const uint8_t *)"\x93NUMPY\x01\0\xff\x0f{}", 12, &e), -EBADMSG);
    assert_string_equal(e.text, "the .npy header is too long");
}

/* ---- whole files ------------------------------------------------------------------------------- */

static void write_gzip(const struct scratch *s, const char *name, const char *text)
{
    gzFile file = gzopen(scratch_path(s, name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), strlen(text));
    assert_int_equal(gzclose(file), Z_OK);
}

static void plain_and_gzip_files_read_alike(void **state)
{
    struct scratch s;
    struct buf file;
    struct err e;
    scratch_init(&s);
    scratch_write(&s, "plain", "some data", 0600);
    write_gzip(&s, "packed.gz", "some data");
    const char *names[] = {"plain", "packed.gz"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_read(&file, scratch_path(&s, names[i]), 9, &e), 0);
        assert_int_equal(file.len, 9);
        assert_memory_equal(file.data, "some data", 9);
        buf_deinit(&file);
        assert_int_equal(file_read(&file, scratch_path(&s, names[i]), 8, &e), -EFBIG);
        assert_non_null(strstr(e.text, ": larger than 8 bytes"));
    }
    scratch_deinit(&s);
}

static void broken_files_are_named(void **state)
{
    struct scratch s;
    struct buf file;
    struct err e;
    char text[4000];
    scratch_init(&s);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i * i % 23);
    text[sizeof(text) - 1] = 0;
    write_gzip(&s, "cut.gz", text);
    assert_int_equal(truncate(scratch_path(&s, "cut.gz"), 40), 0);
    assert_int_equal(file_read(&file, scratch_path(&s, "cut.gz"), 9999, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "cut.gz: "));
    assert_int_equal(file_read(&file, scratch_path(&s, "none"), 9999, &e), -ENOENT);
    assert_non_null(strstr(e.text, "none: No such file or directory"));
    scratch_deinit(&s);
}

static void files_are_found_plain_packed_and_in_their_folder(void **state)
{
    struct scratch s;
    struct err e;
    char path[4096], expected[128];
    scratch_init(&s);
    assert_int_equal(file_find(path, sizeof(path), NULL, "mnist", "x", &e), -ENOENT);
    assert_string_equal(e.text, "no data directory: name one with --data DIR or QFL_DATA (for x)");
    assert_int_equal(file_find(path, sizeof(path), s.path, "mnist", "x", &e), -ENOENT);
    scratch_write(&s, "x.gz", "", 0600);
    assert_int_equal(file_find(path, sizeof(path), s.path, "mnist", "x", &e), 0);
    snprintf(expected, sizeof(expected), "%s/x.gz", s.path);
    assert_string_equal(path, expected);
    scratch_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_takes_images_and_labels),
        cmocka_unit_test(idx_refuses_everything_else),
        cmocka_unit_test(npy_takes_doubles_and_floats),
        cmocka_unit_test(npy_refuses_everything_else),
        cmocka_unit_test(plain_and_gzip_files_read_alike),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(files_are_found_plain_packed_and_in_their_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
