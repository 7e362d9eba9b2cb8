/* SPDX-License-Identifier: Apache-2.0 */
/* A power cut, and a failed write, in every durable operation of three rounds.
 *
 * After each the client starts again and these must hold: it starts; a training number is never used
 * for two updates; what was said to be LOCKED can still be sent, with the same bytes; an update leaves
 * in one attempt only; a round that an update has left in never sees another one; attempts only grow.
 */
#include "client/outbox.h"
#include "common/util.h"
#include "tests/client/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RELEASES_MAX 16

/* What the world outside has seen of this client, over all its lives. */
struct witness {
    struct rig rig;
    struct {
        uint64_t attempt, training, round;
        uint8_t chunks[RIG_CHUNKS][RIG_CHUNK * 4];
    } releases[RELEASES_MAX];
    size_t n;
    uint64_t training; /* highest seen in READY */
    uint64_t attempt;  /* highest CONFIRMed */
    uint64_t open; /* attempt that is LOCKED and whose end the client has not been told; 0: none */
    uint64_t round;
};

/* ---- what is checked at every release ----------------------------------------------------------- */

static size_t find_release(const struct witness *w, uint64_t attempt)
{
    size_t i = 0;
    while (i < w->n && w->releases[i].attempt != attempt)
        i++;
    return i;
}

static void note_release(struct witness *w, uint64_t attempt, uint64_t training)
{
    size_t i = find_release(w, attempt);
    if (i < w->n) {
        assert_memory_equal(w->releases[i].chunks, w->rig.chunks, sizeof(w->rig.chunks));
        assert_int_equal(w->releases[i].training, training);
        return;
    }
    for (size_t k = 0; k < w->n; k++) {
        assert_int_not_equal(w->releases[k].training, training);
        assert_int_not_equal(w->releases[k].round, w->round);
    }
    assert_true(w->n < RELEASES_MAX);
    w->releases[w->n].attempt = attempt;
    w->releases[w->n].training = training;
    w->releases[w->n].round = w->round;
    memcpy(w->releases[w->n++].chunks, w->rig.chunks, sizeof(w->rig.chunks));
}

/* ---- a server that does its part as far as the client lives ------------------------------------- */

static bool is_alive(const struct witness *w)
{
    return w->rig.result == 0;
}

static bool is_in(const struct witness *w, const char *phase)
{
    return is_alive(w) && strcmp(participant_query(w->rig.p).phase, phase) == 0;
}

static void ready(struct witness *w, uint64_t round)
{
    if (!is_alive(w))
        return;
    w->round = round;
    rig_open(&w->rig, round);
    w->open = 0; /* told by the new round */
    if (is_in(w, "fetching"))
        rig_send_model(&w->rig);
    if (!is_in(w, "ready"))
        return;
    uint64_t training = participant_query(w->rig.p).training;
    assert_true(training > w->training);
    w->training = training;
}

static void lock(struct witness *w, uint64_t attempt)
{
    if (!is_in(w, "ready"))
        return;
    rig_plan(&w->rig, attempt);
    rig_commit(&w->rig);
    if (is_in(w, "confirming")) {
        assert_true(attempt > w->attempt);
        w->attempt = attempt;
        rig_relay_all(&w->rig);
    }
    w->open = w->rig.locked == attempt ? attempt : 0;
}

static void go(struct witness *w, uint64_t attempt)
{
    if (!is_alive(w) || attempt == 0 || w->open != attempt)
        return;
    memset(w->rig.chunks, 0, sizeof(w->rig.chunks));
    w->rig.chunks_seen = 0;
    rig_go(&w->rig, attempt, 0);
    assert_int_equal(w->rig.chunks_seen, RIG_CHUNKS);
    note_release(w, attempt, participant_query(w->rig.p).training);
}

static void tell_end(struct witness *w, uint64_t attempt, void (*tell)(struct rig *, uint64_t))
{
    if (!is_alive(w) || attempt == 0 || w->open != attempt)
        return;
    tell(&w->rig, attempt);
    w->open = 0;
}

static void tell_skip(struct rig *r, uint64_t attempt)
{
    rig_skip(r, r->open.round, attempt);
}

static void tell_result(struct rig *r, uint64_t attempt)
{
    rig_result(r, r->open.round, attempt, 1);
}

/* An aborted attempt, a summed round, a skipped round, and the beginning of a third. */
static void play(struct witness *w)
{
    rig_connect_vault(&w->rig);
    rig_connect_server(&w->rig);
    ready(w, 1);
    lock(w, 1);
    tell_end(w, 1, rig_abort);
    lock(w, 2);
    go(w, 2);
    tell_end(w, 2, tell_result);
    ready(w, 2);
    lock(w, 3);
    go(w, 3);
    tell_end(w, 3, tell_skip);
    ready(w, 3);
    lock(w, 4);
}

/* ---- after the cut ------------------------------------------------------------------------------ */

/* The server asks for what was LOCKED, then for the same round again, then goes on. */
static void aftermath(struct witness *w)
{
    struct rig *r = &w->rig;
    uint64_t locked = w->open;
    assert_non_null(r->p);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    go(w, locked);
    if (locked)
        assert_null(strstr(r->story, "LOST"));
    if (is_in(w, "released"))
        tell_skip(r, r->open.round);
    w->open = 0;
    for (uint64_t round = MAX(w->round, 1u); round < 6 && !is_in(w, "confirming"); round++) {
        ready(w, round);
        lock(w, 10 + round);
        go(w, 10 + round);
        tell_end(w, 10 + round, tell_result);
    }
    assert_true(w->n > 0);
    assert_true(is_in(w, "idle"));
}

/* Clears what the server of the rig remembers of a client that is gone. */
static void begin_again(struct witness *w, bool is_power_cut)
{
    if (is_power_cut)
        rig_crash(&w->rig);
    else
        rig_restart(&w->rig);
}

static uint64_t count_operations(void)
{
    struct witness w = {0};
    rig_init(&w.rig, 1);
    play(&w);
    assert_true(is_in(&w, "locked"));
    uint64_t n = disk_sim_operations(w.rig.disk);
    rig_deinit(&w.rig);
    return n;
}

static void sweep(bool is_power_cut, uint64_t seeds)
{
    uint64_t operations = count_operations();
    assert_true(operations >= 12);
    for (uint64_t n = 1; n <= operations; n++)
        for (uint64_t seed = 0; seed < seeds; seed++) {
            struct witness w = {0};
            rig_init(&w.rig, seed);
            if (is_power_cut)
                disk_sim_cut_at(w.rig.disk, n);
            else
                disk_sim_fail_at(w.rig.disk, n, -ENOSPC);
            play(&w);
            assert_true(w.rig.result < 0); /* it noticed, and did nothing more */
            begin_again(&w, is_power_cut);
            aftermath(&w);
            rig_deinit(&w.rig);
        }
}

static void a_power_cut_in_every_durable_write(void **state)
{
    (void)state;
    sweep(true, 8);
}

static void a_full_disk_at_every_durable_write(void **state)
{
    (void)state;
    sweep(false, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_in_every_durable_write),
        cmocka_unit_test(a_full_disk_at_every_durable_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
