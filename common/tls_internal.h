/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of common/tls share. */
#pragma once

#include "common/identity.h"
#include "common/tls.h"

#include <openssl/ssl.h>

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    struct tls_files files; /* strings owned */
    struct identity self;   /* what the own certificate says */
    int64_t expires_s;
};

struct tls {
    SSL *ssl;
    struct tls_context *context; /* kept */
    char *ca;                    /* owned: for sentences, after a reload too */
    bool is_server;
    bool is_open;
    bool has_failed;
    enum role expect_role;
    char expect_site[SITE_NAME_MAX + 1]; /* "" for any */
    struct identity peer;
    const uint8_t *in; /* borrowed from tls_receive's caller */
    size_t in_len;
    struct buf out;     /* ciphertext */
    struct err refusal; /* why the peer's certificate was not accepted */
};

/* BIO that reads t->in and appends to t->out. NULL if there is no memory. */
BIO_METHOD *tls_bio_method(void) must_check;
/* Gives the connection its BIO. -ENOMEM. */
int tls_bio_attach(struct tls *t, const BIO_METHOD *method) must_check;

/* For SSL_CTX_set_verify: chain, then identity; leaves the sentence in t->refusal. */
int tls_verify_peer(int ok, X509_STORE_CTX *store);
/* The sentence for a chain that did not verify; `who`: "certificate of client bob". */
void tls_explain_chain(const X509_STORE_CTX *store, const char *who, const char *ca, struct err *e);
/* What OpenSSL's queue and the peer's alert mean; clears the queue; returns -EPROTO. */
int tls_explain_failure(struct tls *t, struct err *e);

/* "2026-05-04 10:11 UTC". */
#define TLS_TIME_MAX 32
void tls_format_time(const ASN1_TIME *time, char out[TLS_TIME_MAX]);
