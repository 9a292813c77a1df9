#include "cli/bench.h"

#include <stdio.h>

#include "ops/step.h"

void bench_show_head(void)
{
    printf("%-14s %5s %8s %10s %-9s %10s %6s %10s  %s\n", "what", "n", "context", "rate", "",
           "limit", "share", "ms a step", "rounds");
}

void bench_show_row(const struct bench_row *r)
{
    printf("%-14s %5d %8d %10.2f %-9s %10.2f %6.2f %10.3f  %d", r->name, r->n, r->context, r->rate,
           r->unit, r->limit, r->share, 1e3 * r->seconds, r->rounds);
    if (r->dropped) printf(", %d dropped", r->dropped);
    printf("%s\n", r->noisy ? ", too few of them quiet" : "");
    if (r->cache.any) {
        printf("  experts on demand: %.1f%% hits; a step reads %.1f MB and waits %.1f ms",
               100 * r->cache.hits, r->cache.bytes * 1e-6, 1e3 * r->cache.wait);
        if (r->cache.ahead >= 0) printf("; %.0f%% of those read ahead used", 100 * r->cache.ahead);
        putchar('\n');
    }
    fflush(stdout);
}

void bench_show_ops(const struct bench_op ops[OP_COUNT])
{
    double total = 0;
    bool shown[OP_COUNT] = {false};
    for (int i = 0; i < OP_COUNT; i++) {
        total += ops[i].seconds;
        shown[i] = ops[i].seconds <= 0; /* not told of by the observer: part of its neighbour */
    }
    printf("  %-16s %6s %10s %6s %10s %6s\n", "op", "calls", "ms", "of it", "limit ms", "share");
    for (;;) {
        int most = -1;
        for (int i = 0; i < OP_COUNT; i++)
            if (!shown[i] && (most < 0 || ops[i].seconds > ops[most].seconds)) most = i;
        if (most < 0) break;
        const struct bench_op *o = &ops[most];
        shown[most] = true;
        printf("  %-16s %6ld %10.3f %5.1f%% %10.3f %6.2f\n", op_name((enum op)most), o->calls,
               1e3 * o->seconds, 100 * o->seconds / total, 1e3 * o->limit, o->limit / o->seconds);
    }
}

static void show_about(const char *name, const struct bench_run *r)
{
    static const char *const shown[] = {"tenon", "cpu", "isa", "threads", "model"};
    printf("%s:", name);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        json_t *value = json_object_get(r->about, shown[i]);
        if (!value) continue;
        char text[128];
        if (json_is_string(value))
            snprintf(text, sizeof text, "%s", json_string_value(value));
        else
            snprintf(text, sizeof text, "%.10g", json_number_value(value));
        make_printable(text); /* the file may hold anything */
        printf("%s %s %s", i ? "," : "", shown[i], text);
    }
    putchar('\n');
}

void bench_show_compared(const struct bench_run *a, const struct bench_run *b)
{
    int missing = 0;
    show_about("A", a);
    show_about("B", b);
    printf("%-14s %5s %8s %-9s %10s %10s %6s %8s %8s\n", "what", "n", "context", "", "A", "B",
           "B/A", "share A", "share B");
    for (int i = 0; i < a->n_rows; i++) {
        const struct bench_row *x = &a->rows[i], *y = bench_run_find(b, x);
        if (!y) {
            missing++;
            continue;
        }
        printf("%-14s %5d %8d %-9s %10.2f %10.2f %6.2f %8.2f %8.2f%s\n", x->name, x->n, x->context,
               x->unit, x->rate, y->rate, y->rate / x->rate, x->share, y->share,
               x->noisy || y->noisy ? "  noisy" : "");
    }
    if (missing) printf("%d rows of A are not in B\n", missing);
}
