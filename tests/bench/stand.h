/* SPDX-License-Identifier: Apache-2.0 */
/* What benchmarks share: clocks, the memory used, a median. Whatever fails ends the process with a
 * sentence. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Monotonic wall time. */
double stand_now_s(void);
/* CPU time of this process. */
double stand_cpu_s(void);
/* Largest resident memory of this process so far. */
double stand_peak_mb(void);
/* Sorts. */
double stand_median(double *values, size_t n);
/* `e` may be NULL: errno. */
void stand_must(bool ok, const char *what, const struct err *e);

/* A process that does not outlive this one: 0 in it. `name` is what ps and perf call it. */
int stand_fork(const char *name);
/* Where this process, and those it starts, run: the receiver of a benchmark on the first processor, its
 * senders on the others, as if they were on machines of their own. On one processor nothing happens. */
enum stand_side { STAND_RECEIVER, STAND_SENDER };
void stand_pin(enum stand_side side);
/* Until all of them have ended. */
void stand_wait(void);
