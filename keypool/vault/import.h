/* SPDX-License-Identifier: Apache-2.0 */
/* Takes *.pair files into the vault and erases them. */
#pragma once

#include "common/log.h"
#include "keypool/vault/vault.h"

struct importer {
    const char *site;
    const char *folder;
    struct log *log;
};

/* The file at `path`, or every *.pair of the folder for NULL. What cannot be taken is named in the log
 * and left. A vault_config.import: 0, or -errno with a sentence about the last file refused. */
int importer_run(void *importer, struct vault *v, const char *path, struct err *e) must_check;
