/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as lower-case hexadecimal digits and back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `out` takes 2 len + 1. */
void hex_encode(char *out, const uint8_t *data, size_t len);
/* True if `text` is exactly 2 len digits. */
bool hex_decode(uint8_t *out, size_t len, const char *text, size_t text_len);
