/* SPDX-License-Identifier: Apache-2.0 */
/* The file that holds a model: bytes <-> struct, byte by byte as in docs/checkpoint.md.
 *
 * A fixed header, the parameters as little-endian doubles, a SHA-256 over everything before it. It reads
 * and writes no file.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "common/machine.h"
#include "common/sha256.h"

#include <stdint.h>

#define CHECKPOINT_VERSION        1
#define CHECKPOINT_RUN_BYTES      16
#define CHECKPOINT_TASK_MAX       63
#define CHECKPOINT_HEADER_BYTES   256 /* the parameters start here */
#define CHECKPOINT_PARAMETERS_MAX ((uint32_t)1 << 26)

struct checkpoint {
    char federation[SITE_NAME_MAX + 1];
    char task[CHECKPOINT_TASK_MAX + 1];
    uint8_t run[CHECKPOINT_RUN_BYTES];
    uint64_t round;               /* rounds that this model has seen; 0 before the first */
    uint64_t attempt;             /* that made it; 0 before the first */
    uint8_t digest[SHA256_BYTES]; /* of its result: "previous" of the next view */
    uint32_t parameters;
    double *model; /* owned after checkpoint_decode; checkpoint_encode only reads it */
};
void checkpoint_deinit(struct checkpoint *c);

enum checkpoint_condition { CHECKPOINT_E_REFUSED = 1 };

/* NULL if there is no memory. The names are valid and the parameters finite. */
struct blob *checkpoint_encode(const struct checkpoint *c) must_check;

/* The whole file. CHECKPOINT_E_REFUSED with a sentence if it is not a checkpoint, or damaged; -ENOMEM. */
int checkpoint_decode(
    const uint8_t *bytes, size_t len, struct checkpoint *out, struct err *e) must_check;

/* SHA-256 over the parameters as little-endian doubles: the name of a model everywhere. */
void checkpoint_model_hash(uint8_t out[SHA256_BYTES], const double *model, uint32_t parameters);
