/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/kme/link_state.h"

#include <inttypes.h>

bool link_has_auth(uint64_t auth_bytes)
{
    return auth_bytes >= LINK_NO_AUTH_BYTES;
}

enum link_state link_state_of(const struct link_facts *f, struct err *why)
{
    if (f->missing)
        return err_set(why, LINK_DOWN, "%s", f->missing);
    if (!f->in_step)
        return err_set(why, LINK_OUT_OF_STEP,
            "the cursors of the two key pools have not been compared, or contradict each other");
    if (!link_has_auth(f->auth_bytes))
        return err_set(why, LINK_AUTH_EMPTY,
            "no pads are left to authenticate with; pair the sites again: qflctl site pair");
    if (f->is_aborted)
        return err_set(why, LINK_ABORTED, "QBER %.2f %%: %s", 100 * f->qber, f->reason);
    if (f->auth_bytes < LINK_LOW_AUTH_BYTES)
        return err_set(why, LINK_LOW_AUTH, "%" PRIu64 " bytes of pads are left", f->auth_bytes);
    if (f->is_low)
        return err_set(why, LINK_LOW, "little key is left in the pool with %s", f->peer);
    return err_set(why, LINK_UP, "%s", "");
}

const char *link_state_name(enum link_state state)
{
    static const char *const names[LINK_STATES] = {[LINK_DOWN] = "DOWN",
        [LINK_OUT_OF_STEP] = "OUT OF STEP",
        [LINK_AUTH_EMPTY] = "AUTH EMPTY",
        [LINK_ABORTED] = "ABORTED",
        [LINK_LOW_AUTH] = "LOW AUTH",
        [LINK_LOW] = "LOW",
        [LINK_UP] = "UP"};
    return state < LINK_STATES ? names[state] : "?";
}
