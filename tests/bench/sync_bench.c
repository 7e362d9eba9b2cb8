/* SPDX-License-Identifier: Apache-2.0 */
/* sync_bench FOLDER: the median time of one small durable write there. Of those, or more costly ones,
 * SEQUENTIAL stand one after the other between OPEN and the next OPEN: at the server for the round, the
 * view, GO, the model (2) and the result; at a client for the training counter (2), the attempt (2), the
 * vault's burn, the outbox (2), its end (4). */
#include "tests/bench/stand.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITES     101
#define SEQUENTIAL 17

int main(int argc, char **argv)
{
    static const char page[4096] = {1};
    double times[WRITES];
    char path[4096];
    if (argc != 2)
        return 64;
    snprintf(path, sizeof(path), "%s/sync_bench", argv[1]);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < WRITES; i++) {
        double start = stand_now_s();
        if (pwrite(fd, page, sizeof(page), (off_t)i * 4096) != sizeof(page) || fdatasync(fd) < 0)
            return 74;
        times[i] = stand_now_s() - start;
    }
    close(fd);
    unlink(path);
    double ms = 1e3 * stand_median(times, WRITES);
    printf(
        "one durable write here: %.2f ms; %d in a row: %.1f ms\n", ms, SEQUENTIAL, SEQUENTIAL * ms);
    return 0;
}
