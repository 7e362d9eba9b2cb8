/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of the upload benchmark: one TLS 1.3 stream on loopback by OpenSSL's own blocking
 * calls, sender and receiver in two processes. */
#pragma once

#include <stdint.h>

/* Bytes per second for `bytes` sent in 16 KiB writes; certificates of aggregator and c000 in `dir`. */
double bare_tls_rate(const char *dir, uint64_t bytes);
