/* SPDX-License-Identifier: Apache-2.0 */
/* The file that pairs two sites: stream ids and the first authentication key, the same for both,
 * written by `qflctl site pair`, carried by hand, erased when imported.
 *
 * Seven lines of text:
 *
 *     QFLPAIR 1
 *     low SITE                 the smaller of the two site names
 *     high SITE
 *     mask HEX                 stream ids, 16 bytes each
 *     auth-low-high HEX
 *     auth-high-low HEX
 *     key HEX                  VAULT_PAIRING_BYTES
 *
 * Pure: text in, struct out.
 */
#pragma once

#include "common/machine.h"
#include "common/secret.h"
#include "keypool/vault/vault.h"

#define PAIRING_TEXT_MAX ((size_t)20000)

struct pairing {
    char low[SITE_NAME_MAX + 1];
    char high[SITE_NAME_MAX + 1];
    uint8_t mask_stream[VAULT_STREAM_BYTES];
    uint8_t auth_low_high[VAULT_STREAM_BYTES];
    uint8_t auth_high_low[VAULT_STREAM_BYTES];
    struct secret key; /* VAULT_PAIRING_BYTES */
};
void pairing_deinit(struct pairing *p);

/* Bytes of randomness that pairing_make spends. */
#define PAIRING_ENTROPY ((size_t)VAULT_PAIRING_BYTES + 3 * VAULT_STREAM_BYTES)

/* Two different valid site names, in any order, and PAIRING_ENTROPY random bytes. */
int pairing_make(
    struct pairing *out, const char *a, const char *b, const uint8_t *entropy) must_check;

/* The text, in locked memory. */
int pairing_format(const struct pairing *p, struct secret *text) must_check;
/* -EBADMSG with a sentence (naming the line) if it is no pairing file. */
int pairing_parse(struct pairing *out, const uint8_t *text, size_t len, struct err *e) must_check;

/* As `site` sees it; -EINVAL with a sentence if the file pairs two other sites. `out` borrows. */
int pairing_for(
    const struct pairing *p, const char *site, struct vault_pairing *out, struct err *e) must_check;
