/* SPDX-License-Identifier: Apache-2.0 */
/* One client's conversations with server and vault: a story per row of the failure table. */
#include "tests/client/rig.h"

#include "common/util.h"
#include "client/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- the undisturbed round -------------------------------------------------------------------- */

static void a_round_from_hello_to_done(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_expect(&r, "server: HELLO round 0, attempt 0, outbox 0, 3 levels\n");
    rig_open(&r, 1);
    rig_expect(&r, "server: MODEL_GET\n");
    rig_send_model(&r);
    rig_expect(&r, "server: READY 1 n=10, 3 levels\n");
    rig_plan(&r, 7);
    rig_commit(&r);
    rig_expect(&r, "vault: RESERVE 7 0+76 0+76 0+76\n"
                   "server: CONFIRM 7 to alice charlie david\n");
    rig_relay(&r, "alice");
    rig_relay(&r, "david");
    rig_expect(&r, "");
    rig_relay(&r, "charlie");
    rig_expect(&r, "vault: RELEASE 7\nserver: LOCKED 7\n");
    rig_go(&r, 7, 0);
    rig_expect(&r, "server: CHUNK 0 of 7\nserver: CHUNK 1 of 7\n"
                   "server: CHUNK 2 of 7\nserver: CHUNK 3 of 7\n");
    rig_result(&r, 1, 7, 3);
    rig_expect(&r, "server: DONE 7\n");
    assert_true(rig_phase(&r, "idle"));
    assert_memory_equal(participant_query(r.p).model, r.model, sizeof(r.model));
    assert_int_equal(disk_size(disk_sim_disk(r.disk), OUTBOX_FILE), -2 /* ENOENT */);
    rig_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_from_hello_to_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
