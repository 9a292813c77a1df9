#include "cli/settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/lines.h"
#include "base/mem.h"

void settings_fini(struct settings *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->args[i]);
    free(s->args);
    *s = (struct settings){0};
}

/* A file being read. */
struct reader {
    struct settings *out;
    const struct argp_option *const *tables;
    int n_tables;
    const struct argp_option *seen[SETTINGS_MAX];
    int n_seen;
};

static const struct argp_option *find_option(const struct reader *r, const char *name)
{
    if (!strcmp(name, "config")) return NULL;
    for (int i = 0; i < r->n_tables; i++)
        for (const struct argp_option *o = r->tables[i]; o->name || o->doc; o++)
            if (o->name && !strcmp(o->name, name)) return o;
    return NULL;
}

static bool is_seen(const struct reader *r, const struct argp_option *o)
{
    for (int i = 0; i < r->n_seen; i++)
        if (r->seen[i] == o) return true;
    return false;
}

static void add_arg(struct settings *s, const char *name, const char *value)
{
    struct buf arg;
    buf_init(&arg, SETTINGS_MAX_BYTES + 8);
    buf_printf(&arg, value ? "--%s=%s" : "--%s", name, value);
    s->args[s->n++] = buf_take(&arg);
}

/* One line, cut into pieces. */
static int read_line(void *ctx, char *line, struct err *err)
{
    struct reader *r = ctx;
    char *name = line_trim(line), *equals = strchr(name, '=');
    if (!*name || *name == '#') return 0;
    if (!equals) return err_set(err, ERR_FORMAT, "\"%.64s\": name = value is wanted", name);
    *equals = 0;
    name = line_trim(name);
    const char *value = line_trim(equals + 1);
    const struct argp_option *o = find_option(r, name);
    if (!o) return err_set(err, ERR_FORMAT, "there is no option \"%.64s\"", name);
    if (!*value) return err_set(err, ERR_FORMAT, "%s has no value", name);
    if (is_seen(r, o)) return err_set(err, ERR_FORMAT, "%s is there twice", name);
    if (r->n_seen == SETTINGS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d options", SETTINGS_MAX);
    r->seen[r->n_seen++] = o;
    if (!o->arg && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return err_set(err, ERR_FORMAT, "%s is \"%.64s\": true or false is wanted", name, value);
    if (o->arg || !strcmp(value, "true")) add_arg(r->out, name, o->arg ? value : NULL);
    return 0;
}

int settings_parse(struct settings *out, const char *what, const char *text, size_t size,
                   const struct argp_option *const *tables, int n_tables, struct err *err)
{
    struct reader r = {.out = out, .tables = tables, .n_tables = n_tables};
    *out = (struct settings){.args = xcalloc(SETTINGS_MAX, sizeof *out->args)};
    if (lines_read(what, text, size, read_line, &r, err) == 0) return 0;
    settings_fini(out);
    return -1;
}

char **settings_before(const struct settings *s, int argc, char **argv)
{
    char **all = xcalloc((size_t)argc + (size_t)s->n + 1, sizeof *all);
    all[0] = argv[0];
    for (int i = 0; i < s->n; i++)
        all[1 + i] = s->args[i];
    for (int i = 1; i < argc; i++)
        all[s->n + i] = argv[i];
    return all;
}
