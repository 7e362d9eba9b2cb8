/* SPDX-License-Identifier: Apache-2.0 */
/* Task `mnist-qnn`: two handwritten digits, 28x28 pixels pooled to 4x4, which are the 16 amplitudes
 * of 4 qubits. */
#include "client/tasks/draw.h"
#include "client/tasks/file.h"
#include "client/tasks/idx.h"
#include "client/tasks/kinds.h"
#include "client/tasks/split.h"
#include "common/util.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

#define IMAGE_SIDE  28
#define POOL_SIDE   7
#define POOLED_SIDE (IMAGE_SIDE / POOL_SIDE)

/* One of MNIST's two sets, with the positions of the two wanted digits in a shuffled order. */
struct digits {
    struct buf image_file, label_file;
    struct idx images, labels;
    unsigned digit[2];
    uint32_t *of[2];
    uint32_t n[2];
};

static void digits_deinit(struct digits *d)
{
    buf_deinit(&d->image_file);
    buf_deinit(&d->label_file);
    free(d->of[0]);
    free(d->of[1]);
}

static int load_file(
    struct buf *file, struct idx *idx, const char *dir, const char *name, struct err *e)
{
    char path[PATH_MAX];
    int r = file_find(path, sizeof(path), dir, "mnist", name, e);
    if (r == 0)
        r = file_read(file, path, IDX_BYTES_MAX, e);
    if (r < 0)
        return r;
    r = idx_parse(idx, file->data, file->len, e);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static int check_files(const struct digits *d, const char *prefix, struct err *e)
{
    const struct idx *images = &d->images, *labels = &d->labels;
    if (images->dimensions != 3 || images->shape[1] != IMAGE_SIDE || images->shape[2] != IMAGE_SIDE)
        return err_set(e, -EBADMSG, "%s: the images are not of 28 x 28 pixels", prefix);
    if (labels->dimensions != 1 || labels->shape[0] != images->shape[0])
        return err_set(e, -EBADMSG, "%s: there is not one label for every image", prefix);
    return 0;
}

static int load_files(struct digits *d, const char *dir, const char *prefix, struct err *e)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", prefix);
    int r = load_file(&d->image_file, &d->images, dir, name, e);
    if (r < 0)
        return r;
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", prefix);
    r = load_file(&d->label_file, &d->labels, dir, name, e);
    return r < 0 ? r : check_files(d, prefix, e);
}

static int find_digits(struct digits *d, struct rng *rng, struct err *e)
{
    uint32_t n = d->labels.shape[0];
    for (int c = 0; c < 2; c++) {
        d->of[c] = calloc(n, sizeof(uint32_t));
        if (!d->of[c])
            return err_set(e, -ENOMEM, "no memory for %u labels", n);
        for (uint32_t i = 0; i < n; i++)
            if (d->labels.values[i] == d->digit[c])
                d->of[c][d->n[c]++] = i;
        draw_order(d->of[c], d->n[c], rng);
    }
    return 0;
}

/* Average pooling, then the amplitudes of a normalised state. A black image is |0...0>. */
static void encode_image(const uint8_t *pixels, double complex *psi)
{
    double norm = 0;
    for (unsigned y = 0; y < POOLED_SIDE; y++) {
        for (unsigned x = 0; x < POOLED_SIDE; x++) {
            unsigned sum = 0;
            for (unsigned dy = 0; dy < POOL_SIDE; dy++)
                for (unsigned dx = 0; dx < POOL_SIDE; dx++)
                    sum += pixels[(y * POOL_SIDE + dy) * IMAGE_SIDE + x * POOL_SIDE + dx];
            psi[y * POOLED_SIDE + x] = sum;
            norm += (double)sum * sum;
        }
    }
    if (norm == 0)
        psi[0] = norm = 1;
    for (unsigned k = 0; k < POOLED_SIDE * POOLED_SIDE; k++)
        psi[k] /= sqrt(norm);
}

/* `share` of the digits as samples; the first digit has target > 0. */
static int take_share(struct samples *s, const struct digits *d, const struct split_share *share,
    double target, struct err *e)
{
    for (int c = 0; c < 2; c++)
        if (share->first[c] + share->of[c] > d->n[c])
            return err_set(e, -EINVAL,
                "there are only %u images of digit %u, and more are asked for", d->n[c],
                d->digit[c]);
    int r = samples_init(s, share->of[0] + share->of[1], 2 * POOLED_SIDE * POOLED_SIDE, e);
    if (r < 0)
        return r;
    uint32_t row = 0;
    for (int c = 0; c < 2; c++) {
        for (uint32_t i = 0; i < share->of[c]; i++, row++) {
            double complex psi[POOLED_SIDE * POOLED_SIDE];
            size_t image = d->of[c][share->first[c] + i];
            encode_image(d->images.values + image * IMAGE_SIDE * IMAGE_SIDE, psi);
            samples_put_state(s, row, psi);
            s->targets[row] = c == 0 ? target : -target;
        }
    }
    return 0;
}

static int load_set(struct samples *s, const struct task *t, const struct task_request *r,
    const char *prefix, const unsigned pair[2], const struct split_share *share, struct err *e)
{
    cleanup(digits_deinit) struct digits d = {.digit = {pair[0], pair[1]}};
    cleanup(rng_freep) struct rng *rng = draw_stream(r->seed, prefix, 0);
    if (!rng)
        return err_set(e, -ENOMEM, "no memory");
    int code = load_files(&d, r->data_dir, prefix, e);
    if (code == 0)
        code = find_digits(&d, rng, e);
    if (code == 0)
        code = take_share(s, &d, share, t->target, e);
    return code;
}

static int read_pair(const struct task_request *r, unsigned pair[2], struct err *e)
{
    const char *text = task_option(r, "pair", "3-6");
    if (strlen(text) != 3 || text[0] < '0' || text[0] > '9' || !strchr("-,", text[1]) ||
        text[2] < '0' || text[2] > '9' || text[0] == text[2])
        return err_set(
            e, -EINVAL, "option pair is '%s', but it is two different digits such as 3-6", text);
    pair[0] = (unsigned)(text[0] - '0');
    pair[1] = (unsigned)(text[2] - '0');
    return 0;
}

static int load_sets(struct task *t, const struct task_request *r, enum split split, struct err *e)
{
    unsigned pair[2] = {0};
    int code = read_pair(r, pair, e);
    if (code < 0)
        return code;
    snprintf(t->note, sizeof(t->note), "digits %u and %u, split %s, %s", pair[0], pair[1],
        split_names[split], qnn_ansatz_name(t->circuit.ansatz));
    struct split_share share = split_share(SPLIT_IID, 0, 1, t->defaults.test_samples);
    code = load_set(&t->test, t, r, "t10k", pair, &share, e);
    if (code < 0 || r->shards == 0)
        return code;
    share = split_share(split, r->shard, r->shards, t->defaults.samples);
    return load_set(&t->train, t, r, "train", pair, &share, e);
}

static int load(struct task *t, const struct task_request *r, struct err *e)
{
    int split = task_choice(r, "split", split_names, e);
    if (split < 0)
        return split;
    int code = load_sets(t, r, (enum split)split, e);
    return code < 0 ? err_wrap(e, code, "task %s", t->name) : 0;
}

const struct task_kind task_mnist_qnn = {
    .name = "mnist-qnn",
    .trainer = "qnn",
    .options = (const char *const[]){"pair", "split", NULL},
    .circuit = {.qubits = 4, .layers = 3, .readout = 3, .ansatz = QNN_RZ_RY_RZ},
    .defaults = {.rounds = 30,
        .q = 8,
        .clip = 0.1,
        .rounding = ROUNDING_STOCHASTIC,
        .lr = 0.01,
        .batch = 50,
        .local_epochs = 1,
        .samples = 500,
        .test_samples = 500},
    .load = load,
};
