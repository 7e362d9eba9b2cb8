/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in one story, and how often: drawn from its seed ("swarm": each kind of fault has
 * its own probability, some have none), so that different seeds are bad in different ways. */
#pragma once

#include "tests/sim/rnd.h"

enum fault {
    FAULT_DELAY,           /* a frame takes much longer than the others */
    FAULT_BREAK,           /* a TCP connection breaks: a suffix of what is in flight is lost */
    FAULT_STALL,           /* one direction stands still (half-open) */
    FAULT_PARTITION,       /* two nodes cannot connect for a while */
    FAULT_LOCAL_BREAK,     /* an AF_UNIX connection breaks */
    FAULT_LOSS,            /* a frame was lost in a break (counted, not drawn) */
    FAULT_RELAY_LOSS,      /* a KME forgets a vault-to-vault message, its link breaks */
    FAULT_RELAY_LATE,      /* ... delivers it after the link is up again: late and out of order */
    FAULT_RELAY_DUPLICATE, /* ... and one that was delivered already a second time */
    FAULT_KILL,            /* a process is killed before an event */
    FAULT_KILL_MIDWAY,     /* ... while its messages leave: some have, some have not */
    FAULT_POWER_CUT,       /* a process dies with unsynced writes lost or torn */
    FAULT_CUT_AT_WRITE,    /* ... in the middle of a durable write */
    FAULT_SITE_DOWN,       /* client, vault and KME of a site at once */
    FAULT_TORN,            /* a crash lost or tore an unsynced write (counted, not drawn) */
    FAULT_DISK_ERROR,      /* a write or sync fails with EIO or ENOSPC */
    FAULT_ROLLBACK, /* a vault's disk is restored from a backup, or its machine from a snapshot */
    FAULT_SERVER_ROLLBACK, /* the server's database is restored from a backup */
    FAULT_PAUSE,           /* a process stands still (SIGSTOP, a busy machine) */
    FAULT_BLOCK_ONE_SIDED, /* a key block reaches one end only */
    FAULT_BLOCK_DIFFERS,   /* the two ends got different bytes */
    FAULT_BLOCK_ORDER,     /* the two ends got two blocks in different order */
    FAULT_BLOCK_REPEATED,  /* a block is ingested twice */
    FAULT_KEY_DROUGHT,     /* a pair gets no key for a while */
    FAULT_SLOW_TRAINING,
    FAULT_FAILED_TRAINING,
    FAULT_LIE, /* the server lies (liar.h): only where a test asks for it */
    FAULTS
};

struct weather {
    double chance[FAULTS]; /* per occasion; what an occasion is depends on the fault */
    double latency_ms;     /* mean, one way, between sites */
    double down_ms;        /* mean time until a dead process is started again */
    double key_period_ms;  /* mean time between two blocks of a pair */
    double training_ms;    /* mean */
};

const char *fault_name(enum fault fault);

/* Draws the weather of a story. */
struct weather weather_draw(struct rnd *r);
/* Nothing goes wrong. */
struct weather weather_calm(void);
