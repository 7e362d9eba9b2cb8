/* SPDX-License-Identifier: Apache-2.0 */
/* What common/secret.h says of its memory, asked of the kernel. */
#include "common/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN 5000 /* not a whole number of pages */

/* The VmFlags of the mapping that begins at p, " rd wr ... " */
static void read_flags(const void *p, char out[256])
{
    char start[32];
    char line[256];
    bool is_ours = false;
    snprintf(start, sizeof(start), "%lx-", (unsigned long)p);
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    out[0] = '\0';
    while (out[0] == '\0' && fgets(line, sizeof(line), f)) {
        if (strncmp(line, start, strlen(start)) == 0)
            is_ours = true;
        else if (is_ours && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(out, 256, "%s", line + 8);
    }
    fclose(f);
    assert_true(out[0] != '\0');
}

/* AddressSanitizer lets mlock do nothing. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_MLOCK_REAL false
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define IS_MLOCK_REAL false
#endif
#ifndef IS_MLOCK_REAL
#define IS_MLOCK_REAL true
#endif

static void pages_are_locked_not_dumped_and_not_inherited(void **state)
{
    struct secret s;
    char flags[256];
    assert_int_equal(secret_init(&s, LEN), 0);
    memset(s.data, 'k', s.len);
    read_flags(s.data, flags);
    assert_non_null(strstr(flags, " dd ")); /* MADV_DONTDUMP */
    assert_non_null(strstr(flags, " wf ")); /* MADV_WIPEONFORK */
    assert_true((s.locked && IS_MLOCK_REAL) == (strstr(flags, " lo ") != NULL));
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (geteuid() == 0 || limit.rlim_cur >= 1 << 20)
        assert_true(s.locked);
    secret_deinit(&s);
}

static int child_finds(const uint8_t *data, size_t len, uint8_t byte)
{
    pid_t child = fork();
    if (child == 0)
        _exit(memchr(data, byte, len) != NULL);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_child_finds_nothing_in_it(void **state)
{
    struct secret s;
    uint8_t ordinary[] = "k";
    assert_int_equal(secret_init(&s, LEN), 0);
    memset(s.data, 'k', s.len);
    assert_int_equal(child_finds(s.data, s.len, 'k'), 0);
    assert_int_equal(child_finds(ordinary, sizeof(ordinary), 'k'), 1);
    assert_int_equal(s.data[LEN - 1], 'k');
    secret_deinit(&s);
}

static void a_moved_secret_is_in_one_place(void **state)
{
    struct secret a;
    assert_int_equal(secret_init(&a, LEN), 0);
    const uint8_t *was = a.data;
    struct secret b = secret_move(&a);
    assert_null(a.data);
    assert_int_equal(a.len, 0);
    assert_ptr_equal(b.data, was);
    secret_deinit(&a); /* of an empty one */
    secret_deinit(&b);
    assert_null(b.data);
}

static void an_empty_secret_has_no_memory(void **state)
{
    struct secret s;
    assert_int_equal(secret_init(&s, 0), 0);
    assert_null(s.data);
    secret_deinit(&s);
}

static void comparing_looks_at_every_byte(void **state)
{
    assert_true(secret_equal("abc", "abc", 3));
    assert_false(secret_equal("abc", "abd", 3));
    assert_false(secret_equal("abc", "xbc", 3));
    assert_true(secret_equal("a", "b", 0));
}

/* In a child: the rest of the tests wants to be debugged. */
static void a_hardened_process_leaves_no_core(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit core;
        secret_harden_process();
        bool ok = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0 &&
                  prctl(PR_GET_DUMPABLE) == 0;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_locked_not_dumped_and_not_inherited),
        cmocka_unit_test(a_child_finds_nothing_in_it),
        cmocka_unit_test(a_moved_secret_is_in_one_place),
        cmocka_unit_test(an_empty_secret_has_no_memory),
        cmocka_unit_test(comparing_looks_at_every_byte),
        cmocka_unit_test(a_hardened_process_leaves_no_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
