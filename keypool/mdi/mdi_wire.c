/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/mdi/mdi_wire.h"

#include "common/util.h"

static bool has_block(enum mdi_kind kind)
{
    return kind == MDI_PAD || kind == MDI_POST || kind == MDI_VOID;
}

static bool has_place(enum mdi_kind kind)
{
    return kind == MDI_KEY || kind == MDI_PAD;
}

static bool has_data(enum mdi_kind kind)
{
    return kind == MDI_POST || kind == MDI_VOID;
}

int mdi_wire_put(struct buf *to, const struct mdi_message *m)
{
    uint8_t kind = (uint8_t)m->kind;
    int r = buf_append(to, &kind, 1);
    if (r == 0 && has_block(m->kind))
        r = buf_append(to, m->block, MDI_ID_BYTES);
    if (r == 0 && has_place(m->kind))
        r = buf_append_u64le(to, m->place);
    if (r == 0 && has_data(m->kind))
        r = buf_append(to, m->data, m->len);
    return r;
}

bool mdi_wire_get(struct mdi_message *m, uint8_t *data, size_t len)
{
    if (len == 0 || data[0] < MDI_KEY || data[0] > MDI_VOID)
        return false;
    *m = (struct mdi_message){.kind = (enum mdi_kind)data[0]};
    size_t at = 1;
    size_t fixed = (has_block(m->kind) ? MDI_ID_BYTES : 0) + (has_place(m->kind) ? 8 : 0);
    if (len - at < fixed || (len - at > fixed) != has_data(m->kind))
        return false;
    if (has_block(m->kind)) {
        m->block = data + at;
        at += MDI_ID_BYTES;
    }
    if (has_place(m->kind)) {
        m->place = get_u64le(data + at);
        at += 8;
    }
    m->data = data + at;
    m->len = len - at;
    return m->kind != MDI_VOID || m->len <= MDI_REASON_MAX;
}
