/* Rope tables, kv rows, compressed entries and queries on the CPU. */
#include "cpu/ops.h"

#include <string.h>

#include "base/fmath.h"
#include "cpu/linear.h"
#include "cpu/vec.h"

enum { MAX_ROPE = 512 }; /* what a config may ask for (format/config.c) */

struct rope_job {
    const struct step *s;
    const struct rope_rows_args *a;
};

static void rope_tables(void *ctx, int first, int last, int thread)
{
    const struct rope_job *job = ctx;
    (void)thread;
    for (int t = first; t < last; t++)
        vec_rope_table(job->a->cs->data + (size_t)t * (size_t)job->a->cs->cols, job->a->rope,
                       job->s->rows.pos[t]);
}

void cpu_rope_rows(struct step *s, const struct rope_rows_args *a)
{
    struct rope_job job = {s, a};
    cpu_run(s, a->cs->rows, 8, rope_tables, &job);
}

struct append_job {
    const struct step *s;
    const struct rows_append_args *a;
};

static void append_rows(void *ctx, int first, int last, int thread)
{
    const struct append_job *job = ctx;
    const struct rows_append_args *a = job->a;
    const struct layer_kv *l = a->layer;
    (void)thread;
    for (int t = first; t < last; t++) {
        float *x = a->kv->data + (size_t)t * (size_t)l->head_dim;
        vec_rms_norm(cpu_of(job->s), x, x, packed_f32(a->norm), l->head_dim, a->eps);
        cpu_of(job->s)->k->rope(x + l->head_dim - l->rope_dim,
                                a->cs->data + (size_t)t * (size_t)l->rope_dim, l->rope_dim, 0);
        vec_store_row(a->rows->data + (size_t)t * a->rows->row_bytes, x, l);
    }
}

void cpu_rows_append(struct step *s, const struct rows_append_args *a)
{
    struct append_job job = {s, a};
    cpu_run(s, a->kv->rows, 4, append_rows, &job);
}

static void keep_ring(const struct rows_keep_args *a, const struct step_seq *seq)
{
    const struct layer_kv *l = a->layer;
    int end = seq->pos + seq->n;
    int from = end - l->window > seq->pos ? end - l->window : seq->pos;
    for (int p = from; p < end; p++)
        memcpy((char *)seq->live + l->ring + (size_t)(p % l->window) * l->row_bytes,
               a->rows->data + (size_t)(seq->first + p - seq->pos) * l->row_bytes, l->row_bytes);
}

void cpu_rows_keep(struct step *s, const struct rows_keep_args *a)
{
    for (int i = 0; i < s->rows.n_seqs; i++)
        keep_ring(a, &s->rows.seqs[i]);
}

struct query_job {
    const struct step *s;
    const struct query_args *a;
};

static void query_heads(void *ctx, int first, int last, int thread)
{
    const struct query_job *job = ctx;
    const struct query_args *a = job->a;
    const struct cpu *c = cpu_of(job->s);
    int d = a->head_dim;
    (void)thread;
    for (int i = first; i < last; i++) {
        int t = i / a->n_heads;
        float *q = a->q->data + (size_t)i * (size_t)d;
        float mean = c->k->sum_squares(q, d) / (float)d;
        float r = 1.0f / __builtin_sqrtf(mean + a->eps);
        for (int k = 0; k < d; k++)
            q[k] *= r;
        c->k->rope(q + d - a->rope_dim, a->cs->data + (size_t)t * (size_t)a->rope_dim, a->rope_dim,
                   0);
    }
}

void cpu_query(struct step *s, const struct query_args *a)
{
    struct query_job job = {s, a};
    cpu_run(s, a->q->rows * a->n_heads, 8, query_heads, &job);
}

/* --- compressor --- */

struct compress_job {
    const struct step *s;
    const struct compress_args *a;
    const struct carry_place *carry;
    int dim;          /* e: values of an entry */
    const int *first; /* [n_seqs + 1] number of the first entry of each sequence */
    float *scratch;   /* [threads, dim] */
};

static const float *carry_row(const struct step_seq *seq, size_t place, int slot, int width)
{
    const char *live = seq->live;
    return (const float *)(const void *)(live + place) + (size_t)slot * (size_t)width;
}

/* A slot of an entry: rows of K and S (offset to the channels that count), ape to add or NULL when
 * it is in S already. */
struct slot {
    const float *k, *s, *ape;
};

static struct slot slot_at(const struct compress_job *job, const struct step_seq *seq, int pos,
                           int channel)
{
    const struct compress_args *a = job->a;
    int width = job->carry->width;
    if (pos < seq->pos) {
        int slot = pos % job->carry->slots;
        return (struct slot){carry_row(seq, job->carry->k, slot, width) + channel,
                             carry_row(seq, job->carry->s, slot, width) + channel, NULL};
    }
    size_t row = (size_t)(seq->first + pos - seq->pos) * (size_t)width;
    const float *ape = packed_f32(a->ape) + (size_t)(pos % a->layer->ratio) * (size_t)width;
    return (struct slot){a->k->data + row + channel, a->s->data + row + channel, ape + channel};
}

static float slot_score(const struct slot *slot, int c)
{
    return slot->ape ? slot->s[c] + slot->ape[c] : slot->s[c];
}

/* out [dim]: softmax over the slots per channel, weighted sum of K. */
static void pool_entry(float *out, const struct slot *slots, int n, int dim)
{
    for (int c = 0; c < dim; c++) {
        float max = slot_score(&slots[0], c);
        for (int i = 1; i < n; i++) {
            float score = slot_score(&slots[i], c);
            max = score > max ? score : max;
        }
        float sum = 0.0f, z = 0.0f;
        for (int i = 0; i < n; i++) {
            float e = fm_exp(slot_score(&slots[i], c) - max);
            sum = __builtin_fmaf(e, slots[i].k[c], sum);
            z = z + e;
        }
        out[c] = sum / z;
    }
}

/* The slots of entry i, ascending in position: with R = 4 the four tokens before its own count too,
 * through the low half of the channels. */
static int entry_slots(const struct compress_job *job, const struct step_seq *seq, int entry,
                       struct slot *slots)
{
    int ratio = job->a->layer->ratio, n = 0;
    int overlap = job->carry->width == 2 * job->dim;
    for (int p = (entry - 1) * ratio; overlap && entry > 0 && p < entry * ratio; p++)
        slots[n++] = slot_at(job, seq, p, 0);
    for (int p = entry * ratio; p < (entry + 1) * ratio; p++)
        slots[n++] = slot_at(job, seq, p, overlap ? job->dim : 0);
    return n;
}

static void close_entry(const struct compress_job *job, const struct step_seq *seq, int entry,
                        float *x)
{
    const struct compress_args *a = job->a;
    const struct layer_kv *l = a->layer;
    struct slot slots[KV_PAGE];
    float cs[MAX_ROPE];
    int n = entry_slots(job, seq, entry, slots);

    pool_entry(x, slots, n, job->dim);
    vec_rms_norm(cpu_of(job->s), x, x, packed_f32(a->norm), job->dim, a->eps);
    vec_rope_table(cs, a->rope, entry * l->ratio);
    cpu_of(job->s)->k->rope(x + job->dim - l->rope_dim, cs, l->rope_dim, 0);

    int per_page = KV_PAGE / l->ratio;
    char *page = seq->pages[entry / per_page];
    size_t at = (size_t)(entry % per_page);
    if (a->is_index) {
        vec_hadamard(x, job->dim);
        vec_store_key((uint8_t *)page + l->keys + at * l->key_bytes, x, l, job->s->mode);
    } else {
        vec_store_row((uint8_t *)page + l->rows + at * l->row_bytes, x, l);
    }
}

static void close_entries(void *ctx, int first, int last, int thread)
{
    const struct compress_job *job = ctx;
    float *x = job->scratch + (size_t)thread * (size_t)job->dim;
    for (int i = first; i < last; i++) {
        int q = 0;
        while (i >= job->first[q + 1])
            q++;
        const struct step_seq *seq = &job->s->rows.seqs[q];
        close_entry(job, seq, seq->pos / job->a->layer->ratio + i - job->first[q], x);
    }
}

/* Keeps the rows that later entries need. After close_entries, which reads what this replaces. */
static void keep_carry(const struct compress_job *job, const struct step_seq *seq)
{
    int width = job->carry->width, slots = job->carry->slots;
    int end = seq->pos + seq->n;
    int from = end - slots > seq->pos ? end - slots : seq->pos;
    char *live = seq->live;
    for (int p = from; p < end; p++) {
        struct slot in = slot_at(job, seq, p, 0);
        size_t at = (size_t)(p % slots) * (size_t)width * sizeof(float);
        memcpy(live + job->carry->k + at, in.k, (size_t)width * sizeof(float));
        float *s = (float *)(void *)(live + job->carry->s + at);
        for (int c = 0; c < width; c++)
            s[c] = slot_score(&in, c);
    }
}

void cpu_compress(struct step *s, const struct compress_args *a)
{
    const struct layer_kv *l = a->layer;
    CHECK(l->rope_dim <= MAX_ROPE, "compress: rope of %d values", l->rope_dim);
    size_t mark = step_mark(s);
    int n_seqs = s->rows.n_seqs;
    int *first = cpu_scratch(s, (size_t)(n_seqs + 1) * sizeof *first);
    int dim = a->is_index ? l->index_dim : l->head_dim;
    int threads = pool_threads(cpu_of(s)->pool);
    float *scratch = cpu_scratch(s, (size_t)threads * (size_t)dim * sizeof *scratch);
    if (s->err.code != ERR_NONE) return;

    first[0] = 0;
    for (int i = 0; i < n_seqs; i++) {
        const struct step_seq *seq = &s->rows.seqs[i];
        first[i + 1] = first[i] + (seq->pos + seq->n) / l->ratio - seq->pos / l->ratio;
    }
    struct compress_job job = {s, a, a->is_index ? &l->key_carry : &l->carry, dim, first, scratch};
    if (first[n_seqs]) cpu_run(s, first[n_seqs], 1, close_entries, &job);
    for (int i = 0; i < n_seqs; i++)
        keep_carry(&job, &s->rows.seqs[i]);
    step_release(s, mark);
}
