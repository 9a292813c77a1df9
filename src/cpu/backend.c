#include "cpu/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cpu/arena.h"
#include "cpu/ops.h"
#include "cpu/slots.h"

static struct cpu *cpu_from(struct backend *b)
{
    return (struct cpu *)b;
}

static void cpu_close(struct backend *b)
{
    struct cpu *c = cpu_from(b);
    CHECK(!c->slots, "cpu: closed with a cache of experts open");
    pool_free(c->pool);
    arena_free(c->arena);
    free(c);
}

static int weight_load(struct backend *b, struct weight **out, const struct weight_src *src,
                       struct err *err)
{
    (void)b;
    return packed_load(out, src, err);
}

static void weight_free(struct backend *b, struct weight *w)
{
    (void)b;
    packed_free(w);
}

static int weight_bytes(struct backend *b, size_t *out, const struct weight_src *src, int n,
                        struct err *err)
{
    (void)b;
    *out = 0;
    for (int i = 0; i < n; i++) {
        struct packed w;
        if (packed_init(&w, &src[i], err)) return -1;
        free(w.base.name);
        *out += packed_bytes(&w);
    }
    return 0;
}

static int cache_open(struct backend *b, const struct cache_options *o, struct err *err)
{
    CHECK(!cpu_from(b)->slots, "cpu: a second cache of experts");
    return slots_open(&cpu_from(b)->slots, o, err);
}

static int expert_defer(struct backend *b, struct expert *out, const struct weight_src src[3],
                        struct err *err)
{
    return slots_defer(cpu_from(b)->slots, out, src, err);
}

static void cache_close(struct backend *b)
{
    slots_close(cpu_from(b)->slots);
    cpu_from(b)->slots = NULL;
}

static void cache_stats(struct backend *b, struct cache_stats *out)
{
    *out = (struct cache_stats){0};
    if (cpu_from(b)->slots) slots_stats(cpu_from(b)->slots, out);
}

static void *block_new(struct backend *b, size_t size)
{
    (void)b;
    return mem_pages(size);
}

static void block_free(struct backend *b, void *block, size_t size)
{
    (void)b;
    mem_pages_free(block, size);
}

static void block_copy(struct backend *b, void *to, const void *from, size_t size)
{
    (void)b;
    memcpy(to, from, size);
}

static void block_read(struct backend *b, void *host, const void *block, size_t offset, size_t size)
{
    (void)b;
    memcpy(host, (const char *)block + offset, size);
}

static void block_write(struct backend *b, void *block, size_t offset, const void *host,
                        size_t size)
{
    (void)b;
    memcpy((char *)block + offset, host, size);
}

static void begin(struct step *s)
{
    arena_reset(cpu_of(s)->arena);
}

static void end(struct step *s)
{
    (void)s; /* every op has finished when it returns */
}

void *cpu_scratch(struct step *s, size_t size)
{
    void *p = arena_take(cpu_of(s)->arena, size);
    if (!p) step_fail(s, ERR_LIMIT, "cpu: out of memory for the step's scratch");
    return p;
}

static size_t mark(struct step *s)
{
    return arena_mark(cpu_of(s)->arena);
}

static void release(struct step *s, size_t to)
{
    arena_release(cpu_of(s)->arena, to);
}

static void read_tensor(struct step *s, float *host, const struct tensor *t)
{
    (void)s;
    memcpy(host, t->data, (size_t)t->rows * (size_t)t->cols * sizeof *host);
}

int cpu_open(struct backend **out, enum numeric_mode mode, int n_threads, const char *isa,
             struct err *err)
{
    *out = NULL;
    const struct cpu_kernels *k = kernels_find(isa);
    if (!k)
        return err_set(err, ERR_ARGUMENT, "cpu: no kernels named \"%s\" for this processor", isa);
    struct cpu *c = xcalloc(1, sizeof *c);
    c->base = (struct backend){
        .name = "cpu",
        .isa = k->name,
        .mode = mode,
        .close = cpu_close,
        .weight_load = weight_load,
        .weight_free = weight_free,
        .weight_bytes = weight_bytes,
        .cache_open = cache_open,
        .expert_defer = expert_defer,
        .cache_close = cache_close,
        .cache_stats = cache_stats,
        .block_new = block_new,
        .block_free = block_free,
        .block_copy = block_copy,
        .block_read = block_read,
        .block_write = block_write,
        .step_begin = begin,
        .step_end = end,
        .scratch = cpu_scratch,
        .mark = mark,
        .release = release,
        .read = read_tensor,
        .embed = cpu_embed,
        .rope_rows = cpu_rope_rows,
        .hc_mix = cpu_hc_mix,
        .hc_join = cpu_hc_join,
        .project = cpu_project,
        .project_grouped = cpu_project_grouped,
        .norm = cpu_norm,
        .rows_append = cpu_rows_append,
        .rows_keep = cpu_rows_keep,
        .compress = cpu_compress,
        .query = cpu_query,
        .select = cpu_select,
        .attend = cpu_attend,
        .route = cpu_route,
        .experts = cpu_experts,
        .expect = cpu_expect,
        .head = cpu_head,
        .mtp_streams = cpu_mtp_streams,
        .mtp_join = cpu_mtp_join,
    };
    c->k = k;
    c->pool = pool_new(n_threads);
    c->arena = arena_new();
    *out = &c->base;
    return 0;
}
