/* SPDX-License-Identifier: Apache-2.0 */
/* Which known word a misspelt one meant. */
#include "common/nearest.h"
#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *nearest_of(const char *word)
{
    static const char *const known[] = {
        "listen", "rounds", "min_clients", "log", "q", "federation"};
    struct nearest n = nearest_to(word);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        nearest_offer(&n, known[i]);
    return n.best;
}

static void test_slips_are_understood(void **state)
{
    assert_string_equal(nearest_of("listne"), "listen");           /* swapped */
    assert_string_equal(nearest_of("lisen"), "listen");            /* dropped */
    assert_string_equal(nearest_of("rounnds"), "rounds");          /* doubled */
    assert_string_equal(nearest_of("min-clients"), "min_clients"); /* replaced */
    assert_string_equal(nearest_of("lgo"), "log");
    assert_string_equal(nearest_of("fedaration"), "federation");
}

static void test_other_words_are_not(void **state)
{
    assert_null(nearest_of("banana"));
    assert_null(nearest_of("x")); /* every one-letter word is one replacement from "q" */
    assert_null(nearest_of(""));
    char longer[200];
    memset(longer, 'l', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(nearest_of(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slips_are_understood),
        cmocka_unit_test(test_other_words_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
