#include "cli/settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const char BLANKS[] = " \t\r";

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

/* Without the blanks around it, in place. */
static char *trim(char *s)
{
    s += strspn(s, BLANKS);
    size_t n = strlen(s);
    while (n && strchr(BLANKS, s[n - 1]))
        n--;
    s[n] = 0;
    return s;
}

static bool has_control_bytes(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) return true;
    }
    return false;
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
static int read_line(struct reader *r, char *line, struct err *err)
{
    char *name = trim(line), *equals = strchr(name, '=');
    if (!*name || *name == '#') return 0;
    if (!equals) return err_set(err, ERR_FORMAT, "\"%.64s\": name = value is wanted", name);
    *equals = 0;
    name = trim(name);
    const char *value = trim(equals + 1);
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
    int number = 0;
    *out = (struct settings){.args = xcalloc(SETTINGS_MAX, sizeof *out->args)};
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at;
        struct err bad = {0};
        char *line = xstrndup(text + at, n);
        number++;
        int rc = has_control_bytes(text + at, n) ? err_set(&bad, ERR_FORMAT, "a control byte")
                                                 : read_line(&r, line, &bad);
        free(line);
        if (rc) {
            settings_fini(out);
            return err_set(err, bad.code, "%s: line %d: %s", what, number, bad.message);
        }
        at += n + 1;
    }
    return 0;
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
