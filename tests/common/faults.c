/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/common/faults.h"

#include <stdlib.h>

static unsigned left;
static bool fired;
static size_t wiped;

void faults_fail_at(unsigned n)
{
    left = n;
    fired = false;
}

bool faults_fired(void)
{
    return fired;
}

size_t faults_wiped(bool reset)
{
    size_t n = wiped;
    if (reset)
        wiped = 0;
    return n;
}

static bool fails(void)
{
    if (left == 0 || --left > 0)
        return false;
    fired = true;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

void __real_secret_wipe(void *p, size_t len);
void __wrap_secret_wipe(void *p, size_t len);
void __wrap_secret_wipe(void *p, size_t len)
{
    wiped += len;
    __real_secret_wipe(p, len);
}
