#include "base/progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

struct progress {
    const char *label;
    const char *unit;
    uint64_t total;
    double start;
    bool shown;
    _Atomic uint64_t done;
    _Atomic uint64_t next_ms; /* do not draw before */
};

struct progress *progress_new(const char *label, uint64_t total, const char *unit)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->label = label;
    p->unit = unit;
    p->total = total ? total : 1;
    p->start = clock_seconds();
    p->shown = isatty(2);
    return p;
}

static void draw(const struct progress *p, uint64_t done)
{
    double s = clock_seconds() - p->start;
    double rate = s > 0 ? (double)done / s : 0;
    double left = rate > 0 ? (double)(p->total - done) / rate : 0;
    int percent = (int)(100.0 * (double)done / (double)p->total);
    if (!strcmp(p->unit, "B"))
        fprintf(stderr, "\r%s %3d%%  %.2f of %.2f GB  %.2f GB/s  %.0f s left\033[K", p->label,
                percent, (double)done / 1e9, (double)p->total / 1e9, rate / 1e9, left);
    else
        fprintf(stderr, "\r%s %3d%%  %llu of %llu %s  %.1f/s  %.0f s left\033[K", p->label, percent,
                (unsigned long long)done, (unsigned long long)p->total, p->unit, rate, left);
    fflush(stderr);
}

void progress_add(struct progress *p, uint64_t n)
{
    if (!p) return;
    uint64_t done = atomic_fetch_add(&p->done, n) + n;
    if (!p->shown) return;
    uint64_t now = (uint64_t)((clock_seconds() - p->start) * 1000);
    uint64_t next = p->next_ms;
    if (now < next || !atomic_compare_exchange_strong(&p->next_ms, &next, now + 100)) return;
    draw(p, done < p->total ? done : p->total);
}

void progress_free(struct progress *p)
{
    if (!p) return;
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    free(p);
}
