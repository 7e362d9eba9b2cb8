/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for key material: where pads, keys and plaintext updates live as long as a process holds them.
 *
 * Pages of their own, locked against swap where the limit allows, left out of core dumps
 * (MADV_DONTDUMP) and of children (MADV_WIPEONFORK), wiped when freed. A secret is moved, never
 * copied, and has no way to be printed. On their way through a process pads also pass through what
 * is read and written (frames of decoders with `wipe`, update_send_secret): wiped as soon as they are
 * through, but not all of it locked.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct secret {
    uint8_t *data; /* owned; NULL when empty */
    size_t len;    /* bytes */
    bool locked;   /* the kernel agreed to lock the pages */
};

/* Allocates `len` zeroed bytes. -ENOMEM if there is no memory; a refused lock is not an error (see
 * `locked`), because the limit on a desktop is 8 MiB. */
int secret_init(struct secret *s, size_t len) must_check;

/* Wipes and unmaps; the secret is empty afterwards. Safe on an empty one. */
void secret_deinit(struct secret *s);

/* Moves the contents out and leaves `from` empty. */
struct secret secret_move(struct secret *from);

/* Overwrites `len` bytes in a way that the compiler keeps. */
void secret_wipe(void *p, size_t len);

/* Compares in constant time: true when equal. */
bool secret_equal(const void *a, const void *b, size_t len);

/* No core dumps of this process, no ptrace by its own user, nothing left on a crash. Call first in
 * main. */
void secret_harden_process(void);
