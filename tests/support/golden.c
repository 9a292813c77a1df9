#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cpu/cpu.h"
#include "format/safetensors.h"

static void must(int rc, const struct err *err)
{
    if (rc) fail_msg("%s", err->message);
}

static void *read_expected(const char *dir, const char *name, size_t value_size, size_t *n)
{
    char path[512];
    struct err err = {0};
    struct file f;
    struct safetensors st;
    snprintf(path, sizeof path, "%s/expected.safetensors", dir);
    must(file_open(&f, path, &err), &err);
    must(safetensors_open(&st, &f, &err), &err);
    void *data = NULL;
    for (int i = 0; i < st.n; i++) {
        if (strcmp(st.tensors[i].name, name) != 0) continue;
        data = xmalloc(st.tensors[i].bytes);
        *n = st.tensors[i].bytes / value_size;
        must(file_read(&f, st.tensors[i].offset, data, st.tensors[i].bytes, &err), &err);
    }
    safetensors_close(&st);
    file_close(&f);
    if (!data) fail_msg("%s holds no tensor %s", path, name);
    return data;
}

float *golden_f32(const char *dir, const char *name, size_t *n)
{
    return read_expected(dir, name, sizeof(float), n);
}

int32_t *golden_i32(const char *dir, const char *name, size_t *n)
{
    return read_expected(dir, name, sizeof(int32_t), n);
}

uint8_t *golden_u8(const char *dir, const char *name, size_t *n)
{
    return read_expected(dir, name, 1, n);
}

double golden_number(const char *dir, const char *key)
{
    char path[512];
    struct err err = {0};
    json_t *root;
    snprintf(path, sizeof path, "%s/expected.json", dir);
    must(json_parse_file(&root, path, 1 << 20, &err), &err);
    json_t *v = json_object_get(root, key);
    if (!json_is_number(v)) fail_msg("%s holds no number %s", path, key);
    double x = json_number_value(v);
    json_decref(root);
    return x;
}

static struct bench_model open_for_test(const char *path, enum numeric_mode mode, int threads,
                                        const char *isa, const struct model_options *options)
{
    struct bench_model b = {0};
    struct err err = {0};
    must(cpu_open(&b.backend, mode, threads, isa, &err), &err);
    must(weights_open(&b.weights, path, &err), &err);
    must(model_open(&b.model, b.backend, b.weights, options, &err), &err);
    b.pool = kv_pool_new(b.backend, model_layout(b.model), 0);
    b.vocab = model_config(b.model)->vocab;
    return b;
}

struct bench_model model_for_test(const char *path, enum numeric_mode mode, int threads,
                                  const char *isa, int mtp)
{
    return open_for_test(path, mode, threads, isa, &(struct model_options){.mtp = mtp});
}

struct bench_model model_in_slots(const char *path, enum numeric_mode mode, int threads, int mtp,
                                  int slots)
{
    return open_for_test(path, mode, threads, NULL,
                         &(struct model_options){.mtp = mtp, .expert_slots = slots});
}

void model_done(struct bench_model *b)
{
    kv_pool_free(b->pool);
    model_close(b->model);
    weights_close(b->weights);
    b->backend->close(b->backend);
}

void run_logits(struct bench_model *b, const int32_t *tokens, int n, int chunk, float *logits,
                float *mtp)
{
    struct kv *kv = kv_new(b->pool);
    int n_mtp = 0;
    /* So that a row left out cannot pass for one of an earlier run. */
    memset(logits, 0xff, (size_t)n * (size_t)b->vocab * sizeof *logits);
    if (mtp) memset(mtp, 0xff, (size_t)(n - 1) * (size_t)b->vocab * sizeof *mtp);
    for (int at = 0; at < n; at += chunk) {
        int size = n - at < chunk ? n - at : chunk;
        struct model_input in = {kv, (const int *)tokens + at, size, size};
        struct model_output out = {.logits = logits + (size_t)at * (size_t)b->vocab,
                                   .mtp_logits = mtp};
        struct err err = {0};
        must(model_forward(b->model, &in, 1, &out, NULL, &err), &err);
        if (mtp) mtp += (size_t)out.n_mtp * (size_t)b->vocab;
        n_mtp += out.n_mtp;
    }
    assert_int_equal(n_mtp, model_has_mtp(b->model) ? n - 1 : 0);
    kv_free(kv);
}

void feed(struct bench_model *b, struct kv *kv, const int32_t *tokens, int n, float *last)
{
    struct model_input in = {kv, (const int *)tokens, n, 1};
    struct model_output out = {.logits = last};
    struct err err = {0};
    must(model_forward(b->model, &in, 1, &out, NULL, &err), &err);
}

double max_difference(const float *a, const float *b, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= max)) max = d;
    }
    return max;
}

double max_magnitude(const float *a, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs((double)a[i]) > max) max = fabs((double)a[i]);
    return max;
}

static double log_sum_exp(const float *x, size_t n)
{
    double max = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - max);
    return max + log(sum);
}

double mean_kl(const float *reference, const float *ours, size_t rows, size_t vocab)
{
    double total = 0;
    for (size_t t = 0; t < rows; t++) {
        const float *p = reference + t * vocab, *q = ours + t * vocab;
        double zp = log_sum_exp(p, vocab), zq = log_sum_exp(q, vocab);
        for (size_t i = 0; i < vocab; i++)
            total += exp(p[i] - zp) * ((p[i] - zp) - (q[i] - zq));
    }
    return total / (double)rows;
}

int argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}
