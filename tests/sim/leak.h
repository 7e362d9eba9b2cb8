/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that must stay secret, and a search for them: invariant 9. A run of 8 secret bytes in a frame
 * or a note is a leak; so few bits agree by chance once in 2^64. The latest few ten thousand runs are
 * remembered. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAK_RUN 8

struct leak;

struct leak *leak_new(void);
void leak_free(struct leak *l);

/* Every run of these bytes is secret from now on. */
void leak_add(struct leak *l, const void *secret, size_t len);
/* Only the runs at multiples of 8: for arrays of doubles. */
void leak_add_words(struct leak *l, const void *secret, size_t len);
/* True if the bytes hold a secret run. */
bool leak_in_bytes(const struct leak *l, const void *bytes, size_t len);
/* True if the text holds one, raw or in hexadecimal. */
bool leak_in_text(const struct leak *l, const char *text);
