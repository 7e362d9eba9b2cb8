/* SPDX-License-Identifier: Apache-2.0 */
/* The references of the upload benchmark: TLS 1.3 streams on loopback by OpenSSL's own calls on
 * sockets, each sender in a process of its own, the receiver in this one. One stream is read by
 * blocking calls, several are waited for with epoll. The time runs from the byte that tells the
 * senders to begin until everything is there. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bare_figures {
    double seconds;
    double cpu_s; /* of the receiver, meanwhile */
};

/* `bytes_each` from every sender, out of its memory in 16 KiB writes; certificates of aggregator and c000 in `dir`. */
struct bare_figures bare_tls_run(const char *dir, size_t senders, uint64_t bytes_each);
