/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bare_tls.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#define RECORD ((size_t)16384)

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bare_tls: %s failed\n", what);
    exit(1);
}

static SSL_CTX *make_context(const char *dir, const char *site)
{
    char certificate[128];
    char key[128];
    char ca[128];
    snprintf(certificate, sizeof(certificate), "%s/%s/cert.pem", dir, site);
    snprintf(key, sizeof(key), "%s/%s/key.pem", dir, site);
    snprintf(ca, sizeof(ca), "%s/%s/ca.pem", dir, site);
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    must(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
             SSL_CTX_use_certificate_chain_file(ctx, certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1,
        "certificates");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_num_tickets(ctx, 0); /* unread ones would reset the connection at its end */
    return ctx;
}

static void send_stream(const char *dir, const struct sockaddr_in *to, uint64_t bytes)
{
    static uint8_t record[RECORD];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0, "connect");
    SSL *ssl = SSL_new(make_context(dir, "c000"));
    must(SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1, "handshake");
    for (uint64_t sent = 0; sent < bytes;) {
        size_t n = 0;
        must(SSL_write_ex(ssl, record, RECORD, &n) == 1, "write");
        sent += n;
    }
    SSL_shutdown(ssl);
    _exit(0);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bare_tls_rate(const char *dir, uint64_t bytes)
{
    static uint8_t record[RECORD];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
             listen(listener, 1) == 0,
        "listen");
    pid_t sender = fork();
    if (sender == 0)
        send_stream(dir, &address, bytes);
    int fd = accept(listener, NULL, NULL);
    SSL_CTX *ctx = make_context(dir, "aggregator");
    SSL *ssl = SSL_new(ctx);
    must(SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1, "handshake");
    double start = now_s();
    uint64_t received = 0;
    size_t n = 0;
    while (received < bytes && SSL_read_ex(ssl, record, RECORD, &n) == 1)
        received += n;
    double seconds = now_s() - start;
    must(received >= bytes, "read");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    close(listener);
    waitpid(sender, NULL, 0);
    return (double)received / seconds;
}
