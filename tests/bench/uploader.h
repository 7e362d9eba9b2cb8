/* SPDX-License-Identifier: Apache-2.0 */
/* A client for benchmarks of the server: speaks the fed exchange but neither trains nor masks. It
 * claims key with every other uploader and uploads fixed words with correct canaries. */
#pragma once

#include "common/machine.h"

struct uploader;

/* Uploader number `self` of `clients`, named c000, c001, ...; `words` of 32 bits each, canaries
 * included, in chunks of `chunk_words`. */
struct uploader *uploader_new(
    size_t self, size_t clients, uint32_t words, uint32_t chunk_words) must_check;
void uploader_free(struct uploader *u);
int uploader_step(void *u, const struct event *event, struct update *update) must_check;
uint64_t uploader_deadline_ms(const void *u);

#define UPLOADER_NAME 8
void uploader_name(char out[UPLOADER_NAME], size_t index);
