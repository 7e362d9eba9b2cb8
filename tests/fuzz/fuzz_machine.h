/* SPDX-License-Identifier: Apache-2.0 */
/* A core against any sequence of events.
 *
 * The input is a script: u8 kind, then
 *     0  a connection opens:    u8 role, u8 site (of a table); it gets the next number
 *     1  a frame comes:         u8 connection, u8 type, u16 length (little-endian), body
 *     2  a connection closes:   u8 connection
 *     3  time passes:           u16 milliseconds
 * What is missing at the end is nothing. Oracle: no step fails, whatever peers say, and the deadline is
 * not in the past once the core was called at it (it does not spin).
 */
#pragma once

#include "common/machine.h"

#include "tests/fuzz/fuzz.h"

struct fuzz_machine {
    void *core;
    int (*step)(void *core, const struct event *event, struct update *u);
    uint64_t (*deadline_ms)(const void *core);
    const char *const *sites;
    size_t n_sites;
    uint64_t now_ms;
    uint32_t conns;
};

struct fuzz_script {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_script *s)
{
    if (s->left == 0)
        return 0;
    s->left--;
    return *s->data++;
}

static inline uint32_t fuzz_u16(struct fuzz_script *s)
{
    uint32_t low = fuzz_u8(s);
    return low | (uint32_t)fuzz_u8(s) << 8;
}

static inline void fuzz_feed(struct fuzz_machine *m, struct event event)
{
    struct update u = {0};
    event.now_ms = m->now_ms;
    fuzz_assert(m->step(m->core, &event, &u) == 0);
    update_deinit(&u);
}

static inline void fuzz_open(struct fuzz_machine *m, struct fuzz_script *s)
{
    struct event event = {.kind = EVENT_OPENED, .conn = ++m->conns};
    event.opened.role = (enum role)(fuzz_u8(s) % (ROLE_CTL + 1));
    event.opened.site = m->sites[fuzz_u8(s) % m->n_sites];
    fuzz_feed(m, event);
}

static inline void fuzz_frame(struct fuzz_machine *m, struct fuzz_script *s)
{
    struct event event = {.kind = EVENT_FRAME, .conn = fuzz_u8(s)};
    event.frame.type = fuzz_u8(s);
    size_t len = fuzz_u16(s);
    event.frame.len = len < s->left ? len : s->left;
    event.frame.body = malloc(event.frame.len + 1);
    fuzz_assert(event.frame.body);
    memcpy(event.frame.body, s->data, event.frame.len);
    s->data += event.frame.len;
    s->left -= event.frame.len;
    if (event.conn >= 1 && event.conn <= m->conns)
        fuzz_feed(m, event);
    free(event.frame.body);
}

static inline void fuzz_time(struct fuzz_machine *m, struct fuzz_script *s)
{
    m->now_ms += fuzz_u16(s);
    for (int i = 0; i < 100 && m->deadline_ms(m->core) <= m->now_ms; i++) {
        fuzz_feed(m, (struct event){.kind = EVENT_TICK});
        fuzz_assert(i < 99);
    }
}

static inline void fuzz_play(struct fuzz_machine *m, const uint8_t *data, size_t size)
{
    struct fuzz_script s = {data, size};
    m->now_ms = 1000;
    while (s.left > 0) {
        uint8_t kind = fuzz_u8(&s) % 4;
        if (kind == 0)
            fuzz_open(m, &s);
        else if (kind == 1)
            fuzz_frame(m, &s);
        else if (kind == 2)
            fuzz_feed(m, (struct event){.kind = EVENT_CLOSED, .conn = fuzz_u8(&s)});
        else
            fuzz_time(m, &s);
    }
}
