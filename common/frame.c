/* SPDX-License-Identifier: Apache-2.0 */
#include "common/frame.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

size_t frame_header_read(const uint8_t header[FRAME_HEADER_BYTES], uint16_t *type)
{
    uint32_t length = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
                      (uint32_t)header[2] << 8 | (uint32_t)header[3];
    *type = (uint16_t)(header[4] << 8 | header[5]);
    return length < 2 ? SIZE_MAX : length - 2;
}

void frame_header_write(uint8_t header[FRAME_HEADER_BYTES], uint16_t type, size_t body_len)
{
    assert(body_len <= FRAME_BODY_MAX);
    uint32_t length = (uint32_t)body_len + 2;
    header[0] = (uint8_t)(length >> 24);
    header[1] = (uint8_t)(length >> 16);
    header[2] = (uint8_t)(length >> 8);
    header[3] = (uint8_t)length;
    header[4] = (uint8_t)(type >> 8);
    header[5] = (uint8_t)type;
}

void frame_decoder_init(struct frame_decoder *d, size_t limit, bool wipe)
{
    *d = (struct frame_decoder){.limit = limit, .wipe = wipe};
}

static void drop_body(struct frame_decoder *d)
{
    if (!d->wipe)
        free(d->body);
    else if (d->body)
        secret_wipe(d->body, d->have);
    d->body = NULL;
    d->body_len = d->have = 0;
}

void frame_decoder_deinit(struct frame_decoder *d)
{
    drop_body(d);
    secret_deinit(&d->kept);
    *d = (struct frame_decoder){0};
}

void frame_decoder_limit(struct frame_decoder *d, size_t limit)
{
    d->limit = limit;
}

size_t frame_space(const struct frame_decoder *d, uint8_t **out)
{
    *out = d->body ? d->body + d->have : NULL;
    return d->body ? d->body_len - d->have : 0;
}

/* Body length of the collected header: 0, or why it is refused. */
static int check_length(const struct frame_decoder *d, size_t body_len)
{
    if (body_len == SIZE_MAX)
        return FRAME_E_SHORT;
    return body_len > d->limit ? FRAME_E_LONG : 0;
}

static void yield(struct frame_decoder *d, uint8_t *body, size_t len, struct frame *out)
{
    out->body = body;
    out->len = len;
    d->yielded = *out;
    d->header_len = 0;
}

/* Moves input into `to`, unless it was read straight to there; the source is wiped if need be. */
static size_t take(struct frame_decoder *d, uint8_t *to, size_t wanted, uint8_t *data, size_t len)
{
    size_t n = MIN(wanted, len);
    if (n == 0 || to == data)
        return n;
    memcpy(to, data, n);
    if (d->wipe)
        secret_wipe(data, n);
    return n;
}

/* Goes on with a body that comes in pieces. */
static int collect_body(
    struct frame_decoder *d, uint8_t *data, size_t len, size_t *used, struct frame *out)
{
    size_t n = take(d, d->body + d->have, d->body_len - d->have, data, len);
    d->have += n;
    *used += n;
    if (d->have < d->body_len)
        return FRAME_MORE;
    (void)frame_header_read(d->header, &out->type);
    yield(d, d->body, d->body_len, out);
    return 0;
}

/* Memory for `len` bytes of key, kept for the frames to come. */
static uint8_t *keep(struct frame_decoder *d, size_t len)
{
    if (d->kept.len < len) {
        secret_deinit(&d->kept);
        if (secret_init(&d->kept, len) < 0)
            return NULL;
    }
    return d->kept.data;
}

static int begin_body(struct frame_decoder *d, size_t body_len)
{
    size_t len = MAX(body_len, (size_t)1);
    d->body = d->wipe ? keep(d, len) : malloc(len);
    if (!d->body)
        return -ENOMEM;
    d->body_len = body_len;
    d->have = 0;
    return 0;
}

int frame_decode(
    struct frame_decoder *d, uint8_t *data, size_t len, size_t *used, struct frame *out)
{
    assert(!d->yielded.body); /* frame_done was not called */
    *used = 0;
    if (d->body)
        return collect_body(d, data, len, used, out);
    *used = take(d, d->header + d->header_len, FRAME_HEADER_BYTES - d->header_len, data, len);
    d->header_len += *used;
    if (d->header_len < FRAME_HEADER_BYTES)
        return FRAME_MORE;
    size_t body_len = frame_header_read(d->header, &out->type);
    int r = check_length(d, body_len);
    if (r != 0)
        return r;
    if (body_len > 0 && body_len <= len - *used) {
        yield(d, data + *used, body_len, out);
        *used += body_len;
        return 0;
    }
    r = begin_body(d, body_len);
    return r < 0 ? r : collect_body(d, data + *used, len - *used, used, out);
}

void frame_done(struct frame_decoder *d)
{
    assert(d->yielded.body);
    if (d->yielded.body == d->body)
        drop_body(d);
    else if (d->wipe)
        secret_wipe(d->yielded.body, d->yielded.len);
    d->yielded = (struct frame){0};
}
