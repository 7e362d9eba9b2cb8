/* SPDX-License-Identifier: Apache-2.0 */
/* Alice and bob with real vaults and real KMEs that make key out of raw events; Eve is the test's own node. */
#pragma once

#include "keypool/kme/link_state.h"
#include "tests/keypool/kme_nodes.h"
#include "tests/keypool/vault_node.h"

#include <jansson.h>

struct mdi_scene {
    struct world *world; /* owned */
    struct vault_node *vault[2];
    struct kme_node *kme[2];
    struct node *eve;
    struct post_config post[2];
    size_t delivered;   /* messages */
    size_t die_at;      /* for a test: the message at which somebody dies */
    char noted[262144]; /* every note so far */
    size_t noted_len;
};

/* Takes the world, in which Eve is already. Options of alice's and of bob's end. */
struct mdi_scene *scene_new(
    struct world *w, uint64_t seed, struct node *eve, const struct post_config post[2]);
void scene_free(struct mdi_scene *s);
/* Fails at a violation. */
void scene_run(struct mdi_scene *s, uint64_t ms);

struct vault_account scene_account(const struct mdi_scene *s, int end, enum vault_purpose purpose);
/* Bytes of key of all streams that alice has ever had. */
uint64_t scene_made(const struct mdi_scene *s);
enum link_state scene_state_of(const struct mdi_scene *s, int end, struct err *why);
/* A KME's answer to its operator, owned by the caller. */
json_t *scene_ask(const struct mdi_scene *s, int end, const char *verb);
bool scene_has_noted(const struct mdi_scene *s, const char *text);

void scene_assert_noted(const struct mdi_scene *s, const char *text);
void scene_assert_not_noted(const struct mdi_scene *s, const char *text);
/* Eve stops; two minutes later nothing is undecided and both ends hold the same in every stream. */
void scene_assert_equal_at_rest(struct mdi_scene *s);
/* So many bytes of key come in the next minute. */
void scene_assert_flows(struct mdi_scene *s, uint64_t at_least);
