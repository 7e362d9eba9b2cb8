/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/stand.h"

#include "common/util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double stand_now_s(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double stand_cpu_s(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double stand_peak_mb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double stand_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

void stand_must(bool ok, const char *what, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, e ? e->text : strerror(errno));
    exit(1);
}

int stand_fork(const char *name)
{
    pid_t parent = getpid();
    int pid = fork();
    stand_must(pid >= 0, "fork", NULL);
    if (pid > 0)
        return pid;
    stand_must(prctl(PR_SET_NAME, name) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, name, NULL);
    if (getppid() != parent)
        _exit(1);
    return 0;
}

void stand_pin(enum stand_side side)
{
    int n = get_nprocs();
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < n; i++)
        if ((i == 0) == (side == STAND_RECEIVER))
            CPU_SET(i, &set);
    if (n > 1) /* where it is not allowed, the figures are those of a shared processor */
        (void)sched_setaffinity(0, sizeof(set), &set);
}

void stand_wait(void)
{
    while (wait(NULL) > 0)
        continue;
}
