/* SPDX-License-Identifier: Apache-2.0 */
/* A core as it must not be: one call of each kind that tests/arch/pure.sh has to refuse. Never run. */
#include "common/log.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

int impure_step(struct log *log, uint8_t *out, void *(*run)(void *));

int impure_step(struct log *log, uint8_t *out, void *(*run)(void *))
{
    pthread_t thread;
    time_t now = time(NULL);
    int fd = now > 0 ? socket(AF_INET, SOCK_STREAM, 0) : open("state", O_RDONLY);
    if (fork() == 0 || getenv("QFL_DATA"))
        return RAND_bytes(out, 16);
    log_write(log, NOTE_INFO, "%d", fd);
    return pthread_create(&thread, NULL, run, NULL) + uv_run(NULL, UV_RUN_DEFAULT) + rand();
}
