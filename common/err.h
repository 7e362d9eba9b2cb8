/* SPDX-License-Identifier: Apache-2.0 */
/* Error sentences.
 *
 * The sign of an int is the rule everywhere: 0 done; > 0 a named condition that the caller must
 * handle and never forwards; < 0 a -errno, fatal to the object, forwarded unchanged. Edges that a
 * person meets (configuration, TLS, key service, command line) also fill one sentence, wrapped
 * outward: "client bob: key pool: 3 of 4 links in step, charlie is not".
 */
#pragma once

#include <stddef.h>

#define ERR_TEXT_MAX 768

#define must_check __attribute__((warn_unused_result))

/* One sentence for a person; empty when nothing went wrong. */
struct err {
    char text[ERR_TEXT_MAX];
};

/* Writes the sentence and is `code` unchanged, so that `return err_set(e, -EINVAL, ...)` reads well.
 * `e` may be NULL: then nothing is written. A macro, so that compilers and analysers see the value. */
#define err_set(e, code, ...)                                                                      \
    ({                                                                                             \
        int err_set_code_ = (code);                                                                \
        err_write((e), __VA_ARGS__);                                                               \
        err_set_code_;                                                                             \
    })

/* Puts "<context>: " before the sentence; is `code` unchanged. */
#define err_wrap(e, code, ...)                                                                     \
    ({                                                                                             \
        int err_wrap_code_ = (code);                                                               \
        err_prefix((e), __VA_ARGS__);                                                              \
        err_wrap_code_;                                                                            \
    })

/* What the two above call. */
void err_write(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
