/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bare_tls.h"

#include "tests/bench/stand.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD     ((size_t)16384)
#define EVENTS_MAX 64

static SSL_CTX *make_context(const char *dir, const char *site)
{
    char certificate[128];
    char key[128];
    char ca[128];
    snprintf(certificate, sizeof(certificate), "%s/%s/cert.pem", dir, site);
    snprintf(key, sizeof(key), "%s/%s/key.pem", dir, site);
    snprintf(ca, sizeof(ca), "%s/%s/ca.pem", dir, site);
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    stand_must(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
                   SSL_CTX_use_certificate_chain_file(ctx, certificate) == 1 &&
                   SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
                   SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1,
        "bare TLS: certificates", NULL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_num_tickets(ctx, 0); /* unread ones would reset the connection at its end */
    return ctx;
}

/* ---- a sender ---- */

static void send_stream(const char *dir, const struct sockaddr_in *to, uint64_t bytes)
{
    stand_pin(STAND_SENDER);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uint8_t *vector = malloc(bytes);
    stand_must(vector != NULL, "memory", NULL);
    memset(vector, 1, bytes);
    stand_must(connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0, "connect", NULL);
    SSL *ssl = SSL_new(make_context(dir, "c000"));
    stand_must(SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1, "bare TLS: handshake", NULL);
    size_t n = 0;
    stand_must(SSL_read_ex(ssl, vector, 1, &n) == 1, "bare TLS: begin", NULL);
    for (uint64_t sent = 0; sent < bytes; sent += n)
        stand_must(SSL_write_ex(
                       ssl, vector + sent, bytes - sent < RECORD ? bytes - sent : RECORD, &n) == 1,
            "bare TLS: write", NULL);
    SSL_shutdown(ssl);
    _exit(0);
}

/* ---- the receiver ---- */

/* Reads what is there, at most `wanted`; a blocking stream until it has that. */
static uint64_t drain(SSL *ssl, uint64_t wanted)
{
    static uint8_t record[RECORD];
    uint64_t received = 0;
    size_t n = 0;
    while (received < wanted && SSL_read_ex(ssl, record, RECORD, &n) == 1)
        received += n;
    return received;
}

static void receive_many(SSL **streams, size_t n, uint64_t wanted)
{
    int poll = epoll_create1(0);
    stand_must(poll >= 0, "epoll", NULL);
    for (size_t i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = streams[i]};
        int fd = SSL_get_fd(streams[i]);
        stand_must(
            fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) == 0,
            "epoll", NULL);
    }
    struct epoll_event ready[EVENTS_MAX];
    for (uint64_t received = 0; received < wanted;) {
        int count = epoll_wait(poll, ready, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++)
            received += drain(ready[i].data.ptr, wanted);
    }
    close(poll);
}

static struct bare_figures receive(SSL **streams, size_t n, uint64_t wanted)
{
    struct bare_figures f = {-stand_now_s(), -stand_cpu_s()};
    for (size_t i = 0; i < n; i++)
        stand_must(SSL_write(streams[i], "", 1) == 1, "bare TLS: begin", NULL);
    if (n > 1)
        receive_many(streams, n, wanted);
    else
        stand_must(drain(streams[0], wanted) == wanted, "bare TLS: read", NULL);
    f.seconds += stand_now_s();
    f.cpu_s += stand_cpu_s();
    return f;
}

static int listen_somewhere(struct sockaddr_in *address)
{
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    stand_must(bind(fd, (struct sockaddr *)address, sizeof(*address)) == 0 &&
                   getsockname(fd, (struct sockaddr *)address, &len) == 0 && listen(fd, 128) == 0,
        "listen", NULL);
    return fd;
}

static SSL *accept_stream(SSL_CTX *ctx, int listener)
{
    SSL *ssl = SSL_new(ctx);
    stand_must(SSL_set_fd(ssl, accept(listener, NULL, NULL)) == 1 && SSL_accept(ssl) == 1,
        "bare TLS: handshake", NULL);
    return ssl;
}

struct bare_figures bare_tls_run(const char *dir, size_t senders, uint64_t bytes_each)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    for (size_t i = 0; i < senders; i++)
        if (stand_fork("bare sender") == 0)
            send_stream(dir, &address, bytes_each);
    SSL_CTX *ctx = make_context(dir, "aggregator");
    SSL **streams = calloc(senders, sizeof(*streams));
    stand_must(streams != NULL, "memory", NULL);
    for (size_t i = 0; i < senders; i++)
        streams[i] = accept_stream(ctx, listener);
    struct bare_figures f = receive(streams, senders, senders * bytes_each);
    for (size_t i = 0; i < senders; i++) {
        close(SSL_get_fd(streams[i]));
        SSL_free(streams[i]);
    }
    free(streams);
    SSL_CTX_free(ctx);
    close(listener);
    stand_wait();
    return f;
}
