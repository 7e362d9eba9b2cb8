/* SPDX-License-Identifier: Apache-2.0 */
#include "common/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t page_round(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page;
}

int secret_init(struct secret *s, size_t len)
{
    *s = (struct secret){0};
    if (len == 0)
        return 0;
    void *p =
        mmap(NULL, page_round(len), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    s->locked = mlock(p, page_round(len)) == 0;
    (void)madvise(p, page_round(len), MADV_DONTDUMP);
    (void)madvise(p, page_round(len), MADV_WIPEONFORK);
    s->data = p;
    s->len = len;
    return 0;
}

void secret_deinit(struct secret *s)
{
    if (s->data) {
        secret_wipe(s->data, s->len);
        munmap(s->data, page_round(s->len));
    }
    *s = (struct secret){0};
}

struct secret secret_move(struct secret *from)
{
    struct secret to = *from;
    *from = (struct secret){0};
    return to;
}

void secret_wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void secret_harden_process(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
