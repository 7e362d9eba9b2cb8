/* SPDX-License-Identifier: Apache-2.0 */
/* One link of a KME in one line: state, rate, QBER, and what is known of its blocks. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* `name`: what the line begins with. */
void link_row_print(FILE *to, const char *name, const json_t *link);

/* The links of that site's KME, or NULL if none answers there, or another site's: keys do without. */
json_t *link_row_ask(const char *socket, const char *site);
/* The link with that peer in them, borrowed, or NULL. Safe on NULL. */
const json_t *link_row_find(const json_t *links, const char *peer);
