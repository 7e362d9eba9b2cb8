/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th allocation fails, and wiping is watched: link with fault_wraps of meson.build. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, once; 0: none does. */
void faults_fail_at(unsigned n);
/* True if one has failed since faults_fail_at. */
bool faults_fired(void);

/* The bytes wiped by secret_wipe since the last call with `reset`. */
size_t faults_wiped(bool reset);
