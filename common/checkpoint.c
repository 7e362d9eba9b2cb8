/* SPDX-License-Identifier: Apache-2.0 */
#include "common/checkpoint.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(double) == 8,
    "models are written and hashed as they stand in memory");

static const char magic[4] = {'Q', 'F', 'L', 'M'};

/* Offsets in the header; what is not named is zero. */
enum {
    AT_VERSION = 4,
    AT_RUN = 8,
    AT_ROUND = 24,
    AT_ATTEMPT = 32,
    AT_DIGEST = 40,
    AT_PARAMETERS = 72,
    AT_ZEROS = 76,
    AT_FEDERATION = 80,
    AT_TASK = 144,
    AT_MORE_ZEROS = 208,
};

void checkpoint_deinit(struct checkpoint *c)
{
    free(c->model);
    *c = (struct checkpoint){0};
}

void checkpoint_model_hash(uint8_t out[SHA256_BYTES], const double *model, uint32_t parameters)
{
    sha256(out, model, (size_t)parameters * sizeof(double));
}

/* ---- encoding ---------------------------------------------------------------------------------- */

static size_t file_bytes(uint32_t parameters)
{
    return CHECKPOINT_HEADER_BYTES + (size_t)parameters * 8 + SHA256_BYTES;
}

struct blob *checkpoint_encode(const struct checkpoint *c)
{
    assert(c->parameters > 0 && c->parameters <= CHECKPOINT_PARAMETERS_MAX);
    struct blob *b = blob_new(file_bytes(c->parameters));
    if (!b)
        return NULL;
    uint8_t *p = b->data;
    memset(p, 0, CHECKPOINT_HEADER_BYTES);
    memcpy(p, magic, sizeof(magic));
    put_u32le(p + AT_VERSION, CHECKPOINT_VERSION);
    memcpy(p + AT_RUN, c->run, CHECKPOINT_RUN_BYTES);
    put_u64le(p + AT_ROUND, c->round);
    put_u64le(p + AT_ATTEMPT, c->attempt);
    memcpy(p + AT_DIGEST, c->digest, SHA256_BYTES);
    put_u32le(p + AT_PARAMETERS, c->parameters);
    memcpy(p + AT_FEDERATION, c->federation, strnlen(c->federation, SITE_NAME_MAX));
    memcpy(p + AT_TASK, c->task, strnlen(c->task, CHECKPOINT_TASK_MAX));
    memcpy(p + CHECKPOINT_HEADER_BYTES, c->model, (size_t)c->parameters * sizeof(double));
    sha256(p + b->len - SHA256_BYTES, p, b->len - SHA256_BYTES);
    return b;
}

/* ---- decoding ---------------------------------------------------------------------------------- */

static int check_frame(const uint8_t *bytes, size_t len, struct err *e)
{
    if (len < CHECKPOINT_HEADER_BYTES + SHA256_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
        return err_set(e, CHECKPOINT_E_REFUSED, "not a QuNetQFL checkpoint");
    uint32_t version = get_u32le(bytes + AT_VERSION), n = get_u32le(bytes + AT_PARAMETERS);
    if (version != CHECKPOINT_VERSION)
        return err_set(e, CHECKPOINT_E_REFUSED,
            "checkpoint of version %" PRIu32 ", this program reads %d", version,
            CHECKPOINT_VERSION);
    if (n == 0 || n > CHECKPOINT_PARAMETERS_MAX)
        return err_set(e, CHECKPOINT_E_REFUSED, "checkpoint of %" PRIu32 " parameters", n);
    if (len != file_bytes(n))
        return err_set(e, CHECKPOINT_E_REFUSED,
            "checkpoint of %" PRIu32 " parameters is %zu bytes long, must be %zu", n, len,
            file_bytes(n));
    uint8_t expected[SHA256_BYTES];
    sha256(expected, bytes, len - SHA256_BYTES);
    if (memcmp(bytes + len - SHA256_BYTES, expected, SHA256_BYTES) != 0)
        return err_set(e, CHECKPOINT_E_REFUSED, "checkpoint is damaged: its SHA-256 does not fit");
    return 0;
}

static bool are_zeros(const uint8_t *p, size_t len)
{
    while (len > 0)
        if (p[--len] != 0)
            return false;
    return true;
}

/* A name of printable ASCII, filled up with zeros. */
static bool take_name(const uint8_t *from, size_t size, char *out)
{
    size_t len = strnlen((const char *)from, size);
    for (size_t i = 0; i < len; i++)
        if (from[i] < 0x20 || from[i] > 0x7e)
            return false;
    if (len == size || !are_zeros(from + len, size - len))
        return false;
    memcpy(out, from, size);
    return true;
}

static int read_header(const uint8_t *p, struct checkpoint *out, struct err *e)
{
    memcpy(out->run, p + AT_RUN, CHECKPOINT_RUN_BYTES);
    memcpy(out->digest, p + AT_DIGEST, SHA256_BYTES);
    out->round = get_u64le(p + AT_ROUND);
    out->attempt = get_u64le(p + AT_ATTEMPT);
    out->parameters = get_u32le(p + AT_PARAMETERS);
    if (!take_name(p + AT_FEDERATION, sizeof(out->federation), out->federation) ||
        !take_name(p + AT_TASK, sizeof(out->task), out->task))
        return err_set(e, CHECKPOINT_E_REFUSED, "checkpoint with a name that is none");
    if (!are_zeros(p + AT_ZEROS, AT_FEDERATION - AT_ZEROS) ||
        !are_zeros(p + AT_MORE_ZEROS, CHECKPOINT_HEADER_BYTES - AT_MORE_ZEROS))
        return err_set(e, CHECKPOINT_E_REFUSED, "checkpoint with unknown fields");
    return 0;
}

static int read_model(const uint8_t *p, struct checkpoint *out, struct err *e)
{
    size_t len = (size_t)out->parameters * sizeof(double);
    out->model = malloc(len);
    if (!out->model)
        return err_set(e, -ENOMEM, "no memory for %" PRIu32 " parameters", out->parameters);
    memcpy(out->model, p, len);
    for (uint32_t k = 0; k < out->parameters; k++)
        if (!isfinite(out->model[k]))
            return err_set(
                e, CHECKPOINT_E_REFUSED, "checkpoint: parameter %" PRIu32 " is not a number", k);
    return 0;
}

int checkpoint_decode(const uint8_t *bytes, size_t len, struct checkpoint *out, struct err *e)
{
    *out = (struct checkpoint){0};
    int r = check_frame(bytes, len, e);
    r = r ? r : read_header(bytes, out, e);
    r = r ? r : read_model(bytes + CHECKPOINT_HEADER_BYTES, out, e);
    if (r != 0)
        checkpoint_deinit(out);
    return r;
}
