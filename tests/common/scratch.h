/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test, and what it writes to standard output and error. */
#pragma once

#include <stddef.h>

struct scratch {
    char path[64];
};

/* Makes a folder below $TMPDIR or /tmp. Ends the test on failure. */
void scratch_init(struct scratch *s);
/* Removes it with everything in it. */
void scratch_deinit(struct scratch *s);

/* Path of a file in the folder; valid until the fourth next call. */
const char *scratch_path(const struct scratch *s, const char *name);
void scratch_write(const struct scratch *s, const char *name, const char *text, unsigned mode);
/* Contents, to be freed. */
char *scratch_read(const struct scratch *s, const char *name);

/* From here on `fd` (1 or 2) goes into the file; scratch_release gives it back. */
struct scratch_capture {
    int fd;
    int saved;
};
struct scratch_capture scratch_capture(const struct scratch *s, int fd, const char *name);
void scratch_release(struct scratch_capture *c);

/* Number of open descriptors of this process. */
size_t scratch_count_fds(void);
