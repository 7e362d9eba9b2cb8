/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is told about a link: the worst that applies, with a sentence. */
#include "keypool/kme/link_state.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WELL .peer = "bob", .in_step = true, .auth_bytes = 4096
#define BAD  .is_aborted = true, .qber = 0.0612, .reason = "no key"

static void the_worst_is_told(void **unused)
{
    const struct {
        struct link_facts facts;
        const char *name;
        const char *why;
    } rows[] = {
        {{WELL}, "UP", ""},
        {{WELL, .is_low = true}, "LOW", "little key is left in the pool with bob"},
        {{.in_step = true, .auth_bytes = 1024, .is_low = true}, "LOW", NULL},
        {{.in_step = true, .auth_bytes = 1023, .is_low = true}, "LOW AUTH",
            "1023 bytes of pads are left"},
        {{.in_step = true, .auth_bytes = 64}, "LOW AUTH", NULL},
        {{.in_step = true, .auth_bytes = 63}, "AUTH EMPTY",
            "no pads are left to authenticate with; pair the sites again: qflctl site pair"},
        {{.in_step = true}, "AUTH EMPTY", NULL},
        {{WELL, BAD}, "ABORTED", "QBER 6.12 %: no key"},
        {{.in_step = true, .auth_bytes = 100, BAD}, "ABORTED", NULL},
        {{.in_step = true, .auth_bytes = 0, BAD}, "AUTH EMPTY", NULL},
        {{.auth_bytes = 4096, BAD}, "OUT OF STEP", NULL},
        {{.auth_bytes = 0}, "OUT OF STEP", NULL},
        {{WELL, BAD, .missing = "no light"}, "DOWN", "no light"},
        {{.missing = "no light"}, "DOWN", "no light"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err why = {"something else"};
        assert_string_equal(link_state_name(link_state_of(&rows[i].facts, &why)), rows[i].name);
        if (rows[i].why)
            assert_string_equal(why.text, rows[i].why);
    }
}

static void every_state_has_a_name_of_its_own(void **unused)
{
    for (unsigned i = 0; i < LINK_STATES; i++)
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(
                link_state_name((enum link_state)i), link_state_name((enum link_state)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_is_told),
        cmocka_unit_test(every_state_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests_name("link_state", tests, NULL, NULL);
}
