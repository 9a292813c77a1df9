/* Attention on the CPU. With few rows: decode the keys of a batch of them to f32, then heads in parallel. With
 * many: rows in parallel, so that the keys of one stay in the cache of the thread that decoded them. */
#include "cpu/ops.h"

#include <stdbool.h>
#include <string.h>

#include "cpu/linear.h"
#include "cpu/vec.h"

enum { BLOCK = 64, MAX_KEYS_BYTES = 32 << 20, MIN_HEADS = 8, MAX_HEADS = 32 };
/* Rows are in parallel where each thread has so many of them, the keys of one fit its second cache, and those of
 * all threads fit the memory that they may take. */
enum { MANY_ROWS = 4, OWN_KEYS_BYTES = 2 << 20, ALL_KEYS_BYTES = 128 << 20 };

/* The keys of one query row. */
struct key_set {
    int t;
    int window_first, n_window; /* positions */
    int n_entries;
    const int32_t *ids; /* NULL: 0 .. n_entries */
    int n_blocks;
    int32_t *block_end;
    float *keys; /* [n_window + n_entries, d] */
};

struct attend_job {
    const struct step *s;
    const struct attend_args *a;
    struct key_set *sets;
    const int *first; /* [rows + 1] number of the first key of each row of the batch */
    int n_rows;
    int heads;        /* per work unit */
    size_t keys_size; /* floats per thread, where rows are in parallel */
    float *scores;
    size_t scores_size; /* floats per thread */
};

static int keys_of(const struct key_set *k)
{
    return k->n_window + k->n_entries;
}

static void count_keys(const struct step *s, const struct attend_args *a, int t, struct key_set *k)
{
    int pos = s->rows.pos[t], window = a->layer->window;
    k->t = t;
    k->window_first = pos - window + 1 > 0 ? pos - window + 1 : 0;
    k->n_window = pos + 1 - k->window_first;
    k->ids = a->ids ? a->ids->data + (size_t)t * (size_t)a->ids->cols : NULL;
    k->n_entries = a->count ? a->count->data[t] : kv_visible(a->layer->ratio, pos);
}

/* Blocks of 64: window rows by position, entries by id, chosen entries by rank. */
static void set_blocks(struct key_set *k)
{
    int n = 0;
    int end = k->window_first + k->n_window;
    for (int p = (k->window_first / BLOCK + 1) * BLOCK; p < end; p += BLOCK)
        k->block_end[n++] = p - k->window_first;
    k->block_end[n++] = k->n_window;
    for (int i = BLOCK; i < k->n_entries; i += BLOCK)
        k->block_end[n++] = k->n_window + i;
    if (k->n_entries) k->block_end[n++] = k->n_window + k->n_entries;
    k->n_blocks = n;
}

static const uint8_t *stored_key(const struct attend_job *job, const struct key_set *k, int i)
{
    const struct layer_kv *l = job->a->layer;
    const struct step_seq *seq = &job->s->rows.seqs[job->s->rows.seq[k->t]];
    if (i < k->n_window) {
        int pos = k->window_first + i;
        if (pos >= seq->pos)
            return job->a->rows->data + (size_t)(seq->first + pos - seq->pos) * l->row_bytes;
        return (const uint8_t *)seq->live + l->ring + (size_t)(pos % l->window) * l->row_bytes;
    }
    int entry = k->ids ? k->ids[i - k->n_window] : i - k->n_window;
    int per_page = KV_PAGE / l->ratio;
    return (const uint8_t *)seq->pages[entry / per_page] + l->rows +
           (size_t)(entry % per_page) * l->row_bytes;
}

static void decode_key(const struct attend_job *job, const struct key_set *k, int i)
{
    const struct layer_kv *l = job->a->layer;
    vec_load_row(cpu_of(job->s), k->keys + (size_t)i * (size_t)l->head_dim, stored_key(job, k, i),
                 l);
}

static void decode_keys(void *ctx, int first, int last, int thread)
{
    const struct attend_job *job = ctx;
    int row = 0;
    (void)thread;
    for (int i = first; i < last; i++) {
        while (i >= job->first[row + 1])
            row++;
        decode_key(job, &job->sets[row], i - job->first[row]);
    }
}

/* Heads [head0, head1) of a row whose keys are decoded. */
static void attend_some(const struct attend_job *job, const struct key_set *k, int head0, int head1,
                        int thread)
{
    const struct attend_args *a = job->a;
    const struct layer_kv *l = a->layer;
    const struct cpu_kernels *kernels = cpu_of(job->s)->k;
    int d = l->head_dim;
    float *o = a->o->f32 + (size_t)k->t * (size_t)a->o->k;
    kernels->attend(o, a->q->data + (size_t)k->t * (size_t)a->q->cols, head0, head1, d, k->keys,
                    keys_of(k), k->block_end, k->n_blocks, packed_f32(a->sink), a->scale,
                    job->scores + (size_t)thread * job->scores_size);
    const float *cs = a->cs->data + (size_t)k->t * (size_t)l->rope_dim;
    for (int h = head0; h < head1; h++)
        kernels->rope(o + (size_t)(h + 1) * (size_t)d - l->rope_dim, cs, l->rope_dim, 1);
}

static void attend_heads(void *ctx, int first, int last, int thread)
{
    const struct attend_job *job = ctx;
    int n = job->a->n_heads, parts = (n + job->heads - 1) / job->heads;
    for (int i = first; i < last; i++) {
        int head0 = i % parts * job->heads;
        int head1 = head0 + job->heads < n ? head0 + job->heads : n;
        attend_some(job, &job->sets[i / parts], head0, head1, thread);
    }
}

/* Whole rows, whose keys lie at the thread's place. */
static void attend_rows(void *ctx, int first, int last, int thread)
{
    const struct attend_job *job = ctx;
    int n = job->a->n_heads;
    for (int i = first; i < last; i++) {
        struct key_set k = job->sets[i];
        k.keys = job->sets[0].keys + (size_t)thread * job->keys_size;
        for (int key = 0; key < keys_of(&k); key++)
            decode_key(job, &k, key);
        for (int h = 0; h < n; h += job->heads)
            attend_some(job, &k, h, h + job->heads < n ? h + job->heads : n, thread);
        acts_quantise(cpu_of(job->s), job->a->o, k.t, 1);
    }
}

static void quantise_rows(void *ctx, int first, int last, int thread)
{
    const struct attend_job *job = ctx;
    (void)thread;
    for (int i = first; i < last; i++)
        acts_quantise(cpu_of(job->s), job->a->o, job->sets[i].t, 1);
}

/* Heads per work unit: more of them use a key better, fewer leave work for every thread. */
static int heads_per_unit(int n_rows, int n_heads, int threads)
{
    int heads = MAX_HEADS;
    while (heads > MIN_HEADS && n_rows * ((n_heads + heads - 1) / heads) < 2 * threads)
        heads /= 2;
    return heads < n_heads ? heads : n_heads;
}

/* Rows [row, ...) as many as fit the key buffer, or all of them where rows are in parallel; returns how
 * many, 0 on failure. */
static int attend_batch(struct step *s, const struct attend_args *a, int row, bool by_rows)
{
    size_t key_size = (size_t)a->layer->head_dim * sizeof(float);
    int left = s->rows.n_rows - row, n = 0, longest = 0;
    struct key_set *sets = cpu_scratch(s, (size_t)left * sizeof *sets);
    int *first = cpu_scratch(s, (size_t)(left + 1) * sizeof *first);
    if (s->err.code != ERR_NONE) return 0;
    first[0] = 0;
    while (n < left) {
        count_keys(s, a, row + n, &sets[n]);
        int keys = keys_of(&sets[n]);
        if (!by_rows && n && (size_t)(first[n] + keys) * key_size > MAX_KEYS_BYTES) break;
        first[n + 1] = first[n] + keys;
        longest = keys > longest ? keys : longest;
        n++;
    }
    int threads = pool_threads(cpu_of(s)->pool);
    int heads = by_rows ? MAX_HEADS : heads_per_unit(n, a->n_heads, threads);
    int n_keys = by_rows ? threads * longest : first[n];
    float *keys = cpu_scratch(s, (size_t)n_keys * key_size);
    int32_t *ends = cpu_scratch(s, ((size_t)first[n] / BLOCK + 4 * (size_t)n) * sizeof *ends);
    size_t scores_size = (size_t)(longest + a->layer->head_dim) * (size_t)(heads + 16);
    float *scores = cpu_scratch(s, (size_t)threads * scores_size * sizeof *scores);
    if (s->err.code != ERR_NONE) return 0;
    for (int i = 0; i < n; i++) {
        sets[i].keys = keys + (by_rows ? 0 : (size_t)first[i] * (size_t)a->layer->head_dim);
        sets[i].block_end = ends;
        set_blocks(&sets[i]);
        ends += sets[i].n_blocks;
    }
    struct attend_job job = {
        s,      a,          sets, first, n, heads, (size_t)longest * (size_t)a->layer->head_dim,
        scores, scores_size};
    if (by_rows) {
        cpu_run(s, n, 1, attend_rows, &job);
        return n;
    }
    cpu_run(s, first[n], 16, decode_keys, &job);
    cpu_run(s, n * ((a->n_heads + heads - 1) / heads), 1, attend_heads, &job);
    cpu_run(s, n, 1, quantise_rows, &job);
    return n;
}

static bool rows_in_parallel(const struct step *s, const struct attend_args *a)
{
    int threads = pool_threads(cpu_of(s)->pool), bytes = ALL_KEYS_BYTES / threads;
    if (bytes > OWN_KEYS_BYTES) bytes = OWN_KEYS_BYTES;
    int most = bytes / (a->layer->head_dim * (int)sizeof(float));
    if (s->rows.n_rows < MANY_ROWS * threads) return false;
    for (int t = 0; t < s->rows.n_rows; t++) {
        struct key_set k;
        count_keys(s, a, t, &k);
        if (keys_of(&k) > most) return false;
    }
    return true;
}

void cpu_attend(struct step *s, const struct attend_args *a)
{
    bool by_rows = rows_in_parallel(s, a);
    for (int row = 0; row < s->rows.n_rows;) {
        size_t mark = step_mark(s);
        int n = attend_batch(s, a, row, by_rows);
        if (!n) return;
        step_release(s, mark);
        row += n;
    }
}
