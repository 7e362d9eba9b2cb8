/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/liar.h"

#include "proto/fed.h"
#include "proto/view.h"
#include "tests/sim/need.h"
#include "tests/sim/nodes.h"

#include <string.h>

#define CONNS 256 /* connections remembered, by number */

struct liar {
    struct node_ops ops; /* first: what the node's verbs are replaced by */
    const struct node_ops *real;
    const char *site[CONNS]; /* who is at the other end */
};

static struct liar *of(const struct node *n)
{
    return (struct liar *)n->ops;
}

/* The view with twice the samples of somebody else. */
static struct blob *twist(const Fed__Commit *commit, const char *victim)
{
    View__View *view = view__view__unpack(NULL, commit->view.len, commit->view.data);
    struct blob *twisted = NULL;
    for (size_t i = 0; view && i < view->n_members && !twisted; i++) {
        if (strcmp(view->members[i]->site, victim) == 0)
            continue;
        view->members[i]->samples *= 2;
        twisted = need(view_encode(view));
    }
    view__view__free_unpacked(view, NULL);
    return twisted;
}

static void lie(struct liar *l, struct effect *e)
{
    Fed__Commit *commit = fed__commit__unpack(NULL, e->body->len, e->body->data);
    struct blob *view = commit ? twist(commit, l->site[e->conn % CONNS]) : NULL;
    if (view) {
        Fed__Commit told = FED__COMMIT__INIT;
        told.attempt = commit->attempt;
        told.view = (ProtobufCBinaryData){view->len, view->data};
        blob_unref(e->body);
        e->body = need(codec_pack(&told.base));
    }
    blob_unref(view);
    fed__commit__free_unpacked(commit, NULL);
}

static int liar_step(struct node *n, const struct event *event, struct update *u)
{
    struct liar *l = of(n);
    if (event->kind == EVENT_OPENED)
        l->site[event->conn % CONNS] = event->opened.site;
    int r = l->real->step(n, event, u);
    for (size_t i = 0; r == 0 && i < u->n; i++) {
        struct effect *e = &u->effects[i];
        if (e->kind == EFFECT_SEND && e->type == FED_COMMIT && world_strikes(n->world, FAULT_LIE)) {
            lie(l, e);
            break; /* to one client only */
        }
    }
    return r;
}

static void liar_free(struct node *n)
{
    struct liar *l = of(n);
    l->real->free(n);
    free(l);
}

struct node *liar_new(struct world *w, const struct aggregator_config *config)
{
    struct node *n = server_node_new(w, config);
    struct liar *l = need(calloc(1, sizeof(*l)));
    *l = (struct liar){.ops = *n->ops, .real = n->ops};
    l->ops.step = liar_step;
    l->ops.free = liar_free;
    n->ops = &l->ops;
    return n;
}
