/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/mdi/mdi_intake.h"

#include "common/util.h"
#include "keypool/post/post_block.h"
#include "proto/kme.h"

#include <inttypes.h>
#include <math.h>

#define BATCH        256
#define VARINT_BYTES 10
#define DEVIATIONS   10
#define GAIN_MARGIN  1.25
#define DARK_GAIN    1e-5 /* more than dark counts may add */
#define SPARE        1000

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned i = 0; i < VARINT_BYTES && *at < end; i++) {
        uint8_t byte = *(*at)++;
        if (i == VARINT_BYTES - 1 && byte > 1)
            return false;
        *v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool bit_at(ProtobufCBinaryData bits, uint64_t i)
{
    return bits.data[i / 8] >> (i % 8) & 1;
}

/* A gap of 0 is a position that was there before, and one beyond all numbers is no pulse of any block: the
 * record refuses both. */
static uint64_t move(uint64_t position, uint64_t gap)
{
    if (position == MDI_NO_POSITION)
        return gap - 1;
    return gap > UINT64_MAX - position ? UINT64_MAX : position + gap;
}

static bool has_form(const struct post_record *r, const Qkd__Events *m)
{
    size_t bytes = ((size_t)m->count + 7) / 8;
    return m->count > 0 && m->count <= QKD_EVENTS_MAX && m->from == post_record_clicks(r) &&
           m->detectors.len == bytes && m->bases.len == bytes && m->bits.len == bytes;
}

int mdi_intake(struct post_record *r, const Qkd__Events *m, uint64_t *position, struct err *e)
{
    const uint8_t *at = m->gaps.data;
    const uint8_t *end = at + m->gaps.len;
    struct post_click clicks[BATCH];
    if (!has_form(r, m))
        return err_set(e, MDI_E_MALFORMED, "it sends events in no order or form");
    for (uint32_t i = 0; i < m->count;) {
        size_t n = 0;
        for (; n < BATCH && i < m->count; n++, i++) {
            uint64_t gap;
            if (!take_varint(&at, end, &gap))
                return err_set(e, MDI_E_MALFORMED, "it sends fewer positions than events");
            *position = move(*position, gap);
            clicks[n] = (struct post_click){.position = *position,
                .d2 = bit_at(m->detectors, i),
                .y = bit_at(m->bases, i),
                .bit = bit_at(m->bits, i)};
        }
        int result = post_record_add(r, clicks, n, e);
        if (result != 0)
            return result > 0 ? MDI_E_ANNOUNCEMENT : result;
    }
    return at == end ? 0 : err_set(e, MDI_E_MALFORMED, "it sends more positions than events");
}

uint64_t mdi_intake_limit(uint64_t pulses, double mu, double gain)
{
    double most = -expm1(-2 * mu) + DARK_GAIN;
    if (gain > 0)
        most = fmin(most, GAIN_MARGIN * gain);
    double expected = most * (double)pulses;
    double limit = expected + DEVIATIONS * sqrt(expected) + SPARE;
    return (uint64_t)fmin(fmin(limit, (double)pulses), (double)POST_CLICKS_MAX);
}
