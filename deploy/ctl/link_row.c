/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/link_row.h"

#include "deploy/ctl/reach.h"

#include <string.h>

void link_row_print(FILE *to, const char *name, const json_t *link)
{
    const json_t *block = json_object_get(link, "last_block");
    fprintf(to, "  %-20s %-11s %9.2f kbit/s  QBER %5.2f %%", name, reach_text(link, "state"),
        reach_number(link, "rate_kbps"), 100 * reach_number(link, "qber"));
    if (reach_number(block, "f_ec") > 0)
        fprintf(to, "  f_EC %.3f", reach_number(block, "f_ec"));
    if (reach_number(link, "block_s") > 0)
        fprintf(to, "  blocks of %g s", reach_number(link, "block_s"));
    if (json_object_get(link, "next_block_s"))
        fprintf(to, "  next in %.0f s", reach_number(link, "next_block_s"));
    if (*reach_text(link, "label"))
        fprintf(to, "  %s", reach_text(link, "label"));
    if (*reach_text(link, "reason"))
        fprintf(to, "  %s", reach_text(link, "reason"));
    fputc('\n', to);
}

json_t *link_row_ask(const char *socket, const char *site)
{
    struct err ignored;
    json_t *status = NULL;
    if (reach(socket, "status", NULL, &status, &ignored) != 0)
        return NULL;
    json_t *links = strcmp(reach_text(status, "site"), site) == 0
                        ? json_incref(json_object_get(status, "links"))
                        : NULL;
    json_decref(status);
    return links;
}

const json_t *link_row_find(const json_t *links, const char *peer)
{
    size_t i;
    const json_t *l;
    json_array_foreach(links, i, l) if (strcmp(reach_text(l, "peer"), peer) == 0) return l;
    return NULL;
}
