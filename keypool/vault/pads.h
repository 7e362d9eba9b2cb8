/* SPDX-License-Identifier: Apache-2.0 */
/* The authentication pads of one pair: short streams, kept in locked memory and in one sealed file.
 *
 * Pads are few (some KiB each way) and are needed one by one, in both directions, so they do not stay
 * in the blocks that brought them. The file `pads/<mask stream>-<0 or 1>` holds the bytes of both
 * streams from where they are still wanted to their end; a new one is written beside the old, which is
 * then erased. After a crash the file may end earlier than the streams; the bytes that lack are then
 * still in their block (keypool/vault/keystore.c).
 */
#pragma once

#include "common/disk.h"
#include "keypool/vault/ledger.h"
#include "keypool/vault/seal.h"

#define PADS_MAX ((uint64_t)64 * 1024) /* bytes held per direction */

struct pads;

struct pads *pads_new(void) must_check;
/* Safe on NULL. */
void pads_free(struct pads *p);

/* From where to where bytes are held. */
struct pads_span {
    uint64_t start;
    uint64_t end;
};
struct pads_span pads_span(const struct pads *p, enum vault_purpose purpose);

/* Bytes to be appended to a stream are written to the address that this returns, which is locked
 * memory; NULL if the stream would hold more than PADS_MAX, or there is no memory. */
uint8_t *pads_append(struct pads *p, enum vault_purpose purpose, uint64_t len) must_check;
/* Everything held of the stream is wiped; it goes on at `offset`. */
void pads_restart(struct pads *p, enum vault_purpose purpose, uint64_t offset);
/* Bytes below `offset` are wiped. */
void pads_drop(struct pads *p, enum vault_purpose purpose, uint64_t offset);
/* Borrowed until the next change; NULL unless all of it is held. */
const uint8_t *pads_at(
    const struct pads *p, enum vault_purpose purpose, uint64_t offset, uint64_t len);

/* Writes the file anew and erases the old one; durable when it returns 0. */
int pads_save(
    struct pads *p, struct disk *disk, struct seal *seal, const uint8_t *mask_stream) must_check;
/* Reads the newest whole file. SEAL_E_BROKEN if there is none. */
int pads_load(
    struct pads *p, struct disk *disk, struct seal *seal, const uint8_t *mask_stream) must_check;
/* The mask stream in a file's name; false if it is no pads' file. */
bool pads_parse_name(const char *name, uint8_t mask_stream[ENTRY_ID_BYTES]);
/* The file holds bytes that are wanted no more. */
bool pads_is_stale(const struct pads *p);
