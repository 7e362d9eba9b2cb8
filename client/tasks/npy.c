/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/npy.h"

#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define NPY_HEADER_MAX 4096

/* Finds the header's text and the values behind it. */
static int split_file(
    const uint8_t *data, size_t len, char header[NPY_HEADER_MAX + 1], size_t *values, struct err *e)
{
    if (len < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        return err_set(e, -EBADMSG, "not a .npy file");
    if (data[6] < 1 || data[6] > 3)
        return err_set(e, -EBADMSG, ".npy version %u is not known", data[6]);
    size_t start = data[6] == 1 ? 10 : 12;
    size_t size = data[6] == 1 ? (size_t)data[8] | (size_t)data[9] << 8 : get_u32le(data + 8);
    if (size > NPY_HEADER_MAX || size > len - start)
        return err_set(e, -EBADMSG, "the .npy header is too long");
    memcpy(header, data + start, size);
    header[size] = 0;
    *values = start + size;
    return 0;
}

/* The text after `'key':`. */
static const char *find_key(const char *header, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof(quoted), "'%s':", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    while (*at == ' ')
        at++;
    return at;
}

static int parse_shape(struct npy *out, const char *at, struct err *e)
{
    uint64_t n = 1;
    if (!at || *at++ != '(')
        return err_set(e, -EBADMSG, "the .npy header names no shape");
    while (*at && *at != ')') {
        char *end;
        uint64_t side = strtoull(at, &end, 10);
        if (!isdigit((unsigned char)*at) || out->dimensions == NPY_DIMENSIONS_MAX || side == 0 ||
            side > UINT32_MAX / n)
            return err_set(e, -EBADMSG, "the .npy shape is not one that can be read");
        out->shape[out->dimensions++] = side;
        n *= side;
        at = end + strspn(end, ", ");
    }
    out->n = n;
    return 0;
}

static int copy_values(
    struct npy *out, const uint8_t *data, size_t len, bool is_double, struct err *e)
{
    size_t width = is_double ? sizeof(double) : sizeof(float);
    if (len != out->n * width)
        return err_set(e, -EBADMSG, "the .npy file has %zu bytes of values instead of %" PRIu64,
            len, out->n * width);
    out->values = calloc(out->n, sizeof(double));
    if (!out->values)
        return err_set(e, -ENOMEM, "no memory for %" PRIu64 " values", out->n);
    for (uint64_t i = 0; i < out->n; i++) {
        if (is_double) {
            uint64_t bits = get_u64le(data + i * width);
            memcpy(&out->values[i], &bits, sizeof(bits));
        } else {
            uint32_t bits = get_u32le(data + i * width);
            float value;
            memcpy(&value, &bits, sizeof(bits));
            out->values[i] = value;
        }
    }
    return 0;
}

int npy_parse(struct npy *out, const uint8_t *data, size_t len, struct err *e)
{
    char header[NPY_HEADER_MAX + 1];
    size_t values = 0;
    *out = (struct npy){0};
    int r = split_file(data, len, header, &values, e);
    if (r < 0)
        return r;
    const char *type = find_key(header, "descr"), *order = find_key(header, "fortran_order");
    bool is_double = type && strncmp(type, "'<f8'", 5) == 0;
    if (!is_double && !(type && strncmp(type, "'<f4'", 5) == 0))
        return err_set(e, -EBADMSG, "the .npy values are neither float64 nor float32");
    if (!order || strncmp(order, "False", 5) != 0)
        return err_set(e, -EBADMSG, "the .npy values are not in C order");
    r = parse_shape(out, find_key(header, "shape"), e);
    return r < 0 ? r : copy_values(out, data + values, len - values, is_double, e);
}

void npy_deinit(struct npy *n)
{
    free(n->values);
    memset(n, 0, sizeof(*n));
}
