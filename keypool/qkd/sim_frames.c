/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_frames.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/source.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <assert.h>

#define VARINT_MAX 10
#define SET_BYTES  (QKD_EVENTS_MAX / 8)

struct sim_frames {
    uint8_t detectors[SET_BYTES], bases[SET_BYTES], bits[SET_BYTES];
    uint8_t gaps[QKD_GAPS_MAX];
    size_t gap_bytes;
    size_t n; /* events */
};

struct sim_frames *sim_frames_new(void)
{
    return calloc(1, sizeof(struct sim_frames));
}

void sim_frames_free(struct sim_frames *f)
{
    if (f)
        secret_wipe(f, sizeof(*f));
    free(f);
}

static void reset(struct sim_frames *f)
{
    size_t bytes = (f->n + 7) / 8;
    secret_wipe(f->detectors, bytes);
    secret_wipe(f->bases, bytes);
    secret_wipe(f->bits, bytes);
    f->n = f->gap_bytes = 0;
}

static void add_gap(struct sim_frames *f, uint64_t gap)
{
    uint8_t *p = f->gaps + f->gap_bytes;
    for (; gap >= 0x80; gap >>= 7)
        *p++ = (uint8_t)(gap | 0x80);
    *p++ = (uint8_t)gap;
    f->gap_bytes = (size_t)(p - f->gaps);
}

static void add(struct sim_frames *f, struct sim_told *told, const struct optics_event *e)
{
    const struct optics_state *own = told->end ? &e->b : &e->a;
    size_t byte = f->n / 8;
    unsigned shift = f->n % 8;
    add_gap(f, e->position + 1 - told->next);
    told->next = e->position + 1;
    f->detectors[byte] |= (uint8_t)(e->detector << shift);
    f->bases[byte] |= (uint8_t)(own->basis << shift);
    f->bits[byte] |= (uint8_t)(own->bit << shift);
    f->n++;
}

/* One frame, of the events that fit. */
static size_t fill(
    struct sim_frames *f, struct sim_told *told, const struct optics_event *events, size_t n)
{
    size_t i = 0;
    while (i < n && f->gap_bytes + VARINT_MAX <= QKD_GAPS_MAX)
        add(f, told, &events[i++]);
    return i;
}

static int send(struct sim_frames *f, const struct sim_told *told, struct update *u)
{
    size_t set = (f->n + 7) / 8;
    Qkd__Events m = QKD__EVENTS__INIT;
    m.peer = told->link->user[!told->end]->name;
    m.block = (ProtobufCBinaryData){SOURCE_BLOCK_ID_BYTES, (uint8_t *)told->block};
    m.from = told->events;
    m.count = (uint32_t)f->n;
    m.gaps = (ProtobufCBinaryData){f->gap_bytes, f->gaps};
    m.detectors = (ProtobufCBinaryData){set, f->detectors};
    m.bases = (ProtobufCBinaryData){set, f->bases};
    m.bits = (ProtobufCBinaryData){set, f->bits};
    return link_send_secret(u, told->link->user[told->end]->conn, QKD_EVENTS, &m.base);
}

int sim_frames_send(struct sim_frames *f, struct sim_told *told, const struct optics_event *events,
    size_t n, struct update *u)
{
    assert(n <= QKD_EVENTS_MAX);
    for (size_t done = 0; done < n;) {
        done += fill(f, told, events + done, n - done);
        int r = send(f, told, u);
        told->events += f->n;
        reset(f);
        if (r < 0)
            return r;
    }
    return 0;
}
