#include "measure/bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { VERSION = 1, MAX_ROWS = 4096 };

void bench_run_init(struct bench_run *r)
{
    *r = (struct bench_run){.about = json_object()};
    CHECK(r->about, "out of memory");
}

void bench_run_fini(struct bench_run *r)
{
    json_decref(r->about);
    free(r->rows);
    *r = (struct bench_run){0};
}

void bench_run_add(struct bench_run *r, const struct bench_row *row)
{
    if (r->n_rows == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 32;
        r->rows = xrealloc(r->rows, (size_t)r->cap, sizeof *r->rows);
    }
    r->rows[r->n_rows++] = *row;
}

static json_t *row_json(const struct bench_row *r)
{
    json_t *o =
        json_pack("{s:s, s:i, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:b}", "name",
                  r->name, "n", r->n, "context", r->context, "unit", r->unit, "rate", r->rate,
                  "limit", r->limit, "share", r->share, "seconds", r->seconds, "read",
                  r->rates.read, "int_ops", r->rates.int_ops, "float_ops", r->rates.float_ops,
                  "rounds", r->rounds, "dropped", r->dropped, "noisy", r->noisy);
    if (r->cache.any)
        json_object_set_new(o, "experts",
                            json_pack("{s:f, s:f, s:f, s:f}", "hits", r->cache.hits, "read_bytes",
                                      r->cache.bytes, "wait_seconds", r->cache.wait, "ahead_used",
                                      r->cache.ahead));
    return o;
}

json_t *bench_run_json(const struct bench_run *r)
{
    json_t *rows = json_array();
    for (int i = 0; i < r->n_rows; i++)
        json_array_append_new(rows, row_json(&r->rows[i]));
    json_t *root =
        json_pack("{s:i, s:O, s:o}", "tenon_bench", (int)VERSION, "about", r->about, "rows", rows);
    CHECK(root, "out of memory");
    return root;
}

static int copy_text(char *out, size_t size, const char *text)
{
    if (strlen(text) >= size) return -1;
    memcpy(out, text, strlen(text) + 1);
    make_printable(out);
    return 0;
}

static int parse_row(struct bench_row *r, json_t *o)
{
    const char *name, *unit;
    int noisy;
    *r = (struct bench_row){0};
    if (json_unpack(o, "{s:s, s:i, s:i, s:s, s:F, s:F, s:F, s:F, s:F, s:F, s:F, s:i, s:i, s:b}",
                    "name", &name, "n", &r->n, "context", &r->context, "unit", &unit, "rate",
                    &r->rate, "limit", &r->limit, "share", &r->share, "seconds", &r->seconds,
                    "read", &r->rates.read, "int_ops", &r->rates.int_ops, "float_ops",
                    &r->rates.float_ops, "rounds", &r->rounds, "dropped", &r->dropped, "noisy",
                    &noisy))
        return -1;
    r->noisy = noisy;
    if (copy_text(r->name, sizeof r->name, name) || copy_text(r->unit, sizeof r->unit, unit))
        return -1;
    return r->rate > 0 && r->limit > 0 && r->share > 0 && r->seconds > 0 ? 0 : -1;
}

static int parse_root(struct bench_run *out, const char *what, json_t *root, struct err *err)
{
    int version;
    json_t *about, *rows;
    if (json_unpack(root, "{s:i, s:o, s:o}", "tenon_bench", &version, "about", &about, "rows",
                    &rows) ||
        !json_is_object(about) || !json_is_array(rows))
        return err_set(err, ERR_FORMAT, "%s: not the output of bench --json", what);
    if (version != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s: version %d, this program reads %d", what, version,
                       VERSION);
    if (json_array_size(rows) > MAX_ROWS)
        return err_set(err, ERR_LIMIT, "%s: more than %d rows", what, MAX_ROWS);
    json_object_update(out->about, about);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct bench_row row;
        if (parse_row(&row, json_array_get(rows, i)))
            return err_set(err, ERR_FORMAT, "%s: row %zu is not a measurement", what, i);
        bench_run_add(out, &row);
    }
    return 0;
}

int bench_run_parse(struct bench_run *out, const char *what, const char *text, size_t size,
                    struct err *err)
{
    json_t *root;
    bench_run_init(out);
    int rc = json_parse(&root, what, text, size, err);
    if (rc == 0) {
        rc = parse_root(out, what, root, err);
        json_decref(root);
    }
    if (rc) bench_run_fini(out);
    return rc;
}

const struct bench_row *bench_run_find(const struct bench_run *b, const struct bench_row *row)
{
    for (int i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        if (!strcmp(r->name, row->name) && !strcmp(r->unit, row->unit) && r->n == row->n &&
            r->context == row->context)
            return r;
    }
    return NULL;
}
