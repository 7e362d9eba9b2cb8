/* SPDX-License-Identifier: Apache-2.0 */
/* null_model TASK FILE: a first model of zeros for the clients of null_trainer.c. */
#include "common/checkpoint.h"
#include "tests/bench/null_trainer.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    static double zeros[NULL_PARAMETERS];
    if (argc != 3) {
        fprintf(stderr, "usage: null_model TASK FILE\n");
        return 64;
    }
    struct checkpoint c = {.federation = "demo", .parameters = NULL_PARAMETERS, .model = zeros};
    snprintf(c.task, sizeof(c.task), "%s", argv[1]);
    struct blob *bytes = checkpoint_encode(&c);
    FILE *f = fopen(argv[2], "wb");
    bool is_written = f && bytes && fwrite(bytes->data, 1, bytes->len, f) == bytes->len;
    blob_unref(bytes);
    return f && fclose(f) == 0 && is_written ? 0 : 74;
}
